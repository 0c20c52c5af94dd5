"""Faults on request: what each kind puts on the wire, and which calls it is put upon."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator import Simulator, Tricks, World
from exporter.simulator.exchange import Received
from exporter.simulator.faults import KINDS, Wire, write
from exporter.simulator.providers import fakes, quirks
from exporter.simulator.server import respond

from .asking import NOW, alibaba_call, answer, small_world, tencent_call, volcengine_call, zego_call

CALLS: dict[str, Callable[[], Received]] = {
    "zego": zego_call,
    "tencent": tencent_call,
    "alibaba": alibaba_call,
    "volcengine": volcengine_call,
}
EVERY = pytest.mark.parametrize("provider", CALLS)


def wire(world: World, provider: str) -> Wire:
    """Return what one call would get on the wire."""
    exchange = fakes()[provider].parse(world, CALLS[provider]())
    faults = world.faults_for(exchange.names)
    return write(respond(exchange, faults), exchange.fake, faults)


def spoiled(provider: str, kind: str, **fault: Any) -> Wire:
    """Return what one call gets while one fault is put upon all."""
    world = small_world()
    world.fault(kind, **fault)
    return wire(world, provider)


def told_state(provider: str, body: bytes) -> Any:
    """Read the field that tells the state."""
    found = json.loads(body)
    readers: dict[str, Callable[[], Any]] = {
        "zego": lambda: found.get("Code", "gone"),
        "tencent": lambda: found["Response"].get("StreamState", "gone"),
        "alibaba": lambda: found.get("StreamState", "gone"),
        "volcengine": lambda: found["Result"]["StreamStates"][0].get("State", "gone"),
    }
    return readers[provider]()


TRUE_STATE = {"zego": 0, "tencent": "active", "alibaba": "online", "volcengine": 1}
UNKNOWN_STATE = {"zego": 49999, "tencent": "paused", "alibaba": "paused", "volcengine": 2}
TYPES = {
    "zego": "application/json",
    "tencent": "application/json",
    "alibaba": "application/json;charset=utf-8",
    "volcengine": "application/json; charset=utf-8",
}


@EVERY
def test_without_faults_the_answer_is_clean(provider: str) -> None:
    """The true state goes out as JSON under the vendor's content type to the letter."""
    found = wire(small_world(), provider)
    assert (found.status, found.headers["Content-Type"]) == (200, TYPES[provider])
    assert told_state(provider, found.body) == TRUE_STATE[provider]


@EVERY
@pytest.mark.parametrize(
    ("kind", "fault", "expected"),
    [
        ("value", {"value": True}, True),
        ("value", {"value": "1"}, "1"),
        ("value", {"value": None}, None),
        ("value", {"value": ["x"]}, ["x"]),
        ("missing", {}, "gone"),
        ("huge_int", {}, 10**400),
        ("surrogate", {}, "\ud800"),
    ],
)
def test_the_state_can_be_anything(provider: str, kind: str, fault: dict[str, Any], expected: Any) -> None:
    """Wrong types, absent fields and impossible numbers and texts stand where the state belongs."""
    assert told_state(provider, spoiled(provider, kind, **fault).body) == expected


@EVERY
def test_unknown_states_are_the_vendors_kind_of_value(provider: str) -> None:
    """An unknown value has the right type and is in no documentation."""
    assert told_state(provider, spoiled(provider, "unknown").body) == UNKNOWN_STATE[provider]


@EVERY
def test_broken_documents(provider: str) -> None:
    """Bodies that are cut, empty, no JSON, another JSON, nested too deep or not UTF-8 are what they claim to be."""
    whole = spoiled(provider, "extra").body
    assert "Added" in json.loads(whole)
    assert spoiled(provider, "empty").body == b""
    assert spoiled(provider, "text", value="busy").body == b"busy"
    assert json.loads(spoiled(provider, "document", value=[1]).body) == [1]
    assert spoiled(provider, "bom").body.startswith(b"\xef\xbb\xbf{")
    assert spoiled(provider, "deep").body.endswith(b"]" * 1000 + b"}")
    for kind in ("truncated", "deep"):
        with pytest.raises((ValueError, RecursionError)):
            json.loads(spoiled(provider, kind).body)
    with pytest.raises(UnicodeDecodeError):
        spoiled(provider, "utf8").body.decode()


