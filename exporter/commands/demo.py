"""`stream-exporter demo`: the exporter on the simulated clouds; no account and no network needed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.commands.common import Terminal
from exporter.commands.options import DemoOptions, ServeOptions
from exporter.commands.serve import serve
from exporter.simulator import Simulator, demo_configuration, demo_world


async def run(options: DemoOptions, terminal: Terminal) -> int:
    """Run until SIGTERM or SIGINT; return the exit code of `serve`."""
    world = demo_world()
    async with Simulator(world) as simulator:
        with TemporaryDirectory(prefix="stream-exporter-demo-") as folder:
            file = Path(folder) / "stream-exporter.yml"
            file.write_text(demo_configuration(simulator.url), encoding="utf-8")
            file.chmod(0o600)

            def ready(where: list[str]) -> None:
                # The clouds call back to the exporter, so that a change shows in a second though nobody scrapes.
                world.callbacks = f"{where[0]}/callbacks"
                terminal.say(greeting(where[0], list(world.streams), simulator.url, str(file)))
                terminal.stdout.flush()

            serving = ServeOptions(
                config_file=str(file),
                listen=options.listen,
                log_level=options.log_level,
                log_format=options.log_format,
            )
            return await serve(serving, ready=ready)


def greeting(address: str, streams: list[str], clouds: str, file: str) -> str:
    """Return what a newcomer wants to know; `address` is where the exporter listens, `streams` as PROVIDER/NAME."""
    return f"""\
stream-exporter is watching {len(streams)} simulated streams at four clouds; their states change each half minute.

  status page   {address}/
  metrics       {address}/metrics
  as JSON       {address}/api/v1/streams
  one stream    {address}/probe?target={streams[0]}&debug=true
  discovery     {address}/sd
  the clouds    {clouds} (simulated)
  configuration {file}

One account has a wrong key and one is throttled, so that you see what that looks like. Stop with Ctrl-C."""
