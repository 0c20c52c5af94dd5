"""The clouds' callbacks: the vendor's words, signatures, retries; misbehaviour on request."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

import pytest
from aiohttp import web

from exporter.model import State
from exporter.simulator import Manners, Script, Simulator, World, WorldError, parse_world
from testbed.processes import eventually

NOW = 1_767_323_045.0
KEYS: dict[str, dict[str, Any]] = {
    "zego": {"app_id": 77, "server_secret": "s", "callback_secret": "callbacksecret0"},
    "tencent": {"secret_id": "id", "secret_key": "s", "callback_key": "abcd1234"},
    "alibaba": {"access_key_id": "id", "access_key_secret": "s", "callback_key": "Abc123456789"},
    "volcengine": {"access_key_id": "id", "secret_access_key": "s", "app_id": "app"},
}
ADDRESS: dict[str, dict[str, Any]] = {
    "zego": {},
    "tencent": {"domain": "push.example.com"},
    "alibaba": {"domain": "push.example.com", "app": "live"},
    "volcengine": {"room_id": "room"},
}
VENDORS = ("zego", "tencent", "alibaba")


class Listener:
    """A web server that keeps what it is sent, and answers by a list of statuses; the last one stays."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.heard: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Take one."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append((request.method, request.path_qs, headers, await request.read()))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


