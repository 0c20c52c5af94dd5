"""One connection's bytes: a request goes out, and only the bytes of its answer are accepted.

aiohttp hands out a kept connection without looking whether something has arrived on it meanwhile, and takes that for
the next answer (https://github.com/aio-libs/aiohttp/issues/13656). So its protocol class is extended here, and neither
its pool nor its requests are used. This relies on aiohttp's internals, so `pyproject.toml` allows only versions that
were tested.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any, Final

from aiohttp import ClientConnectionResetError, ClientPayloadError, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.transport.unpacking import Oversized

SLICE: Final = 1 << 13  # bytes that are parsed at once
AHEAD: Final = 1 << 14  # bytes of a body that are received before anybody reads them
HEAD_ALONE: Final = -1  # instead of that: the head is told of at once, and the body is read as it comes
ENDLESS: Final = 1 << 62  # bytes of a body that may be as long as it likes: its reader cuts it off
WIDEST: Final = 1 << 30  # bytes of a buffer that aiohttp can count
MOST_INTERIM: Final = 8  # answers of status 1xx before the real one
LONGEST_FIELD: Final = (1 << 15) + (1 << 10)  # bytes of one header with its name
LONGEST_HEAD: Final = LONGEST_FIELD + (1 << 13)  # bytes, with interim answers
SPARE: Final = 1 << 13  # bytes of chunk sizes allowed, besides a quarter of the body's size
HEAD_END: Final = b"\r\n\r\n"
PROBE: Final = b"HTTP/1.1 599 Probe\r\nContent-Length: 0\r\n\r\n"  # fed to the parser, never sent
YIELDS: Final = 3  # turns of the loop to wait while there are unread bytes in the socket


class Wire(ResponseHandler):
    """A connection that ends with the first byte that comes while no answer is due.

    Attributes:
        spoiled: Whether it must never be used again.
        due: Whether an answer, or the rest of one, is still to come.
        on_stray: Called when bytes have come that nobody asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.spoiled = False
        self.on_stray: Callable[[], None] = lambda: None
        self.due = False
        self._answer: asyncio.Future[RawResponseMessage] | None = None
        self._until = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._message: RawResponseMessage | None = None
        self._content: StreamReader | None = None
        self._interim = self._came = self._taken = self._head = self._largest = self._wanted = 0
        self._poll: select.poll | None = None

    @property
    def usable(self) -> bool:
        """Whether a request may go out: connected, the last answer whole, and nothing came since."""
        if self.spoiled or self.due or self.should_close or self.transport is None or self.transport.is_closing():
            return False
        return self.transport.get_write_buffer_size() == 0  # an answer may come before its request is taken

    @property
    def received(self) -> int:
        """How many bytes of the last answer's body have come."""
        return 0 if self._content is None else self._content.total_bytes

    @property
    def taken(self) -> bool:
        """Whether the last answer's body has come whole and all of it was taken."""
        content = self._content
        return content is not None and content.at_eof() and content.exception() is None

    @property
    def began(self) -> bool:
        """Whether a byte has come since the last request."""
        return self._came > 0

    async def quiet(self) -> bool:
        """Look for unread bytes in the socket; say whether a request may go out now."""
        for _ in range(YIELDS):
            if not self.usable:
                return False
            if not self._arrived():
                return True
            await asyncio.sleep(0)
        return self.usable and not self._arrived()

    def _arrived(self) -> bool:
        if self._poll is None:
            assert self.transport is not None
            self._poll = select.poll()
            self._poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    # --- one call ----------------------------------------------------------------------------------------------------

    async def ask(self, request: bytes, largest: int, until: float, ahead: int = AHEAD) -> RawResponseMessage:
        """Send a request; return its answer's head, once the body is whole or too large to be received ahead.

        Args:
            request: Head and body.
            largest: Bytes that the answer's body may have.
            until: When to give up, on the event loop's clock.
            ahead: Bytes of the body that are waited for.

        Raises:
            TimeoutError: Nothing of this came in time.
            TransportError, aiohttp.ClientError, HttpProcessingError: There is no usable answer.
        """
        self._interim = self._came = self._taken = self._head = 0
        if self.transport is None or self.transport.is_closing():
            raise ClientConnectionResetError
        self.due, self._message, self._content = True, None, None
        self._largest, self._wanted = largest, ahead
        # A parser of its own: half a head may have come behind the last answer. A buffer of this size is never full:
        # the parser never pauses within an answer, the socket does.
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=min(largest, WIDEST) + SLICE,
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
        )
        answer: asyncio.Future[RawResponseMessage] = self._loop.create_future()
        self._answer = answer
        self._until = until
        if self._alarm is None or self._alarm.when() > until:
            self._expire_at(until)
        self.transport.write(request)
        try:
            return await answer
        finally:
            self._answer = None
            if answer.done() and not answer.cancelled():
                answer.exception()  # a call that was cancelled meanwhile does not ask for it

    def whole(self, most: int) -> bytes | None:
        """Return the body that came with the head if it is whole and no longer than this, and else None."""
        content = self._content
        if content is None or not content.is_eof() or content.total_bytes > most:
            return None
        return content.read_nowait()

    async def part(self) -> bytes:
        """Return what has come of the body, and nothing at its end; what was not taken yet holds up the sender."""
        assert self._content is not None
        part = await self._content.readany()
        self._taken += len(part)
        if self.ahead <= AHEAD and self.transport is not None:
            self.transport.resume_reading()
        return part

    @property
    def ahead(self) -> int:
        """How many bytes of the body have come that `part` has not returned yet."""
        return self.received - self._taken

    # --- what comes --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to the answer that is due; anything else spoils the connection."""
        for start in range(0, len(data), SLICE):
            if not self.due:
                self._stray()
                return
            part = data[start : start + SLICE]
            self._came += len(part)
            super().data_received(part)
            self.due = self._content is None or not self._content.is_eof()
            self._limit()
            if not self.due and not self.should_close and not self._ended_with(part):
                self._stray()
            self._tell()
        # Once an answer is whole, whatever comes has to be seen.
        if self.due and self.ahead > AHEAD and self.transport is not None:
            self.transport.pause_reading()

    def _ended_with(self, part: bytes) -> bool:
        """Say whether an answer that is whole ended with these bytes.

        The parser keeps the beginning of another answer to itself. Most answers come in one piece and can be measured;
        after any other, the parser must take a new answer for a new answer.
        """
        message, content, head = self._message, self._content, part.find(HEAD_END)
        assert message is not None
        assert content is not None
        assert self._parser is not None
        if self._came == len(part) and head > 0 and not self._interim and "Content-Length" in message.headers:
            return head + len(HEAD_END) + content.total_bytes == len(part)
        try:
            return [probe.reason for probe, _ in self._parser.feed_data(PROBE)[0]] == ["Probe"]
        except HttpProcessingError:
            return False

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a parsed head; drop interim answers, and refuse a second answer."""
        message, content = data
        if 100 <= message.code < 200:
            # Nobody asked for another protocol (101).
            self._interim += 1 if message.code != 101 else MOST_INTERIM + 1
        elif self._content is not None:
            self._stray()
        else:
            self._message, self._content = message, content
            if int(message.headers.get("Content-Length", 0)) > self._largest:
                self._refuse(Oversized(self._largest))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the call; a body that ends with its connection is whole only if the sender ended it."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        cut = exc is not None or self.spoiled or self.transport is None
        if cut and self._content is not None and not self._content.is_eof():
            self._content.set_exception(ClientPayloadError())
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """Take what ends the connection."""
        super().set_exception(exc, *cause)
        self._tell()

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

    def _tell(self) -> None:
        """Wake the call up if its answer is whole, too large to be received ahead, or will not come."""
        answer, message, content = self._answer, self._message, self._content
        if answer is None or answer.done():
            return
        error = self.exception() if content is None else content.exception()
        if error is None and message is not None and content is not None:
            if content.is_eof() or content.total_bytes > self._wanted:
                answer.set_result(message)
                return
            error = self.exception()
        if error is not None:
            answer.set_exception(error)

    def _expire_at(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        """Give up the call that is overdue; the timer may be an earlier call's, as most calls need none."""
        self._alarm = None
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() < self._until:
            self._expire_at(self._until)
        else:
            self._answer.set_exception(TimeoutError())

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
