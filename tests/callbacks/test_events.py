"""`/api/v1/events`: who follows is told of each change, and who does not read is let go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from exporter.model import State
from exporter.serving.events import MOST_FOLLOWERS, MOST_UNREAD
from exporter.state.record import Change
from testbed.processes import PATIENCE, eventually

from .rig import Rig, opened


async def follow(rig: Rig, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    """Begin to follow."""
    reply = await session.get(f"{rig.url}/api/v1/events")
    if reply.status == 200:
        await reply.content.readuntil(b"\n\n")
    return reply


async def told(reply: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    """Return the next event's name and data."""
    async with asyncio.timeout(PATIENCE):
        while (event := await reply.content.readuntil(b"\n\n")).startswith(b":"):
            pass
    name, data = event.decode().strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def change(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the data of the next change."""
    while (event := await told(reply))[0] == "callback":
        pass
    assert event[0] == "change"
    return event[1]


def some_change(number: int) -> Change:
    """Return a change of no stream of ours."""
    return Change(float(number), "zego", f"s{number}", State.ACTIVE, State.INACTIVE, "x" * 1000)


def test_each_change_is_sent() -> None:
    """All followers get time, stream, both states and the evidence as soon as a callback arrives."""

    async def main() -> None:
        async with opened({"zego": ["one"]}) as rig:
            first, second = await follow(rig, rig.session), await follow(rig, rig.session)
            assert first.headers["Content-Type"] == "text/event-stream"
            assert first.headers["Cache-Control"] == "no-store"
            rig.world.set("zego/one", "inactive")
            seen = await change(first)
            assert seen == await change(second)
            assert seen.pop("time").endswith("Z")
            assert seen == {
                "provider": "zego", "stream": "one", "old": "active", "new": "inactive",
                "evidence": "DescribeRTCStreamState",
            }  # fmt: skip
            first.close()
            second.close()

    asyncio.run(main())


@pytest.mark.parametrize(("provider", "event", "authentic"), [
    ("zego", "stream_close", False), ("livekit", "track_unpublished", True),
])  # fmt: skip
def test_each_accepted_callback_is_sent(provider: str, event: str, authentic: bool) -> None:
    """Before the change that the cloud's answer makes; only one whose signature covers what it says is authentic."""

    async def main() -> None:
        async with opened({provider: ["one"]}) as rig:
            follower = await follow(rig, rig.session)
            rig.world.set(f"{provider}/one", "inactive")
            name, fields = await told(follower)
            assert fields.pop("time").endswith("Z")
            assert (name, fields) == (
                "callback", {"provider": provider, "stream": "one", "event": event, "authentic": authentic},
            )  # fmt: skip
            assert (await change(follower))["new"] == "inactive"
            follower.close()

    asyncio.run(main())


def test_followers_are_counted_and_those_who_left_are_not() -> None:
    """The 65th follower has to wait, and one that disconnects is replaced within seconds."""

    async def main() -> None:
        async with (
            opened({"zego": ["one"]}) as rig,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as many,
        ):
            replies = await asyncio.gather(*(follow(rig, many) for _ in range(MOST_FOLLOWERS)))
            assert {reply.status for reply in replies} == {200}
            refused = await follow(rig, many)
            assert refused.status == 503
            for reply in replies[:8]:
                reply.close()
            await eventually(lambda: len(rig.app.events) == MOST_FOLLOWERS - 8)
            again = await follow(rig, many)
            assert again.status == 200
            for reply in (*replies, again, refused):
                reply.close()
            await eventually(lambda: not rig.app.events)

    asyncio.run(main())


def test_a_follower_that_does_not_read_is_dropped() -> None:
    """A follower that stops reading uses limited memory and delays no other."""

    async def main() -> None:
        async with opened({"zego": ["one"]}) as rig:
            slow = await follow(rig, rig.session)
            for number in range(20 * MOST_UNREAD):
                for tell in rig.service.board.on_change:
                    tell(some_change(number))
                if number % 100 == 0:
                    await asyncio.sleep(0)
            assert not rig.app.events
            fresh = await follow(rig, rig.session)
            for tell in rig.service.board.on_change:
                tell(some_change(7))
            assert (await change(fresh))["stream"] == "s7"
            slow.close()
            fresh.close()

    asyncio.run(main())


def test_the_server_stops_though_somebody_follows() -> None:
    """Event streams end at shutdown instead of delaying it."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            async with opened({"zego": ["one"]}) as rig:
                reply = await follow(rig, session)
                started = loop.time()
            took = loop.time() - started
            assert await reply.content.read() == b""
            reply.close()
        return took

    assert asyncio.run(main()) < PATIENCE / 4
