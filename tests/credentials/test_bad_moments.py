"""Keys at a bad moment: slow servers, files half written, rotation under way, a machine without threads to spare."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter import files
from exporter.credentials.files import Presence
from exporter.credentials.keyring import Keyring
from exporter.fields import SecretSource
from exporter.files import Daemons
from exporter.model import Account
from exporter.providers import all_providers
from exporter.providers.interface import CredentialsError
from tests.credentials.cloud import CANARY, SETTINGS, Bench, play, refused, saying, settle

TENCENT = all_providers()["tencent"]


def by_file(path: Path) -> Account:
    """Return an account whose key's id stands in a file."""
    plain = SecretSource.plain("key")
    made: Account = TENCENT.account(
        name="main", provider="tencent", secret_id=SecretSource("file", str(path)), secret_key=plain
    )
    return made


@contextmanager
def no_threads() -> Iterator[None]:
    """Let no thread start, and none of ours be idle."""
    before = threading.stack_size(1 << 46)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "DAEMONS", Daemons())
            yield
    finally:
        threading.stack_size(before)


@pytest.mark.parametrize("name", ["cvm-auto", "ecs-profile"])
def test_the_calls_of_an_attempt_share_its_time(name: str, tmp_path: Path) -> None:
    """Slow answers cannot prolong an attempt: later calls get the remaining time."""

    async def scene(made: Bench) -> None:
        async def slow(request: web.Request) -> web.StreamResponse:
            made.cloud.time.pass_(1.25)
            made.cloud.answer = None
            answer = await made.cloud.handle(request)
            made.cloud.answer = slow
            return answer

        made.cloud.answer = slow
        assert await made.keys() == "id-1"
        assert made.timeouts == [3.0, 1.75, 0.5][: len(made.timeouts)]
        assert len(made.timeouts) > 1

    play(SETTINGS[name], tmp_path, scene)


def test_a_server_that_dribbles(tmp_path: Path) -> None:
    """A server that sends single bytes gets no more time than one that sends nothing."""

    async def dribble(request: web.Request) -> web.StreamResponse:
        made = web.StreamResponse()
        await made.prepare(request)
        while True:
            await made.write(b" ")
            await asyncio.sleep(0.02)

    async def scene(made: Bench) -> None:
        made.cloud.answer = dribble
        assert "no complete answer in time" in str(await refused(made))

    play(SETTINGS["cvm"], tmp_path, scene, patience=0.1)


@pytest.mark.parametrize("name", ["cvm", "ecs"])
def test_a_server_that_gives_the_old_keys_again(name: str, tmp_path: Path) -> None:
    """While a server returns keys that are about to expire, it is asked every half minute."""

    async def scene(made: Bench) -> None:
        await made.keys()
        end, issued = made.cloud.time.unix + made.cloud.life, made.cloud.issued
        made.cloud.time.pass_(made.cloud.life - 300)
        for _ in range(8):
            made.cloud.life, made.cloud.issued = end - made.cloud.time.unix, issued - 1
            assert await made.keys() == "id-1"
            await settle(made)
            assert made.cloud.issued == issued
            made.cloud.time.pass_(30)
        made.cloud.life = 3600
        assert await made.keys() == "id-1"
        await settle(made)
        assert await made.keys() == "id-2"

    play(SETTINGS[name], tmp_path, scene)


def test_a_clock_that_is_set(tmp_path: Path) -> None:
    """When the clock is set forward, keys are renewed; when it is set back, they are right again."""

    async def scene(made: Bench) -> None:
        await made.keys()
        server = made.cloud.time.unix
        made.cloud.time.unix += 30 * 86400
        made.cloud.life = server - made.cloud.time.unix
        assert "set this machine's clock" in str(await refused(made))
        made.cloud.time.unix = server
        made.cloud.life = 21600
        made.cloud.time.pass_(1)
        await made.keys()
        await settle(made)
        assert await made.keys() == "id-3"

    play(SETTINGS["cvm"], tmp_path, scene)


