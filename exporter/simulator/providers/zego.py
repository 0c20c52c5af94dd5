"""The fake of ZEGO's RTC server API, version 2.

The documentation lists codes but no order of checks, so the order here is a guess. So is code 2 (parameter error) for a
Sequence that is missing or does not increase: the media APIs have no code of their own for it.
"""

from __future__ import annotations

import hmac
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode
from zlib import crc32

from exporter.model import State
from exporter.providers.zego import signing
from exporter.simulator.answers import parse_decimal
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit, Marks
from exporter.simulator.types import Account, Callback, DemoAccount, DemoStreams, Event, Manners

STATE = "DescribeRTCStreamState"
WINDOW = 600
SEQUENCE_SPAN = 10.0
MESSAGES = {
    "0": "ok",
    "2": "Sequence is not a decimal number that grows",
    "30002": "the call is made too often",
    "30004": "isTest is wrong",
    "30009": "invalid StreamId",
    "41004": "stream not exist",
    "41006": "stream closed",
    "100000001": "AppId is not a decimal number",
    "100000002": "Timestamp is empty",
    "100000003": "Timestamp is not a decimal number",
    "100000004": "signature expired",
    "100000005": "signature error",
    "100000006": "Action is empty",
    "100000007": "action is not supported",
    "100000008": "SignatureNonce is empty",
    "100000009": "Signature is empty",
    "100000010": "failed to get the server secret",
    "100000013": "SignatureVersion is empty",
    "100000014": "signature version is not supported",
    "100000016": "the app has no production environment",
    "100000017": "the service is not enabled",
}
_STREAM_ID = re.compile(r"[0-9A-Za-z_-]{1,256}")


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    zego_history: bool = True
    zego_data: Literal["times", "empty", "null", "missing"] = "empty"
    zego_sequence: Literal["refuse", "ignore"] = "refuse"


def _is_test(account: Account) -> bool:
    return account.fields.get("is_test") is True


def _prefix(account: Account) -> str:
    return f"zegotest-{account.text('app_id')}-" if _is_test(account) else ""


def _address(exchange: Exchange) -> tuple[str]:
    prefix = _prefix(exchange.account) if exchange.account else ""
    return (exchange.parameters.get("StreamId", "").removeprefix(prefix),)


def _authenticate(exchange: Exchange) -> None:
    sent = defaultdict(str, exchange.parameters)
    app_id, timestamp = parse_decimal(sent["AppId"], 4294967295), parse_decimal(sent["Timestamp"], 1 << 63)
    refuse_if(
        (not exchange.action, "100000006"),
        (exchange.action != STATE, "100000007"),
        (app_id < 0, "100000001"),
        (not sent["Timestamp"], "100000002"),
        (timestamp < 0, "100000003"),
        (not sent["SignatureNonce"], "100000008"),
        (not sent["Signature"], "100000009"),
        (not sent["SignatureVersion"], "100000013"),
        (sent["SignatureVersion"] != "2.0", "100000014"),
        (exchange.account is None, "100000010"),
        (abs(exchange.received.now - timestamp) > WINDOW, "100000004"),
    )
    secret = exchange.caller.text("server_secret")
    expected = signing.signature(app_id=app_id, nonce=sent["SignatureNonce"], server_secret=secret, timestamp=timestamp)
    if not hmac.compare_digest(expected.encode(), sent["Signature"].encode("utf-8", "replace")):
        raise Refusal("100000005")
    exchange.verified = True
    if _is_test(exchange.caller) and sent["IsTest"] != "true":
        raise Refusal("100000016")


def _check(exchange: Exchange) -> None:
    sent, account, memory = exchange.parameters, exchange.caller, exchange.world.memory.sequences
    environment, stream_id = sent.get("IsTest", "false"), sent.get("StreamId", "")
    sequence, key = parse_decimal(sent.get("Sequence", ""), 1 << 63), (account.name, exchange.address)
    last, when = memory.get(key, (-1, 0.0))
    strict = exchange.world.quirks.zego_sequence == "refuse"
    refuse_if(
        (environment not in ("true", "false") or (environment == "true" and not _is_test(account)), "30004"),
        # Older SDKs allowed more characters, so any name of an existing stream is accepted.
        (exchange.stream is None and not _STREAM_ID.fullmatch(stream_id), "30009"),
        (not stream_id.startswith(_prefix(account)), "30009"),
        (sequence < 0, "2"),
        (strict and sequence <= last and exchange.now - when < SEQUENCE_SPAN, "2"),
    )
    memory[key] = (sequence, exchange.now)


