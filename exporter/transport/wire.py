"""One connection's bytes: accepts only those of the answer that is due.

aiohttp hands out a kept connection without looking whether something has arrived on it meanwhile, and takes that for
the next answer (https://github.com/aio-libs/aiohttp/issues/13656). So its protocol class is extended here, and its
pool is not used. This relies on aiohttp's internals, so `pyproject.toml` allows only versions that were tested.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.transport.unpacking import Oversized

SLICE: Final = 1 << 13  # bytes that are parsed at once
AHEAD: Final = 1 << 14  # bytes of a body that are received before anybody reads them
MOST_INTERIM: Final = 8  # answers of status 1xx before the real one
LONGEST_FIELD: Final = 1 << 15  # bytes of one header
LONGEST_HEAD: Final = LONGEST_FIELD + (1 << 13)  # bytes, with interim answers
SPARE: Final = 1 << 13  # bytes of chunk sizes allowed, besides a quarter of the body's size
YIELDS: Final = 3  # turns of the loop to wait while there are unread bytes in the socket


def _nothing() -> None:
    """Do nothing."""


class Wire(ResponseHandler):
    """A connection that ends with the first byte that comes while no answer is due.

    Attributes:
        spoiled: Whether it must never be used again.
        on_stray: Called when bytes have come that nobody asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.spoiled = False
        self.on_stray: Callable[[], None] = _nothing
        self._awaiting = False
        self._content: StreamReader | None = None
        self._interim = 0
        self._came = self._taken = self._head = 0
        self._largest = 0
        self._poll: select.poll | None = None

    @property
    def due(self) -> bool:
        """Whether an answer, or the rest of one, is still to come."""
        return self._awaiting and (self._content is None or not self._content.is_eof())

    @property
    def usable(self) -> bool:
        """Whether a request may go out: connected, the last answer whole, and nothing came since."""
        return not (self.spoiled or self.due or self.should_close) and self.is_connected()

    async def quiet(self) -> bool:
        """Look for unread bytes in the socket; say whether a request may go out now."""
        for _ in range(YIELDS):
            if not self.usable or not self._arrived():
                break
            await asyncio.sleep(0)
        return self.usable

    def _arrived(self) -> bool:
        if self._poll is None:
            assert self.transport is not None
            self._poll = select.poll()
            self._poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def expect(self, largest: int) -> None:
        """Begin to wait for one answer, of so many bytes at most: its request goes out now."""
        self._awaiting, self._content, self._largest = True, None, largest
        self._interim = self._came = self._taken = self._head = 0
        # A buffer of this size is never full: the client's parser never pauses within an answer, the socket does.
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=largest + SLICE,
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
        )

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to the answer that is due; anything else spoils the connection."""
        for start in range(0, len(data), SLICE):
            if not self.due:
                self._stray()
                return
            part = data[start : start + SLICE]
            self._came += len(part)
            super().data_received(part)
            self._limit()
        if self._ahead() > AHEAD and self.transport is not None:
            self.transport.pause_reading()

    def taken(self, size: int) -> None:
        """Note how many bytes of the body have been read, so that more may come."""
        self._taken += size
        if self._ahead() <= AHEAD and self.transport is not None:
            self.transport.resume_reading()

    def _ahead(self) -> int:
        return 0 if self._content is None else self._content.total_bytes - self._taken

    def _limit(self) -> None:
        """Give up an answer that is too large, or costs more to parse than it can be worth."""
        body = self._content.total_bytes if self._content is not None else 0
        packing = self._came - body
        if self._content is None:
            self._head = packing
        # The head ends within one slice after what is known of it.
        most = min(LONGEST_HEAD, self._head + SLICE + SPARE) if self._content is not None else LONGEST_HEAD
        if body > self._largest:
            self._refuse(Oversized(self._largest))
        elif self._interim > MOST_INTERIM or packing > most + body / 4:
            self._refuse(TransportError(Reason.HTTP, "the answer has far more headers and chunk sizes than content"))

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a parsed head; drop interim answers, and refuse a second answer."""
        message, content = data
        if 100 <= message.code < 200:
            # Nobody asked for another protocol (101).
            self._interim += 1 if message.code != 101 else MOST_INTERIM + 1
        elif self._content is not None:
            self._stray()
        else:
            self._content = content
            super().feed_data(data, size)

    def _refuse(self, error: TransportError) -> None:
        if self._content is not None:
            self._content.set_exception(error)
        self.set_exception(error)
        self.spoil()

    def _stray(self) -> None:
        """End the connection for what came on it, once."""
        news = not self.spoiled
        self.spoil()
        if news:
            self.on_stray()

    def spoil(self) -> None:
        """Never use this connection again."""
        self.spoiled = True
        if self.transport is not None:
            self.transport.abort()
