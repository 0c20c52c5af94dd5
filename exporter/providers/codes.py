"""The catalogue of the providers' codes: code → reason or state, meaning, advice.

It is read from `codes.yml` beside each `provider.py`, and from `reasons.yml` for the exporter's own words. A code that
no table lists gets the reason of the longest matching prefix, else of the HTTP status, else `provider_error`. Only
listed codes may become labels, so that a provider cannot make up new label values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from typing import Any, Final

import yaml

from exporter.providers import places

LOCAL: Final = "exporter"
"""The provider in entries about the exporter's own words."""

OTHER: Final = "other"
"""The label of every code that no table lists."""

GATEWAY: Final = "gateway"
"""The family that is searched before the family of the action."""

MOST_REMEMBERED: Final = 4096
"""Answers that are kept explained: in an outage each of thousands of streams asks for the same."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider's code, explained.

    `reason` is None for a success. `state` is None for a failure, and for a success that says nothing about one stream.
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
    """The codes of one provider by family of APIs, which is None for a provider without families.

    Attributes:
        fallbacks: Entries for unlisted codes; `code` is a prefix, the longest come first.
        http: HTTP status (`429`) or class (`5xx`) → reason, for unlisted codes that match no prefix.
    """

    __slots__ = ("_families", "_tables", "_values", "fallbacks", "http", "provider", "state_field", "title")

    def __init__(self, provider: str, document: Mapping[str, Any]) -> None:
        """Read the parsed `codes.yml`."""
        self.provider = provider
        self.title: str = document["title"]
        self.state_field: str | None = document.get("state_field")
        self._families: dict[str, str] = document.get("families", {})
        self.http = {str(status): str(reason) for status, reason in document.get("http", {}).items()}
        self._values: dict[str | None, Table] = {}
        self._tables: dict[str | None, Table] = {}
        # Values of `state_field` are not codes: an error with the code "active" must not pass for an answer.
        self._read(self._values if self.state_field else self._tables, document.get("states", {}))
        self._read(self._tables, document.get("codes", {}))
        fallbacks = [_entry(provider, row["prefix"], row, listed=False) for row in document.get("fallback", ())]
        self.fallbacks = sorted(fallbacks, key=lambda entry: len(entry.code), reverse=True)

    def lookup(self, action: str, code: str, status: int = 200) -> Entry:
        """Return the entry of a code that answered an action with an HTTP status; every code has one."""
        first = self._tables.get(GATEWAY)
        if first and code in first:
            return first[code]
        table = self._tables.get(self.family(action), {})
        return table.get(code) or self._guess(table, code) or self._by_status(code, status)

    def family(self, action: str) -> str | None:
        """Return the family of APIs that an action belongs to."""
        return self._families.get(action)

    def explain(self, code: str) -> list[Entry]:
        """Return all listed entries of a code or state; if there are none, those of similar codes."""
        exact = [entry for entry in self.entries() if entry.code == code]
        guesses = (self._guess(table, code) for table in self._tables.values())
        return exact or list(dict.fromkeys(guess for guess in guesses if guess))

    def entries(self) -> Iterator[Entry]:
        """Yield every listed state and code in the order of the file."""
        for table in (*self._values.values(), *self._tables.values()):
            yield from table.values()

    def _read(self, tables: dict[str | None, Table], rows: Mapping[str, Any]) -> None:
        """Add rows to `tables`; they are nested by family if the provider has families."""
        for family, table in rows.items() if self._families else [(None, rows)]:
            tables.setdefault(family, {}).update(_table(self.provider, family, table))

    def _guess(self, table: Table, code: str) -> Entry | None:
        """Return an entry by the longest prefix, or by the listed code before the first dot if that is longer."""
        row = next((entry for entry in self.fallbacks if code.startswith(entry.code)), None)
        head, dot, _ = code.partition(".")
        parent = table.get(head) if dot else None
        if parent and parent.reason and (row is None or len(head) > len(row.code)):
            row = parent
        return replace(row, code=code, listed=False) if row else None

    def _by_status(self, code: str, status: int) -> Entry:
        reason = self.http.get(str(status)) or self.http.get(f"{status // 100}xx")
        row = local(reason) if reason else _own()["unlisted"][OTHER]
        return replace(row, provider=self.provider, code=code, listed=False)


@cache
def load(provider: str) -> Catalogue:
    """Return a provider's catalogue, which is empty if it has no `codes.yml`.

    Raises:
        KeyError: No provider has this name.
    """
    file = _file(provider)
    return Catalogue(provider, {"title": provider} if file is None else _parse(file))


@cache
def providers() -> tuple[str, ...]:
    """Return the names of all providers with a `codes.yml`, sorted."""
    return tuple(name for name in places() if _file(name) is not None)


def local(word: str) -> Entry:
    """Return the entry of a reason, or of a word that stands for a code in a label (`ok`, `other`).

    Raises:
        KeyError: The word is neither.
    """
    return _own()["reasons"].get(word) or _own()["words"][word]


@lru_cache(MOST_REMEMBERED)
def of_fault(provider: str, code: str, reason: str) -> Entry:
    """Return the entry of a failed attempt by its code, or by its reason if the code is the exporter's own."""
    known = load(provider).explain(code) if code not in (reason, OTHER) else []
    return next((entry for entry in known if entry.reason == reason), None) or local(reason)


@lru_cache(MOST_REMEMBERED)
def of_state(provider: str, state: str, code: str) -> Entry | None:
    """Return the entry of a definite answer by its code, or the first of its state; None if none tells that state."""
    known = [entry for entry in load(provider).entries() if entry.state == state]
    return min(known, key=lambda entry: entry.code != code, default=None)


def reasons() -> tuple[Entry, ...]:
    """Return the entries of all reasons."""
    return tuple(_own()["reasons"].values())


def words() -> tuple[Entry, ...]:
    """Return the entries of the words that stand for a code in a label."""
    return tuple(_own()["words"].values())


def label(entry: Entry) -> str:
    """Return the value of the label `code`: the code itself if it is listed, else `other`."""
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


def _file(provider: str) -> Traversable | None:
    """Return the `codes.yml` beside a provider's module, without importing that, or None."""
    spec = find_spec(places()[provider].module)
    file = files(spec.parent) / "codes.yml" if spec and spec.parent else None
    return file if file is not None and file.is_file() else None


def _parse(file: Traversable) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 # nosec B506
    return document


def _table(provider: str, family: str | None, rows: Mapping[Any, Any]) -> Table:
    """Return rows by code as text: YAML reads numeric codes as numbers."""
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
