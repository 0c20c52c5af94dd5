"""The control interface: the world over HTTP for another process, from this machine alone."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from exporter.model import State
from exporter.simulator import World
from exporter.simulator.control import answer

from .asking import answer as call
from .asking import small_world, tencent_call, zego_call


def control(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    remote: str = "127.0.0.1",
    content_type: str = "application/json",
) -> tuple[int, Any]:
    """Send one request to the control interface."""
    request: Any = SimpleNamespace(method=method, remote=remote, headers={"Content-Type": content_type})
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    response = answer(world, request, f"/-/simulator/{path}", raw)
    assert isinstance(response, web.Response)
    return response.status, json.loads(response.text or "")


def test_streams_are_set_and_shown() -> None:
    """Another process changes a stream and reads the world back."""
    world = small_world()
    status, told = control(world, "POST", "streams", {"stream": "zego/active", "state": "inactive"})
    assert (status, told) == (200, {"stream": "zego/active", "state": "inactive"})
    assert world.state("zego/active") is State.INACTIVE
    body = {"stream": "tencent/active", "state": {"cycle": ["active", "forbidden"], "every": "1s"}}
    inputs = [{"domain": "d", "app": "a"}, {"domain": "d", "app": "b", "up": False}]
    assert control(world, "POST", "streams", {**body, "inputs": inputs})[0] == 200
    assert [push.app for push in world.streams["tencent/active"].inputs] == ["a", "b"]
    shown = control(world, "GET", "world")[1]
    assert shown["streams"]["zego/active"]["state"] == "inactive"
    assert "secret" not in json.dumps(shown["accounts"])


def test_faults_come_and_go() -> None:
    """Another process puts a fault upon calls and takes all faults away."""
    world = small_world()
    assert control(world, "POST", "faults", {"kind": "code", "code": "5001", "provider": "zego"})[0] == 200
    assert call(world, "zego", zego_call()).code == "5001"
    assert control(world, "DELETE", "faults") == (200, {"faults": 0})
    assert call(world, "zego", zego_call()).code == "0"


def test_the_log_is_read_in_parts() -> None:
    """Another process reads the calls since its last look, and can forget them all."""
    world = small_world()
    call(world, "zego", zego_call())
    first = control(world, "GET", "calls")[1]
    assert [each["stream"] for each in first["calls"]] == ["zego/active"]
    call(world, "tencent", tencent_call())
    second = control(world, "POST", "calls", {"since": first["next"]})[1]
    assert [each["provider"] for each in second["calls"]] == ["tencent"]
    assert control(world, "DELETE", "calls") == (200, {"calls": 0})
    assert len(world.log) == 0


def test_what_arrives_of_a_stream_changes() -> None:
    """A stream can be made to stand still."""
    world = small_world()
    assert control(world, "POST", "streams", {"stream": "tencent/active", "figures": {"moving": False}})[0] == 200
    assert world.streams["tencent/active"].figures.moving is False


def test_accounts_switches_and_listings_change() -> None:
    """Quotas, keys, switches and tricks can be set from outside."""
    world = small_world()
    body = {"account": "z", "quota": {"DescribeRTCStreamState": 1}, "fields": {"server_secret": "new"}}
    assert control(world, "POST", "accounts", body)[0] == 200
    assert [call(world, "zego", zego_call(secret="new")).code for _ in range(2)] == ["0", "30002"]
    assert control(world, "POST", "quirks", {"zego_history": False})[1]["zego_history"] is False
    assert control(world, "POST", "listings", {"provider": "zego", "foreign": 5})[1]["foreign"] == 5
    assert (world.quirks.zego_history, world.tricks("zego").foreign) == (False, 5)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("streams", {"state": "active"}),
        ("streams", {"stream": "zego/nobody", "state": "active"}),
        ("streams", {"stream": "zego/active", "state": "asleep"}),
        ("streams", {"stream": "zego/active", "mediums": []}),
        ("streams", {"stream": "zego/active", "figures": {"frames": "many"}}),
        ("faults", {"kind": "hangs"}),
        ("faults", {"kind": "hang", "secs": 1}),
        ("faults", {}),
        ("quirks", {"zego": True}),
        ("listings", {"provider": "twitch"}),
        ("accounts", {"account": "nobody"}),
        ("accounts", {"account": "z", "quotas": {}}),
        ("streams", b"{"),
        ("streams", [1]),
    ],
)
def test_mistakes_are_refused(path: str, body: Any) -> None:
    """A mistake is a 400 with words, and changes nothing that a test would miss."""
    world = small_world()
    status, told = control(world, "POST", path, body)
    assert status == 400
    assert told["error"]
    assert world.faults == []


def test_only_this_machine_may_control() -> None:
    """Callers from elsewhere, and forms that any web page could send, are refused."""
    world = small_world()
    body = {"stream": "zego/active", "state": "inactive"}
    assert control(world, "POST", "streams", body, remote="192.0.2.1")[0] == 403
    assert control(world, "POST", "streams", body, content_type="text/plain")[0] == 415
    assert control(world, "GET", "nothing")[0] == 404
    assert world.state("zego/active") is State.ACTIVE
    assert control(world, "POST", "streams", body, remote="::1")[0] == 200


def test_callbacks_are_steered() -> None:
    """Another process says where callbacks go and how, has one sent whatever the truth, and reads what was sent."""
    world, told = small_world(), []
    world.listeners.append(lambda stream, live: told.append((stream.key, live)))
    to = "http://127.0.0.1:1/callbacks"
    assert control(world, "POST", "callbacks", {"to": to}) == (200, {"to": to})
    assert control(world, "POST", "manners", {"provider": "zego", "duplicates": 2})[1]["duplicates"] == 2
    assert control(world, "POST", "tell", {"stream": "zego/active", "live": False})[0] == 200
    assert (world.callbacks, world.manners["zego"].duplicates, told) == (to, 2, [("zego/active", False)])
    assert world.state("zego/active") is State.ACTIVE
    assert control(world, "GET", "letters") == (200, {"letters": [], "next": 0})
    for path, wrong in (
        ("callbacks", {"to": 1}),
        ("callbacks", {}),
        ("manners", {"provider": "zego", "duplicates": "2"}),
        ("manners", {"provider": "nobody"}),
        ("tell", {"stream": "zego/active", "live": "no"}),
        ("tell", {"stream": "nobody", "live": True}),
    ):
        assert control(world, "POST", path, wrong)[0] == 400
