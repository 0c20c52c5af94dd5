"""The fake of ZEGO's RTC server API, version 2.

The documentation gives codes but no order of checks: the order here is a guess. So is code 2 (parameter error) for a
Sequence that is missing or does not grow: the media family has no code of its own for it.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from zlib import crc32

from exporter.model import State
from exporter.providers.zego import signing
from exporter.simulator.fake import Exchange, Fake, Limit, Outgoing, Post, Received, Refusal, put, spend
from exporter.simulator.nouns import Account, Event, Letter, Manners, Stream

STATE = "DescribeRTCStreamState"
WINDOW = 600
SEQUENCE_SPAN = 10.0
LIMIT = Limit(40)
TEST_LIMIT = Limit(10)
MESSAGES = {"0": "ok", "41004": "stream not exist", "41006": "stream closed"}
_STREAM_ID = re.compile(r"[0-9A-Za-z_-]{1,256}")


def _complete(_account: Account, name: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"stream_id": name, **fields}


def _prefix(account: Account) -> str:
    return f"zegotest-{account.text('app_id')}-"


def _asked(exchange: Exchange) -> tuple[str, ...]:
    query, account = exchange.received.query, exchange.account
    stream_id = query.get("StreamId", "")
    is_test = account is not None and account.fields.get("is_test") is True
    return (stream_id.removeprefix(_prefix(account)) if account is not None and is_test else stream_id,)


def _filled(query: Mapping[str, str], name: str, code: str) -> str:
    if not query.get(name):
        raise Refusal(code, f"{name} is empty")
    return query[name]


def _decimal(text: str, code: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > most:
        raise Refusal(code, "not a decimal number")
    return int(text)


def _gateway(exchange: Exchange) -> None:
    query = exchange.received.query
    if _filled(query, "Action", "100000006") != STATE:
        raise Refusal("100000007", "action is not supported")
    app_id = _decimal(query.get("AppId", ""), "100000001", 4294967295)
    timestamp = _decimal(_filled(query, "Timestamp", "100000002"), "100000003", 1 << 63)
    nonce = _filled(query, "SignatureNonce", "100000008")
    given = _filled(query, "Signature", "100000009")
    if _filled(query, "SignatureVersion", "100000013") != "2.0":
        raise Refusal("100000014", "signature version is not supported")
    if exchange.account is None:
        raise Refusal("100000010", "failed to get the server secret")
    if abs(exchange.received.now - timestamp) > WINDOW:
        raise Refusal("100000004", "signature expired")
    secret = exchange.account.text("server_secret")
    expected = signing.signature(app_id=app_id, nonce=nonce, server_secret=secret, timestamp=timestamp)
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise Refusal("100000005", "signature error")
    exchange.verified = True


def _service(exchange: Exchange) -> None:
    if exchange.known.fields.get("is_test") is True and exchange.received.query.get("IsTest") != "true":
        raise Refusal("100000016", "the app has no production environment")
    if exchange.action in exchange.known.denied:
        raise Refusal("100000017", "the service is not enabled")


def _environment(exchange: Exchange) -> None:
    test = exchange.known.fields.get("is_test")
    if exchange.received.query.get("IsTest", "false") not in ("true", "false") or (
        exchange.received.query.get("IsTest") == "true" and test is not True
    ):
        raise Refusal("30004", "isTest is wrong")


def _stream_id(exchange: Exchange) -> None:
    stream_id = exchange.received.query.get("StreamId", "")
    prefixed = exchange.known.fields.get("is_test") is not True or stream_id.startswith(_prefix(exchange.known))
    # Older SDKs allowed more characters: a stream that exists under such a name is answered.
    if not prefixed or (exchange.stream is None and not _STREAM_ID.fullmatch(stream_id)):
        raise Refusal("30009", "invalid StreamId")


def _sequence(exchange: Exchange) -> None:
    sequence = _decimal(exchange.received.query.get("Sequence", ""), "2", 1 << 63)
    key = (exchange.known.name, exchange.address)
    last, when = exchange.world.memory.sequences.get(key, (-1, 0.0))
    if sequence <= last and exchange.now - when < SEQUENCE_SPAN and exchange.world.quirks.zego_sequence == "refuse":
        raise Refusal("2", "Sequence does not grow")
    exchange.world.memory.sequences[key] = (sequence, exchange.now)


def _request_id(exchange: Exchange) -> str:
    return str(exchange.random.randrange(10**4, 10**18))


def _times(stream: Stream | None, now: float) -> dict[str, str]:
    started = str(int(stream.script.started(now))) if stream else ""
    return {"create_time": started, "close_time": ""}


def _envelope(exchange: Exchange, code: str, message: str, data: Any) -> Outgoing:
    payload = {"Code": int(code), "Message": message, "RequestId": _request_id(exchange), "Data": data}
    if code != "0":
        _withhold(exchange, payload)
    return Outgoing(code, payload)


def _withhold(exchange: Exchange, payload: dict[str, Any]) -> None:
    quirk = exchange.world.quirks.zego_data
    if quirk == "missing":
        del payload["Data"]
    elif quirk == "null":
        payload["Data"] = None
    elif quirk == "times":
        now = str(int(exchange.now))
        payload["Data"] = {"create_time": now, "close_time": now}
    else:
        payload["Data"] = {}


def _state_code(exchange: Exchange) -> str:
    state = exchange.stream.script.state(exchange.now) if exchange.stream else State.NOT_FOUND
    if state is State.ACTIVE:
        return "0"
    ended = state in (State.INACTIVE, State.FORBIDDEN)
    return "41006" if ended and exchange.world.quirks.zego_history else "41004"


def _describe(exchange: Exchange) -> Outgoing:
    spend(exchange)
    _environment(exchange)
    _stream_id(exchange)
    _sequence(exchange)
    code = _state_code(exchange)
    return _envelope(exchange, code, MESSAGES[code], _times(exchange.stream, exchange.now))


def _answer(exchange: Exchange) -> Outgoing:
    _gateway(exchange)
    _service(exchange)
    return _describe(exchange)


def _throttled(_exchange: Exchange, _wait: float) -> Refusal:
    return Refusal("30002", "the call is made too often")


def _refuse(exchange: Exchange, refusal: Refusal) -> Outgoing:
    outgoing = _envelope(exchange, refusal.code, refusal.message, {})
    outgoing.status = refusal.status or 200
    return outgoing


def _spoil(payload: Any, value: Any) -> None:
    put(payload, "Code", value)


def _limit(exchange: Exchange) -> Limit:
    return TEST_LIMIT if exchange.known.fields.get("is_test") is True else LIMIT


def _marks(received: Received) -> bool:
    return not {"AppId", "SignatureNonce", "SignatureVersion"}.isdisjoint(received.query)


def _write(event: Event, secret: str | None, manners: Manners) -> Letter:
    """Put a push into ZEGO's words: every scalar is a string."""
    account, address = event.stream.account, event.stream.address
    name = "stream_create" if event.live else "stream_close"
    room, sent = f"room-{address['stream_id']}", str(int(event.sent))
    stream_id = _prefix(account) + address["stream_id"] if account.fields.get("is_test") else address["stream_id"]
    signature = ""
    if secret is not None:
        signature = signing.callback_signature(secret=secret, timestamp=sent, nonce=event.nonce)
    fields: dict[str, Any] = {
        "event": name,
        "appid": account.text("app_id"),
        "timestamp": sent,
        "nonce": event.nonce,
        "signature": signature,
        "room_id": room,
        "room_session_id": str(1_000_000 + crc32(room.encode())),
        "user_id": event.stream.name,
        "user_name": event.stream.name,
        "channel_id": room,
        "stream_alias": stream_id,
        "stream_id": stream_id,
        "stream_sid": f"s-{event.began[0]}",
        "stream_seq": str(event.number),
        "create_time_ms": str(int(event.began[1] * 1000)),
    }
    if event.live:
        fields |= {"create_time": str(int(event.at)), "recreate": str(int(manners.recreate)), "title": ""}
        fields |= {name: [] for name in ("rtmp_url", "hls_url", "hdl_url", "pic_url")}
    else:
        fields |= {"type": str(manners.reason or 0), "destroy_timemillis": str(int(event.at * 1000))}
    return _enclose(name, fields, manners)


