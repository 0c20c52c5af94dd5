"""`stream-exporter simulate`: the simulated clouds alone, for any client."""

from __future__ import annotations

import signal

from exporter.commands.common import Terminal, stop_signals
from exporter.commands.options import SimulateOptions
from exporter.commands.serve import addresses
from exporter.simulator import Simulator, WorldError, demo_world, describe, load_world

EVERYWHERE = "0.0.0.0"  # noqa: S104 # nosec B104


async def run(options: SimulateOptions, terminal: Terminal) -> int:
    """Serve until SIGTERM or SIGINT; return 2 for a wrong world or address, 1 where the address cannot be had."""
    try:
        host, port = addresses(options.listen)
        world = demo_world() if options.world is None else load_world(options.world)
        world.callbacks = options.callbacks or world.callbacks
    except (WorldError, ValueError) as error:
        terminal.complain(str(error))
        return 2
    simulator = Simulator(world, host=host or EVERYWHERE, port=port)
    with stop_signals(signal.SIGINT, signal.SIGTERM) as stopped:
        try:
            await simulator.start()
        except OSError as error:
            terminal.complain(f"cannot listen on {options.listen}: {error.strerror}; choose another --listen")
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
