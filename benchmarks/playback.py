"""What checking a thousand addresses costs beside the scrapes, against the barest loop at the same times."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import m3u8

from benchmarks.table import Row
from testbed import origin
from testbed.origin import SEGMENT
from testbed.processes import Server, exporter
from testbed.provider import running, tencent

ADDRESSES = 1_000
INTERVAL = 10.0
SETTLING, MEASURED = 25.0, 60.0  # seconds
RANGE = {"Range": f"bytes=0-{len(SEGMENT) - 1}"}
TICKS = 100  # of a second, in /proc


def configuration(cloud: str, media: str | None) -> dict[str, Any]:
    """Return a configuration of streams, each with an address if there is an origin of media."""
    document = tencent(cloud, ADDRESSES)
    if media is not None:
        document["streams"][0]["playback"] = [f"{media}/live/{{stream}}.m3u8"]
        document["playback"] = {"interval": f"{INTERVAL:.0f}s"}
    return document


def cpu_of(server: Server) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def scraped(server: Server, seconds: float) -> str:
    """Scrape once an interval for some seconds; return the last answer."""
    until, text = time.monotonic() + seconds, ""
    while time.monotonic() < until:
        with urllib.request.urlopen(f"{server.url}/metrics") as answer:
            text = answer.read().decode()
        time.sleep(max(0.0, min(INTERVAL, until - time.monotonic())))
    return text


def share(cloud: str, media: str | None) -> float:
    """Return the share of a core that an exporter uses, with its addresses or without."""
    with exporter(configuration(cloud, media)) as server:
        scraped(server, SETTLING)
        before = cpu_of(server)
        text = scraped(server, MEASURED)
        used = cpu_of(server) - before
    playing = sum(line.startswith("stream_playback_up{") and line.endswith(" 1.0") for line in text.splitlines())
    assert playing == (ADDRESSES if media is not None else 0), f"{playing} addresses play"
    return used / MEASURED


async def bare(media: str) -> float:
    """Fetch and read each playlist and the first bytes of its newest segment, one after the other as time goes.

    Returns:
        The CPU seconds of all.
    """

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        await asyncio.sleep(number * INTERVAL / ADDRESSES)
        url = f"{media}/live/stream-{number:05d}.m3u8"
        async with session.get(url) as answer:
            read = m3u8.loads(await answer.text())
        async with session.get(urljoin(url, read.segments[-1].uri), headers=RANGE) as answer:
            assert len(await answer.read()) == len(SEGMENT)

    async with aiohttp.ClientSession() as session:
        started = time.process_time()
        await asyncio.gather(*(one(session, number) for number in range(ADDRESSES)))
        return time.process_time() - started


def rows() -> list[Row]:
    """Measure an exporter with a thousand addresses and one without, and the bare loop."""
    with running() as cloud, origin.running() as media:
        ours, without = share(cloud, media), share(cloud, None)
        theirs = min(asyncio.run(bare(media)) for _ in range(2))
    more = ours - without
    return [
        Row(f"{ADDRESSES:,} addresses in {INTERVAL:.0f} s beside the scrapes", 100 * more, "% of a core", "<=", 20.0,
            f"{ours:.1%} with, {without:.1%} without"),
        Row("CPU of a check against bare aiohttp and m3u8 at the same times", more * INTERVAL / theirs, "x", "<=", 2.0,
            f"{more * INTERVAL / ADDRESSES * 1e3:.2f} ms, bare {theirs / ADDRESSES * 1e3:.2f} ms"),
    ]  # fmt: skip
