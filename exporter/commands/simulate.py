"""`stream-exporter simulate`: the simulated clouds alone, for any client."""

from __future__ import annotations

import asyncio
import signal

from exporter.commands.common import cannot_listen, on_signals
from exporter.commands.options import SimulateOptions
from exporter.commands.terminal import Terminal
from exporter.simulator import Simulator, WorldError, demo_world, describe, load_world

EVERYWHERE = "0.0.0.0"  # noqa: S104 # nosec B104


def run(options: SimulateOptions, terminal: Terminal) -> int:
    """Serve until SIGTERM or SIGINT; return 2 for a wrong world, 1 for an address that cannot be had."""
    return asyncio.run(_simulate(options, terminal))


async def _simulate(options: SimulateOptions, terminal: Terminal) -> int:
    try:
        world = demo_world() if options.world is None else load_world(options.world)
    except WorldError as error:
        terminal.complain(str(error))
        return 2
    world.callbacks = options.callbacks or world.callbacks
    simulator = Simulator(world, host=options.listen.host or EVERYWHERE, port=options.listen.port)
    stopped = asyncio.Event()
    with on_signals(stopped.set, signal.SIGINT, signal.SIGTERM):
        try:
            await simulator.start()
        except OSError as error:
            terminal.complain(cannot_listen(options.listen, error, "--listen"))
            return 1
        try:
            for line in describe(world, reachable(simulator.url)):
                terminal.say(line)
            terminal.stdout.flush()
            await stopped.wait()
        finally:
            await simulator.stop()
    return 0


def reachable(url: str) -> str:
    """Return an address that a client on this machine can use where `url` stands for all of its addresses."""
    return url.replace(f"//{EVERYWHERE}:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
