"""The fake of Tencent Cloud CSS (live 2018-08-01): signature TC3-HMAC-SHA256 by POST and GET.

Errors have HTTP status 200. The content type is exactly `application/json`: with a charset parameter, the vendor's own
client does not look for errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.encoding import expiry_signature
from exporter.providers.tencent import signing as tc3
from exporter.simulator.answers import format_time, paginate, parse_decimal, state_word, uuid
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal, refuse_if
from exporter.simulator.fake import Action, CallbackSpec, Fake, Limit, Marks, named
from exporter.simulator.providers.tencent.rows import backup_group, backup_groups, online_row, push_row
from exporter.simulator.types import Callback, DemoAccount, DemoStreams, Event, Figures, Input, Manners, Script

STATE = "DescribeLiveStreamState"
BACKUP = "DescribeBackupStreamList"
ONLINE = "DescribeLiveStreamOnlineList"
PUSHES = "DescribeLiveStreamPushInfoList"
VERSION = "2018-08-01"
WINDOW = 300
CALLBACK_SECONDS = 600
STATES = {State.ACTIVE: "active", State.INACTIVE: "inactive", State.FORBIDDEN: "forbid"}
PARAMETERS: Mapping[str, Mapping[str, type]] = {
    STATE: {"AppName": str, "DomainName": str, "StreamName": str},
    BACKUP: {"StreamName": str},
    ONLINE: {"DomainName": str, "AppName": str, "StreamName": str, "PageNum": int, "PageSize": int},
    PUSHES: {"PushDomain": str, "AppName": str, "PageNum": int, "PageSize": int},
}
REGIONS = {
    "ap-bangkok", "ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-shanghai", "ap-seoul", "ap-tokyo",
}  # fmt: skip
MESSAGES = {
    "UnsupportedProtocol": "Only GET and POST are supported.",
    "MissingParameter": "The request is missing a required parameter `{}`.",
    "NoSuchVersion": "The request `Version` is not found.",
    "InvalidParameter": "Parameter `{}` type error.",
    "InvalidParameterValue": "The value of `{}` is empty or out of range.",
    "UnknownParameter": "The parameter `{}` is not recognized.",
    "UnsupportedRegion": "The region is not supported by this API.",
    "InvalidAction": "The request `Action` is invalid or not found.",
    "RequestLimitExceeded": "Your current request times exceed the frequency limit. Please reduce the frequency.",
    "AuthFailure.InvalidAuthorization": "The Authorization header is not valid.",
    "AuthFailure.SecretIdNotFound": "The SecretId is not found, please ensure that your SecretId is correct.",
    "AuthFailure.SignatureExpire": "The signature is expired, please request again.",
    "AuthFailure.TokenFailure": "The token is not valid.",
    "AuthFailure.SignatureFailure": (
        "The provided credentials could not be validated. Please check your signature is correct."
    ),
    "AuthFailure.UnauthorizedOperation": "The operation is not authorized by CAM.",
}


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    tencent_site: Literal["mainland", "international"] = "mainland"
    tencent_absent: str = "inactive"
    tencent_backup_list: Literal["all", "redundant"] = "all"
    tencent_null_lists: bool = False
    tencent_online_seconds: float = 0.0


def _quirks(exchange: Exchange) -> Quirks:
    quirks: Quirks = exchange.world.quirks
    return quirks


def _is_mainland(exchange: Exchange) -> bool:
    return _quirks(exchange).tencent_site == "mainland"


def _read(received: Received) -> dict[str, Any]:
    if received.method == "GET":
        return dict(received.query)
    try:
        parameters = json.loads(received.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return parameters if isinstance(parameters, dict) else {}


def _authenticate(exchange: Exchange) -> None:
    received = exchange.received
    common = {name: received.headers.get(f"x-tc-{name.lower()}", "") for name in ("Action", "Version", "Timestamp")}
    timestamp = parse_decimal(common["Timestamp"], 10**11)
    if received.method not in ("GET", "POST"):
        raise Refusal("UnsupportedProtocol")
    for name, value in common.items():
        if not value:
            raise Refusal("MissingParameter", name)
    if common["Version"] != VERSION:
        raise Refusal("NoSuchVersion")
    if timestamp < 0:
        raise Refusal("InvalidParameter", "Timestamp")
    refuse_if(
        (exchange.action not in PARAMETERS, "InvalidAction"),
        (exchange.action == BACKUP and not _is_mainland(exchange), "InvalidAction"),
        (exchange.authorization is None, "AuthFailure.InvalidAuthorization"),
        (exchange.account is None, "AuthFailure.SecretIdNotFound"),
        (abs(received.now - timestamp) > WINDOW, "AuthFailure.SignatureExpire"),
    )
    token = received.headers.get("x-tc-token", "")
    refuse_if(
        (token != exchange.caller.text("token") or exchange.expired, "AuthFailure.TokenFailure"),
        (not _matches(exchange, timestamp), "AuthFailure.SignatureFailure"),
    )


def _matches(exchange: Exchange, timestamp: int) -> bool:
    received, authorization, headers = exchange.received, exchange.authorization, exchange.signed_headers()
    if authorization is None or not {"content-type", "host"} <= set(headers):
        return False
    if authorization.scope[:2] != (format_time(timestamp, "%Y-%m-%d"), "live"):
        return False
    body = received.body if received.method == "POST" else b""
    unsigned = received.headers.get("x-tc-content-sha256") == "UNSIGNED-PAYLOAD"
    return exchange.has_signature_of(
        tc3.authorization(
            secret_id=authorization.credential,
            secret_key=exchange.caller.text("secret_key"),
            service="live",
            timestamp=timestamp,
            headers=headers,
            body=b"UNSIGNED-PAYLOAD" if unsigned else body,
            method=received.method,
            query=received.raw_query if received.method == "GET" else "",
        )
    )


def _check(exchange: Exchange) -> None:
    region = exchange.received.headers.get("x-tc-region", "")
    if exchange.action == BACKUP and region not in REGIONS:
        raise Refusal("UnsupportedRegion") if region else Refusal("MissingParameter", "Region")
    parameters = exchange.parameters = _parameters(exchange.received)
    known = PARAMETERS[exchange.action]
    for name, value in parameters.items():
        if name not in known:
            raise Refusal("UnknownParameter", name)
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise Refusal("InvalidParameter", name)
    for name in known if exchange.action == STATE else ():
        if not parameters.get(name):
            raise Refusal("InvalidParameterValue" if name in parameters else "MissingParameter", name)


def _parameters(received: Received) -> dict[str, Any]:
    if received.method == "GET":
        return {name: _number(name, value) for name, value in received.query_pairs}
    try:
        parameters = json.loads(received.body)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise Refusal("InvalidParameter", message="The body is not a JSON object.")
    return parameters


def _number(name: str, value: str) -> str | int:
    number = parse_decimal(value, 10**9) if name in ("PageNum", "PageSize") else -1
    return value if number < 0 else number


def _response(exchange: Exchange, fields: dict[str, Any], code: str = "ok") -> Outgoing:
    return Outgoing(code, {"Response": {**fields, "RequestId": uuid(exchange.world.random)}})


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    return _response(exchange, {"Error": {"Code": code, "Message": message}}, code)


def _state(exchange: Exchange) -> Outgoing:
    word = state_word(exchange, exchange.stream, STATES, _quirks(exchange).tencent_absent)
    return _response(exchange, {"StreamState": word})


def _backup(exchange: Exchange) -> Outgoing:
    now, name = exchange.now, exchange.parameters.get("StreamName")
    least = 2 if _quirks(exchange).tencent_backup_list == "redundant" else 0
    groups = [
        group
        for stream in exchange.world.group(exchange.caller)
        if stream.is_active(now) and len(stream.inputs) >= least and name in (None, "", stream.address["stream"])
        for group in backup_groups(stream, now)
    ]
    foreign = [Input("foreign.example", "x")]
    listed = paginate(
        groups, 1, 1 << 30, exchange.tricks, lambda count: backup_group(f"foreign-{count}", foreign, 0.0, "")
    )
    return _response(exchange, {"StreamInfoList": _nullable(exchange, listed.rows)})


def _nullable(exchange: Exchange, rows: list[Any] | None) -> list[Any] | None:
    return None if not rows and _quirks(exchange).tencent_null_lists else rows


def _online(exchange: Exchange) -> Outgoing:
    world, account, parameters = exchange.world, exchange.caller, exchange.parameters
    number, size = parameters.get("PageNum", 1), parameters.get("PageSize", 10)
    if not 10 <= size <= (300_000 if _is_mainland(exchange) else 100) or number < 1:
        raise Refusal("InvalidParameterValue", "PageNum or PageSize")
    every = _quirks(exchange).tencent_online_seconds
    # The list may be refreshed only periodically.
    now = exchange.now - exchange.now % every if every else exchange.now
    filters = tuple(parameters.get(name) or None for name in ("DomainName", "AppName", "StreamName"))
    rows = [
        online_row(stream.script.started(now), *address)
        for stream in (world.group(account, (filters[0],)) if filters[0] else world.group(account))
        if stream.is_active(now)
        for address in [exchange.fake.address_of(stream)]
        if all(want in (None, have) for want, have in zip(filters, address, strict=True))
    ]
    listed = paginate(
        rows, number, size, exchange.tricks, lambda count: online_row(0, "foreign.example", "live", f"foreign-{count}")
    )
    totals = {"TotalNum": listed.total, "TotalPage": listed.pages, "PageNum": number, "PageSize": size}
    return _response(exchange, {**totals, "OnlineInfo": _nullable(exchange, listed.rows)})


def _pushes(exchange: Exchange) -> Outgoing:
    parameters, now = exchange.parameters, exchange.now
    number, size = parameters.get("PageNum", 1), parameters.get("PageSize", 200)
    if not (1 <= size <= (100_000 if _is_mainland(exchange) else 1000) and 1 <= number <= 10_000):
        raise Refusal("InvalidParameterValue", "PageNum or PageSize")
    domain, app = parameters.get("PushDomain"), parameters.get("AppName", "live")
    streams = exchange.world.group(exchange.caller, (domain,) if domain else ())
    rows = [
        push_row(stream.figures, stream.figures.is_moving(now), stream.script.started(now), *address)
        for stream in streams
        if stream.is_active(now)
        for address in [exchange.fake.address_of(stream)]
        if address[1] == app
    ]

    def foreign(count: int) -> dict[str, Any]:
        return push_row(Figures(), True, 0, "foreign.example", app, f"foreign-{count}")

    listed = paginate(rows, number, size, exchange.tricks, foreign)
    totals = {"TotalNum": listed.total, "TotalPage": listed.pages, "PageNum": number, "PageSize": size}
    return _response(exchange, {**totals, "DataInfoList": _nullable(exchange, listed.rows)})


def _callback(event: Event, secret: str | None, manners: Manners) -> Callback:
    """Build Tencent's callback; without a key in the console it has neither `sign` nor `t`."""
    address, at = event.stream.address, int(event.at)
    fields: dict[str, Any] = {
        "app": address["domain"], "appid": 1250000000, "appname": address["app"], "channel_id": address["stream"],
        "errcode": 0 if event.live else 1 if manners.reason is None else manners.reason,
        "errmsg": "ok" if event.live else "The push client actively stopped the push", "event_time": at,
        "event_type": int(event.live), "height": 0, "idc_id": 34, "node": "192.0.2.1",
        "sequence": str(2_210_464_508_000_000_000 + event.began[0]), "set_id": 2, "stream_id": address["stream"],
        "stream_param": "txSecret=made-up&txTime=made-up", "user_ip": "192.0.2.2", "width": 0,
    }  # fmt: skip
    if not event.live:
        fields["push_duration"] = str(int(event.at - event.began[1]) * 1000)
    if secret is not None:
        fields |= {"sign": expiry_signature(key=secret, t=at + CALLBACK_SECONDS), "t": at + CALLBACK_SECONDS}
    name = "push_begin" if event.live else "push_end"
    return Callback(name, "POST", "", {"Content-Type": "application/json"}, json.dumps(fields).encode())


