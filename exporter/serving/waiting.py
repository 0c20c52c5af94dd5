"""Places for waiting requests: bounded, fair between addresses, and free again once the client has gone."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass


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


@dataclass(slots=True, eq=False)
class Place:
    """A place that a request holds.

    Attributes:
        group: The client; places are shared out evenly between groups.
        rank: Within a group the highest loses its place first, and the lowest is served first.
        gone: Tells whether its holder has left; such a place counts as free.
        turn_away: Called when the place goes to another request.
    """

    group: str
    rank: float
    gone: Callable[[], bool]
    turn_away: Callable[[], None]


class Places:
    """A limited number of places.

    When all are taken, the group that holds most of them, counting the newcomer, gives one up: the one with the highest
    rank, of equal ones the newest. That may be the newcomer itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: dict[str, list[Place]] = {}

    def __len__(self) -> int:
        return sum(not place.gone() for places in self._groups.values() for place in places)

    def enter(self, group: str, rank: float, gone: Callable[[], bool], turn_away: Callable[[], None]) -> Place | None:
        """Take a place; return None when there is none for this newcomer."""
        place = Place(group, rank, gone, turn_away)
        self._groups.setdefault(group, []).append(place)
        if self._taken() > self._most:
            self._forget_gone()
        if self._taken() <= self._most:
            return place
        largest = max(self._groups.values(), key=lambda places: (len(places), max(one.rank for one in places)))
        loser = max(reversed(largest), key=lambda one: one.rank)
        self.leave(loser)
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
        """Take out and return the next place, if any: the lowest rank of the group served longest ago."""
        self._forget_gone()
        for group, places in self._groups.items():
            place = min(places, key=lambda one: one.rank)
            del self._groups[group]
            places.remove(place)
            if places:
                self._groups[group] = places  # behind all others
            return place
        return None

    def _taken(self) -> int:
        return sum(map(len, self._groups.values()))

    def _forget_gone(self) -> None:
        for place in [one for places in self._groups.values() for one in places if one.gone()]:
            self.leave(place)
