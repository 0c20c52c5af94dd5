"""The built-in world and its configuration, and the lines that tell any client where to go."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import yaml

from exporter.commands.demo import greeting
from exporter.simulator import World, demo_configuration, demo_world, describe
from exporter.simulator.playback.site import find, write
from exporter.simulator.playback.timeline import push_at

URL = "http://127.0.0.1:10181"


def test_the_demo_shows_everything() -> None:
    """The clouds and a server of one's own, about 40 streams, and over three minutes every state and many changes."""
    now = [0.0]
    world = demo_world(clock=lambda: now[0])
    clouds = {account.provider for account in world.accounts.values()}
    assert clouds >= {"alibaba", "livekit", "nginx_rtmp", "tencent", "volcengine", "zego"}
    assert 36 <= len(world.streams) <= 60
    seen: list[dict[str, str]] = []
    for step in range(6):
        now[0] = 1_767_300_000.0 + step * 30
        seen.append({key: world.state(key).value for key in world.streams})
    assert {state for each in seen for state in each.values()} == {"active", "inactive", "forbidden", "not_found"}
    for before, after in pairwise(seen):
        changed = [key for key in before if before[key] != after[key]]
        assert 3 <= len(changed) <= 25


def test_the_demo_depends_on_the_clock_alone() -> None:
    """Two worlds made at different times agree on every state at every time."""
    early, late = demo_world(clock=lambda: 0.0), demo_world(clock=lambda: 12345.6)
    for now in range(0, 400, 7):
        early.clock = late.clock = lambda now=now: float(now)  # type: ignore[misc]
        assert {key: early.state(key) for key in early.streams} == {key: late.state(key) for key in late.streams}


def test_the_configuration_fits_the_world_but_for_one_key() -> None:
    """Every account and stream of the configuration exists in the world; exactly one secret is wrong."""
    world, found = demo_world(), yaml.safe_load(demo_configuration(URL))
    wrong = [
        (account["name"], name)
        for account in found["accounts"]
        for name, value in world.accounts[account["name"]].fields.items()
        if account[name] != value
    ]
    assert wrong == [("alibaba-old", "access_key_secret")]
    assert {account["endpoint"] for account in found["accounts"]} == {URL}
    for stream in found["streams"]:
        known = world.streams[f"{world.accounts[stream['account']].provider}/{stream['name']}"]
        shown = {name: stream[name] for name in known.address if name in stream}
        assert shown.items() <= known.address.items()
        assert stream["labels"].keys() == {"team", "tier"}
    assert len(found["streams"]) == len(world.streams)


def test_one_account_is_throttled_and_one_stream_lost_an_input() -> None:
    """The demo has the two troubles that are not a state: a tiny quota and redundancy lost."""
    world = demo_world()
    assert [name for name, account in world.accounts.items() if account.quota] == ["tencent-edge"]
    inputs = {key: [push.is_up(0.0) for push in stream.inputs] for key, stream in world.streams.items()}
    assert inputs["tencent/stage-1"] == [True, True]
    assert inputs["tencent/stage-2"] == [True, False]


def test_the_demo_has_streams_that_nobody_expects() -> None:
    """Two that are off air, one of them with a show three days ahead, and one that is live all the same."""
    world, found = demo_world(), yaml.safe_load(demo_configuration(URL))
    expected = {stream["name"]: stream["expected"] for stream in found["streams"] if "expected" in stream}
    states = {key.partition("/")[2]: str(world.state(key)) for key in world.streams}
    assert {name: (states[name], schedule) for name, schedule in expected.items()} == {
        "studio-3": ("inactive", "show"),
        "shop-4": ("inactive", "never"),
        "arena-caster": ("active", "never"),
    }
    (interval,) = found["time_intervals"][0]["time_intervals"]
    ahead = datetime.now(UTC) + timedelta(days=3)
    assert interval["weekdays"] == [f"{ahead:%A}".lower()]


def test_viewers_have_three_addresses() -> None:
    """One plays with its stream, one stands still though its stream is live, one's token has expired; two are told."""
    now = [0.0]
    world = demo_world(clock=lambda: now[0])
    document = yaml.safe_load(demo_configuration(URL))
    found = {stream["name"]: address["url"] for stream in document["streams"] for address in stream.get("playback", ())}
    assert found["arena-player-1"] == f"{URL}/playback/zego/arena-player-1/master.m3u8"
    assert found["stage-1"] == f"{URL}/playback/tencent/stage-1/live.flv"
    moved, live, refused = set(), set(), set()
    for step in range(60):
        now[0] = 1_767_300_001.0 + step * 10
        playing = push_at(world.streams["zego/arena-player-1"], now[0])
        live.add((world.state("zego/arena-player-1").value, playing is not None and playing.live))
        push = push_at(world.streams["tencent/stage-1"], now[0])
        assert push is not None
        moved.add(push.edge == now[0])
        path, _, query = found["class-1"].removeprefix(URL).partition("?")
        refused.add(write(find(world.streams, path, query), now[0]).status)
    assert live == {("active", True), ("inactive", False)}
    assert moved == {True, False}
    assert refused == {403}
    told = greeting(URL, list(world.streams), URL, Path("stream-exporter.yml"))
    assert "tencent/stage-1" in told
    assert "alibaba/class-1" in told


def test_each_account_and_stream_has_its_line() -> None:
    """`simulate` prints all that a client needs, under the configuration's own names."""
    world = demo_world(clock=lambda: 0.0)
    lines = list(describe(world, URL))
    kinds = Counter(line.partition("=")[0] for line in lines)
    assert kinds == {"account": len(world.accounts), "stream": len(world.streams)}
    assert lines[1] == (
        "account=zego-test provider=zego app_id=1000000002 "
        "server_secret=demo0zego0test0secret00000000002 is_test=true "
        f"callback_secret=demo-zego-test-callbacks endpoint={URL}"
    )
    assert "stream=tencent/pirate state=forbidden account=tencent-main domain=5000.livepush.example app=live " in (
        "\n".join(lines)
    )


def test_odd_values_are_quoted() -> None:
    """Spaces, quotes, equals signs and newlines do not break a line apart."""
    world = World()
    world.add_account("a b", "zego", app_id=1, server_secret='q"=\\')
    world.add_stream("line\nbreak", "a b", stream_id="流 1")
    account, stream = describe(world, URL)
    assert account == f'account="a b" provider=zego app_id=1 server_secret="q\\"=\\\\" endpoint={URL}'
    folder = f"{URL}/playback/zego/line%0Abreak"
    assert stream == (
        'stream="zego/line\\nbreak" state=active account="a b" stream_id="流 1" '
        f'playback="{folder}/index.m3u8 {folder}/live.flv"'
    )
    assert shlex.split(account)[0] == "account=a b"
