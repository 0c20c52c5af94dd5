"""Looks names up in threads that nothing has to wait for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from exporter import files
from exporter.addresses import is_public

MOST_LOOK_UPS: Final = 8
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
        self._free = asyncio.Semaphore(MOST_LOOK_UPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: There are none, too many look-ups hang already, or no thread can be started.
        """
        if self._free.locked() and not self._waits:
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
                loop.call_soon_threadsafe(self._ended, done, found)

        await self._free.acquire()
        try:
            files.DAEMONS.submit(work)
        except BaseException:
            self._free.release()
            raise
        return await done

    def _ended(self, done: asyncio.Future[list[tuple[Any, ...]]], found: list[tuple[Any, ...]] | OSError) -> None:
        self._free.release()
        if done.cancelled():
            return
        if isinstance(found, OSError):
            done.set_exception(found)
        else:
            done.set_result(found)

    async def close(self) -> None:
        """Wait for nothing: a look-up under way ends by itself."""
