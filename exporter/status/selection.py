"""What the page shows: the filter in its address, and the streams that it finds, worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Final

from exporter.model import State
from exporter.rounds import AccountProber
from exporter.state.board import Board, Instant, Key, Row
from exporter.state.counters import AccountKey, Counters
from exporter.status.wording import STATES

ROWS, MOST_ROWS = 500, 2000

STEP: Final = 500
MOST_LABELS: Final = 200

RANK: Final = {state: rank for rank, state in enumerate(STATES)}
"""The states' ranks, the worst first."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the page may show.

    Attributes:
        board: What is known of each stream.
        counters: What happened since the start.
        accounts: The accounts.
        now: The time on both clocks.
        telemetry_path: Path of the metrics.
        ready: Whether the exporter is able to probe.
        reload_ok: Whether the configuration last read is in force.
        events: Whether `/api/v1/events` tells changes, so that the script may listen.
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
    """Which streams to show, as the page's address says; an empty field admits everything.

    Attributes:
        text: A part of the stream's name, in any case.
        labels: (name, value) pairs that must all hold; a value None asks only for the name.
        limit: Most rows shown.
    """

    text: str = ""
    states: frozenset[State] = frozenset()
    providers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str | None], ...] = ()
    limit: int = ROWS

    @classmethod
    def read(cls, query: Iterable[tuple[str, str]]) -> Filter:
        """Read a query string's (name, value) pairs; what makes no sense is left out."""
        given: dict[str, list[str]] = {}
        for name, value in query:
            if value:
                # Browsers send a line's end in a form as CR LF, whatever it was.
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
        """Whether it leaves out anything at all."""
        return bool(self.text or self.states or self.providers or self.accounts or self.labels)

    def admits_account(self, provider: str, account: str) -> bool:
        """Whether an account is shown."""
        return (not self.providers or provider in self.providers) and (not self.accounts or account in self.accounts)

    def admits(self, row: Row, needle: str) -> bool:
        """Whether a stream is shown, whatever its state; `needle` is `text` with its case folded."""
        stream = row.stream
        return (
            self.admits_account(row.key[0], stream.account)
            and needle in stream.name.casefold()
            and (not self.labels or _holds(self.labels, stream.labels))
        )


def _holds(wanted: Iterable[tuple[str, str | None]], labels: Mapping[str, str]) -> bool:
    return all(name in labels if value is None else labels.get(name) == value for name, value in wanted)


def _label(text: str) -> tuple[str, str | None]:
    name, given, value = text.partition("=")
    return name.strip(), value if given else None


def _limit(text: str) -> int:
    return min(max(int(text), 1), MOST_ROWS) if text.isascii() and text.isdigit() and len(text) < 10 else ROWS


Ranked = tuple[int, float, Key, Row]
"""A row with its rank, minus since when, and its key, which no other row has: rows themselves are never compared."""


@dataclass(slots=True)
class Selection:
    """What a filter finds.

    Attributes:
        counts: Streams by state that the filter admits, whatever states it asks for.
        by_account: All streams by account and state.
        rows: The streams to show, worst first.
        matching: How many would be shown without the limit.
        newest: Monotonic seconds of the last attempt of any stream; minus infinity before the first.
        labels: Labels to suggest, as `name=value`; some of them if there are very many.
    """

    counts: Counter[State] = field(default_factory=Counter)
    by_account: dict[AccountKey, Counter[State]] = field(default_factory=lambda: defaultdict(Counter))
    rows: list[Row] = field(default_factory=list)
    matching: int = 0
    newest: float = float("-inf")
    labels: set[str] = field(default_factory=set)

    @property
    def worst(self) -> State:
        """The worst state of those the filter admits."""
        return min(self.counts, key=RANK.__getitem__, default=State.UNKNOWN)


def select(known: Known, wanted: Filter) -> Generator[str, None, Selection]:
    """Find the streams to show: the worst state first, and in it the latest change first.

    It does so in steps, between which the event loop may run; each yields an empty text. Each stream is read once, so
    counts and rows agree, whatever changes between two steps.
    """
    found = Selection()
    needle, states = wanted.text.casefold(), wanted.states
    ranked: list[Ranked] = []
    runs: list[list[Ranked]] = []
    for number, row in enumerate(known.board.rows(known.now.mono), 1):
        _count(found, row)
        if wanted.admits(row, needle):
            found.counts[row.state] += 1
            if not states or row.state in states:
                ranked.append((RANK[row.state], -(row.since or 0.0), row.key, row))
        if number % STEP == 0:
            runs.append(sorted(ranked))
            ranked = []
            yield ""
    runs.append(sorted(ranked))
    found.matching = sum(map(len, runs))
    found.rows = [row for *_, row in islice(merge(*runs), wanted.limit)]
    return found


def _count(found: Selection, row: Row) -> None:
    account = (row.key[0], row.stream.account)
    found.by_account[account][row.state] += 1
    found.newest = max(found.newest, row.tried)
    if len(found.labels) <= MOST_LABELS:
        found.labels.update(f"{label}={value}" for label, value in row.stream.labels.items())
