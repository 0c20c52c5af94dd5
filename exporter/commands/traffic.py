"""What `check` says of playback: how many addresses are checked, how often, and what that asks of their hosts.

The figures are estimates. Whether an HLS address leads to a media playlist or to a master playlist shows only when it
is fetched, so each is given for both cases; warnings hold in the cheaper one already.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from exporter.addresses import PlaybackAddress
from exporter.config import Config
from exporter.fields import counted, format_duration, number
from exporter.playback import flv
from exporter.playback.queue import MOST_AT_ONCE
from exporter.playback.verdict import FIRST_BYTES
from exporter.providers.reading import printable

PLAYLIST: Final = 3 << 10  # bytes
HEADERS: Final = 512  # bytes of an answer's head
VARIANTS: Final = 3  # of a master playlist
LATENCY: Final = 0.1  # seconds until an answer is there
DAY: Final = 86400.0
MUCH: Final = 10e9  # bytes a day

HEAD: Final = ("playback of", "addresses", "every", "bytes a day", "requests/s", "to the busiest host")
NUMBERS: Final = range(1, 5)  # the columns that are on the right


class Cost(NamedTuple):
    """What a check costs: requests, bytes received, and seconds, if all is well."""

    requests: float
    received: float
    seconds: float

    def plus(self, other: Cost, share: float = 1.0) -> Cost:
        """Return the sum of both, of which the other counts by a share."""
        return Cost(*(mine + share * theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING: Final = Cost(0, 0, 0)
_LISTS: Final = Cost(1, PLAYLIST + HEADERS, LATENCY)
_MEDIA: Final = Cost(2, PLAYLIST + FIRST_BYTES + 2 * HEADERS, 2 * LATENCY)
_FLV: Final = Cost(1, flv.MOST_BYTES + HEADERS, LATENCY + flv.ADVANCE_SECONDS)


def costs(address: PlaybackAddress) -> tuple[Cost, Cost]:
    """Return what a check of an address costs, in the cheaper case and in the other."""
    if address.ends_in_flv:
        return _FLV, _FLV
    if address.variant:
        return (one := _LISTS.plus(_MEDIA)), one
    return _MEDIA, _LISTS.plus(_MEDIA, VARIANTS)


@dataclass(slots=True)
class Load:
    """What the checks of some addresses cost a second, in the cheaper case and in the other; intervals in seconds."""

    intervals: list[float] = field(default_factory=list)
    least: Cost = NOTHING
    most: Cost = NOTHING

    def add(self, address: PlaybackAddress, interval: float) -> None:
        """Add an address that is checked so often."""
        least, most = costs(address)
        self.intervals.append(interval)
        self.least, self.most = self.least.plus(least, 1 / interval), self.most.plus(most, 1 / interval)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The checks of the addresses of one account's streams.

    Attributes:
        account: Its name.
        whole: All of them, of all shards.
        replicas: How many exporters make each check, as each one checks for itself.
        busiest: The origin that one exporter asks most.
        there: What it asks of it.
    """

    account: str
    whole: Load
    replicas: int
    busiest: str
    there: Load

    @property
    def bytes_a_day(self) -> tuple[float, float]:
        """Bytes that all exporters receive in a day, in both cases."""
        return self.whole.least.received * DAY * self.replicas, self.whole.most.received * DAY * self.replicas

    def as_object(self) -> dict[str, Any]:
        """Return it for `--output json`; lists hold the figures of both cases."""
        return {
            "addresses": len(self.whole.intervals),
            "interval_seconds": [min(self.whole.intervals), max(self.whole.intervals)],
            "bytes_per_day": [round(each) for each in self.bytes_a_day],
            "busiest_host": self.busiest,
            "requests_per_second": [round(self.there.least.requests, 6), round(self.there.most.requests, 6)],
        }


Loads = dict[tuple[int, str], Load]
"""By shard and origin."""


def traffic(loaded: Config) -> tuple[list[Traffic], Loads]:
    """Return the checks of each account that has addresses, and those of all accounts together."""
    replicas = loaded.store.replicas if loaded.store is not None else 1
    accounts: dict[str, tuple[Load, Loads]] = defaultdict(lambda: (Load(), defaultdict(Load)))
    together: Loads = defaultdict(Load)
    for stream in loaded.streams:
        for address in stream.playback:
            shard = loaded.shard.of(loaded.provider_of(stream), stream.name) if loaded.shard.count > 1 else 0
            interval, key = address.interval or loaded.playback.interval, (shard, address.origins[0])
            whole, parts = accounts[stream.account]
            for load in (whole, parts[key], together[key]):
                load.add(address, interval)
    found = []
    for account, (whole, parts) in accounts.items():
        (_, busiest), there = max(parts.items(), key=lambda each: each[1].least.requests)
        found.append(Traffic(account, whole, replicas, busiest, there))
    return found, together


