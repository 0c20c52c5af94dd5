"""Viewers' addresses asked by hand: `probe` and `/probe?debug=true` show each check as it went, and no query."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.simulator import Simulator, World, serving
from tests.callbacks.rig import opened
from tests.commands.running import CANARY, process, run, tencent, written

TOKEN = "canary-token-of-viewers"


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    """Serve a cloud with a stream that is live, and one that is not."""
    world = World()
    world.add_account("main", "tencent", secret_id="an-id", secret_key=CANARY)
    for name, state in (("up", "active"), ("down", "inactive")):
        world.add_stream(name, "main", state=state, domain="push.example", app="live")
    with serving(world) as simulator:
        yield simulator


def configured(path: Path, url: str, up: list[Any], down: list[Any]) -> str:
    """Write a configuration of both streams with these addresses."""
    account = tencent(endpoint=url, plan="single")
    streams = [
        {"name": name, "account": "main", "domain": "push.example", "playback": addresses}
        for name, addresses in (("up", up), ("down", down))
    ]
    return written(path / "c.yml", [account], streams)


def test_few_checks_are_shown_whole(cloud: Simulator, tmp_path: Path) -> None:
    """Each with its requests, what came and what that means, and where to read what to do; the exit is the clouds'."""
    at = f"{cloud.url}/playback/tencent"
    dead = "http://127.0.0.1:1/a.m3u8"
    up = [{"name": "flv", "url": f"{at}/up/live.flv?token={TOKEN}"}, f"{dead}?token={TOKEN}"]
    file = configured(tmp_path, cloud.url, up, [f"{at}/down/index.m3u8"])
    done = run("probe", "--config.file", file)
    assert done.code == 0
    assert TOKEN not in done.all
    assert f"What viewers get at flv of up: {at}/up/live.flv\n  1. {at}/up/live.flv\n" in done.out
    assert "judged it plays\n  up: it plays\n" in done.out
    assert f"What viewers get at playback-2 of up: {dead}\n" in done.out
    assert "unknown (reason connection): the server refused the connection or cannot be reached\n" in done.out
    assert f"What viewers get at playback-1 of down: {at}/down/index.m3u8\n" in done.out
    assert "down: it is not there: HTTP 404\n" in done.out
    assert "What to do where viewers get nothing: https://" in done.out
    assert "What to do where a check failed: https://" in done.out
    shown = {row["stream"]: row for row in json.loads(run("probe", file, "--output", "json").out)}
    assert [one["up"] for one in shown["up"]["playback"]] == [True, None]
    assert [one["name"] for one in shown["up"]["checks"]] == ["flv", "playback-2"]
    assert shown["down"]["checks"][0]["judged"] == "down: it is not there: HTTP 404"


def test_many_checks_have_a_line_each(cloud: Simulator, tmp_path: Path) -> None:
    """What viewers get stands in a table; those of streams that are not asked for are not checked."""
    missing = [f"{cloud.url}/playback/tencent/down/{number}.m3u8" for number in range(9)]
    file = configured(tmp_path, cloud.url, [f"{cloud.url}/playback/tencent/up/live.flv"], missing)
    done = run("probe", "--config.file", file, "tencent/down")
    lines = [line.split(maxsplit=2) for line in done.out.splitlines() if line.startswith("tencent/down  playback-")]
    assert lines == [
        ["tencent/down", f"playback-{number}", "down: it is not there: HTTP 404"] for number in range(1, 10)
    ]
    assert {call.stream for call in cloud.world.log} == {"tencent/down"}


def test_addresses_whose_turn_does_not_come_are_counted(cloud: Simulator, tmp_path: Path) -> None:
    """Where the rate leaves no room for checks before the end, the command says how many it did not make."""
    missing = [f"{cloud.url}/playback/tencent/down/{number}.m3u8" for number in range(3)]
    file = Path(configured(tmp_path, cloud.url, missing, []))
    file.write_text(f"{file.read_text()}\nplayback: {{rate: 0.01}}\n")
    with process("probe", str(file)) as child:
        end = time.monotonic() + 30
        while len(cloud.world.log) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=30)
    assert "\n3 addresses were not checked: their turn did not come before the end.\n" in out
    assert "viewers get" not in out


def test_debug_shows_the_check() -> None:
    """Beside the calls, and the stream as it stands after both."""

    async def main() -> None:
        async with opened({"zego": ["one"]}) as rig:
            config = rig.service.config
            origin = str(config.accounts[0].endpoint)
            shown = f"{origin}/playback/zego/one/live.flv"
            address = PlaybackAddress("flv", Secret(f"{shown}?token={TOKEN}"), shown, (origin,))
            streams = [one.model_copy(update={"playback": (address,)}) for one in config.streams]
            rig.service.configure(replace(config, streams=tuple(streams)))
            rig.world.set("zego/one", "active")
            async with rig.session.get(f"{rig.url}/probe?target=zego/one&debug=true") as page:
                text = await page.text()
            assert TOKEN not in text
            assert f"--- playback flv of one: {shown}\n  1. {shown}\n" in text
            assert "  up: it plays\n" in text
            assert json.loads(text.partition("\nzego/one: ")[2])["playback"][0]["up"] is True

    asyncio.run(main())
