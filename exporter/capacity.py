"""The capacity plan: what a round costs each account, and whether the quota, the deadline and the interval allow it.

The figures are estimates, and never faster than the quota allows. Whether listing pays off depends on how many streams
are live, so each figure is given for two cases: all streams are live, or none is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.fields import format_duration, number, spoken
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider, Api, Listing
from exporter.rounds.pace import Part, paced
from exporter.rounds.plan import Outlook, choose, cost, figure_groups

ASSUMED_INTERVAL = 15.0  # seconds between two scrapes: a common setting, as the exporter cannot know it
ASSUMED_LATENCY = 0.1  # seconds per call if the exporter runs near the provider
ROUNDING = 1 + 1e-9  # tolerance for rounding of products


@dataclass(frozen=True, slots=True)
class Timing:
    """When rounds happen and how long they may take, in seconds.

    Attributes:
        budget: For the calls of one round.
        max_age: After which an answer expires.
        reuse: For which an answer also serves later scrapes.
        interval: Between two scrapes.
    """

    budget: float = 10.0
    max_age: float = 120.0
    reuse: float = 5.0
    interval: float = ASSUMED_INTERVAL

    @property
    def every(self) -> float:
        """Seconds between two rounds: a scrape makes no calls while the answers are younger than `reuse`."""
        return self.interval * (self.reuse // self.interval + 1)

    @property
    def usable(self) -> float:
        """Seconds per round: Prometheus allows no scrape to last longer than its interval."""
        return min(self.budget, self.interval)


@dataclass(frozen=True, slots=True)
class Load:
    """The calls of one API in a round.

    Attributes:
        action: The vendor's name of the API.
        listing: Whether it returns many streams at once.
        calls: Number of calls to cover every stream once.
        allowed: Calls per second that the exporter allows itself.
        documented: Calls per second that the provider documents.
        pause: Minimum seconds between two lists.
        newer: Calls per second according to newer documentation, or 0.
        shards: How many shards allow themselves that much, of which this is one.
    """

    action: str
    listing: bool
    calls: int
    allowed: float
    documented: float
    pause: float = 0.0
    newer: float = 0.0
    shards: int = 1

    @property
    def seconds(self) -> float:
        """How long the calls take at that rate."""
        return self.calls / paced(self.allowed)

    def rounds(self, timing: Timing) -> int:
        """Return the number of rounds needed for all calls."""
        rate = paced(self.allowed)
        if fit := int(timing.usable * rate * ROUNDING):
            return -(-self.calls // fit)
        return self.calls * math.ceil(1 / (rate * timing.every))

    def refresh(self, timing: Timing) -> float:
        """Return the seconds between two answers of this API for one stream."""
        return max(1, self.rounds(timing), math.ceil(self.pause / timing.every)) * timing.every

    def used(self, timing: Timing) -> float:
        """Return the average share of the documented limit that all shards use."""
        return self.shards * self.calls / self.refresh(timing) / self.documented


@dataclass(frozen=True, slots=True)
class Round:
    """All calls of one account to cover every stream once."""

    loads: tuple[Load, ...]

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return sum(load.calls for load in self.loads)

    @property
    def seconds(self) -> float:
        """How long they take: lists in parallel, then single calls."""
        listing = max((load.seconds for load in self.loads if load.listing), default=0.0)
        return listing + sum(load.seconds for load in self.loads if not load.listing)

    def fits(self, timing: Timing) -> bool:
        """Whether one scrape covers all streams."""
        return self.rounds(timing) == 1

    def rounds(self, timing: Timing) -> int:
        """Return the number of scrapes needed to cover every stream."""
        if self.seconds <= timing.usable * ROUNDING:
            return 1
        most = max(load.rounds(timing) for load in self.loads)
        # The first call is made at once whatever the rate, so a single call needs no second scrape.
        return max(most, math.ceil(self.seconds / timing.every), 1 if self.calls == 1 else 2)

    def refresh(self, timing: Timing) -> float:
        """Return the maximum seconds between two answers for one stream."""
        return max([self.rounds(timing) * timing.every, *(load.refresh(timing) for load in self.loads)])

    @property
    def slowest(self) -> Load:
        """The API that takes longest."""
        return max(self.loads, key=lambda load: load.seconds)


@dataclass(frozen=True, slots=True)
class CapacityWarning:
    """A problem and its remedies, best first."""

    text: str
    helps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The capacity plan of one account.

    Attributes:
        streams: Number of watched streams.
        live: A round if all streams are live.
        dark: A round if none is.
        figures: The lists of figures that follow a round if all streams are live.
    """

    provider: str
    account: str
    streams: int
    live: Round
    dark: Round
    figures: tuple[Load, ...] = ()
    warnings: tuple[CapacityWarning, ...] = ()


