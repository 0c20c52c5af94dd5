"""`stream-exporter demo`: the exporter on the simulated clouds; no account and no network needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp

from exporter.commands.options import DemoOptions, SocketFile
from exporter.commands.serve import serve
from exporter.commands.terminal import Terminal
from exporter.serving.scrape import TIMEOUT_HEADER
from exporter.simulator import EXPIRED, STANDS_STILL, Simulator, demo_configuration, demo_world

SCRAPE_SECONDS: Final = 5.0
LOOPBACK: Final = "://127.0.0.1:"
TAKEN: Final = "With make, choose another port: make demo PORT=10190"


def run(options: DemoOptions, terminal: Terminal) -> int:
    """Run until SIGTERM or SIGINT; return the exit code of `serve`."""
    if any(isinstance(address, SocketFile) for address in options.web_listen_address):
        terminal.complain("the demo has addresses to show: give --web.listen-address HOST:PORT")
        return 2
    return asyncio.run(_demo(options, terminal))


async def _demo(options: DemoOptions, terminal: Terminal) -> int:
    world = demo_world()
    async with Simulator(world) as simulator, aiohttp.ClientSession() as session:
        with TemporaryDirectory(prefix="stream-exporter-demo-") as folder:
            file = Path(folder) / "stream-exporter.yml"
            file.write_text(demo_configuration(simulator.url), encoding="utf-8")
            file.chmod(0o600)
            scraping: list[asyncio.Task[None]] = []

            def ready(urls: list[str]) -> None:
                url = reached(urls)
                # The clouds call back to the exporter, so that a change shows in a second though nobody scrapes.
                world.callbacks = f"{url}/callbacks"

                def greet() -> None:
                    terminal.say(greeting(shown(url), list(world.streams), shown(simulator.url), file))
                    terminal.stdout.flush()

                scraping.append(asyncio.create_task(scrape_on(lambda: _scrape(session, url), greet)))

            try:
                code = await serve(replace(options, config_file=file), terminal, ready)
            finally:
                for task in scraping:
                    task.cancel()
            if code and not scraping:
                terminal.complain(TAKEN)
            return code


async def scrape_on(scrape: Callable[[], Awaitable[None]], first: Callable[[], None]) -> None:
    """Scrape as a Prometheus would, for ever; call `first` once there is something to show."""
    await scrape()
    first()
    while True:
        await asyncio.sleep(SCRAPE_SECONDS)
        await scrape()


async def _scrape(session: aiohttp.ClientSession, url: str) -> None:
    with suppress(aiohttp.ClientError):
        async with session.get(f"{url}/metrics", headers={TIMEOUT_HEADER: str(SCRAPE_SECONDS)}) as answer:
            await answer.read()


def reached(urls: Sequence[str]) -> str:
    """Return the address to use of those that are listened on, whose order is chance: IPv4's, if there is one."""
    return min(urls, key=lambda url: LOOPBACK not in url)


def shown(url: str) -> str:
    """Return an address as the documents write it."""
    return url.replace(LOOPBACK, "://localhost:")


def greeting(url: str, streams: list[str], clouds: str, file: Path) -> str:
    """Return what a newcomer wants to know; `url` is the exporter's, `streams` are written PROVIDER/NAME."""
    still, expired = (next(one for one in streams if one.endswith(f"/{name}")) for name in (STANDS_STILL, EXPIRED))
    return f"""\
stream-exporter is watching {len(streams)} simulated streams; their states change each half minute.

  status page   {url}/
  metrics       {url}/metrics
  as JSON       {url}/api/v1/streams
  one stream    {url}/probe?target={streams[0]}&debug=true
  discovery     {url}/sd
  the clouds    {clouds} (simulated)
  configuration {file}

One account has a wrong key and one is throttled, so that you see what that looks like. Viewers of {still} get
nothing for two of five minutes; of those of {expired} nobody knows, as a token has expired. Stop with Ctrl-C."""
