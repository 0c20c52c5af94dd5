"""The built-in world, about 40 streams at all four clouds, and the exporter's configuration that fits it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from exporter.model import State
from exporter.simulator.nouns import Input, Script
from exporter.simulator.world import World

STEP = 30.0
HOUR = 3600.0
STATES = {"A": State.ACTIVE, "I": State.INACTIVE, "F": State.FORBIDDEN, "N": State.NOT_FOUND}

ACCOUNTS: dict[str, tuple[str, dict[str, Any]]] = {
    "zego-main": (
        "zego",
        {
            "app_id": 1000000001,
            "server_secret": "demo0zego0main0secret00000000001",
            "callback_secret": "demo-zego-main-callbacks",
        },
    ),
    "zego-test": (
        "zego",
        {
            "app_id": 1000000002,
            "server_secret": "demo0zego0test0secret00000000002",
            "callback_secret": "demo-zego-test-callbacks",
            "is_test": True,
        },
    ),
    "tencent-main": (
        "tencent",
        {
            "secret_id": "demo-tencent-main-id",
            "secret_key": "demo-tencent-main-key",
            "callback_key": "demo-tencent-main-callbacks",
            "region": "ap-guangzhou",
        },
    ),
    "tencent-edge": (
        "tencent",
        {
            "secret_id": "demo-tencent-edge-id",
            "secret_key": "demo-tencent-edge-key",
            "token": "demo-edge-token",
        },
    ),
    "alibaba-main": (
        "alibaba",
        {
            "access_key_id": "demo-alibaba-id",
            "access_key_secret": "demo-alibaba-key",
            "callback_key": "demo-alibaba-main-callbacks",
        },
    ),
    "alibaba-old": ("alibaba", {"access_key_id": "demo-alibaba-old-id", "access_key_secret": "demo-alibaba-old-key"}),
    "volcengine-main": (
        "volcengine",
        {
            "access_key_id": "demo-volcengine-main-id",
            "secret_access_key": "demo-volcengine-main-key",
            "app_id": "661e0000000000000543cf00",
            "region": "cn-north-1",
        },
    ),
}
THROTTLED = "tencent-edge"
QUOTA = {"DescribeLiveStreamState": 0.5, "DescribeLiveStreamOnlineList": 0.05, "DescribeBackupStreamList": 0.05}
REJECTED = {"alibaba-old": {"access_key_secret": "demo-alibaba-old-key-before-its-rotation"}}


@dataclass(frozen=True, slots=True)
class _Row:
    """One stream of the demo: its states in half minutes, its labels, and what the configuration adds."""

    name: str
    states: str
    team: str
    tier: str
    address: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    configured: dict[str, Any] = field(default_factory=dict)


def _zego() -> list[_Row]:
    return [
        _Row("lobby-host", "A", "community", "gold"),
        _Row("lobby-guest-1", "AI", "community", "silver"),
        _Row("lobby-guest-2", "AAI", "community", "silver"),
        _Row("lobby-guest-3", "I", "community", "silver"),
        _Row("arena-caster", "A", "esports", "gold"),
        _Row("arena-player-1", "AAAI", "esports", "gold"),
        _Row("arena-player-2", "IAAA", "esports", "gold"),
        _Row("arena-replay", "N", "esports", "silver", {"stream_id": "arena-replay-2024"}),
    ]


def _zego_test() -> list[_Row]:
    return [
        _Row("canary-1", "A", "platform", "silver"),
        _Row("canary-2", "AN", "platform", "silver"),
        _Row("canary-3", "I", "platform", "silver"),
    ]


def _inputs(lost: bool | Script) -> dict[str, Any]:
    return {"inputs": (Input("5000.livepush.example", "live"), Input("5000.livepush.example", "backup", "pull", lost))}


def _tencent() -> list[_Row]:
    place, two = {"domain": "5000.livepush.example"}, {"inputs": 2}
    flapping = Script((State.ACTIVE, State.INACTIVE), STEP)
    return [
        _Row("stage-1", "A", "esports", "gold", place, _inputs(True), two),
        _Row("stage-2", "A", "esports", "gold", place, _inputs(False), two),
        _Row("stage-3", "A", "esports", "gold", place, _inputs(flapping), two),
        _Row("studio-1", "AI", "news", "gold", place),
        _Row("studio-2", "IIA", "news", "silver", place),
        _Row("studio-3", "I", "news", "silver", place),
        _Row("pirate", "F", "community", "silver", place),
        _Row("always-on", "A", "news", "gold", {**place, "app": "radio"}),
    ]


def _tencent_edge() -> list[_Row]:
    place = {"domain": "edge.livepush.example"}
    return [_Row(f"edge-{number}", "AAI" if number % 2 else "A", "platform", "silver", place) for number in range(1, 7)]


def _alibaba() -> list[_Row]:
    listed = {"domain": "push.shop.example", "app": "shop", "streaming_domain": "live.shop.example"}
    single = {"domain": "push.school.example", "app": "class"}
    return [
        _Row("shop-1", "A", "shop", "gold", listed),
        _Row("shop-2", "AI", "shop", "gold", listed),
        _Row("shop-3", "IAI", "shop", "silver", listed),
        _Row("shop-4", "I", "shop", "silver", listed),
        _Row("class-1", "A", "school", "gold", single, {"ingest": "pull"}),
        _Row("class-2", "AAI", "school", "gold", single),
        _Row("class-3", "F", "school", "silver", single),
        _Row("class-4", "IA", "school", "silver", single),
    ]


def _alibaba_old() -> list[_Row]:
    place = {"domain": "push.old.example", "app": "live"}
    return [_Row("old-1", "A", "shop", "silver", place), _Row("old-2", "A", "shop", "silver", place)]


def _volcengine() -> list[_Row]:
    board, call = {"room_id": "board"}, {"room_id": "call"}
    return [
        _Row("chair", "A", "meetings", "gold", board),
        _Row("speaker", "AI", "meetings", "gold", board, {"media": ("Audio", "Video", "ScreenVideo")}),
        _Row("listener", "I", "meetings", "silver", board, {"in_room": True}),
        _Row("screen", "AAI", "meetings", "gold", board, {"media": ("ScreenVideo",)}, {"media": ["screen_video"]}),
        _Row("caller", "A", "support", "gold", call, {"media": ("Audio",)}),
        _Row("muted", "A", "support", "silver", call, {"media": ("Video",)}, {"media": ["audio"]}),
        _Row("agent", "IAA", "support", "gold", call),
        _Row("nobody", "N", "support", "silver", {"room_id": "empty"}),
    ]


STREAMS: dict[str, list[_Row]] = {
    "zego-main": _zego(),
    "zego-test": _zego_test(),
    "tencent-main": _tencent(),
    "tencent-edge": _tencent_edge(),
    "alibaba-main": _alibaba(),
    "alibaba-old": _alibaba_old(),
    "volcengine-main": _volcengine(),
}


def demo_world(*, clock: Callable[[], float] = time.time) -> World:
    """Make the built-in world; its states change each half minute by the clock alone."""
    world = World(clock=clock)
    began = clock() - HOUR
    for name, (provider, fields) in ACCOUNTS.items():
        world.add_account(name, provider, quota=QUOTA if name == THROTTLED else None, **fields)
        for row in STREAMS[name]:
            script = Script(tuple(STATES[letter] for letter in row.states), STEP, 0.0, began)
            world.add_stream(row.name, name, state=script, **row.details, **row.address)
    return world


def demo_configuration(endpoint: str) -> str:
    """Return the exporter's configuration for the demo world; one account has a key that is no longer right.

    Args:
        endpoint: Where the simulator listens, such as `http://127.0.0.1:10181`.
    """
    accounts = [
        {"name": name, "provider": provider, "endpoint": endpoint, **fields, **REJECTED.get(name, {})}
        for name, (provider, fields) in ACCOUNTS.items()
    ]
    streams = [
        {"name": row.name, "account": account, **row.address, **row.configured, "labels": _labels(row)}
        for account, rows in STREAMS.items()
        for row in rows
    ]
    return yaml.safe_dump({"accounts": accounts, "streams": streams}, sort_keys=False, width=120)


def _labels(row: _Row) -> dict[str, str]:
    return {"team": row.team, "tier": row.tier}