def plan(provider: AnyProvider, account: Account, streams: Sequence[Stream], timing: Timing, shards: int = 1) -> Plan:
    """Return the capacity plan of an account and its streams, at one of so many parts of its quota."""
    case = _Case(provider, account, streams, timing, shards)
    live, dark = case.round(), case.round(down=True)
    warnings = tuple(case.warnings(live, dark)) if streams else ()
    return Plan(provider.name, account.name, len(streams), live, dark, case.figures(), warnings)


@dataclass(frozen=True, slots=True)
class _Case:
    """An account and its streams, for which to plan."""

    provider: AnyProvider
    account: Account
    streams: Sequence[Stream]
    timing: Timing
    shards: int = 1

    def round(self, down: bool = False, **changes: Any) -> Round:
        """Return a round if all streams are live, or all are down; `changes` override fields of the account."""
        account = self.account.model_copy(update=changes)
        rates = Part(0, self.shards).of_all(self.provider.allowed_rates(account))
        names = frozenset(stream.name for stream in self.streams) if down else frozenset[str]()
        outlook = Outlook(0.0, rates, names)
        calls: Counter[str] = Counter()
        singles = len(self.streams)
        for group in choose(self.provider, account, self.streams, outlook):
            pages, asked = cost(account, group, outlook, None)
            calls[group.listing.action] += pages
            singles += asked - len(group.left)
        if self.provider.single is not None:
            calls[self.provider.single.action] += singles
        return Round(self._loads(account, calls))

    def figures(self) -> tuple[Load, ...]:
        """Return the calls for the figures of all streams."""
        calls: Counter[str] = Counter()
        for group in figure_groups(self.provider, self.account, self.streams, 0.0, {}):
            calls[group.listing.action] += group.listing.pages(self.account, len(group.left))
        return self._loads(self.account, calls)

    def _loads(self, account: Account, calls: Counter[str]) -> tuple[Load, ...]:
        rates, apis = Part(0, self.shards).of_all(self.provider.allowed_rates(account)), self.provider.apis()
        return tuple(
            _load(account, apis[name], count, rates[name], self.shards) for name, count in calls.items() if count
        )

    def warnings(self, live: Round, dark: Round) -> Iterator[CapacityWarning]:
        """Yield the problems."""
        yield from _beyond_limit((*live.loads, *self.figures()))
        yield from _low_concurrency(self.account, live)
        yield from self._stale_lists(live)
        if (problem := _problem(live, self.timing)) is not None:
            yield CapacityWarning(problem, (*self._listing_helps(live), *self._helps(live)))
        elif dark.refresh(self.timing) > self.timing.max_age and (problem := _problem(dark, self.timing)):
            # A list does not show streams that are not live.
            yield CapacityWarning(f"if none of its streams is live, {problem}", tuple(self._helps(dark)))

    def _stale_lists(self, round_: Round) -> Iterator[CapacityWarning]:
        """Find lists that are requested less often than answers expire while single calls cannot fill the gap."""
        max_age = self.timing.max_age
        gap = self.round(plan="single").refresh(self.timing)
        for load in round_.loads:
            refresh = load.refresh(self.timing)
            if min(load.pause, gap) > max_age:
                yield CapacityWarning(
                    f"{load.action} is asked every {spoken(refresh)} at most, and an answer counts for "
                    f"{spoken(max_age)} (scrape.max_age): streams will be unknown in between",
                    (f"scrape.max_age: {format_duration(math.ceil(refresh))} or more",),
                )

    def _listing_helps(self, round_: Round) -> Iterator[str]:
        """Yield settings that would let a list answer for many streams in one call."""
        account = self.account
        if account.plan == "single" and (other := self.round(plan="auto")).seconds < round_.seconds:
            yield f"plan: auto, by which a round costs {number(other.calls)} instead of {number(round_.calls)} calls"
        for listing in self.provider.listings:
            alone = next((stream for stream in self.streams if listing.scope(account, stream) is None), None)
            if alone is None:
                continue
            for field in _unset(alone):
                if listing.scope(account, alone.model_copy(update={field: "x"})) is not None:
                    yield f"{field} on its streams, by which {listing.action} answers for many in one call"
            for field in _unset(account):
                if listing.scope(account.model_copy(update={field: "x"}), alone) is not None:
                    yield f"{field} on the account, by which {listing.action} answers for many in one call"

    def _helps(self, round_: Round) -> Iterator[str]:
        yield from _quota_helps(self.account, self.timing, round_)
        yield from _time_helps(self.timing, round_)
        parts = math.ceil(round_.seconds / self.timing.usable)
        yield f"{parts} accounts at the provider, each with a quota of its own and a part of the streams"


