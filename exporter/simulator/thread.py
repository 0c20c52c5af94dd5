"""A simulator for synchronous callers: it serves from a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.simulator.server import Simulator
from exporter.simulator.world import World


@contextmanager
def serving(world: World) -> Iterator[Simulator]:
    """Serve a world on a free port of the loopback interface while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    simulator = Simulator(world)
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(), loop).result()
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
