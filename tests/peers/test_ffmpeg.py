"""Real players' eyes on what the simulator serves to viewers: ffprobe recognises all of it, ffmpeg decodes it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.model import State
from exporter.simulator import Script, World, serving
from tests.deploy.tools import program

REMEDY = "apt-get install ffmpeg"


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """Return the address of a stream that has been live for a minute."""
    world = World()
    world.add_account("main", "zego", app_id=1, server_secret="secret")
    world.add_stream("a/b 流", "main", state=Script((State.ACTIVE,), since=world.clock() - 60))
    with serving(world) as simulator:
        yield f"{simulator.url}/playback/zego/a%2Fb%20%E6%B5%81"


def judged(tool: str, *arguments: str) -> str:
    """Run a program of ffmpeg's; return what it says. It must have nothing to complain about."""
    command = [program(tool, REMEDY), "-v", "warning", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def streams(url: str) -> list[tuple[str, Any]]:
    """Return what ffprobe recognises: each codec, with the height of a picture."""
    found = json.loads(judged("ffprobe", "-of", "json", "-show_entries", "stream=codec_name,height", url))["streams"]
    return [(one["codec_name"], one.get("height")) for one in found]


HIGH, LOW = [("h264", 720), ("aac", None)], [("h264", 360), ("aac", None)]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("index.m3u8", HIGH), ("low.m3u8", LOW), ("master.m3u8", HIGH + LOW), ("low-latency.m3u8", HIGH),
        ("event.m3u8", HIGH), ("live.flv", HIGH),
    ],
)  # fmt: skip
def test_ffprobe_recognises_what_viewers_get(folder: str, file: str, expected: list[tuple[str, Any]]) -> None:
    """Every playlist and FLV are what they claim to be, down to pictures and sound."""
    assert streams(f"{folder}/{file}") == expected


@pytest.mark.parametrize("file", ["index.m3u8", "live.flv"])
def test_ffmpeg_decodes_without_a_complaint(folder: str, file: str) -> None:
    """Three seconds go through both decoders: no gap, no broken counter, no missing reference."""
    assert judged("ffmpeg", "-nostdin", "-i", f"{folder}/{file}", "-t", "3", "-f", "null", "-") == ""