def _load(account: Account, api: Api[Any, Any] | Listing[Any, Any], calls: int, rate: float, shards: int) -> Load:
    pause, newer = (api.every(account), 0.0) if isinstance(api, Listing) else (0.0, api.newer)
    return Load(api.action, isinstance(api, Listing), calls, rate, api.limit(account), pause, newer, shards)


def _unset(shape: Account | Stream) -> Iterable[str]:
    return (name for name in type(shape).model_fields if getattr(shape, name) is None)


def _problem(round_: Round, timing: Timing) -> str | None:
    """Return the worst consequence of a round that is too long, or None if it fits."""
    if round_.fits(timing):
        return None
    refresh = round_.refresh(timing)
    takes = f"a round takes {spoken(round_.seconds)} under the quota"
    turn = f"a stream's turn comes every {spoken(refresh)}"
    if refresh > timing.max_age:
        known = f"an answer counts for {spoken(timing.max_age)} (scrape.max_age)"
        return f"{takes} and {turn}, but {known}: streams will be unknown in between"
    if round_.seconds > timing.interval:
        return f"{takes}, longer than the scrape interval of {spoken(timing.interval)}: {turn}"
    return f"{takes}, longer than the budget of a scrape, {spoken(timing.usable)}: {turn}"


def _beyond_limit(loads: Iterable[Load]) -> Iterator[CapacityWarning]:
    for load in loads:
        if load.shards * load.allowed > load.documented:
            newer = f" (newer documentation: {number(load.newer)}/s)" if load.newer else ""
            yield CapacityWarning(
                f"the quota of {load.action}, {number(load.shards * load.allowed)}/s, is above the documented limit of "
                f"{number(load.documented)}/s{newer}: keep it only if the provider has raised the limit for you"
            )


def _low_concurrency(account: Account, round_: Round) -> Iterator[CapacityWarning]:
    carried = account.concurrency / ASSUMED_LATENCY
    for load in round_.loads:
        if min(load.allowed, load.calls) > carried:
            needed = min(1024, math.ceil(load.allowed * ASSUMED_LATENCY))
            yield CapacityWarning(
                f"concurrency {account.concurrency} carries about {number(carried)} calls/s where a call takes "
                f"{spoken(ASSUMED_LATENCY)}, less than the {number(load.allowed)}/s that the quota of {load.action} "
                "allows",
                (f"concurrency: {needed}",),
            )


def _quota_helps(account: Account, timing: Timing, round_: Round) -> Iterator[str]:
    """Yield the quota of the slowest API that would suffice, or else the whole limit."""
    slowest = round_.slowest
    others, part = round_.seconds - slowest.seconds, Part(0, slowest.shards)

    def takes(rate: float) -> float:
        return others + slowest.calls / paced(part.of(rate))

    if slowest.action in account.quota:
        enough = (rate for rate in range(1, int(slowest.documented) + 1) if takes(rate) <= timing.usable)
        if rate := next(enough, None):
            yield f"quota: {{{slowest.action}: {rate}}} (now {number(account.quota[slowest.action])})"
        return
    larger = [hundredth / 100 for hundredth in range(1, 101) if hundredth / 100 > account.quota_share]
    if slowest.newer:
        newer, most = number(slowest.newer * account.quota_share), number(slowest.newer)
        yield f"quota: {{{slowest.action}: {newer}}}; newer documentation allows {most}/s per account"
    if larger:
        suffice = (share for share in larger if takes(share * slowest.documented) <= timing.usable)
        share = next(suffice, 1.0)
        seconds = spoken(takes(share * slowest.documented))
        yield f"quota_share: {share:g} (now {account.quota_share:g}), by which a round takes {seconds}"


def _time_helps(timing: Timing, round_: Round) -> Iterator[str]:
    needed = math.ceil(round_.seconds)
    if needed <= timing.interval:
        yield f"scrape.timeout: {format_duration(needed)}, and a scrape_timeout in Prometheus a second longer"
    elif needed < 120:
        yield f"a scrape_interval and scrape_timeout of {format_duration(needed + 1)} in Prometheus"
    refresh = round_.refresh(timing)
    if timing.max_age < refresh <= 86400:
        yield f"scrape.max_age: {format_duration(math.ceil(refresh))}, at the price of older answers"