def posting(world: World, listener: Listener, act: Callable[[], Awaitable[None]]) -> None:
    """Serve a world whose callbacks go to a listener while something is done to it."""

    async def main() -> None:
        runner = web.ServerRunner(web.Server(listener.answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        world.callbacks = f"http://127.0.0.1:{runner.addresses[0][1]}/callbacks/"
        try:
            async with Simulator(world):
                await act()
        finally:
            await runner.cleanup()

    asyncio.run(main())


def small(**clock: Any) -> World:
    """Return a world with one live stream at each cloud."""
    world = World(**clock)
    for provider, keys in KEYS.items():
        world.add_account(provider, provider, **keys)
        world.add_stream("rtc01", provider, **ADDRESS[provider])
    return world


def one(provider: str, state: str = "inactive", **manners: Any) -> tuple[str, str, dict[str, str], bytes]:
    """Return the callback of one change."""
    world, listener = small(clock=lambda: NOW), Listener()
    if state == "active":
        world.set(f"{provider}/rtc01", "inactive")
    world.set_manners(provider, Manners(**{"pace": 0.001, **manners}))

    async def act() -> None:
        world.set(f"{provider}/rtc01", state)
        await eventually(lambda: bool(listener.heard))

    posting(world, listener, act)
    assert len(listener.heard) == 1
    return listener.heard[0]


def test_zego_in_words() -> None:
    """Every scalar is a string, the signature is over secret, time and nonce, and the body comes in three forms."""
    method, path, headers, body = one("zego", reason=4)
    found = json.loads(body)
    assert (method, path, headers["content-type"]) == ("POST", "/callbacks/zego", "application/json")
    assert {type(value) for value in found.values()} == {str}
    assert (found["event"], found["stream_id"], found["room_id"], found["type"]) == (
        "stream_close",
        "rtc01",
        "room-rtc01",
        "4",
    )
    joined = "".join(sorted((KEYS["zego"]["callback_secret"], found["timestamp"], found["nonce"])))
    assert found["signature"] == hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()
    assert found["timestamp"] == "1767323045"
    assert json.loads(unquote(one("zego", body="percent")[3].decode()))["event"] == "stream_close"
    assert parse_qs(one("zego", body="form")[3].decode())["event"] == ["stream_close"]
    begun = json.loads(one("zego", "active", recreate=True)[3])
    assert (begun["event"], begun["recreate"], begun["rtmp_url"]) == ("stream_create", "1", [])


def test_tencent_in_words() -> None:
    """`t` is ten minutes after the event, `sign` over key and `t`; without a key there is neither."""
    method, path, _, body = one("tencent", reason=14)
    found = json.loads(body)
    assert (method, path) == ("POST", "/callbacks/tencent")
    assert (found["event_type"], found["errcode"], found["event_time"], found["t"]) == (0, 14, 1767323045, 1767323645)
    assert found["sign"] == hashlib.md5(b"abcd12341767323645", usedforsecurity=False).hexdigest()
    assert (found["app"], found["appname"], found["stream_id"]) == ("push.example.com", "live", "rtc01")
    bare = json.loads(one("tencent", unsigned=True)[3])
    assert found.keys() - bare.keys() == {"sign", "t"}


def test_alibaba_in_words() -> None:
    """All of it stands in the query of a GET; the signature is the published vector's."""
    method, path, headers, body = one("alibaba")
    query = dict(parse_qsl(path.partition("?")[2]))
    assert (method, body, path.partition("?")[0]) == ("GET", b"", "/callbacks/alibaba")
    assert (query["action"], query["app"], query["appname"], query["id"]) == (
        "publish_done", "push.example.com", "live", "rtc01",
    )  # fmt: skip
    assert headers["ali-live-timestamp"] == query["time"] == "1767323045"
    assert headers["ali-live-signature"] == "7ba448736194f27ea365446d725e6ff3"
    assert "ali-live-signature" not in one("alibaba", unsigned=True)[2]


TRIES = [("zego", 6, 204), ("tencent", 13, 200), ("alibaba", 6, 200)]


@pytest.mark.parametrize(("provider", "attempts", "enough"), TRIES)
def test_retries(provider: str, attempts: int, enough: int) -> None:
    """Each vendor tries as often as it documents, and stops at the first answer that it takes for one."""
    for listener, count in ((Listener(500), attempts), (Listener(500, 302, enough), 3)):
        world = small()
        world.set_manners(provider, Manners(pace=0.0001))

        async def act(world: World = world, count: int = count) -> None:
            world.set(f"{provider}/rtc01", "inactive")
            await eventually(lambda: len(world.deliveries) == count)
            await asyncio.sleep(0.05)

        posting(world, listener, act)
        assert [delivery.attempt for delivery in world.deliveries] == list(range(1, count + 1))
        assert len({body + path.encode() for _, path, _, body in listener.heard}) == 1, "a retry is the same callback"


def test_manners_that_spoil() -> None:
    """Duplicates, the wrong order, another secret, old times, and callbacks that are lost."""
    world, listener = small(), Listener()

    async def act() -> None:
        world.set_manners("zego", Manners(duplicates=2, swapped=True))
        world.set("zego/rtc01", "inactive")
        world.set("zego/rtc01", "active")
        await eventually(lambda: len(world.deliveries) == 6)
        world.set_manners("zego", Manners(lost=1.0))
        world.set("zego/rtc01", "inactive")
        world.set_manners("zego", Manners())
        world.set("zego/rtc01", "active")
        await eventually(lambda: len(world.deliveries) == 7)

    posting(world, listener, act)
    created, closed = ["stream_create"] * 3, ["stream_close"] * 3
    assert [delivery.event for delivery in world.deliveries] == [*created, *closed, "stream_create"]
    good, wrong = (json.loads(one("zego", wrong_secret=each)[3]) for each in (False, True))
    assert good["signature"] != wrong["signature"] or good["nonce"] != wrong["nonce"]
    assert json.loads(one("tencent", age=3600)[3])["t"] == 1767323645 - 3600


def test_who_does_not_call() -> None:
    """An account without a secret, a cloud without such callbacks, and what does not change, stay silent."""
    world, listener = small(), Listener()
    world.add_account("mute", "tencent", secret_id="mute", secret_key="s")
    world.add_stream("mute", "mute", domain="push.example.com")

    async def act() -> None:
        world.set("tencent/mute", "inactive")
        world.set("volcengine/rtc01", "inactive")
        world.set("tencent/rtc01", "active")
        world.set("tencent/rtc01", "inactive")
        world.set("tencent/rtc01", "forbidden")
        await eventually(lambda: len(world.deliveries) > 0)
        await asyncio.sleep(0.05)

    posting(world, listener, act)
    assert [(delivery.stream, delivery.event) for delivery in world.deliveries] == [("tencent/rtc01", "push_end")]


def test_scripts_are_told_by_the_clock() -> None:
    """A script's changes are told when they happen; Alibaba's beginnings only if the push has lasted."""
    world, listener = small(), Listener()
    world.set_manners("alibaba", Manners(pace=10.0))
    for provider in VENDORS:
        world.set(f"{provider}/rtc01", Script((State.ACTIVE, State.INACTIVE), 0.15))

    async def act() -> None:
        await eventually(lambda: sum(delivery.provider == "tencent" for delivery in world.deliveries) >= 4)

    posting(world, listener, act)
    events = [delivery.event for delivery in world.deliveries if delivery.provider == "tencent"]
    assert events[:4] in (["push_begin", "push_end"] * 2, ["push_end", "push_begin"] * 2)
    assert {delivery.event for delivery in world.deliveries if delivery.provider == "alibaba"} == {"publish_done"}


def test_a_world_file_says_where_callbacks_go() -> None:
    """`callbacks` and `manners` are read as strictly as the rest."""
    world = parse_world("accounts: []\ncallbacks: http://127.0.0.1:1/callbacks\nmanners:\n  zego: {duplicates: 1}\n")
    assert world.callbacks == "http://127.0.0.1:1/callbacks"
    assert world.manners == {"zego": Manners(duplicates=1)}
    for wrong in ("callbacks: nowhere", "manners: {zego: {duplicate: 1}}", "manners: {nobody: {}}"):
        with pytest.raises(WorldError, match=wrong.partition(":")[0]):
            parse_world(f"accounts: []\n{wrong}\n")
