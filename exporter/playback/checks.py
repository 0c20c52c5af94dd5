"""Checks the addresses of all streams, beside scrapes, for as long as somebody scrapes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self
from zlib import crc32

import structlog

from exporter.addresses import USUAL_PLAYBACK, PlaybackAddress, PlaybackSettings
from exporter.model import Account, Reason, Stream
from exporter.playback.checker import Checked, Checker, Means
from exporter.playback.fetch import Fetched, Take, Wanted
from exporter.playback.lateness import Late, Lateness, why_late
from exporter.playback.queue import Queue
from exporter.playback.rates import Rates
from exporter.playback.steps import PlaybackTranscript
from exporter.playback.verdict import Verdict
from exporter.rounds.shared import Clock, place
from exporter.routes import Http
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Record
from exporter.transport.aside import Aside

log = structlog.get_logger("playback")

IDLE_SECONDS: Final = 300.0
"""How long checks go on after the last scrape."""

AT_LEAST: Final = 1.0
"""Seconds between two checks of one address at least."""


GONE: Final = Checked(Verdict(None, "it is no longer configured"), (), 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """An address that is checked; it is another one if any of this changes."""

    provider: str
    account: str
    stream: str
    address: PlaybackAddress
    http: Http

    def __hash__(self) -> int:
        """Found quickly: it is asked for at each check, again and again, and these three tell it from all others."""
        return hash((self.provider, self.stream, self.address.name))


class Done(NamedTuple):
    """A check that is over, and the seconds after which another one tells more."""

    transcript: PlaybackTranscript
    again: float

    @property
    def settled(self) -> bool:
        """Whether it is known what viewers get, or why nobody knows."""
        outcome = self.transcript.outcome
        return outcome.up is not None or outcome.reason is not None


class Fetching(Protocol):
    """Fetches addresses while its block runs; see `Fetcher`.

    Attributes:
        rates: How fast a host may be asked.
    """

    rates: Rates

    async def __aenter__(self) -> object:
        """Begin."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections."""
        ...

    async def fetch(self, wanted: Wanted, take: Take) -> Fetched:
        """Fetch; raises `NotFetched`."""
        ...