def _envelope(exchange: Exchange, code: str, message: str) -> Outgoing:
    stream, now, quirk = exchange.stream, str(int(exchange.now)), exchange.world.quirks.zego_data
    request = str(exchange.world.random.randrange(10**4, 10**18))
    payload: dict[str, Any] = {"Code": int(code), "Message": message, "RequestId": request, "Data": {}}
    if code == "0":
        began = str(int(stream.script.started(exchange.now))) if stream else ""
        payload["Data"] = {"create_time": began, "close_time": ""}
    elif quirk == "missing":
        del payload["Data"]
    elif quirk != "empty":
        payload["Data"] = None if quirk == "null" else {"create_time": now, "close_time": now}
    return Outgoing(code, payload)


def _state(exchange: Exchange) -> Outgoing:
    state = exchange.stream.script.state(exchange.now) if exchange.stream else State.NOT_FOUND
    ended = "41006" if state is not State.NOT_FOUND and exchange.world.quirks.zego_history else "41004"
    code = "0" if state is State.ACTIVE else ended
    return _envelope(exchange, code, MESSAGES[code])


def _callback(event: Event, secret: str | None, manners: Manners) -> Callback:
    """Build ZEGO's callback: every scalar is a string."""
    account, stream_id = event.stream.account, event.stream.address["stream_id"]
    name = "stream_create" if event.live else "stream_close"
    room, sent = f"room-{stream_id}", str(int(event.sent))
    signature = ""
    if secret is not None:
        signature = signing.callback_signature(secret=secret, timestamp=sent, nonce=event.nonce)
    fields: dict[str, Any] = {
        "event": name, "appid": account.text("app_id"), "timestamp": sent, "nonce": event.nonce,
        "signature": signature,
        "room_id": room, "room_session_id": str(1_000_000 + crc32(room.encode())), "user_id": event.stream.name,
        "user_name": event.stream.name, "channel_id": room, "stream_alias": _prefix(account) + stream_id,
        "stream_id": _prefix(account) + stream_id, "stream_sid": f"s-{event.began[0]}",
        "stream_seq": str(event.number), "create_time_ms": str(int(event.began[1] * 1000)),
    }  # fmt: skip
    if event.live:
        fields |= {"create_time": str(int(event.at)), "recreate": str(int(manners.recreate)), "title": ""}
        fields |= {name: [] for name in ("rtmp_url", "hls_url", "hdl_url", "pic_url")}
    else:
        fields |= {"type": str(manners.reason or 0), "destroy_timemillis": str(int(event.at * 1000))}
    return _encode_body(name, fields, manners.body)


def _encode_body(name: str, fields: dict[str, Any], form: str) -> Callback:
    if form == "form":
        pairs = [(key, value) for key, value in fields.items() if isinstance(value, str)]
        kind, body = "application/x-www-form-urlencoded", urlencode(pairs)
    else:
        kind, body = "application/json", json.dumps(fields, ensure_ascii=False)
    body = quote(body, safe="") if form == "percent" else body
    return Callback(name, "POST", "", {"Content-Type": kind}, body.encode())


DEMO = (
    DemoAccount(
        "zego-main",
        {
            "app_id": 1000000001,
            "server_secret": "demo0zego0main0secret00000000001",
            "callback_secret": "demo-zego-main-callbacks",
        },
        (
            DemoStreams("community", "gold", {"lobby-host": "A"}),
            DemoStreams("community", "silver", {"lobby-guest-1": "AI", "lobby-guest-2": "AAI", "lobby-guest-3": "I"}),
            DemoStreams("esports", "gold", {"arena-caster": "A", "arena-player-1": "AAAI", "arena-player-2": "IAAA"}),
            DemoStreams("esports", "silver", {"arena-replay": "N"}, {"stream_id": "arena-replay-2024"}),
        ),
    ),
    DemoAccount(
        "zego-test",
        {
            "app_id": 1000000002,
            "server_secret": "demo0zego0test0secret00000000002",
            "callback_secret": "demo-zego-test-callbacks",
            "is_test": True,
        },
        (DemoStreams("platform", "silver", {"canary-1": "A", "canary-2": "AN", "canary-3": "I"}),),
    ),
)

FAKE = Fake(
    name="zego",
    account_fields={"app_id": int, "server_secret": str, "is_test": bool, "callback_secret": str},
    stream_fields={"stream_id": "{name}"},
    address=("stream_id",),
    group=lambda stream: (stream.address["stream_id"],),
    marks=Marks(parameters=("AppId", "SignatureNonce", "SignatureVersion"), weak=True),
    key_parameter="AppId",
    once="Sequence",
    quirks=Quirks,
    authenticate=_authenticate,
    denied="100000017",
    check=_check,
    actions={STATE: Action(_state, lambda exchange: Limit(10 if _is_test(exchange.caller) else 40), _address)},
    messages=MESSAGES,
    error=_envelope,
    throttled=lambda _exchange, _wait: Refusal("30002"),
    content_type="application/json",
    states=("Code",),
    unknown=49999,
    callbacks=CallbackSpec(
        key_field="callback_secret", write=_callback, retries=(2, 4, 8, 16, 32), timeout=5.0, strict=False
    ),
    demo=DEMO,
    demo_rank=1,
)
