"""What may come in from the internet at `/callbacks/`, over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from exporter.serving.callbacks import MOST_CALLBACK
from testbed.processes import eventually

from . import deliveries
from .rig import CLOUDS, Rig, opened

NAMES = {provider: ["one"] for provider in CLOUDS}


def on_the_rig(check: Callable[[Rig], Awaitable[None]], names: dict[str, list[str]] = NAMES) -> None:
    """Run a check on an exporter whose clouds do not call by themselves."""

    async def main() -> None:
        async with opened(names) as rig:
            rig.world.callbacks = ""
            await check(rig)

    asyncio.run(main())


async def call(rig: Rig, path: str, method: str = "POST", **request: Any) -> tuple[int, str]:
    """Send one callback; return status and body."""
    async with rig.session.request(method, f"{rig.url}/callbacks/{path}", **request) as reply:
        return reply.status, await reply.text()


def now() -> int:
    """Return the second by the machine's clock, which the exporter under test goes by."""
    return int(time.time())


async def good(rig: Rig, provider: str) -> tuple[int, str]:
    """Send a callback that is good in every way."""
    if provider == "alibaba":
        received = deliveries.alibaba("publish", "one", now())
        return await call(rig, f"alibaba?{urlencode(received.query)}", "GET", headers=dict(received.headers))
    fields = (
        deliveries.zego_fields(stream="one", timestamp=now())
        if provider == "zego"
        else deliveries.tencent_fields(stream="one", at=now())
    )
    return await call(rig, provider, json=fields)


@pytest.mark.parametrize(("provider", "answer"), [("zego", ""), ("tencent", '{"code":0}'), ("alibaba", "")])
def test_good_ones_are_answered_as_the_vendor_expects(provider: str, answer: str) -> None:
    """200 and the customary body, for the first delivery and for a retry of it."""

    async def check(rig: Rig) -> None:
        assert await good(rig, provider) == (200, answer)
        assert await good(rig, provider) == (200, answer)
        assert rig.outcomes()["accepted"] == 1

    on_the_rig(check)


def test_accounts_without_a_secret_receive_nothing() -> None:
    """404 for an account that has none, and for one that does not exist; nothing is counted."""

    async def check(rig: Rig) -> None:
        for path in ("nobody", "zego/more", "..%2fzego", "zego%00", "%F0%9F"):
            assert (await call(rig, path, json={}))[0] == 404
        before = dict(rig.service.counters.callbacks)
        config = rig.service.config
        bare = tuple(
            one.model_copy(update={"callback_secret": None}) if one.name == "zego" else one for one in config.accounts
        )
        rig.service.configure(type(config)(config.scrape, bare, config.streams))
        assert (await good(rig, "zego"))[0] == 404
        assert dict(rig.service.counters.callbacks) == before

    on_the_rig(check)


def test_bodies_up_to_64_kib() -> None:
    """A body of 64 KiB is read; one byte more is refused, declared or in pieces, and counted as forged."""

    async def check(rig: Rig) -> None:
        fields = deliveries.tencent_fields(stream="one", at=now(), padding="")
        fields["padding"] = "x" * (MOST_CALLBACK - len(json.dumps(fields)))
        whole = json.dumps(fields).encode()
        assert len(whole) == MOST_CALLBACK
        assert (await call(rig, "tencent", data=whole))[0] == 200
        assert (await call(rig, "tencent", data=whole + b" "))[0] == 413

        async def pieces() -> Any:
            for _ in range(20):
                yield b" " * 8192

        assert (await call(rig, "tencent", data=pieces()))[0] == 413
        bomb = gzip.compress(b" " * (64 << 20))
        assert (await call(rig, "tencent", data=bomb[:MOST_CALLBACK], headers={"Content-Encoding": "gzip"}))[0] in (
            400,
            413,
        )
        assert rig.outcomes() == {"accepted": 1, "forged": 3}

    on_the_rig(check)


def test_a_body_that_breaks_off() -> None:
    """An incomplete body is counted as forged."""

    async def check(rig: Rig) -> None:
        host, _, port = rig.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /callbacks/tencent HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: rig.outcomes() == {"forged": 1})
        assert not await reader.read()

    on_the_rig(check)


