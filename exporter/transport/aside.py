"""One thread for work that takes too long on the event loop: large answers are unpacked and read there, one by one."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

SWITCH_SECONDS: Final = 0.0005

T = TypeVar("T")

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Does a piece of work, on the event loop or beside it, and returns or raises what the work does."""


async def at_once(work: Callable[[], T]) -> T:
    """Do a piece of work here and now, where there is no loop to keep free."""
    return work()


def _considerate(work: Callable[[], T]) -> T:
    """Do a piece of work so that the event loop's thread goes on beside it.

    The garbage collector is off, because walking through a large document holds the loop. Threads switch more often,
    because each time the loop's thread comes back from a socket it waits for its turn, up to thirty times in a row.
    """
    collecting, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return work()
    finally:
        sys.setswitchinterval(interval)
        if collecting:
            gc.enable()


class Reader:
    """Does pieces of work in a thread of its own, in the order in which they come.

    There is one thread for all accounts, so that several large answers never need memory at once. Work must be bounded
    and must let other threads run: a long call into C holds the event loop, too.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the thread; return or raise what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _considerate, work)

    def close(self) -> None:
        """Begin nothing more; work under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
