"""What a reader wants to see, as the page's query string says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from exporter.state.record import Row
from exporter.status.standing import Standing

ROWS, MOST_ROWS = 500, 2000
USUAL_SORT: Final = "state"
SORTS: Final = (USUAL_SORT, "name", "provider", "since")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which streams to show, in which order, and how many; an empty field admits all.

    Attributes:
        text: A part of the stream's name; case is ignored.
        labels: (name, value) pairs that must all match; with the value None any value does.
        limit: The most rows on a page.
        sort: One of `SORTS`, after a minus in reverse.
        page: Which page of rows, from 1.
        asked: The stream that the reader has just asked about, as PROVIDER/NAME.
    """

    text: str = ""
    states: frozenset[Standing] = frozenset()
    providers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str | None], ...] = ()
    limit: int = ROWS
    sort: str = USUAL_SORT
    page: int = 1
    asked: str = ""

    @classmethod
    def read(cls, query: Iterable[tuple[str, str]]) -> Filter:
        """Read the (name, value) pairs of a query string; invalid ones are ignored."""
        given: dict[str, list[str]] = {}
        for name, value in query:
            if value:
                # Browsers submit every line break as CR LF.
                given.setdefault(name, []).append(value.replace("\r\n", "\n"))

        def last(name: str) -> str:
            return given.get(name, [""])[-1]

        return cls(
            text=last("q"),
            states=frozenset(one for one in Standing if one in given.get("state", ())),
            providers=frozenset(given.get("provider", ())),
            accounts=frozenset(given.get("account", ())),
            labels=tuple(_label(text) for text in given.get("label", ())),
            limit=min(_number(last("limit"), ROWS), MOST_ROWS),
            sort=last("sort") if last("sort").removeprefix("-") in SORTS else USUAL_SORT,
            page=_number(last("page"), 1),
            asked=last("asked"),
        )

    def address(self, **changes: Any) -> str:
        """Return the query string, with its question mark, that `read` turns into this, with some fields changed."""
        return "?" + urlencode([pair for pair in _pairs(replace(self, **changes)) if pair[1]], errors="replace")

    @property
    def narrows(self) -> bool:
        """Whether it excludes any stream."""
        return bool(self.text or self.states or self.providers or self.accounts or self.labels)

    def admits_account(self, provider: str, account: str) -> bool:
        """Whether to show an account."""
        return (not self.providers or provider in self.providers) and (not self.accounts or account in self.accounts)

    def admits(self, row: Row, needle: str) -> bool:
        """Whether to show a stream, whatever its state; `needle` is the case-folded `text`."""
        stream = row.stream
        return (
            self.admits_account(row.key[0], stream.account)
            and needle in stream.name.casefold()
            and (not self.labels or _match(self.labels, stream.labels))
        )


def _match(chosen: Iterable[tuple[str, str | None]], labels: Mapping[str, str]) -> bool:
    return all(name in labels if value is None else labels.get(name) == value for name, value in chosen)


def _label(text: str) -> tuple[str, str | None]:
    name, given, value = text.partition("=")
    return name.strip(), value if given else None


def _number(text: str, usual: int) -> int:
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 10 else usual


def _pairs(chosen: Filter) -> Iterator[tuple[str, str]]:
    yield "q", chosen.text
    for name, values in (("state", chosen.states), ("provider", chosen.providers), ("account", chosen.accounts)):
        yield from ((name, value) for value in sorted(values))
    yield from (("label", shown_label(*label)) for label in chosen.labels)
    usual = Filter()
    for name in ("limit", "sort", "page", "asked"):
        value = getattr(chosen, name)
        yield name, "" if value == getattr(usual, name) else str(value)


def shown_label(name: str, value: str | None) -> str:
    """Return a label as `name=value`, or its name alone."""
    return name if value is None else f"{name}={value}"
