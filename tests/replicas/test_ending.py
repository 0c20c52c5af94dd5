"""A task that waits for the store ends when it is told to, whatever the client library makes of that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Broken

from exporter.store.connection import Link


class Deaf:
    """A connection that goes on although it was told to end, as redis-py's may."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def send_command(self, *_words: object) -> None:
        """Hide that the task is cancelled."""
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)

    async def read_response(self, **_fields: object) -> object:
        """Answer, or break."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("answer", [b"PONG", Broken("told to end")])
def test_a_cancelled_task_ends(answer: object) -> None:
    """Neither an answer nor an error keeps a loop going that was cancelled: the exporter would not stop."""

    async def main() -> None:
        connection: Any = Deaf(answer)
        task = asyncio.create_task(Link(connection).ask("PING", seconds=30.0))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
