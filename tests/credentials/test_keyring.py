"""The keyring: keys are renewed in time, once for all rounds, and when a provider refuses them."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from exporter.credentials.keyring import ATTEMPT_SECONDS
from exporter.fields import Secret
from exporter.model import Credentials
from tests.credentials.cloud import (
    CANARY,
    EACH_SOURCE,
    SETTINGS,
    Bench,
    Setting,
    hang,
    play,
    refused,
    saying,
    settle,
)


@EACH_SOURCE
def test_keys_of_the_machine(setting: Setting, tmp_path: Path) -> None:
    """Every source returns id, key and token of the same issue."""

    async def scene(made: Bench) -> None:
        keys = await made.ring(made.provider, made.account)
        assert keys == Credentials(f"{CANARY}-id-1", Secret(f"{CANARY}-key-1"), Secret(f"{CANARY}-sts-1"))
        assert max(made.timeouts) <= ATTEMPT_SECONDS == 3.0

    assert play(setting, tmp_path, scene) == []


def test_the_calls_are_the_documented_ones(tmp_path: Path) -> None:
    """The calls are those that the vendors document, in their order, and no others."""
    asked: dict[str, list[str]] = {}
    for name, setting in SETTINGS.items():

        async def scene(made: Bench, name: str = name) -> None:
            await made.keys()
            asked[name] = made.cloud.asked

        (directory := tmp_path / name).mkdir()
        play(setting, directory, scene)
    cam, ram, iam = (f"/latest/meta-data/{one}/security-credentials/" for one in ("cam", "ram", "iam"))
    assert asked == {
        "cvm": [f"GET {cam}exporter-role"],
        "cvm-auto": [f"GET {cam}", f"GET {cam}exporter-role"],
        "tke": ["POST AssumeRoleWithWebIdentity"],
        "ecs": ["PUT /latest/api/token", f"GET {ram}exporter-role"],
        "ecs-profile": ["PUT /latest/api/token", f"GET {ram}", f"GET {ram}exporter-role"],
        "rrsa": ["POST AssumeRoleWithOIDC"],
        "irsa": ["POST AssumeRoleWithWebIdentity"],
        "ecs-task": ["GET /v2/credentials/task"],
        "ec2": ["PUT /latest/api/token", f"GET {iam}", f"GET {iam}exporter-role"],
    }


@EACH_SOURCE
def test_one_request_for_all_who_wait(setting: Setting, tmp_path: Path) -> None:
    """Fifty rounds that need keys at the same time share one renewal."""

    async def scene(made: Bench) -> None:
        assert set(await asyncio.gather(*(made.keys() for _ in range(50)))) == {"id-1"}
        assert made.cloud.issued == 1

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_renewed_before_the_end(setting: Setting, tmp_path: Path) -> None:
    """Keys are renewed once, in the background, at the vendor's interval before they expire."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.time.pass_(made.cloud.life - setting.early - 2)
        assert await made.keys() == "id-1"
        await settle(made)
        assert made.cloud.issued == 1
        made.cloud.time.pass_(2)
        assert set(await asyncio.gather(*(made.keys() for _ in range(20)))) == {"id-1"}
        await settle(made)
        assert (await made.keys(), made.cloud.issued) == ("id-2", 2)

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_renewed_after_the_end(setting: Setting, tmp_path: Path) -> None:
    """Keys that have expired are never used: after a long silence the first round waits for new ones."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.time.pass_(made.cloud.life)
        assert await asyncio.gather(*(made.keys() for _ in range(5))) == ["id-2"] * 5

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_old_keys_outlive_a_failed_renewal(setting: Setting, tmp_path: Path) -> None:
    """While old keys are valid, a dead server costs no round; its failure and recovery are logged once each."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.time.pass_(made.cloud.life - setting.early)
        made.cloud.answer = saying(500, "")
        for _ in range(8):
            assert await made.keys() == "id-1"
            await settle(made)
            made.cloud.time.pass_(15)
        made.cloud.answer = None
        made.cloud.time.pass_(60)
        await made.keys()
        await settle(made)
        assert await made.keys() == "id-2"

    events = [(line["log_level"], line["event"]) for line in play(setting, tmp_path, scene)]
    assert events == [("warning", "keys not renewed"), ("info", "keys renewed again")]


