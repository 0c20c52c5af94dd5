"""The keyring: keys renewed in time, read again when files change, asked for once, told of without secrets."""

from __future__ import annotations

import asyncio
import errno
import os
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from exporter.fields import Secret, SecretSource
from exporter.keys import Keyring
from exporter.keys.keyring import ATTEMPT_SECONDS
from exporter.model import Account, Credentials
from exporter.providers import found
from exporter.providers.interface import CredentialsError
from exporter.transport import Transport
from tests.keys.cloud import CANARY, SETTINGS, TLS, Answer, Bench, Setting, bench, echo, hang, saying

AMBIENT = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def play(
    setting: Setting, directory: Path, scene: Callable[[Bench], Awaitable[None]], patience: float = 1.0
) -> list[Any]:
    """Play a scene on a machine; return what was logged."""

    async def main() -> None:
        async with bench(setting.provider, setting.make(directory), patience) as made:
            await scene(made)

    with structlog.testing.capture_logs() as logged:
        asyncio.run(main())
    return logged


async def settle(made: Bench) -> None:
    """Wait until the renewals are through that nobody waits for."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("keys ")]
    await asyncio.gather(*tasks, return_exceptions=True)


async def refused(made: Bench) -> CredentialsError:
    """Return the error with which keys are refused."""
    with pytest.raises(CredentialsError) as caught:
        await made.keys()
    return caught.value


# --- keys that the machine vouches for -------------------------------------------------------------------------------


@AMBIENT
def test_keys_of_the_machine(setting: Setting, tmp_path: Path) -> None:
    """Every way gives whole temporary keys, id, key and token of one issue."""

    async def scene(made: Bench) -> None:
        keys = await made.ring(made.provider, made.account)
        assert keys == Credentials(f"{CANARY}-id-1", Secret(f"{CANARY}-key-1"), Secret(f"{CANARY}-sts-1"))
        assert max(made.timeouts) <= ATTEMPT_SECONDS == 3.0

    assert play(setting, tmp_path, scene) == []


def test_what_is_asked(tmp_path: Path) -> None:
    """The calls are those that the vendors document, in their order, and no others."""
    asked: dict[str, list[str]] = {}
    for name, setting in SETTINGS.items():

        async def scene(made: Bench, name: str = name) -> None:
            await made.keys()
            asked[name] = made.cloud.asked

        (directory := tmp_path / name).mkdir()
        play(setting, directory, scene)
    cam, ram = "/latest/meta-data/cam/security-credentials/", "/latest/meta-data/ram/security-credentials/"
    assert asked == {
        "cvm": [f"GET {cam}exporter-role"],
        "cvm-auto": [f"GET {cam}", f"GET {cam}exporter-role"],
        "tke": ["POST AssumeRoleWithWebIdentity"],
        "ecs": ["PUT /latest/api/token", f"GET {ram}exporter-role"],
        "ecs-profile": ["PUT /latest/api/token", f"GET {ram}", f"GET {ram}exporter-role"],
        "rrsa": ["POST AssumeRoleWithOIDC"],
    }


@AMBIENT
def test_one_request_for_all_who_wait(setting: Setting, tmp_path: Path) -> None:
    """Fifty rounds that want keys at one time cause one renewal and share it."""

    async def scene(made: Bench) -> None:
        assert set(await asyncio.gather(*(made.keys() for _ in range(50)))) == {"id-1"}
        assert made.cloud.issued == 1

    play(setting, tmp_path, scene)


@AMBIENT
def test_renewed_before_the_end(setting: Setting, tmp_path: Path) -> None:
    """Keys are used without a call until their vendor's time before the end, and are then renewed once, aside."""

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


@AMBIENT
def test_renewed_after_the_end(setting: Setting, tmp_path: Path) -> None:
    """Keys that have expired are never used: after a long silence the first round waits for new ones."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.time.pass_(made.cloud.life)
        assert await asyncio.gather(*(made.keys() for _ in range(5))) == ["id-2"] * 5

    play(setting, tmp_path, scene)


@AMBIENT
def test_old_keys_outlive_a_failed_renewal(setting: Setting, tmp_path: Path) -> None:
    """While old keys hold, a dead server costs no round; it is told of once, and once more when it is back."""

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


@AMBIENT
def test_old_keys_do_not_outlive_their_end(setting: Setting, tmp_path: Path) -> None:
    """Once old keys have expired and no new ones are to be had, there are none."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.answer = saying(500, "")
        made.cloud.time.pass_(made.cloud.life - 1)
        assert await made.keys() == "id-1"
        await settle(made)
        made.cloud.time.pass_(1)
        assert "HTTP 500" in str(await refused(made))

    play(setting, tmp_path, scene)


