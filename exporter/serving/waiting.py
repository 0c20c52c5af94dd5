"""Places for waiting requests: limited, shared fairly between addresses, and freed when a client disconnects."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MOST_KNOWN: Final = 4096
REQUESTS_PER_SECOND: Final = 1.0
BURST: Final = 8.0
NEW_SECONDS: Final = 5.0
FORGET_SECONDS: Final = 600.0
KIND_HEADERS: Final = ("User-Agent", "Accept", "X-Prometheus-Scrape-Timeout-Seconds")


def client_network(remote: str | None) -> str:
    """Return what identifies one client: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def client_kind(headers: Mapping[str, str]) -> Hashable:
    """Return a hash of the headers that tell kinds of clients apart, such as Prometheus from a browser."""
    return hash(tuple(headers.get(name, "") for name in KIND_HEADERS))


@dataclass(slots=True, eq=False)
class Place:
    """A request's place.

    Attributes:
        group: The client; places are shared evenly between groups.
        kind: The kind of client; within a group, places are shared evenly between kinds.
        rank: Within a kind, the highest loses its place first and the lowest is served first.
        gone: Returns whether the client has disconnected; its place then counts as free.
        turn_away: Called when the place is given to another request.
        penalty: Breaks ties between groups, or kinds, that hold equally many places: the greatest loses.
    """

    group: str
    kind: Hashable
    rank: float
    gone: Callable[[], bool]
    turn_away: Callable[[], None]
    penalty: tuple[float, ...]


class Places:
    """A limited number of places.

    When all are taken, the group that holds most of them, counting the new request, gives one up; within it the kind
    that holds most, and within that the highest rank, the newest of equals. That may be the new request itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: dict[str, list[Place]] = {}
        self.history = History()

    def __len__(self) -> int:
        return sum(not place.gone() for places in self._groups.values() for place in places)

    def enter(
        self,
        now: float,
        group: str,
        kind: Hashable,
        rank: float,
        gone: Callable[[], bool],
        turn_away: Callable[[], None],
    ) -> Place | None:
        """Take a place; return None if none is given to this request.

        `now` is in monotonic seconds; for the other arguments see `Place`.
        """
        place = Place(group, kind, rank, gone, turn_away, self.history.record(now, (group, kind)))
        self._groups.setdefault(group, []).append(place)
        if self._taken() > self._most:
            self._forget_gone()
        if self._taken() <= self._most:
            return place
        kinds = _by_kind(_largest(self._groups.values()))
        loser = max(reversed(_largest(kinds)), key=lambda one: one.rank)
        self.leave(loser)
        self.history.turned_away(now, (loser.group, loser.kind))
        if loser is place:
            return None
        loser.turn_away()
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; do nothing if it was lost already."""
        places = self._groups.get(place.group, [])
        if place in places:
            places.remove(place)
        if not places:
            self._groups.pop(place.group, None)

    def serve(self) -> Place | None:
        """Remove and return the next place to serve, if any.

        Clients that stay within their rate go first. Then groups take turns; within a group the kind with the fewest
        places goes first, and within a kind the lowest rank.
        """
        self._forget_gone()
        if not self._groups:
            return None
        group = min(self._groups, key=lambda name: _least(self._groups[name]))
        places = self._groups.pop(group)
        kind = min(_by_kind(places), key=lambda ones: (_least(ones), len(ones)))
        place = min(kind, key=lambda one: one.rank)
        places.remove(place)
        if places:
            self._groups[group] = places  # to the end of the line
        return place

    def _taken(self) -> int:
        return sum(map(len, self._groups.values()))

    def _forget_gone(self) -> None:
        for place in [one for places in self._groups.values() for one in places if one.gone()]:
            self.leave(place)


def _largest(shares: Iterable[list[Place]]) -> list[Place]:
    return max(shares, key=lambda places: (len(places), max(one.penalty for one in places)))


def _least(places: list[Place]) -> tuple[float, ...]:
    """Return the smallest excess over the allowed rate among them."""
    return min(one.penalty[:1] for one in places)


def _by_kind(places: list[Place]) -> list[list[Place]]:
    kinds: dict[Hashable, list[Place]] = {}
    for one in places:
        kinds.setdefault(one.kind, []).append(one)
    return list(kinds.values())


class History:
    """Remembers how often, and since when, clients send requests."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, float, float]] = {}  # first and last time, level of a leaky bucket
        self._forget_at = 0.0

    def record(self, now: float, client: Hashable) -> tuple[float, ...]:
        """Record a request; return the penalty of its place.

        A client loses first if it exceeds its rate, or retries soon after it was turned away; then if it is new; then
        by how long it has waited, the longest first.

        Args:
            now: Monotonic seconds.
            client: What identifies it, such as its address and kind.
        """
        first, level = self._add(now, client, 1.0)
        return max(0.0, level - BURST), float(now - first < NEW_SECONDS), -now

    def turned_away(self, now: float, client: Hashable) -> None:
        """Record that a client was turned away, so that retrying at once does not help."""
        self._add(now, client, BURST)

    def _add(self, now: float, client: Hashable, weight: float) -> tuple[float, float]:
        first, last, level = self._known.get(client, (now, now, 0.0))
        level = min(max(0.0, level - (now - last) * REQUESTS_PER_SECOND) + weight, 2 * BURST)
        if client not in self._known and len(self._known) >= MOST_KNOWN:
            self._make_room(now)
        self._known[client] = first, now, level
        return first, level

    def _make_room(self, now: float) -> None:
        if now >= self._forget_at:
            self._forget_at = now + FORGET_SECONDS
            self._known = {name: known for name, known in self._known.items() if now - known[1] < FORGET_SECONDS}
        if len(self._known) >= MOST_KNOWN:
            # Drop the newest, or a flood of new clients would evict those that have long been known.
            self._known.popitem()
