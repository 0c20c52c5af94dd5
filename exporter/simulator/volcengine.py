"""The fake of Volcengine's RTC OpenAPI: the gateway's checks first, then the service behind it.

Only the gateway's errors carry CodeN. Which HTTP status the service's own errors have is a switch.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.model import State
from exporter.providers.authorization import ParsedAuthorization
from exporter.providers.encoding import sha256_hex
from exporter.providers.volcengine import signing as volc
from exporter.simulator.fake import Exchange, Fake, Limit, Outgoing, Received, Refusal, page, put, spend
from exporter.simulator.nouns import Account, Stream

STATE = "GetUserStreamState"
USERS = "GetRoomOnlineUsers"
VERSIONS = {STATE: "2020-12-01", USERS: "2023-11-01"}
LIMITS = {STATE: Limit(60), USERS: Limit(40)}
WINDOW = 900
MEDIA = ("Audio", "Video", "ScreenAudio", "ScreenVideo")
REGIONS = {"cn-north-1", "ap-southeast-1", "ap-singapore-1"}
GATEWAY = {
    "MissingParameter": (100002, 400),
    "MissingAuthenticationToken": (100003, 401),
    "MissingRequestInfo": (100004, 400),
    "MissingSignature": (100005, 401),
    "InvalidTimestamp": (100006, 400),
    "ServiceNotFound": (100007, 404),
    "InvalidActionOrVersion": (100008, 404),
    "InvalidAccessKey": (100009, 401),
    "SignatureDoesNotMatch": (100010, 401),
    "LackPolicy": (100012, 403),
    "AccessDenied": (100013, 403),
    "InternalError": (100014, 500),
    "FailToConnect": (100015, 502),
    "InternalServiceTimeout": (100016, 504),
    "FlowLimitExceeded": (100018, 429),
    "InternalServiceError": (100023, 502),
    "AccountFlowLimitExceeded": (100027, 429),
    "ServiceOverloadTemp": (100035, 503),
    "ServiceUnavailableTemp": (None, 503),
    "MethodNotAllowed": (None, 405),
    "InvalidAuthorization": (None, 400),
    "InvalidCredential": (None, 400),
    "InvalidSecretToken": (None, 401),
    "UnsupportedRegion": (None, 400),
}
_ID = re.compile(r"[a-zA-Z0-9@._-]{1,128}")


def _complete(account: Account, name: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"user_id": name, "app_id": account.text("app_id"), **fields}


def _addresses(stream: Stream) -> list[tuple[str, ...]]:
    return [tuple(stream.address[name] for name in ("app_id", "room_id", "user_id"))]


def _asked(exchange: Exchange) -> tuple[str, ...]:
    names = ("AppId", "RoomId", "UserId") if exchange.action == STATE else ("AppId", "RoomId")
    return tuple(exchange.received.query.get(name, "") for name in names)


def _parse(exchange: Exchange) -> ParsedAuthorization:
    received = exchange.received
    for name in ("Action", "Version"):
        if not received.query.get(name):
            raise Refusal("MissingParameter", f"The request is missing {name} parameter.")
    if not received.authorization:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token.")
    if not received.authorization.startswith(volc.ALGORITHM + " "):
        raise Refusal("InvalidAuthorization", "Invalid 'Authorization' header, Pls check authorization header.")
    given = volc.parse_authorization(received.authorization)
    if given is None:
        scoped = re.search(r"Credential=[^/,\s]+(?:/[^/,\s]+){3}/request,", received.authorization)
        part = "InvalidAuthorization" if scoped else "InvalidCredential"
        raise Refusal(part, "Invalid 'Authorization' header, Pls check authorization header.")
    return given


def _timestamp(received: Received) -> None:
    text = received.headers.get("x-date", "")
    if not text:
        raise Refusal("MissingRequestInfo", "The request is missing X-Date information.")
    try:
        when = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refusal("InvalidTimestamp", "X-Date is not well formatted.") from None
    if abs(received.now - when) > WINDOW:
        raise Refusal("InvalidTimestamp", "The Signature of the request is expired.")


def _route(exchange: Exchange, given: ParsedAuthorization) -> None:
    _, region, service, _ = given.scope
    query = exchange.received.query
    accounts = exchange.world.accounts.values()
    if service != "rtc":
        raise Refusal("ServiceNotFound", f"This service[{service}] not found.")
    if region not in REGIONS | {account.text("region") for account in accounts}:
        raise Refusal("UnsupportedRegion", f"Region {region} is not supported.")
    if VERSIONS.get(query["Action"]) != query["Version"]:
        message = f"Could not find operation {query['Action']} for version {query['Version']}."
        raise Refusal("InvalidActionOrVersion", message)
    if exchange.received.method != "GET":
        raise Refusal("MethodNotAllowed", "The method is not allowed.")


def _authenticate(exchange: Exchange, given: ParsedAuthorization) -> None:
    account, received = exchange.account, exchange.received
    if account is None:
        message = f"The accesskey [{given.credential}] included in the request is invalid."
        raise Refusal("InvalidAccessKey", message)
    expired = account.token_expires is not None and received.now >= account.token_expires
    if received.headers.get("x-security-token", "") != account.text("session_token") or expired:
        raise Refusal("InvalidSecretToken", "Invalid secret token.")
    if not _matches(account, received, given):
        raise Refusal(
            "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
        )
    exchange.verified = True


def _matches(account: Account, received: Received, given: ParsedAuthorization) -> bool:
    day, region, service, _ = given.scope
    digest = sha256_hex(received.body)
    headers = {name: received.headers.get(name, "") for name in given.signed_headers}
    if not {"host", "x-date"} <= set(headers) or headers["x-date"][:8] != day:
        return False
    if received.headers.get("x-content-sha256", digest) != digest:
        return False
    written = volc.authorization(
        access_key_id=given.credential,
        secret_access_key=account.text("secret_access_key"),
        region=region,
        service=service,
        query=received.pairs,
        headers=headers,
        payload_sha256=digest,
        method=received.method,
        path=received.path,
    )
    return hmac.compare_digest(written.rpartition("=")[2], given.signature)


def _service(exchange: Exchange) -> None:
    """Check the parameters as the service behind the gateway does; its codes have no CodeN."""
    query, world = exchange.received.query, exchange.world
    for name, code in (("AppId", "IllegalAppId"), ("RoomId", "IllegalRoomID"), ("UserId", "")):
        needed = name != "UserId" or exchange.action == STATE
        if needed and not _ID.fullmatch(query.get(name, "")):
            raise Refusal(f"InvalidParameter.{code}".rstrip("."), f"{name} is not legal.")
    app = query["AppId"]
    owners = [
        account
        for account in world.accounts.values()
        if account.provider == "volcengine" and (app == account.text("app_id") or app in world.owned(account))
    ]
    if exchange.known in owners:
        return
    if owners:
        raise Refusal("AccessDenied.NoPermissionForApp", "The account may not operate this AppId.")
    raise Refusal("InvalidParameter.NotExistAppId", "The AppId does not exist.")


def _metadata(exchange: Exchange) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(exchange.received.now, UTC).strftime("%Y%m%d%H%M%S")
    given = volc.parse_authorization(exchange.received.authorization)
    return {
        "RequestId": f"{stamp}{exchange.random.getrandbits(80):020X}",
        "Action": exchange.action,
        "Version": exchange.received.query.get("Version", ""),
        "Service": "rtc",
        "Region": given.scope[1] if given else "cn-north-1",
    }


def _states(exchange: Exchange) -> list[dict[str, Any]]:
    stream = exchange.stream
    published = stream.media if stream and stream.is_active(exchange.now) else ()
    return [{"MediaType": kind, "State": int(kind in published)} for kind in MEDIA]


def _state(exchange: Exchange) -> dict[str, Any]:
    query, stream = exchange.received.query, exchange.stream
    result: dict[str, Any] = {"RoomId": query["RoomId"], "UserId": query["UserId"], "StreamStates": _states(exchange)}
    if stream is None or stream.script.state(exchange.now) is State.NOT_FOUND:
        _absent(exchange, result)
    return result


def _absent(exchange: Exchange, result: dict[str, Any]) -> None:
    quirk = exchange.world.quirks.volcengine_absent
    if quirk == "error":
        raise Refusal("RoomNotExist", "The room does not exist.")
    if quirk == "missing":
        del result["StreamStates"]
    elif quirk != "zeros":
        result["StreamStates"] = [] if quirk == "empty" else None


def _users(exchange: Exchange) -> dict[str, Any]:
    query, now = exchange.received.query, exchange.now
    place = (query["AppId"], query["RoomId"])
    users: list[str] = [
        stream.address["user_id"] for stream in exchange.world.group(exchange.known, place) if stream.is_present(now)
    ]
    listed = page(users, 1, 1 << 30, exchange.tricks, lambda count: f"foreign-{count}")
    rows = listed.rows
    if rows is not None and exchange.world.quirks.volcengine_users == "object":
        rows = [{"UserId": user} for user in rows]
    return {
        "RoomExists": listed.total > 0,
        "TotalUser": listed.total,
        "VisibleUserList": rows,
        "InvisibleUserList": None if rows is None else [],
    }


ACTIONS = {STATE: _state, USERS: _users}


def _answer(exchange: Exchange) -> Outgoing:
    given = _parse(exchange)
    _timestamp(exchange.received)
    _route(exchange, given)
    _authenticate(exchange, given)
    if exchange.action in exchange.known.denied:
        raise Refusal("AccessDenied", f"User is not authorized to perform: rtc:{exchange.action}")
    spend(exchange)
    _service(exchange)
    result = ACTIONS[exchange.action](exchange)
    return Outgoing("ok", {"ResponseMetadata": _metadata(exchange), "Result": result})


def _refuse(exchange: Exchange, refusal: Refusal) -> Outgoing:
    number, status = GATEWAY.get(refusal.code, (None, exchange.world.quirks.volcengine_rtc_status))
    error: dict[str, Any] = {"Code": refusal.code, "Message": refusal.message}
    if number is not None:
        error = {"CodeN": number, **error}
    payload = {"ResponseMetadata": {**_metadata(exchange), "Error": error}}
    return Outgoing(refusal.code, payload, refusal.status or status)


def _throttled(_exchange: Exchange, _wait: float) -> Refusal:
    return Refusal("FlowLimitExceeded", "Too many requests: the basic call rate is exceeded.")


def _spoil(payload: Any, value: Any) -> None:
    result = payload.get("Result", {})
    for row in result.get("StreamStates") or []:
        put(row, "State", value)
    if "TotalUser" in result:
        put(result, "TotalUser", value)


def _identity(received: Received) -> str:
    given = volc.parse_authorization(received.authorization)
    return given.credential if given else ""


def _marks(received: Received) -> bool:
    return (
        received.authorization.startswith(volc.ALGORITHM)
        or "x-date" in received.headers
        or "x-content-sha256" in received.headers
        or received.query.get("Version") in VERSIONS.values()
    )


FAKE = Fake(
    name="volcengine",
    key="access_key_id",
    account_fields={
        "access_key_id": str,
        "secret_access_key": str,
        "session_token": str,
        "app_id": str,
        "region": str,
    },
    account_needs=("access_key_id", "secret_access_key"),
    stream_fields=("room_id", "user_id", "app_id"),
    stream_needs=("room_id",),
    complete=_complete,
    addresses=_addresses,
    group=lambda stream: (stream.address["app_id"], stream.address["room_id"]),
    actions=(STATE, USERS),
    limit=lambda exchange: LIMITS[exchange.action],
    content_type="application/json; charset=utf-8",
    marks=_marks,
    action=lambda received: received.query.get("Action", ""),
    identity=_identity,
    asked=_asked,
    nonce=lambda _received: "",
    answer=_answer,
    refuse=_refuse,
    throttled=_throttled,
    spoil=_spoil,
    unknown=2,
)