@AMBIENT
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


@AMBIENT
def test_recovers_within_the_pause(setting: Setting, tmp_path: Path) -> None:
    """A server that failed once is asked again at the next round, a second later."""

    async def scene(made: Bench) -> None:
        made.cloud.answer = saying(503, "")
        await refused(made)
        made.cloud.answer = None
        made.cloud.time.pass_(1)
        assert await made.keys() == "id-1"

    play(setting, tmp_path, scene)


@AMBIENT
def test_short_lived_keys_cause_no_storm(setting: Setting, tmp_path: Path) -> None:
    """Keys that come with less life than they are renewed before their end are renewed every half minute, no sooner."""

    async def scene(made: Bench) -> None:
        made.cloud.life = 120
        for _ in range(120):
            await made.keys()
            await settle(made)
            made.cloud.time.pass_(1)
        assert made.cloud.issued == 4

    play(setting, tmp_path, scene)


@AMBIENT
def test_expired_on_arrival(setting: Setting, tmp_path: Path) -> None:
    """Keys that have expired already are none, and the words name this machine's clock."""

    async def scene(made: Bench) -> None:
        made.cloud.life = -3600
        assert "clock" in str(await refused(made))

    play(setting, tmp_path, scene)


@AMBIENT
def test_doubt(setting: Setting, tmp_path: Path) -> None:
    """Keys that the provider refuses are had anew at the next round, but at most once a minute."""

    async def scene(made: Bench) -> None:
        made.ring.doubt(made.provider, made.account)
        assert await made.keys() == "id-1"
        for _ in range(30):
            made.ring.doubt(made.provider, made.account)
        assert await made.keys() == "id-2"
        made.cloud.time.pass_(59)
        made.ring.doubt(made.provider, made.account)
        assert await made.keys() == "id-2"
        made.cloud.time.pass_(1)
        made.ring.doubt(made.provider, made.account)
        assert await made.keys() == "id-3"

    play(setting, tmp_path, scene)


@AMBIENT
def test_doubt_while_the_server_is_dead(setting: Setting, tmp_path: Path) -> None:
    """Doubted keys that have not expired are better than none: a refusal may have had another reason."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.ring.doubt(made.provider, made.account)
        made.cloud.answer = saying(500, "")
        assert await made.keys() == "id-1"
        made.cloud.answer = None
        made.cloud.time.pass_(1)
        assert await made.keys() == "id-2"

    play(setting, tmp_path, scene)


def test_a_cancelled_renewal_is_taken_over(tmp_path: Path) -> None:
    """If the round that fetches keys is broken off, one that waits for them fetches them itself."""

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
    """The pod's token is read again for each renewal, as the kubelet replaces it."""

    async def scene(made: Bench) -> None:
        await made.keys()
        made.cloud.token = f"eyJ-{CANARY}-second"
        (tmp_path / "token").write_text(made.cloud.token)
        made.cloud.time.pass_(made.cloud.life)
        assert await made.keys() == "id-2"

    play(SETTINGS[name], tmp_path, scene)


# --- what goes wrong -------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Answer, str]] = {
    "404": (saying(404, "<html>no</html>", "text/html"), "attached|HTTP 404"),
    "403": (saying(403, ""), "HTTP 403"),
    "redirect": (saying(302, "", Location=f"http://127.0.0.1:1/{CANARY}"), "HTTP 302"),
    "html": (saying(200, f"<html>{CANARY}</html>", "text/html"), "not the name|not what was asked|signs"),
    "garbage": (saying(200, b"\xff\xfe\x00" + CANARY.encode()), "not the name|not what was asked|signs"),
    "truncated": (saying(200, f'{{"Code": "Success", "TmpSecretKey": "{CANARY}'), "not the name|asked|signs"),
    "empty": (saying(200, ""), "not the name|not what was asked|missing"),
    "list": (saying(200, f'["{CANARY}"]'), "not the name|not what was asked|unknown error"),
    "twice": (saying(200, f'{{"Code": "{CANARY}", "Code": "{CANARY}"}}'), "not the name|not what was asked|signs"),
    "nested": (saying(200, "[" * 50_000), "not the name|not what was asked|signs"),
    "huge": (saying(200, CANARY * 100_000), "larger than 64 KiB"),
    "bomb": (saying(200, CANARY * 10, **{"Content-Encoding": "gzip"}), "compression"),
    "hang": (hang, "no complete answer in time"),
    "echo": (echo, "unknown error|not the name|signs"),
}


