"""The page's filter, read from its query string, and the streams that match it, worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Final

from exporter.model import State
from exporter.rounds.account import AccountProber
from exporter.state.board import Board, Instant, Key, Row
from exporter.state.counters import AccountKey, Counters
from exporter.status.wording import STATES

ROWS, MOST_ROWS = 500, 2000

STEP: Final = 500
MOST_LABELS: Final = 200

RANK: Final = {state: rank for rank, state in enumerate(STATES)}  # the worst first


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the exporter that the page shows.

    Attributes:
        ready: Whether the exporter can probe.
        reload_ok: Whether the configuration last read is in force.
        events: Whether the page's script may follow `/api/v1/events`.
    """

    board: Board
    counters: Counters
    accounts: Sequence[AccountProber]
    now: Instant
    telemetry_path: str = "/metrics"
    ready: bool = True
    reload_ok: bool = True
    events: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which streams to show; an empty field admits all.

    Attributes:
        text: A part of the stream's name; case is ignored.
        labels: (name, value) pairs that must all match; with the value None any value does.
        limit: The most rows to show.
    """

    text: str = ""
    states: frozenset[State] = frozenset()
    providers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str | None], ...] = ()
    limit: int = ROWS

    @classmethod
    def read(cls, query: Iterable[tuple[str, str]]) -> Filter:
        """Read the (name, value) pairs of a query string; invalid ones are ignored."""
        given: dict[str, list[str]] = {}
        for name, value in query:
            if value:
                # Browsers submit every line break as CR LF.
                given.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return cls(
            text=given.get("q", [""])[-1],
            states=frozenset(state for state in State if state in given.get("state", ())),
            providers=frozenset(given.get("provider", ())),
            accounts=frozenset(given.get("account", ())),
            labels=tuple(_label(text) for text in given.get("label", ())),
            limit=_limit(given.get("limit", [""])[-1]),
        )

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


def _limit(text: str) -> int:
    return min(max(int(text), 1), MOST_ROWS) if text.isascii() and text.isdigit() and len(text) < 10 else ROWS


Ranked = tuple[int, float, Key, Row]
"""Rank, minus the start of the state, key and row; keys are unique, so rows are never compared."""


@dataclass(slots=True)
class Selection:
    """The streams that match a filter.

    Attributes:
        counts: Streams by state that match, ignoring the states chosen.
        by_account: All streams by account and state, whatever the filter.
        rows: The streams to show, worst first.
        matching: How many match, before the limit.
        newest: Monotonic seconds of the last attempt for any stream; minus infinity before the first.
        labels: Labels to suggest, as `name=value`; incomplete if there are very many.
    """

    counts: Counter[State] = field(default_factory=Counter)
    by_account: dict[AccountKey, Counter[State]] = field(default_factory=lambda: defaultdict(Counter))
    rows: list[Row] = field(default_factory=list)
    matching: int = 0
    newest: float = float("-inf")
    labels: set[str] = field(default_factory=set)

    @property
    def worst(self) -> State:
        """The worst state among `counts`."""
        return min(self.counts, key=RANK.__getitem__, default=State.UNKNOWN)


def select(snapshot: Snapshot, chosen: Filter) -> Generator[str, None, Selection]:
    """Select the streams to show: the worst state first, then the latest change.

    Yields an empty text after each step, so that the event loop may run. Each stream is read once, so counts and rows
    agree whatever changes between steps.
    """
    selection = Selection()
    needle, states = chosen.text.casefold(), chosen.states
    ranked: list[Ranked] = []
    runs: list[list[Ranked]] = []
    for number, row in enumerate(snapshot.board.rows(snapshot.now), 1):
        _count(selection, row)
        if chosen.admits(row, needle):
            selection.counts[row.state] += 1
            if not states or row.state in states:
                ranked.append((RANK[row.state], -(row.since or 0.0), row.key, row))
        if number % STEP == 0:
            runs.append(sorted(ranked))
            ranked = []
            yield ""
    runs.append(sorted(ranked))
    selection.matching = sum(map(len, runs))
    selection.rows = [row for *_, row in islice(merge(*runs), chosen.limit)]
    return selection


def _count(selection: Selection, row: Row) -> None:
    account = (row.key[0], row.stream.account)
    selection.by_account[account][row.state] += 1
    selection.newest = max(selection.newest, row.tried)
    if len(selection.labels) <= MOST_LABELS:
        selection.labels.update(f"{label}={value}" for label, value in row.stream.labels.items())