def _enclose(name: str, fields: dict[str, Any], manners: Manners) -> Letter:
    if manners.body == "form":
        pairs = [(key, value) for key, value in fields.items() if isinstance(value, str)]
        kind, body = "application/x-www-form-urlencoded", urlencode(pairs).encode()
    else:
        kind, text = "application/json", json.dumps(fields, ensure_ascii=False)
        body = quote(text, safe="").encode() if manners.body == "percent" else text.encode()
    return Letter(name, "POST", "", {"Content-Type": kind}, body)


FAKE = Fake(
    name="zego",
    key="app_id",
    account_fields={"app_id": int, "server_secret": str, "is_test": bool, "callback_secret": str},
    account_needs=("app_id", "server_secret"),
    stream_fields=("stream_id",),
    stream_needs=(),
    complete=_complete,
    addresses=lambda stream: [(stream.address["stream_id"],)],
    group=lambda stream: (stream.address["stream_id"],),
    actions=(STATE,),
    limit=_limit,
    content_type="application/json",
    marks=_marks,
    action=lambda received: received.query.get("Action", ""),
    identity=lambda received: received.query.get("AppId", ""),
    asked=_asked,
    nonce=lambda received: received.query.get("SignatureNonce", ""),
    answer=_answer,
    refuse=_refuse,
    throttled=_throttled,
    spoil=_spoil,
    unknown=49999,
    post=Post(key_field="callback_secret", write=_write, retries=(2, 4, 8, 16, 32), patience=5.0, strict=False),
)