@EVERY
def test_documents_that_lenient_parsers_let_pass(provider: str) -> None:
    """NaN and doubled keys are there for strict parsers to find."""
    assert b"NaN" in spoiled(provider, "nan").body
    pairs: list[list[tuple[str, Any]]] = []
    json.loads(spoiled(provider, "duplicate_keys").body, object_pairs_hook=pairs.append)
    names = [name for name, _ in pairs[-1]]
    assert len(names) == 2 * len(set(names))


@EVERY
def test_large_bodies(provider: str) -> None:
    """A huge body has the size asked for, and a bomb is small until it is unpacked."""
    assert len(spoiled(provider, "huge", size=3 << 20).body) > 3 << 20
    bomb = spoiled(provider, "bomb", size=8 << 20)
    assert bomb.headers["Content-Encoding"] == "gzip"
    assert len(bomb.body) < 100_000
    assert told_state(provider, gzip.decompress(bomb.body)) == TRUE_STATE[provider]


@EVERY
def test_answers_that_are_not_the_apis(provider: str) -> None:
    """HTML pages, redirects, bare statuses and wrong content types come as asked for."""
    page = spoiled(provider, "html", status=500)
    assert (page.status, page.headers["Content-Type"], page.body[:9]) == (500, "text/html", b"<!DOCTYPE")
    moved = spoiled(provider, "redirect", value="http://127.0.0.1:1/")
    assert (moved.status, moved.headers["Location"]) == (302, "http://127.0.0.1:1/")
    assert spoiled(provider, "status", status=503).status == 503
    assert spoiled(provider, "content_type", value="text/html").headers["Content-Type"] == "text/html"


@EVERY
def test_codes_and_throttling(provider: str) -> None:
    """Any code comes in the vendor's envelope, and throttling by the vendor's own code."""
    code = "5001" if provider == "zego" else "InternalError.Made.Up"
    assert code.encode() in spoiled(provider, "code", code=code).body
    throttling = {"zego": b"30002", "tencent": b"RequestLimitExceeded"} | {
        "alibaba": b"Throttling.User",
        "volcengine": b"FlowLimitExceeded",
    }
    assert throttling[provider] in spoiled(provider, "throttle").body


def test_a_refusal_goes_before_a_code() -> None:
    """A call with a wrong key never gets as far as a fault behind the gateway."""
    world = small_world()
    world.fault("code", code="InternalError")
    assert answer(world, "tencent", tencent_call(secret="wrong")).code == "AuthFailure.SignatureFailure"


def test_a_field_can_be_chosen() -> None:
    """A path leads to any field of an answer, and a path that is not there changes nothing."""
    world = small_world()
    world.fault("value", field="Response.OnlineInfo.0.StreamName", value=7)
    world.fault("missing", field="Response.TotalPage")
    world.fault("value", field="Response.OnlineInfo.9.StreamName", value=8)
    exchange = fakes()["tencent"].parse(world, tencent_call("DescribeLiveStreamOnlineList", {}))
    faults = world.faults_for(exchange.names)
    response = json.loads(write(respond(exchange, faults), exchange.fake, faults).body)["Response"]
    assert response["OnlineInfo"][0]["StreamName"] == 7
    assert "TotalPage" not in response
    assert len(response["OnlineInfo"]) == 1


@pytest.mark.parametrize(
    ("where", "hit"),
    [
        ({}, True),
        ({"provider": "tencent"}, True),
        ({"provider": "zego"}, False),
        ({"account": "t"}, True),
        ({"account": "other"}, False),
        ({"action": "DescribeLiveStreamState"}, True),
        ({"action": "DescribeBackupStreamList"}, False),
        ({"stream": "tencent/active"}, True),
        ({"stream": "tencent/inactive"}, False),
        ({"provider": "tencent", "stream": "tencent/inactive"}, False),
    ],
)
def test_a_fault_is_put_upon_the_calls_that_match(where: dict[str, str], hit: bool) -> None:
    """Provider, account, action and stream narrow a fault down, all of them together."""
    world = small_world()
    fault = world.fault("unknown", **where)
    wire(world, "tencent")
    assert fault.hits == int(hit)