class PlaybackChecks:
    """Checks addresses and tells the board what viewers get.

    Args:
        board: Takes the outcomes.
        counters: Counts failures and bytes.
        clock: Time and chance.
        aside: Reads long playlists.
    """

    def __init__(self, board: Board, counters: Counters, clock: Clock, aside: Aside, fetcher: Fetching) -> None:
        self._settings = USUAL_PLAYBACK
        self._max_age = 0.0
        self._board = board
        self._counters = counters
        self._clock = clock
        self._fetcher = fetcher
        self._means = Means(fetcher.fetch, clock, aside)
        self._checkers: dict[Watched, Checker] = {}
        self._under_way: dict[Watched, asyncio.Future[Done | None]] = {}
        self._queue = Queue(self._work, _host, clock.mono)
        self._lateness = Lateness(self._counts, self._tell_late, clock.mono)
        self._scraped = float("-inf")
        self._observers: set[Callable[[Watched, Done], None]] = set()

    async def __aenter__(self) -> Self:
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lateness.close()
        await self._queue.close()
        await self._fetcher.__aexit__(kind, error, trace)

    def configure(
        self, accounts: Iterable[Account], streams: Iterable[Stream], settings: PlaybackSettings, max_age: float
    ) -> None:
        """Check the addresses of these streams from now on; what is known of those that stay is kept.

        An outcome counts for `max_age` seconds, or two intervals if that is longer.
        """
        by_name = {account.name: account for account in accounts}
        watched = [
            Watched(
                by_name[stream.account].provider, stream.account, stream.name, address, by_name[stream.account].http
            )
            for stream in streams
            for address in stream.playback
        ]
        self._settings, self._max_age = settings, max_age
        self._checkers = {
            one: self._checkers.get(one) or Checker(one.address, one.http, self._means) for one in watched
        }
        for one in watched:  # there from the beginning, as a counter should be
            self._counters.playback_bytes[one.provider, one.account] += 0
        self._fetcher.rates.change(settings.rate)
        self._queue.concurrency = settings.concurrency
        self._queue.keep(self._checkers)
        self._queue.hasten(lambda one, began: _regular(one, began, self._interval(one)))
        self._lateness.keep(self._checkers)

    def scraped(self) -> None:
        """Check on: somebody wants to know."""
        if self._is_idle():
            self._lateness.begin()
        self._scraped = self._clock.mono()
        self._queue.run(True)

    # --- checking ----------------------------------------------------------------------------------------------------

    async def settle(self, record: Record, deadline: float) -> list[PlaybackTranscript]:
        """Check all addresses of a stream until it is known what viewers get, or the deadline (monotonic seconds).

        Returns:
            The last check of each.
        """
        waiting = [one for one in self._checkers if (one.provider, one.stream) == record.key]
        done: dict[Watched, Done] = {}
        while True:
            done |= zip(waiting, await asyncio.gather(*map(self._check, waiting)), strict=True)
            waiting = [one for one, last in done.items() if not last.settled and one in self._checkers]
            wait = max(min((done[one].again for one in waiting), default=0.0), AT_LEAST)
            if not waiting or self._clock.mono() + wait > deadline:
                return [last.transcript for last in done.values()]
            await asyncio.sleep(wait)

    async def settle_all(self, deadline: float, show: Callable[[str, PlaybackTranscript], None]) -> None:
        """Check all addresses in turn until it is known what viewers get, or the deadline (monotonic seconds).

        Args:
            deadline: When to end.
            show: Takes the provider and each check.
        """
        unsettled, settled = set(self._checkers), asyncio.Event()

        def observe(watched: Watched, done: Done) -> None:
            show(watched.provider, done.transcript)
            if done.settled:
                unsettled.discard(watched)
            if not unsettled:
                settled.set()

        if not unsettled:
            return
        self._observers.add(observe)
        self.scraped()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - self._clock.mono())):
                await settled.wait()
        self._observers.discard(observe)

    async def _check(self, watched: Watched) -> Done:
        """Check an address, or wait for the check of it that is under way, unless that one is given up."""
        while (under_way := self._under_way.get(watched)) is not None:
            if (done := await asyncio.shield(under_way)) is not None:
                return done
        under_way, done = asyncio.get_running_loop().create_future(), None
        self._under_way[watched] = under_way
        try:
            done = await self._check_once(watched)
            return done
        finally:
            del self._under_way[watched]
            under_way.set_result(done)

    async def _check_once(self, watched: Watched) -> Done:
        try:
            checker = self._checkers.get(watched)
            checked = GONE if checker is None else await checker.check(self._settings.timeout)
        except Exception as error:
            # Its text might hold an address.
            log.error("bug", stream=watched.stream, kind=type(error).__name__, place=place(error))
            checked = Checked(Verdict(None, "an error of the exporter itself", Reason.BUG), (), 0)
        outcome = self._outcome(watched, checked.verdict)
        self._lateness.ended(watched)
        self._tell(watched, outcome, checked.received)
        shown, name = watched.address.shown, watched.address.name
        done = Done(PlaybackTranscript(watched.stream, name, shown, checked.steps, outcome), checked.verdict.again)
        for observe in tuple(self._observers):
            observe(watched, done)
        return done

    def _outcome(self, watched: Watched, verdict: Verdict) -> PlaybackCheck:
        now, until = self._clock.now(), self._clock.mono() + self._counts(watched)
        return PlaybackCheck(
            verdict.up, verdict.message, verdict.reason, verdict.age, verdict.first_byte, now.unix, until
        )

    def _tell(self, watched: Watched, outcome: PlaybackCheck, received: int) -> None:
        record = self._board.get((watched.provider, watched.stream))
        if record is None or watched not in self._checkers:
            return  # a reload has taken it away
        name = watched.address.name
        self._counters.playback_bytes[watched.provider, watched.account] += received
        if outcome.reason is not None:
            self._counters.playback_errors[watched.provider, watched.stream, name, str(outcome.reason)] += 1
        self._board.played(record, watched.address, outcome, self._clock.now())

    # --- when --------------------------------------------------------------------------------------------------------

    async def _work(self, watched: Watched) -> float:
        """Check an address whose time has come; return the seconds after which it comes again."""
        began = self._clock.mono()
        if self._is_idle():
            self._queue.run(False)
            return 0.0
        done = await self._check(watched)
        interval = self._interval(watched)
        sooner = self._clock.mono() - began + max(done.again, AT_LEAST)
        return min(sooner, _regular(watched, began, interval))

    def _tell_late(self, watched: Watched, late: Late) -> float | None:
        """Tell that the turn of an address has not come; return the seconds after which to tell it again."""
        if self._is_idle():
            return None
        host = _host(watched)
        standing, waiting = self._queue.standing(watched), self._fetcher.rates.waiting(host)
        if standing.under_way is not None and standing.under_way < AT_LEAST:
            return AT_LEAST - standing.under_way  # its turn has come
        message = why_late(late.seconds, host, standing, waiting, self._settings)
        checked = None if late.ended is None else self._clock.unix() - late.ended
        outcome = self._outcome(watched, Verdict(None, message, Reason.TIMEOUT))._replace(checked=checked)
        self._tell(watched, outcome, 0)
        return self._interval(watched)

    def _is_idle(self) -> bool:
        return self._clock.mono() - self._scraped > IDLE_SECONDS

    def _counts(self, watched: Watched) -> float:
        """Return for how many seconds an outcome counts."""
        return max(self._max_age, 2 * self._interval(watched))

    def _interval(self, watched: Watched) -> float:
        return watched.address.interval or self._settings.interval


def _host(watched: Watched) -> str:
    return watched.address.origins[0]


def _regular(watched: Watched, began: float, interval: float) -> float:
    """Return the seconds from a check to the next, half an interval later at least.

    Each address has a moment of its own within the interval, so that they don't all come at once.
    """
    moment = crc32(f"{watched.provider}/{watched.stream}/{watched.address.name}".encode()) / (1 << 32) * interval
    wait = (moment - began) % interval
    return wait if wait >= interval / 2 else wait + interval
