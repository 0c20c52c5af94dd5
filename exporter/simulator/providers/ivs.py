"""The fake of Amazon IVS's low-latency API (2020-07-14): signature version 4, errors in a header, pages by token."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.amazon_web_services import SCHEME
from exporter.providers.encoding import sha256_hex
from exporter.simulator.answers import format_time, paginate, parse_decimal, parse_time, uuid
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal, refuse_if
from exporter.simulator.fake import Action, Fake, Limit, Marks, named
from exporter.simulator.types import Stream

GET, LIST = "GetStream", "ListStreams"
WINDOW = 300
STATUS = {
    "ChannelNotBroadcasting": 404, "ResourceNotFoundException": 404, "ThrottlingException": 429,
    "ValidationException": 400, "ServiceQuotaExceededException": 402, "InternalServerException": 500,
    "InternalFailure": 500, "ServiceUnavailable": 503, "StreamUnavailable": 503, "UnknownOperationException": 404,
    "ConflictException": 409, "IncompleteSignatureException": 400, "IncompleteSignature": 400, "RequestExpired": 400,
}  # fmt: skip
MESSAGES = {
    "ChannelNotBroadcasting": "The channel is currently not broadcasting.",
    "ResourceNotFoundException": "The channel does not exist.",
    "ThrottlingException": "Rate exceeded",
    "ValidationException": "Invalid value for `{}`.",
    "UnknownOperationException": "Unknown operation.",
    "MissingAuthenticationTokenException": "Missing Authentication Token",
    "IncompleteSignatureException": "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date'.",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "InvalidSignatureException": "The request signature we calculated does not match the signature you provided.",
    "AccessDeniedException": "User is not authorized to perform: ivs:{}",
}
# What the gateway before the service says, which calls its text `message`.
GATEWAY = {name for name in MESSAGES if "Signature" in name or "Token" in name or "Client" in name}
_ARN = re.compile(r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+", re.ASCII)


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    ivs_offline: Literal["error", "OFFLINE"] = "error"
    ivs_error_type: Literal["header", "url", "body"] = "header"


def _quirks(exchange: Exchange) -> Quirks:
    quirks: Quirks = exchange.world.quirks
    return quirks


def _read(received: Received) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        parameters = json.loads(received.body or b"{}")
        return parameters if isinstance(parameters, dict) else {}
    return {}


def _authenticate(exchange: Exchange) -> None:
    received, authorization = exchange.received, exchange.authorization
    date = received.headers.get("x-amz-date", "")
    when = parse_time(date, "%Y%m%dT%H%M%SZ")
    refuse_if(
        (exchange.action not in FAKE.actions or received.method != "POST", "UnknownOperationException"),
        (not received.authorization, "MissingAuthenticationTokenException"),
        (authorization is None or when is None, "IncompleteSignatureException"),
        (exchange.account is None, "UnrecognizedClientException"),
    )
    if when is not None and abs(received.now - when) > WINDOW:
        wrong = "expired" if when < received.now else "not yet current"
        raise Refusal("InvalidSignatureException", message=f"Signature {wrong}: {date} ({WINDOW // 60} min.)")
    refuse_if((exchange.expired, "ExpiredTokenException"))
    token = received.headers.get("x-amz-security-token", "")
    refuse_if(
        (token != exchange.caller.text("session_token"), "UnrecognizedClientException"),
        (not _matches(exchange, date), "InvalidSignatureException"),
    )


def _matches(exchange: Exchange, date: str) -> bool:
    received, authorization, headers = exchange.received, exchange.authorization, exchange.signed_headers()
    if authorization is None or not {"host", "x-amz-date"} <= set(headers):
        return False
    if "x-amz-security-token" in received.headers and "x-amz-security-token" not in headers:
        return False
    day, region, service, _ = authorization.scope
    if (day, region, service) != (date[:8], exchange.caller.text("region"), "ivs"):
        return False
    return exchange.has_signature_of(
        SCHEME.authorization(
            access_key_id=authorization.credential,
            secret_access_key=exchange.caller.text("secret_access_key"),
            region=region,
            service=service,
            query=received.query_pairs,
            headers=headers,
            payload_sha256=sha256_hex(received.body),
            method=received.method,
            path=received.path,
        )
    )


def _check(exchange: Exchange) -> None:
    parameters = exchange.parameters
    if exchange.action == GET:
        arn = parameters.get("channelArn")
        if not isinstance(arn, str) or not _ARN.fullmatch(arn):
            raise Refusal("ValidationException", "channelArn")
    elif not isinstance(size := parameters.get("maxResults", 100), int) or not 1 <= size <= 100:
        raise Refusal("ValidationException", "maxResults")


def _row(stream: Stream, now: float) -> dict[str, Any]:
    moving = stream.figures.is_moving(now)
    return {
        "channelArn": stream.address["channel_arn"],
        "streamId": f"st-{sha256_hex(stream.key.encode())[:20]}",
        "state": "LIVE",
        "health": "HEALTHY" if moving else "STARVING",
        "viewerCount": 3,
        "startTime": format_time(stream.script.started(now)),
    }


def _stream(exchange: Exchange) -> Outgoing:
    stream, now = exchange.stream, exchange.now
    state = stream.script.state(now) if stream else State.NOT_FOUND
    if stream is None or state is State.NOT_FOUND:
        raise Refusal("ResourceNotFoundException")
    if state is State.ACTIVE:
        return _answer(exchange, {"stream": {**_row(stream, now), "playbackUrl": "https://playback.example/x.m3u8"}})
    if _quirks(exchange).ivs_offline == "error":
        raise Refusal("ChannelNotBroadcasting")
    offline = {"channelArn": stream.address["channel_arn"], "state": "OFFLINE", "health": "UNKNOWN", "viewerCount": 0}
    return _answer(exchange, {"stream": offline})


def _foreign(count: int) -> dict[str, Any]:
    arn = f"arn:aws:ivs:us-west-2:123456789012:channel/foreign{count}"
    return {"channelArn": arn, "streamId": f"st-{count}", "state": "LIVE", "health": "HEALTHY", "viewerCount": 0}


def _list(exchange: Exchange) -> Outgoing:
    parameters, now = exchange.parameters, exchange.now
    rows = [_row(stream, now) for stream in exchange.world.group(exchange.caller) if stream.is_active(now)]
    number, size = _page_of(parameters.get("nextToken")), parameters.get("maxResults", 100)
    listed = paginate(rows, number, size, exchange.tricks, _foreign)
    more = {"nextToken": _token_of(number + 1)} if number < listed.pages else {}
    return _answer(exchange, {"streams": listed.rows, **more})


def _token_of(number: int) -> str:
    return b64encode(f"page {number}".encode()).decode()


def _page_of(token: Any) -> int:
    if token is None:
        return 1
    number = -1
    with suppress(ValueError, TypeError):
        number = parse_decimal(b64decode(token, validate=True).decode().removeprefix("page "), 1 << 31)
    if number < 1:
        raise Refusal("ValidationException", "nextToken")
    return number


def _answer(exchange: Exchange, payload: dict[str, Any]) -> Outgoing:
    return Outgoing("ok", payload, headers={"x-amzn-RequestId": uuid(exchange.world.random)})


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    kind, payload = _quirks(exchange).ivs_error_type, {"message" if code in GATEWAY else "exceptionMessage": message}
    headers = {"x-amzn-RequestId": uuid(exchange.world.random)}
    if kind == "body" or not (code.isascii() and code.isprintable()):
        payload["__type"] = f"com.amazonaws.ivs#{code}"
    else:
        headers["x-amzn-ErrorType"] = code + (":http://internal.amazon.com/coral/" if kind == "url" else "")
    return Outgoing(code, payload, STATUS.get(code, 403), headers)


FAKE = Fake(
    name="ivs",
    account_fields=dict.fromkeys(("access_key_id", "secret_access_key", "session_token", "region"), str),
    stream_fields={"channel_arn": "arn:aws:ivs:{region}:123456789012:channel/{name}"},
    address=("channel_arn",),
    group=lambda stream: (stream.address["channel_arn"],),
    marks=Marks(headers=("x-amz-",), schemes=("AWS4-",)),
    authorization=SCHEME.parse_authorization,
    action=lambda received: received.path.removeprefix("/"),
    read=_read,
    quirks=Quirks,
    authenticate=_authenticate,
    denied="AccessDeniedException",
    check=_check,
    actions={
        GET: Action(_stream, lambda _exchange: Limit(5), named("channelArn")),
        LIST: Action(_list, lambda _exchange: Limit(5), named()),
    },
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("ThrottlingException"),
    content_type="application/json",
    states=("stream.state", "streams"),
    unknown="PAUSED",
)