@EACH_SOURCE
def test_old_keys_do_not_outlive_their_end(setting: Setting, tmp_path: Path) -> None:
    """When old keys have expired and no new ones are available, there are none."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.answer = saying(500, "")
        made.cloud.time.pass_(made.cloud.life - 1)
        assert await made.keys() == "id-1"
        await settle(made)
        made.cloud.time.pass_(1)
        assert "HTTP 500" in str(await refused(made))

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_no_storm(setting: Setting, tmp_path: Path) -> None:
    """A dead server is asked at growing pauses, at most a minute long, however many rounds there are."""
    attempts: list[float] = []

    async def scene(made: Bench) -> None:
        async def answer(_request: Any) -> Any:
            attempts.append(made.cloud.time.mono)
            return await saying(503, "")(_request)

        made.cloud.answer = answer
        for _ in range(600):
            errors = await asyncio.gather(refused(made), refused(made))
            assert len({str(error) for error in errors}) == 1
            made.cloud.time.pass_(0.5)

    play(setting, tmp_path, scene)
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@EACH_SOURCE
def test_recovers_within_the_pause(setting: Setting, tmp_path: Path) -> None:
    """A server that failed once is asked again at the next round, a second later."""

    async def scene(made: Bench) -> None:
        made.cloud.answer = saying(503, "")
        await refused(made)
        made.cloud.answer = None
        made.cloud.time.pass_(1)
        assert await made.keys() == "id-1"

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_short_lived_keys_cause_no_storm(setting: Setting, tmp_path: Path) -> None:
    """Keys that live shorter than the renewal interval are renewed every half minute at most."""

    async def scene(made: Bench) -> None:
        made.cloud.life = 120
        for _ in range(120):
            await made.keys()
            await settle(made)
            made.cloud.time.pass_(1)
        assert made.cloud.issued == 4

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_expired_on_arrival(setting: Setting, tmp_path: Path) -> None:
    """Keys that have already expired are refused, and the error suggests checking the clock."""

    async def scene(made: Bench) -> None:
        made.cloud.life = -3600
        assert "clock" in str(await refused(made))

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_refused_keys_are_renewed(setting: Setting, tmp_path: Path) -> None:
    """Keys that the provider refuses are renewed in the next round, but at most once a minute."""

    async def scene(made: Bench) -> None:
        made.ring.mark_refused(made.provider, made.account)
        assert await made.keys() == "id-1"
        for _ in range(30):
            made.ring.mark_refused(made.provider, made.account)
        assert await made.keys() == "id-2"
        made.cloud.time.pass_(59)
        made.ring.mark_refused(made.provider, made.account)
        assert await made.keys() == "id-2"
        made.cloud.time.pass_(1)
        made.ring.mark_refused(made.provider, made.account)
        assert await made.keys() == "id-3"

    play(setting, tmp_path, scene)


@EACH_SOURCE
def test_refused_keys_while_the_server_is_dead(setting: Setting, tmp_path: Path) -> None:
    """Refused keys that have not expired stay in use if there are no others: the refusal may have another cause."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.ring.mark_refused(made.provider, made.account)
        made.cloud.answer = saying(500, "")
        assert await made.keys() == "id-1"
        made.cloud.answer = None
        made.cloud.time.pass_(1)
        assert await made.keys() == "id-2"

    play(setting, tmp_path, scene)


def test_a_cancelled_renewal_is_taken_over(tmp_path: Path) -> None:
    """If the round that fetches keys is cancelled, a waiting round fetches them."""

    async def scene(made: Bench) -> None:
        reached = asyncio.Event()

        async def stall(request: Any) -> Any:
            reached.set()
            return await hang(request)

        made.cloud.answer = stall
        first = asyncio.create_task(made.keys())
        await reached.wait()
        second = asyncio.create_task(made.keys())
        await asyncio.sleep(0)
        made.cloud.answer = None
        first.cancel()
        assert await second == "id-1"

    play(SETTINGS["ecs"], tmp_path, scene)


@pytest.mark.parametrize("name", ["tke", "rrsa"])
def test_a_rotated_identity_token(name: str, tmp_path: Path) -> None:
    """The pod's token is read again for each renewal, because the kubelet replaces it."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.token = f"eyJ-{CANARY}-second"
        (tmp_path / "token").write_text(made.cloud.token)
        made.cloud.time.pass_(made.cloud.life)
        assert await made.keys() == "id-2"

    play(SETTINGS[name], tmp_path, scene)
