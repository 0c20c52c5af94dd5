"""`/api/v1/events`: each change of state as it comes, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from exporter.serving import views
from exporter.serving.sending import SEND_SECONDS, gone, hang_up, text
from exporter.state.board import Board, Change

MOST_FOLLOWERS: Final = 64
MOST_UNREAD: Final = 1000
HEARTBEAT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.0
HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Events:
    """Sends each change on a board to all who follow."""

    def __init__(self, board: Board) -> None:
        self._followers: set[asyncio.Queue[Change | None]] = set()
        board.on_change.append(self._tell)

    def __len__(self) -> int:
        return len(self._followers)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Send changes to one follower until it leaves or stops reading, or the server stops."""
        if len(self) >= MOST_FOLLOWERS:
            return text("too many followers of events; try again later\n", 503)
        changes: asyncio.Queue[Change | None] = asyncio.Queue(MOST_UNREAD)
        self._followers.add(changes)
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            await response.write(b"retry: 3000\n\n")
            async for told in _told(request, changes):
                async with asyncio.timeout(SEND_SECONDS):
                    await response.write(told)
        except (TimeoutError, ConnectionError):
            hang_up(request)
        finally:
            self._followers.discard(changes)
        return response

    def _tell(self, change: Change) -> None:
        """Pass a change on; a follower that does not read is let go, and asks for everything when it comes back."""
        for changes in tuple(self._followers):
            if changes.full():
                self._followers.discard(changes)
                changes.get_nowait()
                changes.put_nowait(None)
            else:
                changes.put_nowait(change)

    async def close(self, _application: web.Application) -> None:
        """End all streams of events, because the server stops."""
        for changes in tuple(self._followers):
            if changes.full():
                changes.get_nowait()
            changes.put_nowait(None)


async def _told(request: web.Request, changes: asyncio.Queue[Change | None]) -> AsyncIterator[bytes]:
    """Yield each change as an event, and a comment after a while without one, until the client leaves or is let go."""
    silent = 0.0
    # A follower that has gone is noticed by looking: nothing that is written to it would tell for minutes.
    while not gone(request):
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                change = await changes.get()
        except TimeoutError:
            silent += LOOK_SECONDS
            if silent < HEARTBEAT_SECONDS:
                continue
            yield b": still here\n\n"
        else:
            if change is None:
                return
            yield views.event(change)
        silent = 0.0
