"""Toy Cloud, from its recorded answers to the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.fields import Secret
from exporter.model import Answer, Credentials, Moment, Reply
from exporter.providers import all_providers, codes
from exporter.providers.interface import Malformed, NoEnvelope, ProviderError

from .conftest import KEY, ToyCloud

TOY = all_providers()["toy"]  # found by its entry point: install the package first
ACCOUNT = TOY.account(name="main", provider="toy", owner="ada")
STREAM = TOY.stream(name="robot", account="main")


def read(body: Any, status: int = 200) -> Answer:
    """Read an answer about the toy."""
    assert TOY.single is not None
    reply = Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())
    return TOY.single.read(ACCOUNT, STREAM, TOY.single.ask(ACCOUNT, STREAM), reply)


@pytest.mark.parametrize(("playing", "state"), [(True, "active"), (False, "inactive")])
def test_a_toy_that_plays_is_live(playing: bool, state: str) -> None:
    """The answer is the state, and the ticket is kept for support."""
    answer = read({"playing": playing, "ticket": "t-1"})
    assert (answer.state, answer.request_id) == (state, "t-1")


@pytest.mark.parametrize("body", [{}, {"playing": 1}, {"playing": None}, {"playing": True, "error": "busy"}, []])
def test_what_is_no_answer_is_no_state(body: Any) -> None:
    """In doubt a reader raises: unknown is not down."""
    with pytest.raises(Malformed):
        read(body)
    with pytest.raises(NoEnvelope):
        read({"playing": True}, 502)


def test_an_error_is_a_code() -> None:
    """The cloud's error is raised by its code, which codes.yml explains in both languages."""
    with pytest.raises(ProviderError, match=r"^toy_broke$"):
        read({"broken": "toy_broke", "why": "no battery", "ticket": "t-2"})
    entry = codes.load("toy").lookup("Play", "toy_broke")
    assert entry.reason == "bad_request"
    assert entry.meaning
    assert entry.meaning_zh


def test_a_request_depends_on_the_moment_alone() -> None:
    """The same call at the same moment is the same request, and what depends on the key stands in `hides`."""
    assert TOY.single is not None
    call, moment = TOY.single.ask(ACCOUNT, STREAM), Moment(1_800_000_000.0, "0" * 32, 1)
    first, again, other = (
        TOY.sign(ACCOUNT, Credentials("", Secret(key)), call, moment) for key in ("one", "one", "other")
    )
    assert first == again
    differs = {name for name, value in first.headers.items() if other.headers[name] != value}
    assert differs <= set(TOY.hides)
    assert first.url.replace(first.url.partition("stamp=")[2], "") == other.url.replace(
        other.url.partition("stamp=")[2], ""
    )


@pytest.mark.parametrize(("key", "robot"), [(KEY.decode(), "active"), ("wrong", "unknown")])
def test_the_exporter_asks_the_cloud(cloud: ToyCloud, tmp_path: Path, key: str, robot: str) -> None:
    """`stream-exporter probe` finds the cloud, seals its calls, and shows the state; a wrong key shows none."""
    cloud.playing, cloud.now = {"robot"}, time.time()
    account = {"name": "main", "provider": "toy", "endpoint": cloud.url, "owner": "ada", "toy_key": key}
    streams = [{"name": name, "account": "main"} for name in ("robot", "doll")]
    (tmp_path / "config.yml").write_text(json.dumps({"accounts": [account], "streams": streams}))
    command = [sys.executable, "-m", "exporter", "probe", "--config.file", "config.yml", "--output", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if robot == "active" else 1), done.stderr
    found = {one["stream"]: one["state"] for one in json.loads(done.stdout)}
    assert found == {"robot": robot, "doll": "inactive" if robot == "active" else "unknown"}
    assert set(cloud.asked) == {"robot", "doll"}
    assert key not in done.stdout + done.stderr or key == "wrong"
