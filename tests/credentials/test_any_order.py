"""Whatever happens to time, server and keys, in any order: rules that hold for every round."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.credentials.keyring import LONGEST_PAUSE, Keyring
from exporter.model import Reason, Reply, Request
from exporter.providers import all_providers
from exporter.providers.interface import CredentialsError, TransportError
from exporter.routes import Route

TENCENT = all_providers()["tencent"]
ACCOUNT = TENCENT.account(name="main", provider="tencent")


class AnyOrder(RuleBasedStateMachine):
    """A keyring at a metadata server that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.unix, self.mono = 1_800_000_000.0, 0.0
        self.works, self.life = True, 3600.0
        self.ends: dict[str, float] = {}
        self.failed_at: list[float] = []
        self.last = ""
        self.ring = Keyring(
            {"TENCENTCLOUD_CAM_ROLE_NAME": "r"}, send=self.send, unix=lambda: self.unix, mono=lambda: self.mono
        )

    async def send(self, _request: Request, timeout: float, _largest: int, _route: Route) -> Reply:  # noqa: ASYNC109
        """Answer as the metadata server does at present."""
        assert 0 < timeout <= 3
        await asyncio.sleep(0)
        if not self.works:
            self.failed_at.append(self.mono)
            raise TransportError(Reason.TIMEOUT, "no complete answer in time")
        name = f"id-{len(self.ends)}"
        self.ends[name] = self.unix + self.life
        keys = {"TmpSecretId": name, "TmpSecretKey": "k", "Token": "t", "ExpiredTime": self.unix + self.life}
        return Reply(200, {}, json.dumps({"Code": "Success", **keys}).encode())

    async def rounds(self, count: int) -> list[str | CredentialsError]:
        """Return what some rounds of one moment had, and what they said where they had nothing."""

        async def one() -> str | CredentialsError:
            try:
                return (await self.ring(TENCENT, ACCOUNT)).key_id
            except CredentialsError as error:
                return error

        had = await asyncio.gather(*(one() for _ in range(count)))
        aside = [task for task in asyncio.all_tasks() if task.get_name().startswith("keys ")]
        await asyncio.gather(*aside, return_exceptions=True)
        return had

    @rule(seconds=st.sampled_from([0.5, 1, 7, 59, 61, 250, 900, 3300, 3600]))
    def time_passes(self, seconds: float) -> None:
        """Both clocks go on."""
        self.unix += seconds
        self.mono += seconds

    @rule(seconds=st.sampled_from([-7200, -30, 30, 7200]))
    def the_clock_is_set(self, seconds: float) -> None:
        """The clock of expiry jumps."""
        self.unix += seconds

    @rule(works=st.booleans(), life=st.sampled_from([-60, 5, 20, 200, 3600]))
    def the_server_changes(self, works: bool, life: float) -> None:
        """It dies or lives, and gives keys that hold for so long from now on."""
        self.works, self.life = works, life

    @rule()
    def the_provider_refuses(self) -> None:
        """The provider refuses the keys."""
        self.ring.mark_refused(TENCENT, ACCOUNT)

    @rule(count=st.sampled_from([1, 3]))
    def a_round(self, count: int) -> None:
        """Rounds that get keys get one that has not expired; those of one moment say the same where they get none."""
        held = self.ends.get(self.last, 0.0) > self.unix
        issued, failed = len(self.ends), len(self.failed_at)
        had = self.loop.run_until_complete(self.rounds(count))
        names = {one for one in had if isinstance(one, str)}
        errors = {str(one) for one in had if isinstance(one, CredentialsError)}
        assert all(self.ends[name] > self.unix for name in names)
        assert len(errors) <= 1
        assert "" not in errors
        assert not (names and errors)
        assert names or not held
        assert len(self.ends) - issued + len(self.failed_at) - failed <= 1
        self.last = next(iter(names), "")

    @rule()
    def all_is_well_again(self) -> None:
        """A minute after the server is back every round has keys."""
        self.works, self.life = True, 3600
        self.mono += LONGEST_PAUSE
        self.unix += LONGEST_PAUSE
        (had,) = self.loop.run_until_complete(self.rounds(1))
        assert isinstance(had, str)
        self.last = had
        assert self.ends[had] > self.unix

    @invariant()
    def no_storm(self) -> None:
        """Failures in a row are a second or more apart."""
        assert all(later - earlier >= 1 for earlier, later in zip(self.failed_at, self.failed_at[1:], strict=False))

    def teardown(self) -> None:
        """End the loop."""
        self.loop.close()


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_any_order: Any = AnyOrder.TestCase
