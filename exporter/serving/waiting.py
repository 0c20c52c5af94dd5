"""Places for waiting requests: bounded, fair between addresses, and free again once the client has gone."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MOST_KNOWN: Final = 4096
ASKS_PER_SECOND: Final = 1.0
ASKS_AT_ONCE: Final = 8.0
NEW_SECONDS: Final = 5.0
FORGET_SECONDS: Final = 600.0
KIND_HEADERS: Final = ("User-Agent", "Accept", "X-Prometheus-Scrape-Timeout-Seconds")


def neighbourhood(remote: str | None) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def kind_of(headers: Mapping[str, str]) -> Hashable:
    """Return a hash of the headers by which one kind of program differs from another."""
    return hash(tuple(headers.get(name, "") for name in KIND_HEADERS))


@dataclass(slots=True, eq=False)
class Place:
    """A place that a request has.

    Attributes:
        group: The client; places are shared out evenly between groups.
        kind: Within a group, places are shared out evenly between kinds.
        rank: Within a kind the highest loses its place first; within a group the lowest is served first.
        gone: Tells whether the client has left; such a place counts as free.
        turn_away: Called when the place goes to another request.
        claim: Of groups, or kinds, that have equally many, the one with the greatest loses.
    """

    group: str
    kind: Hashable
    rank: float
    gone: Callable[[], bool]
    turn_away: Callable[[], None]
    claim: tuple[float, ...]


class Places:
    """A limited number of places.

    When all are taken, the group that has most of them, counting the newcomer, gives one up, and within it the kind
    that has most: the one with the highest rank, of equal ones the newest. That may be the newcomer itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: dict[str, list[Place]] = {}
        self.habits = Habits()

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
        """Take a place at a time (monotonic seconds), as `Place` describes it; None where the newcomer gets none."""
        place = Place(group, kind, rank, gone, turn_away, self.habits.claim(now, (group, kind)))
        self._groups.setdefault(group, []).append(place)
        if self._taken() > self._most:
            self._forget_gone()
        if self._taken() <= self._most:
            return place
        kinds = _by_kind(_largest(self._groups.values()))
        loser = max(reversed(_largest(kinds)), key=lambda one: one.rank)
        self.leave(loser)
        self.habits.turned_away(now, (loser.group, loser.kind))
        if loser is place:
            return None
        loser.turn_away()
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; does nothing if it was lost already."""
        places = self._groups.get(place.group, [])
        if place in places:
            places.remove(place)
        if not places:
            self._groups.pop(place.group, None)

    def serve(self) -> Place | None:
        """Take out and return the next place, if any.

        Clients that do not ask too often go first. Then groups take turns; of a group the kind with fewest places goes
        first, and of a kind the lowest rank.
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
            self._groups[group] = places  # behind all others
        return place

    def _taken(self) -> int:
        return sum(map(len, self._groups.values()))

    def _forget_gone(self) -> None:
        for place in [one for places in self._groups.values() for one in places if one.gone()]:
            self.leave(place)


def _largest(shares: Iterable[list[Place]]) -> list[Place]:
    return max(shares, key=lambda places: (len(places), max(one.claim for one in places)))


def _least(places: list[Place]) -> tuple[float, ...]:
    """Return by how much the most modest of them asks too often."""
    return min(one.claim[:1] for one in places)


def _by_kind(places: list[Place]) -> list[list[Place]]:
    kinds: dict[Hashable, list[Place]] = {}
    for one in places:
        kinds.setdefault(one.kind, []).append(one)
    return list(kinds.values())


class Habits:
    """Remembers who asks, how often, and since when."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, float, float]] = {}  # first and last time, and how much lately
        self._forget_at = 0.0

    def claim(self, now: float, who: Hashable) -> tuple[float, ...]:
        """Note that somebody asks; return its claim to a place, as `Place` compares it.

        Who asks too often loses first, or comes again soon after it was turned away; then who is new; then who has
        waited longest.

        Args:
            now: Monotonic seconds.
            who: By what it is known, such as its address and its kind of program.
        """
        first, level = self._note(now, who, 1.0)
        return max(0.0, level - ASKS_AT_ONCE), float(now - first < NEW_SECONDS), -now

    def turned_away(self, now: float, who: Hashable) -> None:
        """Note that somebody was turned away, so that coming again at once does not help."""
        self._note(now, who, ASKS_AT_ONCE)

    def _note(self, now: float, who: Hashable, weight: float) -> tuple[float, float]:
        first, last, level = self._known.get(who, (now, now, 0.0))
        level = min(max(0.0, level - (now - last) * ASKS_PER_SECOND) + weight, 2 * ASKS_AT_ONCE)
        if who not in self._known and len(self._known) >= MOST_KNOWN:
            self._make_room(now)
        self._known[who] = first, now, level
        return first, level

    def _make_room(self, now: float) -> None:
        if now >= self._forget_at:
            self._forget_at = now + FORGET_SECONDS
            self._known = {name: known for name, known in self._known.items() if now - known[1] < FORGET_SECONDS}
        if len(self._known) >= MOST_KNOWN:
            # The newest, or a flood of new names would push out those who have long been known.
            self._known.popitem()