def _pair(backup: bool | Script) -> dict[str, Any]:
    return {
        "inputs": (Input("5000.livepush.example", "live"), Input("5000.livepush.example", "backup", "pull", backup))
    }


_PUSH, _EDGE, _TWO = {"domain": "5000.livepush.example"}, {"domain": "edge.livepush.example"}, {"inputs": 2}
_FREEZES = Figures(moving=Script((State.ACTIVE,) * 3 + (State.INACTIVE,) * 5))
DEMO = (
    DemoAccount(
        "tencent-main",
        {
            "secret_id": "demo-tencent-main-id",
            "secret_key": "demo-tencent-main-key",
            "callback_key": "demo-tencent-main-callbacks",
            "region": "ap-guangzhou",
        },
        (
            DemoStreams("esports", "gold", {"stage-1": "A"}, _PUSH, _pair(True), _TWO),
            DemoStreams("esports", "gold", {"stage-2": "A"}, _PUSH, _pair(False), _TWO),
            DemoStreams(
                "esports", "gold", {"stage-3": "A"}, _PUSH, _pair(Script((State.ACTIVE, State.INACTIVE))), _TWO
            ),
            DemoStreams("news", "gold", {"studio-1": "AI"}, _PUSH),
            DemoStreams("news", "silver", {"studio-2": "IIA", "studio-3": "I"}, _PUSH),
            DemoStreams("community", "silver", {"pirate": "F"}, _PUSH),
            DemoStreams("news", "gold", {"always-on": "A"}, {**_PUSH, "app": "radio"}, {"figures": _FREEZES}),
        ),
    ),
    DemoAccount(
        "tencent-edge",
        {"secret_id": "demo-tencent-edge-id", "secret_key": "demo-tencent-edge-key", "token": "demo-edge-token"},
        (DemoStreams("platform", "silver", {f"edge-{n}": "AAI" if n % 2 else "A" for n in range(1, 7)}, _EDGE),),
        quota={STATE: 0.5, ONLINE: 0.05, BACKUP: 0.05},
    ),
)

