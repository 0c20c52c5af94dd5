"""Keys in the round: one that is rotated costs at most one bad round."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from exporter.credentials.keyring import Keyring
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials, Reply, Request, State
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock, Shared
from exporter.state.board import Board
from exporter.state.counters import Counters
from tests.virtual import EPOCH, Network, account, params, reply, run, streams, tencent_error, tencent_state


def test_a_rotated_key_costs_one_bad_round() -> None:
    """A refusal makes the key's file be read again, even if it looks unchanged."""
    right, written = ["AKIDone"], [b"AKIDone"]

    async def behave(_provider: str, request: Request) -> Reply:
        good = f"Credential={right[0]}/" in request.headers["Authorization"]
        return tencent_state("active") if good else tencent_error("AuthFailure.SecretIdNotFound")

    async def main() -> list[State]:
        loop = asyncio.get_running_loop()
        ring = Keyring({}, lambda _path: written[0], unix=lambda: EPOCH + loop.time(), mono=loop.time)
        clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
        made = Prober(Shared(Board(120), Counters(), clock, Network(behave).connect, ring, ring.mark_refused))
        sources: dict[str, Any] = dict.fromkeys(("secret_id", "secret_key"), SecretSource("file", str(Path(__file__))))
        made.configure([(all_providers()["tencent"], account(**sources))], streams(1), 120)
        seen = []
        for number in range(5):
            if number == 2:
                right[0], written[0] = "AKIDtwo", b"AKIDtwo"
            await made.refresh(loop.time() + 9, loop.time())
            seen.append(next(iter(made.shared.board)).state(loop.time(), 120))
            await asyncio.sleep(15)
        return seen

    assert run(main()) == [State.ACTIVE, State.ACTIVE, State.UNKNOWN, State.ACTIVE, State.ACTIVE]


def test_a_late_answer_is_searched_for_the_keys_of_its_own_call() -> None:
    """If keys rotate during a slow call, its failure shows neither the old nor the new secret."""
    held = [Credentials("AKIDone", Secret("first-secret-value"))]

    async def keys(_provider: AnyProvider, _account: Account) -> Credentials:
        return held[0]

    async def behave(_provider: str, request: Request) -> Reply:
        if params(request)["StreamName"] == "s00000":
            await asyncio.sleep(5)
            message = "AKIDone signed with first-secret-value, AKIDtwo with second-secret-value"
            return reply({"Response": {"Error": {"Code": "InternalError", "Message": message}, "RequestId": "r"}})
        return tencent_state("active")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
        network = Network(behave)
        made = Prober(Shared(Board(120), Counters(), clock, network.connect, keys))
        made.configure([(all_providers()["tencent"], account(timeout="20s"))], streams(2), 120)
        slow, quick = made.shared.board
        scrape = asyncio.create_task(made.refresh(loop.time() + 9, loop.time()))
        await asyncio.sleep(1)
        held[0] = Credentials("AKIDtwo", Secret("second-secret-value"))
        await made.accounts[quick.stream.account].refresh_one(quick, loop.time() + 2, loop.time())
        await scrape
        signed = [request.headers["Authorization"] for request in (call.request for call in network.calls)]
        assert ["AKIDone" in one for one in signed] == [True, True, False]
        assert slow.fault is not None
        assert "first-secret-value" not in slow.fault.message
        assert "AKIDone" not in slow.fault.message
        assert "<secret>" in slow.fault.message

    run(main())
