"""Keys in the round: one that is rotated costs at most one bad round."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from exporter.board import Board
from exporter.keys import Keyring
from exporter.model import Reply, Request, SecretSource, State
from exporter.providers import found
from exporter.rounds import Clock, Prober, Shared
from exporter.tally import Tally
from tests.virtual import EPOCH, Network, account, run, streams, tencent_error, tencent_state


def test_a_rotated_key_costs_one_bad_round() -> None:
    """Even where the key's file looks the same as before: the refusal alone makes it be read again."""
    right, written = ["AKIDone"], [b"AKIDone"]

    async def behave(_provider: str, request: Request) -> Reply:
        good = f"Credential={right[0]}/" in request.headers["Authorization"]
        return tencent_state("active") if good else tencent_error("AuthFailure.SecretIdNotFound")

    async def main() -> list[State]:
        loop = asyncio.get_running_loop()
        ring = Keyring({}, lambda _path: written[0], unix=lambda: EPOCH + loop.time(), mono=loop.time)
        clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
        made = Prober(Shared(Board(120), Tally(), clock, Network(behave).connect, ring, ring.doubt))
        sources: dict[str, Any] = dict.fromkeys(("secret_id", "secret_key"), SecretSource("file", str(Path(__file__))))
        made.configure([(found()["tencent"], account(**sources))], streams(1), 120)
        seen = []
        for number in range(5):
            if number == 2:
                right[0], written[0] = "AKIDtwo", b"AKIDtwo"
            await made.refresh(loop.time() + 9, loop.time())
            seen.append(next(iter(made.shared.board)).state(loop.time(), 120))
            await asyncio.sleep(15)
        return seen

    assert run(main()) == [State.ACTIVE, State.ACTIVE, State.UNKNOWN, State.ACTIVE, State.ACTIVE]
