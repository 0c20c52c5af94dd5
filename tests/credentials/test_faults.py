"""Metadata and STS servers that fail, lie or hang: told in words that say what to do and hold no secret."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

import pytest

from exporter.credentials.keyring import Keyring
from exporter.model import Reply, Request
from exporter.providers import all_providers
from exporter.providers.interface import CredentialsError
from exporter.routes import Route
from exporter.transport import Transport
from tests.credentials.cloud import (
    CANARY,
    EACH_SOURCE,
    SETTINGS,
    TLS,
    Answer,
    Bench,
    Setting,
    echo,
    hang,
    play,
    re_search,
    refused,
    saying,
)

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
    "echo": (echo, "unknown error|not the name|asked|signs"),
}


@pytest.mark.parametrize("fault", FAULTS)
@EACH_SOURCE
def test_errors_hold_no_secrets(
    setting: Setting, fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """For any fault of a server, the error says what to do and holds no key, token or part of the answer."""
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


def test_a_dead_server(tmp_path: Path) -> None:
    """If a server cannot be reached, the error says what to do."""

    async def main() -> None:
        async with Transport(TLS) as transport:
            kind = all_providers()["alibaba"]

            async def send(request: Request, timeout: float, largest: int, _route: Route) -> Reply:  # noqa: ASYNC109
                nobody = request.url.replace("http://100.100.100.200", "http://127.0.0.1:1")
                return await transport.send(request._replace(url=nobody), timeout, largest)

            ring = Keyring(SETTINGS["ecs"].make(tmp_path), send=send)
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
    """A missing role is distinguished from a server that does not answer."""

    async def scene(made: Bench) -> None:
        made.cloud.role = None
        assert "no such role is attached" in str(await refused(made))

    for name in ("cvm", "cvm-auto", "ecs", "ecs-profile"):
        play(SETTINGS[name], tmp_path, scene)


def test_without_a_transport(tmp_path: Path) -> None:
    """A keyring without a transport says so, and makes no calls."""
    kind = all_providers()["tencent"]
    ring = Keyring(SETTINGS["cvm"].make(tmp_path))
    with pytest.raises(CredentialsError, match="no network is to be used here"):
        asyncio.run(ring(kind, kind.account(name="main", provider="tencent")))
