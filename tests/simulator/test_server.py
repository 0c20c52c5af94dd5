"""One address for four clouds: who is meant, who is served, and what the log says."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from yarl import URL

from exporter.simulator import Simulator, World, serving
from exporter.simulator.exchange import Received
from exporter.simulator.providers import fakes
from exporter.simulator.server import recognise

from .asking import (
    NOW,
    alibaba_call,
    alibaba_rpc_call,
    answer,
    small_world,
    tencent_call,
    volcengine_call,
    zego_call,
)


async def send(session: aiohttp.ClientSession, simulator: Simulator, received: Received) -> tuple[int, str]:
    """Send a request and return status and text."""
    url = URL(f"{simulator.url}/?{received.raw_query}", encoded=True)
    headers = {name: value for name, value in received.headers.items() if name != "content-length"}
    async with session.request(received.method, url, headers=headers, data=received.body) as response:
        return response.status, await response.text()


def bare(query: str = "", method: str = "GET", **headers: str) -> Received:
    """Make a request that carries nothing else."""
    return Received(method, "/", query, headers, b"", NOW)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (zego_call(), "zego"),
        (tencent_call(), "tencent"),
        (alibaba_call(), "alibaba"),
        (alibaba_rpc_call(), "alibaba"),
        (volcengine_call(), "volcengine"),
        (zego_call(Signature=None, SignatureVersion=None, SignatureNonce=None), "zego"),
        (tencent_call(Authorization=None, X_TC_Action=None), "tencent"),
        (alibaba_call(x_acs_date=None), "alibaba"),
        (alibaba_rpc_call(SignatureMethod=None, SignatureVersion=None), "alibaba"),
        (volcengine_call(authorization=None), "volcengine"),
        (bare("Action=GetUserStreamState&AppId=1"), "volcengine"),
        (bare("Action=DescribeRTCStreamState"), "zego"),
        (bare("Action=DescribeLiveStreamsOnlineList"), "alibaba"),
        (bare("Action=DescribeBackupStreamList"), "tencent"),
        (bare("AppId=1&SignatureNonce=x"), "zego"),
        (bare("Action=Dance"), None),
        (bare(), None),
    ],
)
def test_a_request_is_recognised_by_its_form(received: Received, expected: str | None) -> None:
    """Each vendor's requests, incomplete ones too, reach their own cloud, so that its own error comes back."""
    found = recognise(list(fakes().values()), received)
    assert (found.name if found else None) == expected


def test_four_clouds_share_one_address() -> None:
    """One server answers all four clouds, logs each call, and says 404 to what no cloud knows."""

    async def run() -> None:
        world = small_world()
        async with Simulator(world) as simulator, aiohttp.ClientSession() as session:
            calls = {"zego": zego_call(), "tencent": tencent_call(), "alibaba": alibaba_call()}
            for name, received in {**calls, "volcengine": volcengine_call()}.items():
                # The Host header is part of what was signed, whatever address it was sent to.
                status, _ = await send(session, simulator, received)
                assert status == 200
                assert (world.log[-1].provider, world.log[-1].stream) == (name, f"{name}/active")
                assert world.log[-1].code == ("0" if name == "zego" else "ok")
            assert (await send(session, simulator, bare()))[0] == 404
        assert len(world.log) == 4

    asyncio.run(run())


def test_a_cloud_can_die_alone() -> None:
    """Clouds on servers of their own share one world; one of them can be stopped while the other goes on."""

    async def run() -> None:
        world = small_world()
        async with aiohttp.ClientSession() as session, Simulator(world, providers=["zego"]) as zego:
            tencent = Simulator(world, providers=["tencent"])
            await tencent.start()
            # A server for one cloud takes every request for that cloud's.
            assert '"Code": 100000006' in (await send(session, zego, tencent_call()))[1]
            assert (await send(session, tencent, tencent_call()))[0] == 200
            assert [call.provider for call in world.log] == ["zego", "tencent"]
            await tencent.stop()
            with pytest.raises(aiohttp.ClientConnectionError):
                await send(session, tencent, tencent_call())
            assert (await send(session, zego, zego_call()))[0] == 200

    asyncio.run(run())


def test_the_control_interface_shares_the_address() -> None:
    """Another process sets a stream over HTTP, and the next call to the cloud tells so."""

    async def run() -> None:
        world = small_world()
        async with Simulator(world) as simulator, aiohttp.ClientSession() as session:
            body = {"stream": "zego/active", "state": "inactive"}
            async with session.post(f"{simulator.url}/-/simulator/streams", json=body) as response:
                assert response.status == 200
            assert '"Code": 41006' in (await send(session, simulator, zego_call()))[1]
            async with session.get(f"{simulator.url}/-/simulator/calls") as response:
                assert [call["code"] for call in (await response.json())["calls"]] == ["41006"]

    asyncio.run(run())


def test_serving_works_for_synchronous_callers() -> None:
    """The threaded form listens while its block runs and is gone afterwards."""
    with serving(small_world()) as simulator:
        url = simulator.url

        async def ask() -> int:
            async with aiohttp.ClientSession() as session:
                return (await send(session, simulator, zego_call()))[0]

        assert asyncio.run(ask()) == 200

    async def ask_again() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get(url)

    with pytest.raises(aiohttp.ClientConnectionError):
        asyncio.run(ask_again())


def test_unknown_accounts_are_logged_without_name() -> None:
    """A call with a key that nobody has is logged as an unverified call of no account."""
    world = World(clock=lambda: NOW)
    assert answer(world, "tencent", tencent_call()).code == "AuthFailure.SecretIdNotFound"
    call = world.log[-1]
    assert (call.account, call.stream, call.verified) == ("", "", False)
    assert call.address == ("push.example", "live", "active")