def test_a_rotation_while_a_round_is_broken_off(tmp_path: Path) -> None:
    """If a round is cancelled while it reads a new key, the next round still notices the change."""
    path = tmp_path / "id"
    path.write_text("old")
    reading, go_on = threading.Event(), threading.Event()
    go_on.set()

    def read(path: Path) -> bytes:
        reading.set()
        go_on.wait()
        return path.read_bytes()

    async def main() -> str:
        ring, account = Keyring({}, read), by_file(path)
        assert (await ring(TENCENT, account)).key_id == "old"
        path.write_text("new-one")
        reading.clear()
        go_on.clear()
        broken_off = asyncio.create_task(ring(TENCENT, account))
        await asyncio.to_thread(reading.wait)
        broken_off.cancel()
        with pytest.raises(asyncio.CancelledError):
            await broken_off
        go_on.set()
        return (await ring(TENCENT, account)).key_id

    assert asyncio.run(main()) == "new-one"


def test_rounds_at_the_same_time_as_a_rotation(tmp_path: Path) -> None:
    """While one round reads a new key, others wait for it instead of using the old one."""
    path = tmp_path / "id"
    path.write_text("old")
    reading, go_on = threading.Event(), threading.Event()
    go_on.set()

    def read(path: Path) -> bytes:
        reading.set()
        go_on.wait()
        return path.read_bytes()

    async def main() -> list[str]:
        ring, account = Keyring({}, read), by_file(path)
        await ring(TENCENT, account)
        path.write_text("new-one")
        reading.clear()
        go_on.clear()
        first = asyncio.create_task(ring(TENCENT, account))
        await asyncio.to_thread(reading.wait)
        second = asyncio.create_task(ring(TENCENT, account))
        await asyncio.wait({second}, timeout=0.2)
        go_on.set()
        return [keys.key_id for keys in await asyncio.gather(first, second)]

    assert asyncio.run(main()) == ["new-one", "new-one"]


def test_a_file_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    """A secret that is empty while it is rewritten is read again at once."""
    path = tmp_path / "id"
    path.write_text("")

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        path.write_text("complete")
        return data

    assert asyncio.run(Keyring({}, read)(TENCENT, by_file(path))).key_id == "complete"


def test_a_profile_half_written(tmp_path: Path) -> None:
    """A half-written profile file costs one round; the next one reads the whole file."""
    (tmp_path / ".tencentcloud").mkdir()
    path = tmp_path / ".tencentcloud/credentials"
    account = TENCENT.account(name="main", provider="tencent")
    whole = f"[default]\nsecret_id = id\nsecret_key = {CANARY}\n"

    async def main() -> None:
        ring = Keyring({"HOME": str(tmp_path)})
        for size in range(len(whole)):
            path.write_text(whole[:size])
            with suppress(CredentialsError):
                await ring(TENCENT, account)
            path.write_text(whole)
            assert (await ring(TENCENT, account)).key_secret.reveal() == CANARY

    asyncio.run(main())


@pytest.mark.parametrize("name", ["tke", "rrsa"])
def test_an_identity_token_half_written(name: str, tmp_path: Path) -> None:
    """A half-written token that STS refuses is retried without a pause as soon as it is complete."""

    async def scene(made: Bench) -> None:
        whole = (tmp_path / "token").read_text()
        for part in ("", whole[:5]):
            (tmp_path / "token").write_text(part)
            await refused(made)
        (tmp_path / "token").write_text(whole)
        assert await made.keys() == "id-1"

    play(SETTINGS[name], tmp_path, scene)


