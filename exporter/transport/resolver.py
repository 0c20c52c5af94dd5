"""Looks names up in threads that nothing has to wait for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from exporter import files

MOST_LOOK_UPS: Final = 8
NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

LookUp = Callable[[str, int, int], list[tuple[Any, ...]]]


def look_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Ask the system for a host's addresses; may take as long as the system likes."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)


class Resolver(AbstractResolver):
    """Resolves names in daemon threads: a look-up that hangs holds up neither other providers nor the exit.

    Python's own thread pools would be joined at exit, however long their work takes.
    """

    def __init__(self, look_up: LookUp = look_up) -> None:
        self._look_up = look_up
        self._under_way = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: There are none, too many look-ups hang already, or no thread can be started.
        """
        if self._under_way >= MOST_LOOK_UPS:
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

        files.DAEMONS.submit(work)
        self._under_way += 1
        return await done

    def _ended(self, done: asyncio.Future[list[tuple[Any, ...]]], found: list[tuple[Any, ...]] | OSError) -> None:
        self._under_way -= 1
        if done.cancelled():
            return
        if isinstance(found, OSError):
            done.set_exception(found)
        else:
            done.set_result(found)

    async def close(self) -> None:
        """Wait for nothing: a look-up under way ends by itself."""
