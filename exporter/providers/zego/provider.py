"""ZEGO RTC server API, version 2: DescribeRTCStreamState.

DescribeSimpleStreamList is not used. AddStream adds rows to a room's list for streams that nobody publishes, so a row
proves nothing: https://www.zegocloud.com/article/9786
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from pydantic import Field

from exporter.fields import Endpoint, SecretField, Text
from exporter.model import Account, Answer, Call, Credentials, Moment, Reply, Request, State, Stream
from exporter.providers import reading
from exporter.providers.encoding import host, percent, same
from exporter.providers.interface import (
    Api,
    Callback,
    Callbacks,
    Event,
    Malformed,
    Provider,
    ProviderError,
    Refused,
)
from exporter.providers.reading import as_integer, as_text
from exporter.providers.zego import signing

STATE = "DescribeRTCStreamState"
# https://www.zegocloud.com/docs/real-time-voice-server/api-reference/media-service/describe-rtc-stream-state
DEFINITE = {0: State.ACTIVE, 41006: State.INACTIVE, 41004: State.NOT_FOUND}


class ZegoAccount(Account):
    """An app in ZEGO's console."""

    endpoint: Endpoint = Field("https://rtc-api.zego.im", description="unified or regional host of the RTC server API")
    app_id: int = Field(ge=1, le=4294967295, description="AppID of the ZEGO console")
    server_secret: SecretField
    is_test: bool | None = Field(
        None, description="sent as IsTest where set; only for projects created up to 2021-11-16"
    )
    callback_secret: SecretField


class ZegoStream(Stream):
    """A stream published to ZEGO's media servers; streams pushed straight to a CDN are not covered by the API."""

    stream_id: Text | None = Field(None, description="StreamId; default: name")


def _stream_id(account: ZegoAccount, stream: ZegoStream) -> str:
    """Return the StreamId; in the test environment, with its prefix exactly once."""
    stream_id = stream.stream_id or stream.name
    prefix = f"zegotest-{account.app_id}-"
    return prefix + stream_id if account.is_test and not stream_id.startswith(prefix) else stream_id


def _ask(account: ZegoAccount, stream: ZegoStream) -> Call:
    return Call(STATE, "2.0", {"StreamId": _stream_id(account, stream)})


def _data(reply: Reply) -> tuple[int, dict[str, Any], str]:
    """Return Code, Data and RequestId. Data may be missing; it is empty then."""
    document = reading.envelope(reply)
    code = reading.envelope_field(reply, document, "Code", int, beside="RequestId")
    request_id = reading.id_of(document, "RequestId")
    if code not in DEFINITE:
        raise ProviderError(str(code), reading.message_of(document, "Message"), request_id)
    reading.check_success(reply, document, own=("Code", "Message"))
    reading.check_echo(document, {"Action": STATE})
    data = document.get("Data")
    return code, data if isinstance(data, dict) else {}, request_id


def _check_stream(account: ZegoAccount, stream_id: str, data: Mapping[str, Any]) -> None:
    """Refuse an answer about another stream; it is not documented whether it repeats the test prefix."""
    for name, value in data.items():
        if name.lower().replace("_", "") == "streamid" and value not in (
            None,
            stream_id,
            _without_prefix(account, stream_id),
        ):
            raise Malformed(f"{name} names something other than what was asked for")


def _read(account: ZegoAccount, _stream: ZegoStream, call: Call, reply: Reply) -> Answer:
    code, data, request_id = _data(reply)
    _check_stream(account, str(call.params["StreamId"]), data)
    state = DEFINITE[code]
    if state is not State.ACTIVE:
        return Answer(state, str(code), request_id=request_id)
    started, closed = (reading.unix_seconds(data.get(name)) for name in ("create_time", "close_time"))
    if closed and closed >= (started or 0):
        raise Malformed("Code 0 (active) with a close_time after create_time")
    return Answer(state, str(code), started=started, request_id=request_id)


def _keys(account: ZegoAccount, stream: ZegoStream) -> tuple[str, ...]:
    return (_without_prefix(account, _stream_id(account, stream)),)


def _without_prefix(account: ZegoAccount, stream_id: str) -> str:
    """Remove the test prefix from a StreamId; it is not documented whether callbacks carry it."""
    return stream_id.removeprefix(f"zegotest-{account.app_id}-") if account.is_test else stream_id