@pytest.mark.parametrize("name", ["tke", "rrsa"])
def test_expired_keys_and_everything_dead(name: str, tmp_path: Path) -> None:
    """Expired keys are never used, even if token and server fail; new ones are fetched after recovery."""

    async def scene(made: Bench) -> None:
        token = (tmp_path / "token").read_text()
        await made.keys()
        made.cloud.time.pass_(made.cloud.life)
        made.cloud.answer = saying(500, "")
        (tmp_path / "token").unlink()
        made.ring.mark_refused(made.provider, made.account)
        for _ in range(5):
            assert "No such file" in str(await refused(made))
            made.cloud.time.pass_(15)
        (tmp_path / "token").write_text(token)
        assert "HTTP 500" in str(await refused(made))
        made.cloud.answer = None
        made.cloud.time.pass_(60)
        assert await made.keys() == "id-2"

    play(SETTINGS[name], tmp_path, scene)


@pytest.mark.parametrize(
    ("provider", "environ"),
    [
        ("tencent", {"TENCENTCLOUD_CREDENTIALS_FILE": CANARY}),
        (
            "tencent",
            {"TKE_ROLE_ARN": "a", "TKE_REGION": "r", "TKE_PROVIDER_ID": "p", "TKE_WEB_IDENTITY_TOKEN_FILE": CANARY},
        ),
        ("alibaba", {"ALIBABA_CLOUD_CREDENTIALS_FILE": CANARY}),
        ("alibaba", {"ALIBABA_CLOUD_ECS_METADATA": f"{CANARY}/{CANARY}"}),
    ],
)
def test_a_secret_in_place_of_a_file(provider: str, environ: dict[str, str]) -> None:
    """A key or token in place of a file's or role's name is not shown."""
    kind = all_providers()[provider]
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(Keyring(environ)(kind, kind.account(name="main", provider=provider)))
    assert CANARY not in str(caught.value)


def test_a_profile_with_a_secret_in_place_of_a_file(tmp_path: Path) -> None:
    """A profile file's content is not shown, even in place of another file's name."""
    path = tmp_path / "profile"
    options = f"type = oidc_role_arn\nrole_arn = a\noidc_provider_arn = p\noidc_token_file_path = {CANARY}\n"
    path.write_text(f"[default]\n{options}")
    kind, ring = all_providers()["alibaba"], Keyring({"ALIBABA_CLOUD_CREDENTIALS_FILE": str(path)})
    with pytest.raises(CredentialsError, match="cannot be read: No such file") as caught:
        asyncio.run(ring(kind, kind.account(name="main", provider="alibaba")))
    assert CANARY not in str(caught.value)


def test_no_thread_to_spare(tmp_path: Path) -> None:
    """If no thread can be started, present keys stay in use, and the error for new ones says so."""
    path = tmp_path / "id"
    path.write_text("old")
    profile = tmp_path / "profile"
    profile.write_text("[default]\nsecret_id = id\nsecret_key = key\n")

    async def main() -> None:
        ring = Keyring({"TENCENTCLOUD_CREDENTIALS_FILE": str(profile)})
        assert (await ring(TENCENT, by_file(path))).key_id == "old"
        with no_threads():
            assert (await ring(TENCENT, by_file(path))).key_id == "old"
            for made in (by_file(tmp_path / "other"), TENCENT.account(name="main", provider="tencent")):
                with pytest.raises(CredentialsError, match="no thread can be started"):
                    await ring(TENCENT, made)
        assert (await ring(TENCENT, TENCENT.account(name="main", provider="tencent"))).key_id == "id"

    asyncio.run(main())


class Slow(type(Path())):  # type: ignore[misc]
    """A name that takes its time, as one on a busy machine does."""

    def __fspath__(self) -> str:
        time.sleep(0.2)
        return str(self)


def test_a_slow_first_check_does_not_count_as_a_profile_file(tmp_path: Path) -> None:
    """The first check of a file may take longer than later ones, so that no other source is chosen by mistake."""
    assert not Presence()(Slow(tmp_path / "none"))


def test_a_disk_that_hangs_changes_nothing(tmp_path: Path) -> None:
    """While a disk hangs, the last result of a check counts."""
    seen: list[Any] = []
    for name in ("none", "some"):
        (tmp_path / "some").write_text("")
        presence = Presence()
        seen.append((presence(tmp_path / name), presence(Slow(tmp_path / name))))
    assert seen == [(False, False), (True, True)]
