"""The streams to show, counted and sorted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, Final

from exporter.model import State
from exporter.rounds.account import AccountProber
from exporter.state.board import Board
from exporter.state.counters import AccountKey, Counters
from exporter.state.record import Instant, Row
from exporter.status.begun import last_change
from exporter.status.filter import Filter
from exporter.status.hops import doubt
from exporter.status.standing import Standing, standing_of, urgency
from exporter.status.tally import Tally

STEP: Final = 500
MOST_LABELS: Final = 200

KEYS: Final[dict[str, Callable[[Row, Standing], tuple[Any, ...]]]] = {
    "state": lambda row, standing: (*urgency(row, standing), -last_change(row)),
    "name": lambda row, _: (row.stream.name.casefold(),),
    "provider": lambda row, _: (row.key[0], row.stream.account, row.stream.name.casefold()),
    "since": lambda row, _: (-last_change(row),),
}
"""For each way to sort, what is compared; streams that are equal in that go by provider and name."""


@dataclass(frozen=True, slots=True)
class Site:
    """What an operator chooses for the page.

    Attributes:
        title: The name of what is watched, such as `production`.
        runbook: The address of the runbook, to which an anchor is added.
        dashboard: The address of a stream's dashboard, with `{provider}`, `{account}` and `{stream}`.
    """

    title: str = ""
    runbook: str = ""
    dashboard: str = ""
    telemetry_path: str = "/metrics"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the exporter that the page shows.

    Attributes:
        started: When the exporter started, in Unix seconds.
        ready: Whether the exporter can probe.
        reload_ok: Whether the configuration last read is in force.
        store: Whether the shared store answers, how many exporters share it, and what is wrong with it; None without.
        events: Whether the page's script may follow `/api/v1/events`.
        shard: Which part of the streams is watched, such as `0/4`; empty for all.
    """

    board: Board
    counters: Counters
    accounts: Sequence[AccountProber]
    now: Instant
    started: float = 0.0
    site: Site = Site()
    ready: bool = True
    reload_ok: bool = True
    store: tuple[bool, int, str] | None = None
    events: bool = False
    shard: str = ""


@dataclass(slots=True)
class Selection:
    """The streams that match a filter.

    Attributes:
        tally: All streams, whatever the filter.
        counts: Streams by standing that match, ignoring the standings chosen.
        by_account: All streams by account and standing, whatever the filter.
        rows: The streams of the page of rows to show, in order.
        matching: How many match, on all pages of rows.
        page: The number of the page of rows, from 1.
        pages: How many pages of rows there are.
        newest: Monotonic seconds of the last attempt for any stream; minus infinity before the first.
        unplayable: How many live streams viewers get nothing of, whatever the filter.
        doubtful: How many other live streams have an address whose checks fail, whatever the filter.
        labels: Labels to suggest, as `name=value`; incomplete if there are very many.
    """

    tally: Tally = field(default_factory=Tally)
    counts: Counter[Standing] = field(default_factory=Counter)
    by_account: dict[AccountKey, Counter[Standing]] = field(default_factory=lambda: defaultdict(Counter))
    rows: list[Row] = field(default_factory=list)
    matching: int = 0
    page: int = 1
    pages: int = 1
    newest: float = float("-inf")
    unplayable: int = 0
    doubtful: int = 0
    labels: set[str] = field(default_factory=set)


def select(snapshot: Snapshot, chosen: Filter) -> Generator[str, None, Selection]:
    """Select the streams to show, and sort them.

    Yields an empty text after each step, so that the event loop may run. Each stream is read once, so counts and rows
    agree whatever changes between steps.
    """
    selection = Selection()
    needle, states = chosen.text.casefold(), chosen.states
    key_of, reverse = KEYS[chosen.sort.removeprefix("-")], chosen.sort.startswith("-")
    found: list[tuple[Any, ...]] = []
    runs: list[list[tuple[Any, ...]]] = []
    for number, row in enumerate(snapshot.board.rows(snapshot.now), 1):
        standing = standing_of(row)
        _count(selection, row, standing)
        if chosen.admits(row, needle):
            selection.counts[standing] += 1
            if not states or standing in states:
                # Keys are unique, so rows are never compared.
                found.append((*key_of(row, standing), row.key, row))
        if number % STEP == 0:
            runs.append(sorted(found, reverse=reverse))
            found = []
            yield ""
    runs.append(sorted(found, reverse=reverse))
    selection.matching = sum(map(len, runs))
    selection.pages = max(1, -(-selection.matching // chosen.limit))
    selection.page = min(chosen.page, selection.pages)
    last = selection.page * chosen.limit
    for number, (*_, row) in enumerate(merge(*runs, reverse=reverse), 1):
        if number > last:
            break
        if number > last - chosen.limit:
            selection.rows.append(row)
        if number % STEP == 0:
            yield ""
    return selection


def _count(selection: Selection, row: Row, standing: Standing) -> None:
    account = (row.key[0], row.stream.account)
    selection.tally.add(standing, expected=row.expectation.expected)
    selection.by_account[account][standing] += 1
    selection.newest = max(selection.newest, row.tried)
    if row.playback and standing is Standing.DEGRADED:
        selection.unplayable += "playback" in row.degraded
    if row.playback and row.state is State.ACTIVE and row.expectation.expected:
        selection.doubtful += "playback" not in row.degraded and doubt(row.playback) != ""
    if len(selection.labels) <= MOST_LABELS:
        selection.labels.update(f"{label}={value}" for label, value in row.stream.labels.items())
