"""Signed requests of each cloud, as the simulator receives them: no network, and every part can be spoiled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlencode

from exporter.providers.alibaba import rpc_signing as acs_rpc
from exporter.providers.alibaba import signing as acs3
from exporter.providers.encoding import sha256_hex
from exporter.providers.tencent import signing as tc3
from exporter.providers.volcengine_openapi import SCHEME as VOLC
from exporter.providers.zego import signing as zego
from exporter.simulator import World
from exporter.simulator.exchange import Outgoing, Received
from exporter.simulator.providers import fakes
from exporter.simulator.server import log, respond

NOW = 1_767_323_045.0
HOST = "127.0.0.1:10181"
APP = "661e0000000000000543cf00"
_numbers = count(1)


def at(seconds: float, form: str) -> str:
    """Write a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def small_world() -> World:
    """Make a world with one account at each cloud, one stream in each state, and a clock that stands still."""
    world = World(clock=lambda: NOW)
    world.add_account("z", "zego", app_id=77, server_secret="secret")
    world.add_account("t", "tencent", secret_id="id", secret_key="secret", region="ap-guangzhou")
    world.add_account("a", "alibaba", access_key_id="id", access_key_secret="secret")
    world.add_account("v", "volcengine", access_key_id="id", secret_access_key="secret", app_id=APP)
    for state in ("active", "inactive", "forbidden", "not_found"):
        world.add_stream(state, "z", state=state)
        world.add_stream(state, "t", state=state, domain="push.example")
        world.add_stream(state, "a", state=state, domain="push.example", app="live", streaming_domain="play.example")
        world.add_stream(state, "v", state=state, room_id="room")
    return world


def answer(world: World, provider: str, received: Received) -> Outgoing:
    """Let one cloud answer, faults included, and log the call."""
    exchange = fakes()[provider].parse(world, received)
    faults = world.faults_for(exchange.names)
    outgoing = respond(exchange, faults)
    log(exchange, outgoing, faults)
    return outgoing


def _kept(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}


def zego_call(action: str = "DescribeRTCStreamState", secret: str = "secret", **changed: Any) -> Received:
    """Sign a call to ZEGO; a parameter changed to None is left out."""
    number = next(_numbers)
    nonce, timestamp = changed.get("SignatureNonce") or f"{number:016x}", int(NOW)
    query: dict[str, Any] = {
        "Action": action,
        "AppId": 77,
        "SignatureNonce": nonce,
        "Timestamp": timestamp,
        "Signature": zego.signature(app_id=77, nonce=nonce, server_secret=secret, timestamp=timestamp),
        "SignatureVersion": "2.0",
        "Sequence": number,
        "StreamId": "active",
        **changed,
    }
    return Received("GET", "/", urlencode(_kept(query)), {"host": HOST}, b"", NOW)


def tencent_call(
    action: str = "DescribeLiveStreamState",
    parameters: Any = None,
    *,
    secret: str = "secret",
    body: bytes | None = None,
    **changed: str | None,
) -> Received:
    """Sign a call to Tencent; headers are changed by name with `_` for `-`, and left out for None."""
    default = {"DomainName": "push.example", "AppName": "live", "StreamName": "active"}
    sent = json.dumps(default if parameters is None else parameters).encode() if body is None else body
    signed = {"Content-Type": "application/json", "Host": HOST}
    timestamp = int(changed.get("X_TC_Timestamp") or NOW) if (changed.get("X_TC_Timestamp") or "0").isdigit() else 0
    headers: dict[str, str | None] = {
        **signed,
        "Authorization": tc3.authorization(
            secret_id="id", secret_key=secret, service="live", timestamp=timestamp, headers=signed, body=sent
        ),
        "X-TC-Action": action,
        "X-TC-Version": "2018-08-01",
        "X-TC-Timestamp": str(timestamp),
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return Received("POST", "/", "", {name.lower(): value for name, value in _kept(headers).items()}, sent, NOW)


STATE_OF_ACTIVE = {"AppName": "live", "DomainName": "push.example", "StreamName": "active"}


def alibaba_call(
    action: str = "DescribeLiveStreamState",
    parameters: Mapping[str, str] | None = None,
    *,
    secret: str = "secret",
    **changed: str | None,
) -> Received:
    """Sign a call to Alibaba in the V3 style; headers are changed as at Tencent, before they are signed."""
    query = sorted((STATE_OF_ACTIVE if parameters is None else parameters).items())
    headers = {
        "host": HOST,
        "x-acs-action": action,
        "x-acs-content-sha256": sha256_hex(b""),
        "x-acs-date": at(NOW, "%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": f"{next(_numbers):032x}",
        "x-acs-version": "2016-11-01",
    }
    headers = _kept({**headers, **{name.replace("_", "-"): value for name, value in changed.items()}})
    full = {"x-acs-content-sha256": "", **headers}
    written = acs3.authorization(access_key_id="id", access_key_secret=secret, method="POST", query=query, headers=full)
    return Received("POST", "/", urlencode(query), {**headers, "authorization": written}, b"", NOW)


def alibaba_rpc_call(secret: str = "secret", **changed: str | None) -> Received:
    """Sign a call to Alibaba in the RPC style; a parameter changed to None is left out."""
    query = _kept(
        {
            "Action": "DescribeLiveStreamState",
            "Version": "2016-11-01",
            "Format": "JSON",
            "AccessKeyId": "id",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": f"{next(_numbers):032x}",
            "Timestamp": at(NOW, "%Y-%m-%dT%H:%M:%SZ"),
            **STATE_OF_ACTIVE,
            **changed,
        }
    )
    query.setdefault("Signature", acs_rpc.signature(access_key_secret=secret, method="GET", query=query.items()))
    return Received("GET", "/", urlencode(query), {"host": HOST}, b"", NOW)


def volcengine_call(
    action: str = "GetUserStreamState",
    parameters: Mapping[str, str] | None = None,
    *,
    secret: str = "secret",
    version: str = "2020-12-01",
    x_date: str | None = None,
    **changed: str | None,
) -> Received:
    """Sign a call to Volcengine; headers are changed after they are signed."""
    default = {"AppId": APP, "RoomId": "room", "UserId": "active"}
    query = {"Action": action, "Version": version, **(default if parameters is None else parameters)}
    headers = {"host": HOST, "x-content-sha256": sha256_hex(b""), "x-date": x_date or at(NOW, "%Y%m%dT%H%M%SZ")}
    written = VOLC.authorization(
        access_key_id="id",
        secret_access_key=secret,
        region="cn-north-1",
        service="rtc",
        query=query.items(),
        headers=headers,
    )
    sent = {**headers, "authorization": written, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return Received("GET", "/", urlencode(query), _kept(sent), b"", NOW)
