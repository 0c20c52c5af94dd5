"""`stream-exporter demo`: the exporter on the simulated clouds; no account and no network needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.commands.options import DemoOptions, SocketFile
from exporter.commands.serve import serve
from exporter.commands.terminal import Terminal
from exporter.simulator import Simulator, demo_configuration, demo_world


def run(options: DemoOptions, terminal: Terminal) -> int:
    """Run until SIGTERM or SIGINT; return the exit code of `serve`."""
    if any(isinstance(address, SocketFile) for address in options.web_listen_address):
        terminal.complain("the demo has addresses to show: give --web.listen-address HOST:PORT")
        return 2
    return asyncio.run(_demo(options, terminal))


async def _demo(options: DemoOptions, terminal: Terminal) -> int:
    world = demo_world()
    async with Simulator(world) as simulator:
        with TemporaryDirectory(prefix="stream-exporter-demo-") as folder:
            file = Path(folder) / "stream-exporter.yml"
            file.write_text(demo_configuration(simulator.url), encoding="utf-8")
            file.chmod(0o600)

            def ready(urls: list[str]) -> None:
                # The clouds call back to the exporter, so that a change shows in a second though nobody scrapes.
                world.callbacks = f"{urls[0]}/callbacks"
                terminal.say(greeting(urls[0], list(world.streams), simulator.url, file))
                terminal.stdout.flush()

            return await serve(replace(options, config_file=file), terminal, ready)


def greeting(url: str, streams: list[str], clouds: str, file: Path) -> str:
    """Return what a newcomer wants to know; `url` is the exporter's, `streams` are written PROVIDER/NAME."""
    return f"""\
stream-exporter is watching {len(streams)} simulated streams at four clouds; their states change each half minute.

  status page   {url}/
  metrics       {url}/metrics
  as JSON       {url}/api/v1/streams
  one stream    {url}/probe?target={streams[0]}&debug=true
  discovery     {url}/sd
  the clouds    {clouds} (simulated)
  configuration {file}

One account has a wrong key and one is throttled, so that you see what that looks like. Stop with Ctrl-C."""
