"""The way back from an outage: one stream's own trouble does not keep a whole account in the dark."""

from __future__ import annotations

import asyncio

import pytest

from exporter.model import Reason, Reply, Request, State
from exporter.providers.interface import TransportError
from tests.virtual import (
    Network,
    account,
    account_prober,
    params,
    prober,
    reply,
    run,
    streams,
    tencent_error,
    tencent_state,
)

BROKEN = {"s00000", "s00001", "s00002"}


@pytest.mark.parametrize("trouble", [tencent_error("InternalError"), reply({}), reply({}, 502)])
def test_a_stream_that_is_answered_badly_does_not_keep_the_breaker_open(trouble: Reply) -> None:
    """The account answers again, but the streams that are tried first are broken for themselves: others are tried."""

    async def main() -> None:
        dead = True

        async def behave(_provider: str, request: Request) -> Reply:
            if dead:
                raise TransportError(Reason.CONNECTION, "refused")
            return trouble if params(request)["StreamName"] in BROKEN else tencent_state("active")

        made = prober(Network(behave), [account()], streams(50))
        loop = asyncio.get_running_loop()
        for _ in range(5):
            await made.refresh(loop.time() + 9.5, loop.time())
            await asyncio.sleep(15)
        assert account_prober(made).health.breaker.open
        dead = False
        await made.refresh(loop.time() + 9.5, loop.time())
        shown = [record.state(loop.time(), 120) for record in made.shared.board]
        assert shown.count(State.ACTIVE) == 47
        assert not account_prober(made).health.breaker.open

    run(main())


@pytest.mark.parametrize("trouble", ["connection", "AuthFailure.SecretIdNotFound"])
def test_a_dead_account_is_asked_once_a_round(trouble: str) -> None:
    """Where nobody is there, or the key is refused, another stream would fare no better."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            if trouble == "connection":
                raise TransportError(Reason.CONNECTION, "refused")
            return tencent_error(trouble)

        network = Network(behave)
        made = prober(network, [account()], streams(20))
        loop = asyncio.get_running_loop()
        counts = []
        for _ in range(6):
            before = len(network.calls)
            await made.refresh(loop.time() + 9.5, loop.time())
            counts.append(len(network.calls) - before)
            await asyncio.sleep(15)
        assert counts == [20, 20, 20, 1, 1, 1]

    run(main())


def test_a_cloud_that_answers_everything_badly_is_not_asked_for_everything() -> None:
    """A gateway's error page for all streams costs a handful of calls a round, not one for each."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return reply({}, 502)

        network = Network(behave)
        made = prober(network, [account()], streams(200))
        loop = asyncio.get_running_loop()
        for _ in range(4):
            before = len(network.calls)
            await made.refresh(loop.time() + 9.5, loop.time())
            await asyncio.sleep(15)
        assert len(network.calls) - before <= 8

    run(main())


def test_a_listing_does_not_overrule_what_was_asked_after_it() -> None:
    """A listing that was sent first and comes last tells of an earlier time than the answers in between."""

    async def main() -> None:
        listings = 0

        async def behave(_provider: str, request: Request) -> Reply:
            nonlocal listings
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("inactive")
            listings += 1
            if listings > 1:
                return tencent_error("InternalError")
            await asyncio.sleep(6.0)
            rows = [
                {
                    "StreamName": "s00000",
                    "BackupList": [{"DomainName": "push.example", "AppName": "live", "MasterFlag": 1}],
                }
            ]
            return reply({"Response": {"StreamInfoList": rows, "RequestId": "r"}})

        made = prober(Network(behave), [account(plan="list", region="ap-guangzhou", timeout="10s")], streams(2))
        loop = asyncio.get_running_loop()
        await made.refresh(loop.time() + 2.0, loop.time())
        await asyncio.sleep(1.0)
        await made.refresh(loop.time() + 2.0, loop.time())
        await asyncio.sleep(10)
        assert listings == 2
        assert {record.state(loop.time(), 120) for record in made.shared.board} == {State.INACTIVE}

    run(main())
