"""Looks names up in threads that nothing has to wait for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from exporter import files
from exporter.addresses import is_public

MOST_LOOK_UPS: Final = 24
MOST_YOUNG: Final = 8
"""How many of them may be younger than `QUICK`."""

MOST_SLOW: Final = 8
"""How many of them may be of names whose last look-up took longer."""

QUICK: Final = 1.0
"""Seconds that a look-up may take without being in the way of others."""

NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

LookUp = Callable[[str, int, int], list[tuple[Any, ...]]]


def look_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Ask the system for a host's addresses; may take as long as the system likes."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)


class OnlyPrivate(OSError):  # noqa: N818 - a finding
    """A name leads to private addresses only."""


def public_only(look_up: LookUp) -> LookUp:
    """Return a look-up that leaves out private addresses, and raises `OnlyPrivate` where there are no others."""

    def guarded(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
        found = look_up(host, port, family)
        public = [each for each in found if is_public(str(each[4][0]))]
        if found and not public:
            raise OnlyPrivate
        return public

    return guarded


@dataclass(slots=True)
class Place:
    """The place of a look-up of a host.

    Attributes:
        young: Whether it began among the young ones.
        quick: Whether it has not taken longer than `QUICK` until now.
        timer: Ends that.
    """

    host: str
    young: bool
    quick: bool = True
    timer: asyncio.TimerHandle | None = None


class Places:
    """The places of look-ups. One that takes long leaves room for others, and its name has few places next time."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MOST_LOOK_UPS)
        self._young = asyncio.Semaphore(MOST_YOUNG)
        self._slow = asyncio.Semaphore(MOST_SLOW)
        self._slow_hosts: set[str] = set()

    def free(self, host: str) -> bool:
        """Whether a look-up of a host may begin now."""
        return not (self._all.locked() or self._lane(host not in self._slow_hosts).locked())

    async def take(self, host: str) -> Place:
        """Wait until a look-up of a host may begin."""
        place = Place(host, host not in self._slow_hosts)
        lane = self._lane(place.young)
        await lane.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            lane.release()
            raise
        place.timer = asyncio.get_running_loop().call_later(QUICK, self._is_slow, place)
        return place

    def give_back(self, place: Place, *, ended: bool) -> None:
        """Give a place back, of a look-up that has ended, or could not even begin."""
        if place.timer is not None:
            place.timer.cancel()
        self._all.release()
        if place.quick or not place.young:
            self._lane(place.young).release()
        if place.quick and ended:
            self._slow_hosts.discard(place.host)

    def _is_slow(self, place: Place) -> None:
        place.quick = False
        self._slow_hosts.add(place.host)
        if place.young:
            self._young.release()

    def _lane(self, young: bool) -> asyncio.Semaphore:
        return self._young if young else self._slow


class Resolver(AbstractResolver):
    """Resolves names in daemon threads: a look-up that hangs holds up neither other providers nor the exit.

    Python's own thread pools would be joined at exit, however long their work takes.

    Args:
        look_up: Resolves a name.
        waits: Whether one look-up too many waits for others to end, instead of failing.
    """

    def __init__(self, look_up: LookUp = look_up, *, waits: bool = False) -> None:
        self._look_up = look_up
        self._waits = waits
        self._places = Places()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: There are none, too many look-ups have not ended yet, or no thread can be started.
        """
        if not self._waits and not self._places.free(host):
            raise OSError(socket.EAI_AGAIN, "earlier look-ups have not ended")
        found = await self._in_thread(host, port, family)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=NUMERIC)
            for kind, _, protocol, _, address in found
        ]

    async def _in_thread(self, host: str, port: int, family: int) -> list[tuple[Any, ...]]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

        def work() -> None:
            found: list[tuple[Any, ...]] | OSError
            try:
                found = self._look_up(host, port, family)
            except UnicodeError:
                # An empty label, or one longer than 63 characters, cannot be put into a query.
                found = OSError(socket.EAI_NONAME, "no name of a host")
            except OSError as error:
                found = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended, found)

        def ended(found: list[tuple[Any, ...]] | OSError) -> None:
            self._places.give_back(place, ended=True)
            _tell(done, found)

        place = await self._places.take(host)
        try:
            files.DAEMONS.submit(work)
        except BaseException:
            self._places.give_back(place, ended=False)
            raise
        return await done

    async def close(self) -> None:
        """Wait for nothing: a look-up under way ends by itself."""


def _tell(done: asyncio.Future[list[tuple[Any, ...]]], found: list[tuple[Any, ...]] | OSError) -> None:
    if done.cancelled():
        return
    if isinstance(found, OSError):
        done.set_exception(found)
    else:
        done.set_result(found)
