"""Receives the bodies of one provider: small ones at any time, large ones one after the other.

A hundred calls may be in flight, and each may bring the largest body allowed. A large one is received only when the
one before it has been read and freed; until then it stays with its sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, NamedTuple

from exporter.transport.aside import Aside
from exporter.transport.unpacking import Oversized, plain, unpack

SMALL: Final = 32 << 10
"""Bytes that each call may hold at any time, compressed or not."""


class Permit:
    """The right to hold one large body."""

    __slots__ = ("_lock", "_taken")

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._taken = False

    async def take(self) -> None:
        """Wait for the right, unless it was taken already."""
        if not self._taken:
            await self._lock.acquire()
            self._taken = True

    def give_back(self) -> None:
        """Give the right back, if it was taken, so that the next one has it."""
        if self._taken:
            self._taken = False
            self._lock.release()


class Taken(NamedTuple):
    """A whole body, decompressed; give `permit` back once it has been read."""

    body: bytes
    permit: Permit


class Intake:
    """Receives one provider's bodies."""

    def __init__(self, aside: Aside) -> None:
        """Take `aside`, which unpacks large bodies off the event loop."""
        self._large = asyncio.Lock()
        self._aside = aside

    async def take(self, parts: AsyncIterator[bytes], encoding: str, largest: int) -> Taken:
        """Return a body once it is whole; a large one may have to wait for its permit.

        Args:
            parts: The body as it comes.
            encoding: Its Content-Encoding, "" where there is none.
            largest: Bytes that it may have, compressed or not.

        Raises:
            TransportError: It is too large, or its compression is broken.
        """
        permit = Permit(self._large)
        try:
            raw = await _received(parts, largest, permit)
            return Taken(await self._unpacked(raw, encoding.strip().lower(), largest, permit), permit)
        except BaseException:
            permit.give_back()
            raise

    async def _unpacked(self, raw: bytes, encoding: str, largest: int, permit: Permit) -> bytes:
        if plain(encoding) or not raw:
            return raw
        if len(raw) <= SMALL:
            try:
                return unpack(raw, encoding, min(SMALL, largest))
            except Oversized:
                if largest <= SMALL:
                    raise
        await permit.take()
        body: bytes = await self._aside(partial(unpack, raw, encoding, largest))
        return body


async def _received(parts: AsyncIterator[bytes], largest: int, permit: Permit) -> bytes:
    received = bytearray()
    async for part in parts:
        size = len(received) + len(part)
        if size > largest:
            raise Oversized(largest)
        if size > SMALL:
            await permit.take()
        received += part
    return bytes(received)