FAKE = Fake(
    name="tencent",
    account_fields={"secret_id": str, "secret_key": str, "token": str, "region": str, "callback_key": str},
    stream_fields={"domain": None, "app": "live", "stream": "{name}"},
    address=("domain", "app", "stream"),
    group=lambda stream: (stream.address["domain"],),
    marks=Marks(headers=("x-tc-",), schemes=("TC3-",), versions=(VERSION,)),
    prefix="x-tc-",
    authorization=tc3.parse_authorization,
    read=_read,
    quirks=Quirks,
    authenticate=_authenticate,
    denied="AuthFailure.UnauthorizedOperation",
    check=_check,
    actions={
        STATE: Action(_state, lambda _exchange: Limit(300), named("DomainName", "AppName", "StreamName")),
        BACKUP: Action(_backup, lambda _exchange: Limit(20), named()),
        ONLINE: Action(_online, lambda exchange: Limit(80 if _is_mainland(exchange) else 100), named("DomainName")),
        PUSHES: Action(
            _pushes, lambda exchange: Limit(30 if _is_mainland(exchange) else 500), named("PushDomain", "AppName")
        ),
    },
    messages=MESSAGES,
    error=_error,
    throttled=lambda _exchange, _wait: Refusal("RequestLimitExceeded"),
    content_type="application/json",
    states=("Response.StreamState", "Response.StreamInfoList", "Response.OnlineInfo", "Response.DataInfoList"),
    unknown="paused",
    callbacks=CallbackSpec(key_field="callback_key", write=_callback, retries=(60,) * 12, timeout=20.0),
    demo=DEMO,
    demo_rank=2,
)
