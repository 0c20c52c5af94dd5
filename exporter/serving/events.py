"""`/api/v1/events`: changes of state and of what viewers get, and accepted callbacks, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from exporter.serving import views
from exporter.serving.sending import SEND_SECONDS, gone, hang_up, text
from exporter.state.board import Board
from exporter.state.callbacks import Received
from exporter.state.record import Change

MOST_FOLLOWERS: Final = 64
MOST_UNREAD: Final = 1000
HEARTBEAT_SECONDS: Final = 15.0
CHECK_SECONDS: Final = 1.0
HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


News = Change | Received


class Events:
    """Sends each change on a board, and each accepted callback, to all followers."""

    def __init__(self, board: Board) -> None:
        self._followers: set[asyncio.Queue[News | None]] = set()
        board.on_change.append(self.publish)

    def __len__(self) -> int:
        return len(self._followers)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Send changes to one follower until it disconnects or stops reading, or the server stops."""
        if len(self) >= MOST_FOLLOWERS:
            return text("too many followers of events; try again later\n", 503)
        changes: asyncio.Queue[News | None] = asyncio.Queue(MOST_UNREAD)
        self._followers.add(changes)
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            await response.write(b"retry: 3000\n\n")
            async for event in _events(request, changes):
                async with asyncio.timeout(SEND_SECONDS):
                    await response.write(event)
        except (TimeoutError, ConnectionError):
            hang_up(request)
        finally:
            self._followers.discard(changes)
        return response

    def publish(self, one: News) -> None:
        """Queue news for each follower; drop one that does not read: it reloads everything on reconnecting."""
        for changes in tuple(self._followers):
            if changes.full():
                self._followers.discard(changes)
                changes.get_nowait()
                changes.put_nowait(None)
            else:
                changes.put_nowait(one)

    async def close(self, _application: web.Application) -> None:
        """End all event streams: the server is stopping."""
        for changes in tuple(self._followers):
            if changes.full():
                changes.get_nowait()
            changes.put_nowait(None)


async def _events(request: web.Request, changes: asyncio.Queue[News | None]) -> AsyncIterator[bytes]:
    """Yield changes and callbacks as events, and a comment as heartbeat, until the client disconnects or is dropped."""
    idle = 0.0
    # Check for a disconnected client: writing to it may not fail for minutes.
    while not gone(request):
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                change = await changes.get()
        except TimeoutError:
            idle += CHECK_SECONDS
            if idle < HEARTBEAT_SECONDS:
                continue
            yield b": still here\n\n"
        else:
            if change is None:
                return
            yield views.event(change)
        idle = 0.0