def test_a_fault_may_be_counted_or_left_to_chance() -> None:
    """A count ends a fault, and chance follows the world's seed, so that a test can be repeated."""
    world = small_world()
    fault = world.fault("unknown", count=2)
    states = [told_state("tencent", wire(world, "tencent").body) for _ in range(3)]
    assert states == ["paused", "paused", "active"]
    world.clear(fault)

    def by_chance() -> list[str]:
        made = small_world()
        made.fault("unknown", probability=0.5)
        return [told_state("tencent", wire(made, "tencent").body) for _ in range(40)]

    assert by_chance() == by_chance()
    assert set(by_chance()) == {"paused", "active"}


def test_unknown_faults_are_errors() -> None:
    """A misspelt kind or argument does not pass as a fault that never happens."""
    with pytest.raises(ValueError, match="known are"):
        World().fault("hangs")
    with pytest.raises(TypeError, match="provder"):
        World().fault("hang", provder="zego")


async def raw(simulator: Simulator, received: Received, patience: float = 30.0) -> bytes:
    """Send a request as it is and read until the other side closes."""
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"{received.method} /?{received.raw_query} HTTP/1.1\r\nConnection: close\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in received.headers.items())
    try:
        writer.write(f"{head}{lines}Content-Length: {len(received.body)}\r\n\r\n".encode() + received.body)
        return await asyncio.wait_for(reader.read(), patience)
    finally:
        writer.close()


def on_the_wire(kind: str, patience: float = 30.0, **fault: Any) -> tuple[bytes, World]:
    """Return all that a client gets from a simulator with one fault."""

    async def run() -> tuple[bytes, World]:
        world = small_world()
        world.fault(kind, **fault)
        async with Simulator(world) as simulator:
            return await raw(simulator, tencent_call(), patience), world

    return asyncio.run(run())


def test_hang_never_answers() -> None:
    """A hanging call gets no byte, and does not keep the simulator from stopping."""
    with pytest.raises(TimeoutError):
        on_the_wire("hang", patience=0.05)


def test_reset_breaks_the_connection() -> None:
    """A reset is a reset for the client, not an orderly end."""
    with pytest.raises(ConnectionResetError):
        on_the_wire("reset")


def test_close_ends_without_an_answer() -> None:
    """A closed connection ends in order and without a byte, and the log tells so."""
    received, world = on_the_wire("close")
    assert received == b""
    assert (world.log[-1].code, world.log[-1].faults, world.log[-1].verified) == ("close", ("close",), True)


def test_cut_promises_more_than_it_sends() -> None:
    """A cut body is shorter than its Content-Length."""
    received, _ = on_the_wire("cut")
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < promised


@pytest.mark.parametrize("kind", ["drip_head", "drip_body"])
def test_a_drip_comes_byte_by_byte(kind: str) -> None:
    """A dripped answer is whole in the end when the client waits, and not before."""
    received, _ = on_the_wire(kind, seconds=0.0)
    assert told_state("tencent", received.partition(b"\r\n\r\n")[2]) == "active"
    with pytest.raises(TimeoutError):
        on_the_wire(kind, patience=0.05, seconds=30.0)


def test_delay_answers_late_but_rightly() -> None:
    """A delayed answer comes whole after its time and not before."""
    received, _ = on_the_wire("delay", seconds=0.01)
    assert b'"StreamState": "active"' in received
    with pytest.raises(TimeoutError):
        on_the_wire("delay", patience=0.05, seconds=30.0)


def test_skew_moves_the_date_header_and_the_check() -> None:
    """A skewed cloud tells its wrong time in Date, and judges timestamps by it."""
    received, _ = on_the_wire("skew", seconds=3600)
    assert b"AuthFailure.SignatureExpire" in received
    straight, _ = on_the_wire("skew", seconds=0)
    dates = [each.split(b"Date: ")[1].split(b"\r\n")[0] for each in (straight, received)]
    assert dates == [b"Fri, 02 Jan 2026 03:04:05 GMT", b"Fri, 02 Jan 2026 04:04:05 GMT"]
    assert NOW == 1767323045


@pytest.mark.parametrize(
    "names", [KINDS, [field.name for field in fields(quirks())], [field.name for field in fields(Tricks)]]
)
def test_everything_switchable_is_described(names: list[str]) -> None:
    """The documentation has each kind of fault, each switch and each way in which lists mislead."""
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []
