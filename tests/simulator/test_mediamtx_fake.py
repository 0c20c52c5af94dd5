"""The fake of MediaMTX, held to the published description of its API, and the server's own manners."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from exporter.simulator import Figures, Tricks, World
from exporter.simulator.exchange import Received

from .asking import NOW, answer

# By api/openapi.yaml of version 1.20.1: https://github.com/bluenviron/mediamtx/blob/v1.20.1/api/openapi.yaml
NUMBER, TEXT, FLAG = {"type": "integer", "minimum": 0}, {"type": "string"}, {"type": "boolean"}
TIME = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
SOURCES = ["redirect", "rtmpConn", "rtmpSource", "srtConn", "srtSource"]  # those that the fake has
CODECS = ["H264", "MPEG-4 Audio"]


def closed(kind: Any = "object", **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with all of these properties and no others."""
    return {"type": kind, "properties": properties, "required": [*properties], "additionalProperties": False}


TRACK = closed(codec={"enum": CODECS}, codecProps={"type": ["object", "null"]})
PATH = closed(
    **dict.fromkeys(("name", "confName"), TEXT),
    **dict.fromkeys(("ready", "available", "online"), FLAG),
    **dict.fromkeys(("readyTime", "availableTime", "onlineTime"), TIME),
    **dict.fromkeys(("inboundBytes", "outboundBytes", "inboundFramesInError", "bytesReceived", "bytesSent"), NUMBER),
    source=closed(["object", "null"], id=TEXT, type={"enum": SOURCES}),
    tracks={"type": "array", "items": {"enum": CODECS}},
    tracks2={"type": "array", "items": TRACK},
    readers={"type": "array"},
)
LIST = closed(itemCount=NUMBER, pageCount=NUMBER, items={"type": "array", "items": PATH})
ERROR = closed(status={"const": "error"}, error=TEXT)


def call(query: str = "", user: str = "mon:pw", **headers: str) -> Received:
    """Return a request for the list."""
    basic = {"authorization": f"Basic {b64encode(user.encode()).decode()}"}
    return Received("GET", "/v3/paths/list", query, {**basic, **headers}, b"", NOW)


def studio(*states: str) -> World:
    """Return a world with a path in each state, which has been so for a minute."""
    world = World(clock=lambda: NOW)
    world.add_account("m", "mediamtx", username="mon", password="pw", token="a.jwt")
    for number, state in enumerate(states):
        world.add_stream(f"p{number}", "m", state=state)
    return world


def told(world: World, received: Received) -> dict[str, Any]:
    """Return an answer as it comes over the wire."""
    outgoing = answer(world, "mediamtx", received)
    found: dict[str, Any] = json.loads(outgoing.encode(outgoing.payload))
    jsonschema.validate(found, LIST if outgoing.status == 200 else ERROR)
    return found


@pytest.mark.parametrize("idle", ["absent", "configured", "retrying", "redirect", "slate"])
def test_answers_are_as_the_api_is_described(idle: str) -> None:
    """Each row has the published fields and no others, in every form that a path can have."""
    world = studio("active", "inactive", "not_found")
    world.set("mediamtx/p0", ingest="pull")
    world.quirks.mediamtx_idle = idle
    found = told(world, call())
    assert [row["name"] for row in found["items"]] == (["p0"] if idle == "absent" else ["p0", "p1"])
    assert (found["itemCount"], found["pageCount"]) == (len(found["items"]), 1)
    assert found["items"][0]["source"]["type"] == "srtSource"


def test_pages_are_counted_from_0_and_an_empty_list_has_none() -> None:
    """Rows come in the order of their names, a hundred to a page unless the query says otherwise."""
    world = studio(*["active"] * 105)
    assert [len(told(world, call(query))["items"]) for query in ("", "page=1", "page=2")] == [100, 5, 0]
    page = told(world, call("itemsPerPage=2&page=1"))
    assert ([row["name"] for row in page["items"]], page["pageCount"]) == (["p10", "p100"], 53)
    assert told(studio(), call()) == {"itemCount": 0, "pageCount": 0, "items": []}


@pytest.mark.parametrize("query", ["itemsPerPage=0", "itemsPerPage=x", "page=-1", "page="])
def test_wrong_paging_is_refused(query: str) -> None:
    """The server's own text comes with status 400."""
    assert told(studio(), call(query)) == {"status": "error", "error": "invalid items per page"}


def test_callers_are_known_by_password_or_token() -> None:
    """Nobody else is admitted, and no answer says why."""
    world = studio("active")
    assert told(world, call(authorization="Bearer a.jwt"))["itemCount"] == 1
    refused = [call(user="mon:wrong"), call(user="who:pw"), call(authorization=""), call(authorization="Bearer x")]
    assert [told(world, one)["error"] for one in refused] == ["authentication error"] * 4


def test_bytes_stand_still_while_nothing_moves() -> None:
    """They grow with the rate while a push moves, and not at all otherwise."""
    seconds = [NOW]
    world = studio("active")
    world.clock = lambda: seconds[0]
    counts = []
    for moving in (True, True, False, False):
        seconds[0] += 10
        world.set("mediamtx/p0", figures=Figures(video_bits=8000, audio_bits=0, moving=moving))
        counts.append(told(world, call())["items"][0]["inboundBytes"])
    assert counts == [10_000, 20_000, 0, 0]


def test_a_list_can_mislead() -> None:
    """Totals, pages and rows lie where they are told to."""
    world = studio("active")
    world.set_tricks("mediamtx", Tricks(foreign=2, total=7, pages=3))
    found = told(world, call())
    assert (found["itemCount"], found["pageCount"], len(found["items"])) == (7, 3, 3)
