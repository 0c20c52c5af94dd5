"""Secret files: read again when they change, told of without their content when they turn bad."""

from __future__ import annotations

import asyncio
import errno
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from exporter.credentials.keyring import Keyring
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials
from exporter.providers import all_providers
from exporter.providers.interface import CredentialsError
from testbed.recorded import document, make
from tests.credentials.cloud import (
    CANARY,
    SETTINGS,
    Bench,
    play,
    re_search,
)


def account_with_files(directory: Path, **fields: SecretSource) -> Account:
    """Return a Tencent account whose keys stand in two files."""
    files = {name: SecretSource("file", str(directory / name)) for name in ("secret_id", "secret_key")}
    made: Account = all_providers()["tencent"].account(name="main", provider="tencent", **{**files, **fields})
    return made


def secret_of(ring: Keyring, account: Account) -> tuple[str, str]:
    """Return an account's key id and key as text."""
    keys = asyncio.run(ring(all_providers()["tencent"], account))
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
    """A secret that Kubernetes replaces is used in the next round."""
    ring, account = Keyring({}), account_with_files(tmp_path)
    for version in range(1, 4):
        publish(tmp_path, version)
        assert secret_of(ring, account) == (f"{CANARY}-{version}",) * 2


def test_rotation_in_place(tmp_path: Path) -> None:
    """A secret file that is rewritten is read again."""
    ring, account = Keyring({}), account_with_files(tmp_path)
    for key in ("first", "second!"):
        for name in ("secret_id", "secret_key"):
            (tmp_path / name).write_text(key)
        assert secret_of(ring, account) == (key, key)


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    """Unchanged files are not read again."""
    publish(tmp_path, 1)
    reads: list[Path] = []

    def read(path: Path) -> bytes:
        reads.append(path)
        return path.read_bytes()

    ring, account = Keyring({}, read), account_with_files(tmp_path)
    for _ in range(10):
        secret_of(ring, account)
    assert len(reads) == 2


def test_id_and_key_of_one_version(tmp_path: Path) -> None:
    """A swap between reading id and key does not mix two versions."""
    publish(tmp_path, 1)

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        if not (tmp_path / "..v2").exists():
            publish(tmp_path, 2)
        return data

    assert secret_of(Keyring({}, read), account_with_files(tmp_path)) == (f"{CANARY}-2",) * 2


def test_rotation_that_keeps_the_time_of_modification(tmp_path: Path) -> None:
    """A new file with the same time and size as the old one is noticed."""
    publish(tmp_path, 1)
    ring, account = Keyring({}), account_with_files(tmp_path)
    secret_of(ring, account)
    for name in ("secret_id", "secret_key"):
        path = (tmp_path / name).resolve()
        before = path.stat()
        path.write_text(f"{CANARY}-9\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert secret_of(ring, account) == (f"{CANARY}-9",) * 2


def test_a_change_that_the_file_system_does_not_show(tmp_path: Path) -> None:
    """After a refusal, files are read even if they look unchanged, as on a network file system that lags."""
    publish(tmp_path, 1)
    content = [b"old"]
    ring, account = Keyring({}, lambda _path: content[0]), account_with_files(tmp_path)
    secret_of(ring, account)
    content[0] = b"new"
    assert secret_of(ring, account) == ("old", "old")
    ring.mark_refused(all_providers()["tencent"], account)
    assert secret_of(ring, account) == ("new", "new")


def test_files_are_tried_at_every_round(tmp_path: Path) -> None:
    """There are no pauses for files: one that cannot be read for a moment costs only that round."""
    publish(tmp_path, 1)
    broken = [True]

    def read(path: Path) -> bytes:
        if broken[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return path.read_bytes()

    ring, account = Keyring({}, read), account_with_files(tmp_path)
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
    """A bad secret file costs rounds until it is repaired; the error names its field, never its value."""
    spoil, words = SPOILED[spoiled]
    for name in ("secret_id", "secret_key"):
        (tmp_path / name).write_text(f"{CANARY}-1")
    ring, account = Keyring({}), account_with_files(tmp_path)
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
    """The error for a file without read permission is the same for secrets and profiles."""

    def read(_path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    publish(tmp_path, 1)
    with pytest.raises(CredentialsError, match="secret_id: names a file that cannot be read: Permission denied"):
        secret_of(Keyring({}, read), account_with_files(tmp_path))
    kind = all_providers()["tencent"]
    profile = {"TENCENTCLOUD_CREDENTIALS_FILE": "/etc/profile-of-root"}
    with pytest.raises(CredentialsError, match="/etc/profile-of-root cannot be read: Permission denied; let the exp"):
        secret_of(Keyring(profile, read), kind.account(name="main", provider="tencent"))


def test_another_account_of_the_same_name(tmp_path: Path) -> None:
    """When a reload changes an account's fields, its keys change at once."""
    publish(tmp_path, 1)
    ring, account = Keyring({}), account_with_files(tmp_path)
    secret_of(ring, account)
    other = account_with_files(tmp_path, secret_key=SecretSource.plain("other"))
    assert secret_of(ring, other) == (f"{CANARY}-1", "other")


def test_the_environment(tmp_path: Path) -> None:
    """The vendors' variables set keys and token if the account does not."""
    environ = {"TENCENTCLOUD_SECRET_ID": "i", "TENCENTCLOUD_SECRET_KEY": "k", "TENCENTCLOUD_TOKEN": "t"}
    kind = all_providers()["tencent"]
    keys = asyncio.run(Keyring(environ)(kind, kind.account(name="main", provider="tencent")))
    assert keys == Credentials("i", Secret("k"), Secret("t"))


def test_nothing_anywhere() -> None:
    """If there are no keys anywhere, the error names the field and the variable, unless the cloud needs none."""
    for name, kind in all_providers().items():
        account, _ = make(kind, document(name))
        if kind.keyless:
            assert asyncio.run(Keyring({})(kind, account)) == Credentials("", Secret(""))
            continue
        with pytest.raises(CredentialsError, match=r"is missing: set .* or the environment variable"):
            asyncio.run(Keyring({})(kind, account))


def test_files_of_a_profile_are_watched(tmp_path: Path) -> None:
    """A rewritten profile file gives the new keys, and a broken one is reported until it is repaired."""
    (tmp_path / ".tencentcloud").mkdir()
    path = tmp_path / ".tencentcloud/credentials"
    kind = all_providers()["tencent"]
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


def test_reprs_show_no_secret(tmp_path: Path) -> None:
    """No repr of a keyring's objects shows a key."""

    async def scene(made: Bench) -> None:
        await made.keys()
        keys = made.ring.__dict__["_accounts"]["alibaba", "main"]
        shown = (keys, vars(keys), keys.lease, keys.files, made.ring, vars(made.ring), replace(keys.lease))
        assert CANARY not in repr(shown)

    play(SETTINGS["rrsa"], tmp_path, scene)
