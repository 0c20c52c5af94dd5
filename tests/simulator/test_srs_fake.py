"""The fake of SRS, held to answers that were recorded from the real server."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from exporter.simulator import World
from exporter.simulator.exchange import Outgoing, Received

from .asking import NOW, answer

# Names and types of a row, as version 7.0.18 sends it.
ROW = {
    "id": str, "name": str, "vhost": str, "app": str, "tcUrl": str, "url": str, "live_ms": int, "clients": int,
    "frames": int, "send_bytes": int, "recv_bytes": int, "kbps": dict, "publish": dict, "video": dict, "audio": dict,
}  # fmt: skip


def call(path: str = "/api/v1/streams/", query: str = "count=1000", user: str = "mon:pw") -> Received:
    """Return a request for the list."""
    headers = {"authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}
    return Received("GET", path, query, headers, b"", NOW)


def studio(count: int = 1) -> World:
    """Return a world with live streams."""
    world = World(clock=lambda: NOW)
    world.add_account("s", "srs", username="mon", password="pw")
    for number in range(count):
        world.add_stream(f"cam-{number}", "s")
    return world


def told(outgoing: Outgoing) -> dict[str, Any]:
    """Return an answer as it comes over the wire."""
    found: dict[str, Any] = json.loads(outgoing.encode(outgoing.payload))
    return found


def test_rows_are_those_of_the_real_server() -> None:
    """Names and types of each field, and of those inside, are as they were recorded; players alone have no media."""
    world = studio(2)
    world.set("srs/cam-1", "inactive")
    world.quirks.srs_idle = "players"
    found = told(answer(world, "srs", call()))
    assert {name: type(value) for name, value in found.items()} == {
        "code": int, "server": str, "service": str, "pid": str, "streams": list,
    }  # fmt: skip
    live, waiting = sorted(found["streams"], key=lambda row: str(row["name"]))
    assert {name: type(value) for name, value in live.items()} == ROW
    assert (live["url"], live["kbps"], live["publish"]["active"]) == (
        "/live/cam-0",
        {"recv_30s": 0, "send_30s": 0},
        True,
    )
    assert (waiting["publish"], waiting["video"], waiting["audio"]) == ({"active": False}, None, None)


@pytest.mark.parametrize(("query", "rows"), [("", 10), ("count=3", 10), ("count=11", 11), ("count=1000", 12)])
def test_a_count_below_ten_is_ten(query: str, rows: int) -> None:
    """Without a big count the list is cut, and nothing says so."""
    assert len(told(answer(studio(12), "srs", call(query=query)))["streams"]) == rows


def test_without_its_slash_the_path_is_a_redirect() -> None:
    """The server answers 302 to the path with the slash, without a body."""
    outgoing = answer(studio(), "srs", call("/api/v1/streams"))
    assert (outgoing.status, outgoing.headers, outgoing.encode("")) == (302, {"Location": "/api/v1/streams/"}, b"")


@pytest.mark.parametrize("user", ["mon:wrong", "who:pw", ""])
def test_a_refusal_is_a_bare_status(user: str) -> None:
    """401 has no body at all."""
    outgoing = answer(studio(), "srs", call(user=user))
    assert (outgoing.status, outgoing.encode("")) == (401, b"")