def _sign(account: ZegoAccount, credentials: Credentials, call: Call, moment: Moment) -> Request:
    """Sign AppId, nonce and time; ZEGO's signature does not cover the parameters."""
    nonce, now = moment.nonce[:16], int(moment.now)
    signature = signing.signature(
        app_id=account.app_id, nonce=nonce, server_secret=credentials.key_secret.reveal(), timestamp=now
    )
    query = (
        f"Action={call.action}&AppId={account.app_id}&SignatureNonce={nonce}&Timestamp={now}"
        f"&Signature={signature}&SignatureVersion={call.version}"
    )
    if account.is_test is not None:
        query += f"&IsTest={'true' if account.is_test else 'false'}"
    query += "".join(f"&{name}={percent(str(value))}" for name, value in call.params.items())
    # Must strictly increase for one StreamId within any ten seconds.
    query += f"&Sequence={moment.sequence}"
    return Request(
        "GET", f"{account.endpoint}/?{query}", {"Host": host(account.endpoint), "Accept": "application/json"}
    )


# `type` of stream_close: https://doc-zh.zego.im/article/19678
END_REASONS = {0: "client", 1: "timeout", 2: "kicked", 3: "kicked", 4: "network", 5: "kicked", 100: "kicked"}
EVENTS = {"stream_create": True, "stream_close": False}
CALLBACK_SECONDS = 600  # our own limit: the vendor documents none
MOST_FIELDS = 128
HAPPENED = {"destroy_timemillis": 0.001, "create_time_ms": 0.001, "create_time": 1.0}


def _documents(body: bytes) -> Iterator[bytes]:
    """Yield the body as it is, and percent-decoded if it may be encoded JSON."""
    yield body
    if b"%" in body and body.lstrip(b" \t\r\n+")[:1] in (b"%", b"{"):
        yield unquote_to_bytes(body)
        # Some encoders write a space as a plus sign.
        if b"+" in body:
            yield unquote_to_bytes(body.replace(b"+", b" "))


def _fields(body: bytes) -> dict[str, Any]:
    """Read a callback's fields from JSON, percent-encoded JSON, or a form: the vendor's samples show all three."""
    for document in _documents(body):
        if document.lstrip()[:1] in (b"{", b"\xef"):
            with suppress(ValueError):
                return reading.object_in(document)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused("forged") from None
    single = [name for name, _ in pairs if not name.endswith("[]")]
    if len(set(single)) != len(single):
        raise Refused("forged")
    return dict(pairs)


def _verify(account: ZegoAccount, secret: str, callback: Callback, now: float) -> Event:
    """Verify `signature`, which covers only secret, timestamp and nonce."""
    fields = _fields(callback.body)
    name = as_text(fields.get("event"))
    event = name if name in EVENTS else "unknown"
    stamp, nonce, signature = (as_text(fields.get(name)) for name in ("timestamp", "nonce", "signature"))
    if not same(signing.callback_signature(secret=secret, timestamp=stamp, nonce=nonce), signature.lower()):
        raise Refused("forged", event)
    sent = as_integer(stamp)
    if sent is None or as_integer(fields.get("appid")) != account.app_id:
        raise Refused("forged", event)
    if abs(now - sent) > CALLBACK_SECONDS:
        raise Refused("expired", event)
    stream_id = as_text(fields.get("stream_id")) or as_text(fields.get("stream_alias"))
    session, order = as_text(fields.get("room_session_id")), as_integer(fields.get("stream_seq"))
    at, ended = reading.event_time(fields, HAPPENED, sent), as_integer(fields.get("type"))
    return Event(
        event=event,
        live=EVENTS.get(event),
        keys=(_without_prefix(account, stream_id),) if stream_id and event in EVENTS else (),
        sent=float(sent),
        identity=(event, stream_id, session, order) if order is not None else (event, stream_id, stamp, nonce),
        session=session if order is not None else "",
        order=at if order is None else order,
        at=at,
        end_reason=END_REASONS.get(-1 if ended is None else ended, "unknown") if event == "stream_close" else None,
    )


PROVIDER: Provider[ZegoAccount, ZegoStream] = Provider(
    name="zego",
    title="ZEGO RTC",
    aliases=("zegocloud", "zego_rtc", "jigou"),
    account=ZegoAccount,
    stream=ZegoStream,
    counted_by=lambda account: str(account.app_id),
    single=Api(
        action=STATE,
        # Action and limit per AppID: https://www.zegocloud.com/docs/real-time-voice-server/api-reference/media-service/describe-rtc-stream-state
        limit=lambda account: 10.0 if account.is_test else 40.0,
        ask=_ask,
        read=_read,
    ),
    sign=_sign,
    hides=("Signature",),
    metric_sources={"stream_state": STATE, "stream_start_timestamp_seconds": "ZEGO create_time"},
    environment={"server_secret": ("ZEGO_SERVER_SECRET",)},
    credentials=("", "server_secret", ""),
    callbacks=Callbacks(method="POST", events=tuple(EVENTS), key_field="callback_secret", verify=_verify, keys=_keys),
    retired={"room_id": "it is no longer used, because a room's list holds streams that nobody publishes; remove it"},
)
