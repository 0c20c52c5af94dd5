"""What the providers' codes mean: code → reason or state, meaning, advice.

The tables are data: `providers/<name>/codes.yml` for each cloud, and `reasons.yml` for the exporter's own words. A code
that is in no table still gets a reason: from the longest prefix that fits, else from the HTTP status, else
`provider_error`. Such an entry is not `listed`, and only listed codes may become labels, so a provider cannot make up
new label values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

from exporter.providers import names

LOCAL: Final = "exporter"
"""What stands for the provider in entries about the exporter's own words."""

OTHER: Final = "other"
"""The label of every code that no table lists."""

GATEWAY: Final = "gateway"
"""The family that is asked before the family of the action."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Entry:
    """One code of one provider, explained.

    `reason` is None for an answer that is no failure. `state` is None for a failure, and for a success that tells
    nothing about a single stream.
    """

    provider: str
    code: str
    reason: str | None
    state: str | None
    meaning: str
    advice: str
    meaning_zh: str
    advice_zh: str
    family: str | None = None
    listed: bool = True


Table = dict[str, Entry]


class Catalogue:
    """The codes of one provider, by family of APIs; where it has no families, all are of the family None."""

    __slots__ = ("_fallbacks", "_families", "_http", "_tables", "_values", "provider", "state_field", "title")

    def __init__(self, provider: str, document: Mapping[str, Any]) -> None:
        """Takes the parsed `codes.yml`."""
        self.provider = provider
        self.title: str = document["title"]
        self.state_field: str | None = document.get("state_field")
        self._families: dict[str, str] = document.get("families", {})
        self._http = {str(status): str(reason) for status, reason in document.get("http", {}).items()}
        self._values: dict[str | None, Table] = {}
        self._tables: dict[str | None, Table] = {}
        # Values of a field are no codes: an error that calls itself "active" must not be taken for an answer.
        self._read(self._values if self.state_field else self._tables, document.get("states", {}))
        self._read(self._tables, document.get("codes", {}))
        fallbacks = [_entry(provider, row["prefix"], row, listed=False) for row in document.get("fallback", ())]
        self._fallbacks = sorted(fallbacks, key=lambda entry: len(entry.code), reverse=True)

    def lookup(self, action: str, code: str, status: int = 200) -> Entry:
        """Explains the `code` that answered `action` with HTTP `status`; has an entry for any code whatever.

        Values of `state_field` are no codes; `explain` knows them.
        """
        first = self._tables.get(GATEWAY)
        if first and code in first:
            return first[code]
        table = self._tables.get(self._families.get(action), {})
        return table.get(code) or self._guess(table, code) or self._by_status(code, status)

    def explain(self, code: str) -> list[Entry]:
        """All that `code` may mean, one entry per family; else what it resembles, not listed; else nothing."""
        exact = [entry for entry in self.entries() if entry.code == code]
        guesses = (self._guess(table, code) for table in self._tables.values())
        return exact or list(dict.fromkeys(guess for guess in guesses if guess))

    def entries(self) -> Iterator[Entry]:
        """Every listed state and code, in the order of the file."""
        for table in (*self._values.values(), *self._tables.values()):
            yield from table.values()

    def fallbacks(self) -> Iterator[Entry]:
        """The prefixes that catch unlisted codes, longest first; `code` is the prefix."""
        yield from self._fallbacks

    def statuses(self) -> dict[str, str]:
        """HTTP status (`429`) or class of it (`5xx`) → reason, for unlisted codes that no prefix catches."""
        return dict(self._http)

    def _read(self, tables: dict[str | None, Table], rows: Mapping[str, Any]) -> None:
        """Adds rows to `tables`; where the provider has families, rows are nested by family."""
        for family, table in rows.items() if self._families else [(None, rows)]:
            tables.setdefault(family, {}).update(_table(self.provider, family, table))

    def _guess(self, table: Table, code: str) -> Entry | None:
        """The nearest row: the longest prefix, or the listed code before the first dot where that is longer."""
        row = next((entry for entry in self._fallbacks if code.startswith(entry.code)), None)
        head, dot, _ = code.partition(".")
        parent = table.get(head) if dot else None
        if parent and parent.reason and (row is None or len(head) > len(row.code)):
            row = parent
        return replace(row, code=code, listed=False) if row else None

    def _by_status(self, code: str, status: int) -> Entry:
        reason = self._http.get(str(status)) or self._http.get(f"{status // 100}xx")
        row = local(reason) if reason else _own()["unlisted"][OTHER]
        return replace(row, provider=self.provider, code=code, listed=False)


@cache
def load(provider: str) -> Catalogue:
    """The catalogue of `provider`; one without any code while its folder has no file of them.

    Raises:
        KeyError: No provider has this name.
    """
    if provider not in names():
        raise KeyError(provider)
    file = _file(provider)
    return Catalogue(provider, _parse(file) if file.is_file() else {"title": provider})


@cache
def providers() -> tuple[str, ...]:
    """The names of all providers that have a file of codes, sorted."""
    return tuple(name for name in names() if _file(name).is_file())


def local(word: str) -> Entry:
    """Explains a reason, or one of the words that stand for a code in a label (`ok`, `other`).

    Raises:
        KeyError: Neither a reason nor such a word.
    """
    return _own()["reasons"].get(word) or _own()["words"][word]


def of_fault(provider: str, code: str, reason: str) -> Entry:
    """Explains a failed attempt by its code, or by its reason where the code is the exporter's own."""
    known = load(provider).explain(code) if code not in (reason, OTHER) else []
    return next((entry for entry in known if entry.reason == reason), None) or local(reason)


def reasons() -> tuple[Entry, ...]:
    """The closed set of reasons, each explained."""
    return tuple(_own()["reasons"].values())


def words() -> tuple[Entry, ...]:
    """The words that stand for a code in a label, each explained."""
    return tuple(_own()["words"].values())


def label(entry: Entry) -> str:
    """The value of the label `code`: the code itself where it is listed, else `other`."""
    return entry.code if entry.listed else OTHER


@cache
def _own() -> dict[str, Table]:
    """The contents of `reasons.yml`."""
    document = _parse(files("exporter") / "reasons.yml")
    return {
        "reasons": _table(LOCAL, None, {word: {"reason": word, **row} for word, row in document["reasons"].items()}),
        "words": _table(LOCAL, None, document["words"]),
        "unlisted": _table(LOCAL, None, {OTHER: document["unlisted"]}),
    }


def _file(provider: str) -> Traversable:
    return files(f"exporter.providers.{provider}") / "codes.yml"


def _parse(file: Traversable) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 # nosec B506
    return document


def _table(provider: str, family: str | None, rows: Mapping[Any, Any]) -> Table:
    """Rows by code; YAML reads codes of digits as numbers, while providers answer them as text or number."""
    return {str(code): _entry(provider, str(code), row, family) for code, row in rows.items()}


def _entry(
    provider: str, code: str, row: Mapping[str, Any], family: str | None = None, *, listed: bool = True
) -> Entry:
    return Entry(
        provider=provider,
        code=code,
        reason=row.get("reason"),
        state=row.get("state"),
        meaning=row["meaning"],
        advice=row["advice"],
        meaning_zh=row["zh"]["meaning"],
        advice_zh=row["zh"]["advice"],
        family=family,
        listed=listed,
    )