@pytest.mark.parametrize("provider", CLOUDS)
def test_wrong_methods(provider: str) -> None:
    """Any method but the vendor's counts as forged, including HEAD."""

    async def check(rig: Rig) -> None:
        methods = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"} - {
            "GET" if provider == "alibaba" else "POST"
        }
        for method in methods:
            assert (await call(rig, provider, method))[0] == 403
        assert rig.outcomes() == {"forged": len(methods)}

    on_the_rig(check)


HOSTILE = [
    b"", b"{", b"[]", b"null", b'{"a":' * 10_000, b"\xff\xfe", b"%ff%00", b'{"t":' + b"9" * 60_000 + b"}",
    b'{"sign":"\\ud800","t":1}', b'{"event":"\\u0000","timestamp":"' + b"1" * 5000 + b'","nonce":"a","signature":"b"}',
    b"event=" + b"%F0" * 1000, b"&" * 60_000, b'{"nonce":' + b"[" * 900 + b"]" * 900 + b"}",
]  # fmt: skip


def test_hostile_strings_touch_nothing() -> None:
    """No body, header or query causes an error, a series, a state or a call; each is only counted."""

    async def check(rig: Rig) -> None:
        series = {line.rpartition(" ")[0] for line in (await rig.scrape()).splitlines() if not line.startswith("#")}
        states, calls = await rig.states(), len(rig.world.log)
        for body in HOSTILE:
            for provider in ("zego", "tencent"):
                assert (await call(rig, provider, data=body))[0] == 403
        for text in ("\x01", "%00", "%ED%A0%80", "é" * 200, "1" * 1500):
            headers = {"ALI-LIVE-TIMESTAMP": "1" * 50, "ALI-LIVE-SIGNATURE": "f" * 50, "Host": "h\xe9"}
            status, _ = await call(
                rig, f"alibaba?action={text}&app={text}&id={text}&time={text}", "GET", headers=headers
            )
            assert status == 403
        assert rig.outcomes() == {"forged": 2 * len(HOSTILE) + 5}
        assert (await rig.states(), len(rig.world.log)) == (states, calls)
        text = await rig.scrape()
        added = {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")} - series
        assert {line.partition("{")[0] for line in added} <= {"stream_callbacks_total"}
        assert {line.partition('event="')[2].partition('"')[0] for line in added} == {"unknown"}
        assert "bug" not in text

    on_the_rig(check)


def test_a_good_signature_for_another_account() -> None:
    """A secret is valid only for its own account."""

    async def check(rig: Rig) -> None:
        fields = deliveries.zego_fields(stream="one", timestamp=now())
        assert (await call(rig, "tencent", json=fields))[0] == 403
        body = deliveries.tencent_fields(stream="one", at=now())
        assert (await call(rig, "zego", json=body))[0] == 403
        assert rig.outcomes() == {"forged": 2}

    on_the_rig(check)


def test_counts_are_in_the_next_scrape() -> None:
    """Refused callbacks are in the next scrape, although no answer has changed."""

    async def check(rig: Rig) -> None:
        await rig.scrape()
        await call(rig, "zego", data=b"x")
        assert await rig.callbacks() == {"zego unknown forged 1.0"}

    on_the_rig(check)


def test_what_the_log_says_of_refused_callbacks() -> None:
    """One log line for each outcome, without the secret or the callback's content."""

    async def check(rig: Rig) -> None:
        with capture_logs() as logs:
            for _ in range(3):
                await call(rig, "tencent", json=deliveries.tencent_fields(stream="one", at=now(), key="other"))
                await call(rig, "tencent", json=deliveries.tencent_fields(stream="nobody", at=now()))
            await call(rig, "tencent", data=b" " * (MOST_CALLBACK + 1))
        said = [(line["event"], line["callback"], line["outcome"]) for line in logs]
        assert said == [
            ("callback refused", "push_begin", "forged"),
            ("callback of no use", "push_begin", "unknown_stream"),
            ("callback refused", "unknown", "forged"),
        ]
        assert all(line["advice"] and line["account"] == line["provider"] == "tencent" for line in logs)
        assert deliveries.SECRET not in str(logs)
        assert "canary" not in str(logs)

    on_the_rig(check)