def rows(found: Iterable[Traffic]) -> list[list[str]]:
    """Return the rows of a table."""
    return [
        [
            printable(one.account),
            number(len(one.whole.intervals)),
            _both((min(one.whole.intervals), max(one.whole.intervals)), format_duration),
            _both(one.bytes_a_day, size),
            _both((one.there.least.requests, one.there.most.requests), _rate),
            one.busiest,
        ]
        for one in found
    ]


def footnote(found: Iterable[Traffic]) -> str:
    """Say what is assumed."""
    replicas = max(one.replicas for one in found)
    each = f" Each of {replicas} replicas checks for itself; the bytes are those of all." if replicas > 1 else ""
    return (
        f"A check of HLS is reckoned as {PLAYLIST >> 10} KiB of playlist and {FIRST_BYTES >> 10} KiB of a segment, of "
        f"HTTP-FLV as up to {flv.MOST_BYTES >> 10} KiB;\neach answer has {HEADERS} bytes of headers. Of two figures of "
        f"bytes or requests the second holds if HLS addresses\nlead to master playlists of {VARIANTS} variants.{each}"
    )


def _both(figures: tuple[float, float], show: Callable[[float], str]) -> str:
    return " … ".join(dict.fromkeys(show(figure) for figure in figures))


def _rate(rate: float) -> str:
    return number(rate) if rate >= 1000 else f"{rate:.2g}" if rate < 10 else f"{rate:.0f}"


def size(count: float) -> str:
    """Format bytes for people: `12 KB`, `1.4 GB`."""
    unit = next(name for limit, name in ((1e6, "KB"), (1e9, "MB"), (1e12, "GB"), (math.inf, "TB")) if count < limit)
    value = count / {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    return f"{value:.2g} {unit}" if value < 100 else f"{value:,.0f} {unit}"


def warnings(loaded: Config, found: Sequence[Traffic], together: Loads) -> Iterator[str]:
    """Yield what does not fit together, each with what to do."""
    yield from _slow_answers(loaded)
    for (_, origin), load in together.items():
        yield from _busy_host(loaded, origin, load)
    if (busy := max(_busy_by_shard(together).values(), default=0.0)) > MOST_AT_ONCE:
        yield (
            f"{number(math.ceil(busy))} checks would be under way at once, more than the {MOST_AT_ONCE} that an "
            "exporter makes: raise playback.interval, or divide the streams into shards"
        )
    for one in found:
        least, _ = one.bytes_a_day
        if least > MUCH:
            yield (
                f"checks of the addresses of account {printable(one.account)} receive about {size(least)} a day: raise "
                f"playback.interval (now {format_duration(loaded.playback.interval)}), or that of single addresses"
            )


def _busy_by_shard(together: Loads) -> Mapping[int, float]:
    """Return how many checks are under way at once in each shard."""
    busy: dict[int, float] = defaultdict(float)
    for (shard, _), load in together.items():
        busy[shard] += load.least.seconds
    return busy


def _slow_answers(loaded: Config) -> Iterator[str]:
    timeout, usual = loaded.playback.timeout, loaded.playback.interval
    intervals = [each.interval or usual for stream in loaded.streams for each in stream.playback]
    short = [each for each in intervals if each < timeout]
    if short:
        those = counted(len(short), "address", "addresses")
        yield (
            f"playback.timeout ({format_duration(timeout)}) is above the interval of {those} "
            f"({format_duration(min(short))}), which slow answers make longer: lower it"
        )


def _busy_host(loaded: Config, origin: str, load: Load) -> Iterator[str]:
    """Compare what the addresses of one host need with what it is asked at most."""
    rate, most, addresses = loaded.playback.rate, loaded.playback.concurrency, len(load.intervals)
    checks = f"checks of {counted(addresses, 'address', 'addresses')} at {origin}"
    if (needed := load.least.requests) > rate:
        yield (
            f"{checks} need {_rate(needed)} requests/s, more than playback.rate ({number(rate)}), so they are made "
            f"{_less_often(loaded, load, needed / rate)}: raise it, or playback.interval"
        )
    if (busy := load.least.seconds) > most:
        yield (
            f"{number(math.ceil(busy))} {checks} would be under way at once, more than playback.concurrency ({most}), "
            f"so they are made {_less_often(loaded, load, busy / most)}: raise it, or playback.interval"
        )


def _less_often(loaded: Config, load: Load, times: float) -> str:
    """Say how much less often checks are made, and whether even those with the shortest interval come too late."""
    shortest = min(load.intervals)
    counts = max(loaded.scrape.max_age, 2 * shortest)
    late = f", later than their outcomes count ({format_duration(counts)})" if times * shortest > counts else ""
    return f"{times:.2g} times less often{late}"
