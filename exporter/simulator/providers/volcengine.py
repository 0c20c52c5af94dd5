"""The fake of Volcengine's RTC OpenAPI: the gateway's checks first, then the service behind it.

Only the gateway's errors have CodeN. The HTTP status of the service's own errors is a switch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.authorization import ParsedAuthorization
from exporter.providers.encoding import sha256_hex
from exporter.providers.volcengine_openapi import SCHEME
from exporter.simulator.answers import format_time, paginate, parse_time
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Action, Fake, Limit, Marks, named
from exporter.simulator.types import DemoAccount, DemoStreams

STATE = "GetUserStreamState"
USERS = "GetRoomOnlineUsers"
VERSIONS = {STATE: "2020-12-01", USERS: "2023-11-01"}
WINDOW = 900
MEDIA = ("Audio", "Video", "ScreenAudio", "ScreenVideo")
REGIONS = {"cn-north-1", "ap-southeast-1", "ap-singapore-1"}
# The gateway's errors: (CodeN if there is one, HTTP status).
GATEWAY = {
    "MissingParameter": (100002, 400), "MissingAuthenticationToken": (100003, 401),
    "MissingRequestInfo": (100004, 400), "MissingSignature": (100005, 401), "InvalidTimestamp": (100006, 400),
    "ServiceNotFound": (100007, 404), "InvalidActionOrVersion": (100008, 404), "InvalidAccessKey": (100009, 401),
    "SignatureDoesNotMatch": (100010, 401), "LackPolicy": (100012, 403), "AccessDenied": (100013, 403),
    "InternalError": (100014, 500), "FailToConnect": (100015, 502), "InternalServiceTimeout": (100016, 504),
    "FlowLimitExceeded": (100018, 429), "InternalServiceError": (100023, 502),
    "AccountFlowLimitExceeded": (100027, 429), "ServiceOverloadTemp": (100035, 503),
    "ServiceUnavailableTemp": (None, 503), "MethodNotAllowed": (None, 405), "InvalidAuthorization": (None, 400),
    "InvalidCredential": (None, 400), "InvalidSecretToken": (None, 401), "UnsupportedRegion": (None, 400),
}  # fmt: skip
MESSAGES = {
    "MissingParameter": "The request is missing Action or Version parameter.",
    "MissingAuthenticationToken": "Request is missing Authentication Token.",
    "MissingRequestInfo": "The request is missing X-Date information.",
    "InvalidTimestamp": "X-Date is not well formatted, or the Signature of the request is expired.",
    "ServiceNotFound": "This service not found.",
    "InvalidActionOrVersion": "Could not find such an operation for such a version.",
    "InvalidAccessKey": "The accesskey [{}] included in the request is invalid.",
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
    "AccessDenied": "User is not authorized to perform: rtc:{}",
    "FlowLimitExceeded": "Too many requests: the basic call rate is exceeded.",
    "MethodNotAllowed": "The method is not allowed.",
    "InvalidAuthorization": "Invalid 'Authorization' header, Pls check authorization header.",
    "InvalidCredential": "Invalid 'Authorization' header, Pls check authorization header.",
    "InvalidSecretToken": "Invalid secret token.",
    "UnsupportedRegion": "Region is not supported.",
    "InvalidParameter": "UserId is not legal.",
    "InvalidParameter.IllegalAppId": "AppId is not legal.",
    "InvalidParameter.IllegalRoomID": "RoomId is not legal.",
    "InvalidParameter.NotExistAppId": "The AppId does not exist.",
    "AccessDenied.NoPermissionForApp": "The account may not operate this AppId.",
    "RoomNotExist": "The room does not exist.",
}
_ID = re.compile(r"[a-zA-Z0-9@._-]{1,128}")
_SCOPED = re.compile(r"Credential=[^/,\s]+(?:/[^/,\s]+){3}/request,")


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    volcengine_absent: Literal["zeros", "empty", "null", "missing", "error"] = "zeros"
    volcengine_rtc_status: int = 200
    volcengine_users: Literal["text", "object"] = "text"


def _authenticate(exchange: Exchange) -> None:
    received, query, authorization = exchange.received, exchange.received.query, exchange.authorization
    date = received.headers.get("x-date", "")
    when = parse_time(date, "%Y%m%dT%H%M%SZ")
    refuse_if(
        (not query.get("Action") or not query.get("Version"), "MissingParameter"),
        (not received.authorization, "MissingAuthenticationToken"),
        (not received.authorization.startswith(SCHEME.algorithm + " "), "InvalidAuthorization"),
        (authorization is None and _SCOPED.search(received.authorization), "InvalidAuthorization"),
        (authorization is None, "InvalidCredential"),
        (not date, "MissingRequestInfo"),
        (when is None or abs(received.now - when) > WINDOW, "InvalidTimestamp"),
    )
    assert authorization is not None
    _, region, service, _ = authorization.scope
    regions = REGIONS | {account.text("region") for account in exchange.world.accounts.values()}
    refuse_if(
        (service != "rtc", "ServiceNotFound"),
        (region not in regions, "UnsupportedRegion"),
        (VERSIONS.get(exchange.action) != query["Version"], "InvalidActionOrVersion"),
        (received.method != "GET", "MethodNotAllowed"),
    )
    if exchange.account is None:
        raise Refusal("InvalidAccessKey", authorization.credential)
    token = received.headers.get("x-security-token", "")
    refuse_if(
        (token != exchange.caller.text("session_token") or exchange.expired, "InvalidSecretToken"),
        (not _matches(exchange, authorization), "SignatureDoesNotMatch"),
    )


def _matches(exchange: Exchange, authorization: ParsedAuthorization) -> bool:
    received, headers = exchange.received, exchange.signed_headers()
    day, region, service, _ = authorization.scope
    digest = sha256_hex(received.body)
    if not {"host", "x-date"} <= set(headers) or headers["x-date"][:8] != day:
        return False
    if received.headers.get("x-content-sha256", digest) != digest:
        return False
    return exchange.has_signature_of(
        SCHEME.authorization(
            access_key_id=authorization.credential,
            secret_access_key=exchange.caller.text("secret_access_key"),
            region=region,
            service=service,
            query=received.query_pairs,
            headers=headers,
            payload_sha256=digest,
            method=received.method,
            path=received.path,
        )
    )


def _check(exchange: Exchange) -> None:
    """Check the parameters as the service behind the gateway does; its errors have no CodeN."""
    query, world = exchange.received.query, exchange.world
    app, accounts = query.get("AppId", ""), [one for one in world.accounts.values() if one.provider == "volcengine"]
    owners = [account for account in accounts if app == account.text("app_id") or app in world.owned(account)]
    refuse_if(
        (not _ID.fullmatch(app), "InvalidParameter.IllegalAppId"),
        (not _ID.fullmatch(query.get("RoomId", "")), "InvalidParameter.IllegalRoomID"),
        (exchange.action == STATE and not _ID.fullmatch(query.get("UserId", "")), "InvalidParameter"),
        (not owners, "InvalidParameter.NotExistAppId"),
        (exchange.caller not in owners, "AccessDenied.NoPermissionForApp"),
    )


def _metadata(exchange: Exchange) -> dict[str, Any]:
    time = format_time(exchange.received.now, "%Y%m%d%H%M%S")
    return {
        "RequestId": f"{time}{exchange.world.random.getrandbits(80):020X}",
        "Action": exchange.action,
        "Version": exchange.received.query.get("Version", ""),
        "Service": "rtc",
        "Region": exchange.authorization.scope[1] if exchange.authorization else "cn-north-1",
    }


def _result(exchange: Exchange, result: dict[str, Any]) -> Outgoing:
    return Outgoing("ok", {"ResponseMetadata": _metadata(exchange), "Result": result})


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    number, status = GATEWAY.get(code, (None, exchange.world.quirks.volcengine_rtc_status))
    numbered = {} if number is None else {"CodeN": number}
    error = {**numbered, "Code": code, "Message": message}
    return Outgoing(code, {"ResponseMetadata": {**_metadata(exchange), "Error": error}}, status)


def _state(exchange: Exchange) -> Outgoing:
    query, stream, quirk = exchange.received.query, exchange.stream, exchange.world.quirks.volcengine_absent
    published = stream.media if stream and stream.is_active(exchange.now) else ()
    states: list[Any] | None = [{"MediaType": kind, "State": int(kind in published)} for kind in MEDIA]
    if stream is None or stream.script.state(exchange.now) is State.NOT_FOUND:
        refuse_if((quirk == "error", "RoomNotExist"))
        states = {"zeros": states, "empty": [], "null": None, "missing": None}[quirk]
        if quirk == "missing":
            return _result(exchange, {"RoomId": query["RoomId"], "UserId": query["UserId"]})
    return _result(exchange, {"RoomId": query["RoomId"], "UserId": query["UserId"], "StreamStates": states})


def _users(exchange: Exchange) -> Outgoing:
    streams = exchange.world.group(exchange.caller, exchange.address)
    users = [stream.address["user_id"] for stream in streams if stream.is_present(exchange.now)]
    listed = paginate(users, 1, 1 << 30, exchange.tricks, lambda count: f"foreign-{count}")
    rows = listed.rows
    if rows is not None and exchange.world.quirks.volcengine_users == "object":
        rows = [{"UserId": user} for user in rows]
    totals = {"RoomExists": listed.total > 0, "TotalUser": listed.total, "VisibleUserList": rows}
    return _result(exchange, {**totals, "InvisibleUserList": None if rows is None else []})


_BOARD, _CALL = {"room_id": "board"}, {"room_id": "call"}
_BOTH = {"media_expected": ["audio", "video"]}
DEMO = (
    DemoAccount(
        "volcengine-main",
        {
            "access_key_id": "demo-volcengine-main-id",
            "secret_access_key": "demo-volcengine-main-key",
            "app_id": "661e0000000000000543cf00",
            "region": "cn-north-1",
        },
        (
            DemoStreams("meetings", "gold", {"chair": "A"}, _BOARD),
            DemoStreams("meetings", "gold", {"speaker": "AI"}, _BOARD, {"media": ("Audio", "Video", "ScreenVideo")}),
            DemoStreams("meetings", "silver", {"listener": "I"}, _BOARD, {"in_room": True}),
            DemoStreams(
                "meetings", "gold", {"screen": "AAI"}, _BOARD, {"media": ("ScreenVideo",)}, {"media": ["screen_video"]}
            ),
            DemoStreams("support", "gold", {"caller": "A"}, _CALL, {"media": ("Audio",)}, _BOTH),
            DemoStreams("support", "silver", {"muted": "A"}, _CALL, {"media": ("Video",)}, {"media": ["audio"]}),
            DemoStreams("support", "gold", {"agent": "IAA"}, _CALL),
            DemoStreams("support", "silver", {"nobody": "N"}, {"room_id": "empty"}),
        ),
    ),
)

FAKE = Fake(
    name="volcengine",
    account_fields=dict.fromkeys(("access_key_id", "secret_access_key", "session_token", "app_id", "region"), str),
    stream_fields={"room_id": None, "user_id": "{name}", "app_id": "{app_id}"},
    address=("app_id", "room_id", "user_id"),
    group=lambda stream: (stream.address["app_id"], stream.address["room_id"]),
    owns=("app_id",),
    marks=Marks(headers=("x-date", "x-content-sha256"), schemes=(SCHEME.algorithm,), versions=tuple(VERSIONS.values())),
    authorization=SCHEME.parse_authorization,
    quirks=Quirks,
    authenticate=_authenticate,
    denied="AccessDenied",
    check=_check,
    actions={
        STATE: Action(_state, lambda _exchange: Limit(60), named("AppId", "RoomId", "UserId")),
        USERS: Action(_users, lambda _exchange: Limit(40), named("AppId", "RoomId")),
    },
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("FlowLimitExceeded"),
    content_type="application/json; charset=utf-8",
    states=("Result.StreamStates.*.State", "Result.TotalUser"),
    unknown=2,
    demo=DEMO,
    demo_rank=4,
)