@pytest.mark.parametrize("fault", FAULTS)
@AMBIENT
def test_faults_are_told_without_secrets(
    setting: Setting, fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a server does, the error says what to do and holds neither key, token nor anything of the answer."""
    answer, words = FAULTS[fault]

    async def scene(made: Bench) -> None:
        made.cloud.answer = answer
        error = await refused(made)
        assert re_search(words, str(error)), str(error)
        assert any(word in str(error) for word in ("attach", "trust policy", "[default]")), str(error)
        assert error.__context__ is None
        assert error.__cause__ is None
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(made.ring) + repr(vars(made.ring))
        assert CANARY not in shown

    logged = play(setting, tmp_path, scene, patience=0.1 if fault == "hang" else 1.0)
    assert CANARY not in repr(logged) + "".join(capfd.readouterr())


def re_search(pattern: str, text: str) -> bool:
    """Say whether a text holds one of the alternatives."""
    return any(part in text for part in pattern.split("|"))


def test_a_dead_server(tmp_path: Path) -> None:
    """A server that cannot be reached is told of with what to do."""

    async def main() -> None:
        async with Transport(TLS) as transport:
            kind = found()["alibaba"]
            nobody = {"http://100.100.100.200": "http://127.0.0.1:1"}
            ring = Keyring(SETTINGS["ecs"].make(tmp_path), send=transport.send, servers=nobody)
            with pytest.raises(CredentialsError, match="cannot be reached; attach the role that ALIBABA_CLOUD_ECS_"):
                await ring(kind, kind.account(name="main", provider="alibaba"))

    asyncio.run(main())


@pytest.mark.parametrize("name", ["tke", "rrsa"])
def test_sts_refuses_the_token(name: str, tmp_path: Path) -> None:
    """The vendor's error code is passed on, its message is not: it may repeat the token."""

    async def scene(made: Bench) -> None:
        made.cloud.token = "another"
        error = str(await refused(made))
        assert "WebIdentityTokenError" in error or "AuthenticationFail.OIDCToken.Invalid" in error
        assert "trust policy" in error
        assert CANARY not in error

    play(SETTINGS[name], tmp_path, scene)


def test_no_role_is_attached(tmp_path: Path) -> None:
    """An instance without the role is told apart from a server that does not answer."""

    async def scene(made: Bench) -> None:
        made.cloud.role = None
        assert "no such role is attached" in str(await refused(made))

    for name in ("cvm", "cvm-auto", "ecs", "ecs-profile"):
        play(SETTINGS[name], tmp_path, scene)


def test_without_a_transport(tmp_path: Path) -> None:
    """A keyring that was given no network says so, and does not look for one."""
    kind = found()["tencent"]
    ring = Keyring(SETTINGS["cvm"].make(tmp_path))
    with pytest.raises(CredentialsError, match="no network is to be used here"):
        asyncio.run(ring(kind, kind.account(name="main", provider="tencent")))


# --- secret files ----------------------------------------------------------------------------------------------------


def configured(directory: Path, **fields: SecretSource) -> Account:
    """Return a Tencent account whose keys stand in two files."""
    files = {name: SecretSource("file", str(directory / name)) for name in ("secret_id", "secret_key")}
    made: Account = found()["tencent"].account(name="main", provider="tencent", **{**files, **fields})
    return made


def secret_of(ring: Keyring, account: Account) -> tuple[str, str]:
    """Return an account's key id and key as text."""
    keys = asyncio.run(ring(found()["tencent"], account))
    return keys.key_id, keys.key_secret.reveal()


def publish(directory: Path, version: int) -> None:
    """Write both secrets as kubelet does: a new directory, and `..data` made to point to it in one step."""
    (directory / f"..v{version}").mkdir()
    for name in ("secret_id", "secret_key"):
        (directory / f"..v{version}" / name).write_text(f"{CANARY}-{version}\n")
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    (directory / "..tmp").symlink_to(f"..v{version}")
    os.replace(directory / "..tmp", directory / "..data")


def test_rotation_by_symlink_swap(tmp_path: Path) -> None:
    """A secret that Kubernetes replaces is used from the next round on."""
    ring, account = Keyring({}), configured(tmp_path)
    for version in range(1, 4):
        publish(tmp_path, version)
        assert secret_of(ring, account) == (f"{CANARY}-{version}",) * 2


def test_rotation_in_place(tmp_path: Path) -> None:
    """A secret file that is written anew is read anew."""
    ring, account = Keyring({}), configured(tmp_path)
    for key in ("first", "second!"):
        for name in ("secret_id", "secret_key"):
            (tmp_path / name).write_text(key)
        assert secret_of(ring, account) == (key, key)


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    """A round costs no reading as long as the files are the same."""
    publish(tmp_path, 1)
    reads: list[Path] = []

    def read(path: Path) -> bytes:
        reads.append(path)
        return path.read_bytes()

    ring, account = Keyring({}, read), configured(tmp_path)
    for _ in range(10):
        secret_of(ring, account)
    assert len(reads) == 2


def test_id_and_key_of_one_version(tmp_path: Path) -> None:
    """A swap between the reading of the id and of the key does not mix two versions."""
    publish(tmp_path, 1)

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        if not (tmp_path / "..v2").exists():
            publish(tmp_path, 2)
        return data

    assert secret_of(Keyring({}, read), configured(tmp_path)) == (f"{CANARY}-2",) * 2


def test_rotation_that_keeps_the_time_of_modification(tmp_path: Path) -> None:
    """A copy that keeps time and size of the file before is seen as the other file that it is."""
    publish(tmp_path, 1)
    ring, account = Keyring({}), configured(tmp_path)
    secret_of(ring, account)
    for name in ("secret_id", "secret_key"):
        path = (tmp_path / name).resolve()
        before = path.stat()
        path.write_text(f"{CANARY}-9\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert secret_of(ring, account) == (f"{CANARY}-9",) * 2


def test_a_change_that_the_file_system_does_not_show(tmp_path: Path) -> None:
    """After a refusal files are read even if they look the same, as on a network's file system that lags behind."""
    publish(tmp_path, 1)
    content = [b"old"]
    ring, account = Keyring({}, lambda _path: content[0]), configured(tmp_path)
    secret_of(ring, account)
    content[0] = b"new"
    assert secret_of(ring, account) == ("old", "old")
    ring.doubt(found()["tencent"], account)
    assert secret_of(ring, account) == ("new", "new")


def test_files_are_tried_at_every_round(tmp_path: Path) -> None:
    """Pauses are for servers: a file that could not be read for a moment costs that round alone."""
    publish(tmp_path, 1)
    broken = [True]

    def read(path: Path) -> bytes:
        if broken[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return path.read_bytes()

    ring, account = Keyring({}, read), configured(tmp_path)
    with pytest.raises(CredentialsError, match="Input/output error"):
        secret_of(ring, account)
    broken[0] = False
    assert secret_of(ring, account) == (f"{CANARY}-1",) * 2


Spoil = Callable[[Path], object]


def _unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, tuple[Spoil, str]] = {
    "gone": (lambda path: path.unlink(), "No such file"),
    "empty": (lambda path: path.write_text(""), "is empty"),
    "binary": (lambda path: path.write_bytes(b"\xff" + CANARY.encode()), "not UTF-8"),
    "huge": (lambda path: path.write_text(CANARY * 20_000), "larger than 64 KiB"),
    "lines": (lambda path: path.write_text(f"{CANARY}\n{CANARY}\n"), "line break"),
    "fifo": (_fifo, "not a regular file"),
    "directory": (_directory, "not a regular file|Is a directory"),
    "unreadable": (_unreadable, "Input/output error|Permission denied|not a regular file"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_spoiled_secret_file(spoiled: str, tmp_path: Path) -> None:
    """A secret file that turns bad costs the rounds until it is mended; its field is told, and never its value."""
    spoil, words = SPOILED[spoiled]
    for name in ("secret_id", "secret_key"):
        (tmp_path / name).write_text(f"{CANARY}-1")
    ring, account = Keyring({}), configured(tmp_path)
    secret_of(ring, account)
    spoil(tmp_path / "secret_key")
    with pytest.raises(CredentialsError) as caught:
        secret_of(ring, account)
    assert re_search(words, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("secret_key: ")
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(ring))
    assert CANARY not in shown
    path = tmp_path / "secret_key"
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.write_text(f"{CANARY}-2")
    assert secret_of(ring, account) == (f"{CANARY}-1", f"{CANARY}-2")


def test_bad_permissions(tmp_path: Path) -> None:
    """A file that the exporter's user may not read is told of in these words, whether of a secret or of a profile."""

    def read(_path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    publish(tmp_path, 1)
    with pytest.raises(CredentialsError, match="secret_id: names a file that cannot be read: Permission denied"):
        secret_of(Keyring({}, read), configured(tmp_path))
    kind = found()["tencent"]
    profile = {"TENCENTCLOUD_CREDENTIALS_FILE": "/etc/profile-of-root"}
    with pytest.raises(CredentialsError, match="/etc/profile-of-root cannot be read: Permission denied; let the exp"):
        secret_of(Keyring(profile, read), kind.account(name="main", provider="tencent"))


def test_another_account_of_the_same_name(tmp_path: Path) -> None:
    """A reload that gives an account other fields gives it other keys at once."""
    publish(tmp_path, 1)
    ring, account = Keyring({}), configured(tmp_path)
    secret_of(ring, account)
    other = configured(tmp_path, secret_key=SecretSource.plain("other"))
    assert secret_of(ring, other) == (f"{CANARY}-1", "other")


def test_the_environment(tmp_path: Path) -> None:
    """The vendors' variables give keys and token where the account gives none."""
    environ = {"TENCENTCLOUD_SECRET_ID": "i", "TENCENTCLOUD_SECRET_KEY": "k", "TENCENTCLOUD_TOKEN": "t"}
    kind = found()["tencent"]
    keys = asyncio.run(Keyring(environ)(kind, kind.account(name="main", provider="tencent")))
    assert keys == Credentials("i", Secret("k"), Secret("t"))


def test_nothing_anywhere() -> None:
    """Where nothing gives keys, the words name the field and the variable."""
    for name, kind in found().items():
        fields = {"app_id": 1} if name == "zego" else {}
        account = kind.account(name="main", provider=name, **fields)
        with pytest.raises(CredentialsError, match=r"is missing: set .* or the environment variable"):
            asyncio.run(Keyring({})(kind, account))


def test_files_of_a_profile_are_watched(tmp_path: Path) -> None:
    """A profile file that is written anew gives the new keys, and one that is broken is told of until it is mended."""
    (tmp_path / ".tencentcloud").mkdir()
    path = tmp_path / ".tencentcloud/credentials"
    kind = found()["tencent"]
    account = kind.account(name="main", provider="tencent")
    ring = Keyring({"HOME": str(tmp_path)})
    for key in ("first", "second"):
        path.write_text(f"[default]\nsecret_id = id\nsecret_key = {CANARY}-{key}\n")
        assert secret_of(ring, account) == ("id", f"{CANARY}-{key}")
    path.write_text(f"secret_key = {CANARY}")
    with structlog.testing.capture_logs() as logged, pytest.raises(CredentialsError, match="INI form") as caught:
        secret_of(ring, account)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(logged)
    path.write_text("[default]\nsecret_id = id\nsecret_key = third\n")
    assert secret_of(ring, account) == ("id", "third")


def test_secrets_have_no_looks(tmp_path: Path) -> None:
    """What a keyring holds shows no key by any of its reprs."""

    async def scene(made: Bench) -> None:
        await made.keys()
        held = made.ring.__dict__["_held"]["alibaba", "main"]
        assert CANARY not in repr(held) + repr(held.grant) + repr(held.files) + repr(made.ring) + str(
            replace(held.grant)
        )

    play(SETTINGS["rrsa"], tmp_path, scene)
