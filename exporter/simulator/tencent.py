"""The fake of Tencent Cloud CSS (live 2018-08-01): signature TC3-HMAC-SHA256 by POST and GET.

Errors come with HTTP 200. The content type is `application/json` to the letter: with a charset behind it the vendor's
own client no longer looks for errors.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.model import State
from exporter.providers.authorization import ParsedAuthorization
from exporter.providers.tencent import signing as tc3
from exporter.simulator.fake import Exchange, Fake, Limit, Outgoing, Post, Received, Refusal, page, put, spend, uuid
from exporter.simulator.nouns import Account, Event, Input, Letter, Manners, Script, Stream

STATE = "DescribeLiveStreamState"
BACKUP = "DescribeBackupStreamList"
ONLINE = "DescribeLiveStreamOnlineList"
VERSION = "2018-08-01"
WINDOW = 300
CALLBACK_SECONDS = 600
STATES = {State.ACTIVE: "active", State.INACTIVE: "inactive", State.FORBIDDEN: "forbid"}
PARAMETERS: Mapping[str, Mapping[str, type]] = {
    STATE: {"AppName": str, "DomainName": str, "StreamName": str},
    BACKUP: {"StreamName": str},
    ONLINE: {"DomainName": str, "AppName": str, "StreamName": str, "PageNum": int, "PageSize": int},
}
REGIONS = {
    "ap-bangkok", "ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-shanghai", "ap-seoul", "ap-tokyo",
}  # fmt: skip
_NEVER = Script((State.ACTIVE,))


def _complete(_account: Account, name: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"app": "live", "stream": name, **fields}


def _addresses(stream: Stream) -> list[tuple[str, ...]]:
    return [(stream.address["domain"], stream.address["app"], stream.address["stream"])]


def _header(received: Received, name: str) -> str:
    return received.headers.get(f"x-tc-{name}", "")


def _loose(received: Received) -> dict[str, Any]:
    """Read the parameters without judging them: for the log, for faults and to recognise the request."""
    if received.method == "GET":
        return dict(received.query)
    try:
        found = json.loads(received.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _asked(exchange: Exchange) -> tuple[str, ...]:
    found = _loose(exchange.received)
    if exchange.action == STATE:
        return tuple(str(found.get(name, "")) for name in ("DomainName", "AppName", "StreamName"))
    return (str(found.get("DomainName", "")),) if exchange.action == ONLINE else ()


def _missing(name: str) -> Refusal:
    return Refusal("MissingParameter", f"The request is missing a required parameter `{name}`.")


def _common(received: Received) -> int:
    """Check the common parameters and return the timestamp."""
    if received.method not in ("GET", "POST"):
        raise Refusal("UnsupportedProtocol", "Only GET and POST are supported.")
    for name in ("Action", "Version", "Timestamp"):
        if not _header(received, name.lower()):
            raise _missing(name)
    if _header(received, "version") != VERSION:
        raise Refusal("NoSuchVersion", "The request `Version` is not found.")
    timestamp = _header(received, "timestamp")
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 11:
        raise Refusal("InvalidParameter", "Parameter `Timestamp` type error.")
    return int(timestamp)


def _expected(exchange: Exchange, given: ParsedAuthorization, timestamp: int) -> str:
    received = exchange.received
    unsigned = _header(received, "content-sha256") == "UNSIGNED-PAYLOAD"
    written = tc3.authorization(
        secret_id=given.credential,
        secret_key=exchange.known.text("secret_key"),
        service="live",
        timestamp=timestamp,
        headers={name: received.headers.get(name, "") for name in given.signed_headers},
        body=b"UNSIGNED-PAYLOAD" if unsigned else received.body if received.method == "POST" else b"",
        method=received.method,
        query=received.raw_query if received.method == "GET" else "",
    )
    return written.rpartition("=")[2]


def _authenticate(exchange: Exchange, timestamp: int) -> None:
    given = tc3.parse_authorization(exchange.received.authorization)
    if given is None:
        raise Refusal("AuthFailure.InvalidAuthorization", "The Authorization header is not valid.")
    if exchange.account is None:
        raise Refusal(
            "AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct."
        )
    if abs(exchange.received.now - timestamp) > WINDOW:
        raise Refusal("AuthFailure.SignatureExpire", "The signature is expired, please request again.")
    _token(exchange)
    day = datetime.fromtimestamp(timestamp, UTC).date().isoformat()
    covered = {"content-type", "host"} <= set(given.signed_headers) and given.scope[:2] == (day, "live")
    if not covered or not hmac.compare_digest(_expected(exchange, given, timestamp), given.signature):
        raise Refusal(
            "AuthFailure.SignatureFailure",
            "The provided credentials could not be validated. Please check your signature is correct.",
        )
    exchange.verified = True


def _token(exchange: Exchange) -> None:
    account = exchange.known
    expired = account.token_expires is not None and exchange.received.now >= account.token_expires
    if _header(exchange.received, "token") != account.text("token") or expired:
        raise Refusal("AuthFailure.TokenFailure", "The token is not valid.")


def _region(exchange: Exchange) -> None:
    region = _header(exchange.received, "region")
    if exchange.action != BACKUP:
        return
    if not region:
        raise _missing("Region")
    if region not in REGIONS:
        raise Refusal("UnsupportedRegion", "The region is not supported by this API.")


def _parameters(exchange: Exchange) -> dict[str, Any]:
    found = _body(exchange.received)
    known = PARAMETERS[exchange.action]
    for name, value in found.items():
        if name not in known:
            raise Refusal("UnknownParameter", f"The parameter `{name}` is not recognized.")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise Refusal("InvalidParameter", f"Parameter `{name}` type error.")
    if exchange.action == STATE:
        for name in known:
            if name not in found:
                raise _missing(name)
            if not found[name]:
                raise Refusal("InvalidParameterValue", f"The value of `{name}` is empty.")
    return found


def _body(received: Received) -> dict[str, Any]:
    if received.method == "GET":
        return {name: _number(name, value) for name, value in received.pairs}
    try:
        found = json.loads(received.body)
    except (ValueError, RecursionError):
        raise Refusal("InvalidParameter", "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise Refusal("InvalidParameter", "The body is not a JSON object.")
    return found


def _number(name: str, value: str) -> str | int:
    paged = name in ("PageNum", "PageSize") and value.isascii() and value.isdigit() and len(value) < 10
    return int(value) if paged else value


def _response(exchange: Exchange, fields: dict[str, Any], code: str = "ok") -> Outgoing:
    return Outgoing(code, {"Response": {**fields, "RequestId": uuid(exchange.random)}})


def _state(exchange: Exchange, _found: dict[str, Any]) -> Outgoing:
    state = exchange.stream.script.state(exchange.now) if exchange.stream else State.NOT_FOUND
    word = STATES.get(state, exchange.world.quirks.tencent_absent)
    if word not in STATES.values():
        raise Refusal(word, "The stream does not exist.")
    return _response(exchange, {"StreamState": word})


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _inputs(stream: Stream, now: float) -> list[Input]:
    own = Input(stream.address["domain"], stream.address["app"])
    return [push for push in stream.inputs or (own,) if push.is_up(now)]


def _backup_row(stream: Stream, push: Input, place: int, now: float) -> dict[str, Any]:
    return {
        "DomainName": push.domain,
        "AppName": push.app,
        "PublishTime": _utc(stream.script.started(now)),
        "UpstreamSequence": str(710313341080024595 + place),
        "SourceFrom": "直推流" if push.source == "push" else f"拉流转推({place})",
        "MasterFlag": 1 if place == 0 else 0,
    }


def _backup_groups(stream: Stream, now: float) -> list[dict[str, Any]]:
    """Write a stream's inputs: one group for each host group, which has a master of its own."""
    pushes = _inputs(stream, now)
    groups = []
    for name in dict.fromkeys(push.group for push in pushes):
        fed = [push for push in pushes if push.group == name]
        rows = [_backup_row(stream, push, place, now) for place, push in enumerate(fed)]
        rows.reverse()  # the vendor's example has the master last: the order says nothing
        groups.append(
            {"StreamName": stream.address["stream"], "BackupList": rows, "OptimalEnable": 0, "HostGroupName": name}
        )
    return groups


def _foreign_group(number: int) -> dict[str, Any]:
    push = Stream(f"foreign-{number}", Account("", "tencent", {}), {}, _NEVER, inputs=(Input("foreign.example", "x"),))
    return {
        "StreamName": push.name,
        "BackupList": [_backup_row(push, push.inputs[0], 0, 0.0)],
        "OptimalEnable": 0,
        "HostGroupName": "",
    }


def _backup(exchange: Exchange, found: dict[str, Any]) -> Outgoing:
    now = exchange.now
    least = 2 if exchange.world.quirks.tencent_backup_list == "redundant" else 1
    groups = [
        group
        for stream in exchange.world.streams_of(exchange.known)
        if stream.is_active(now)
        and (len(stream.inputs) >= least or least == 1)
        and _inputs(stream, now)
        and found.get("StreamName") in (None, "", stream.address["stream"])
        for group in _backup_groups(stream, now)
    ]
    listed = page(groups, 1, 1 << 30, exchange.tricks, _foreign_group)
    return _response(exchange, {"StreamInfoList": _nullable(exchange, listed.rows)})


def _nullable(exchange: Exchange, rows: list[Any] | None) -> list[Any] | None:
    return None if not rows and exchange.world.quirks.tencent_null_lists else rows


def _online_row(domain: str, app: str, name: str, started: float) -> dict[str, Any]:
    return {
        "StreamName": name,
        "PublishTimeList": [{"PublishTime": _utc(started)}],
        "AppName": app,
        "DomainName": domain,
        "PushToDelay": 0,
    }


def _page_size(exchange: Exchange, found: dict[str, Any]) -> tuple[int, int]:
    most = 100 if exchange.world.quirks.tencent_site == "international" else 300_000
    number, size = found.get("PageNum", 1), found.get("PageSize", 10)
    if not 10 <= size <= most or number < 1:
        raise Refusal("InvalidParameterValue", "PageNum or PageSize is out of range.")
    return number, size


def _last_seen(exchange: Exchange) -> float:
    """Return the Unix seconds that the online list shows: it may be refreshed only once a minute."""
    every = exchange.world.quirks.tencent_online_seconds
    return exchange.now - exchange.now % every if every else exchange.now


def _online(exchange: Exchange, found: dict[str, Any]) -> Outgoing:
    number, size = _page_size(exchange, found)
    wanted = tuple(found.get(name) or None for name in ("DomainName", "AppName", "StreamName"))
    world, account, now = exchange.world, exchange.known, _last_seen(exchange)
    rows = [
        _online_row(*address, stream.script.started(now))
        for stream in (world.group(account, (wanted[0],)) if wanted[0] else world.streams_of(account))
        if stream.is_active(now)
        for address in [(stream.address["domain"], stream.address["app"], stream.address["stream"])]
        if all(want in (None, have) for want, have in zip(wanted, address, strict=True))
    ]
    listed = page(
        rows,
        number,
        size,
        exchange.tricks,
        lambda count: _online_row("foreign.example", "live", f"foreign-{count}", 0.0),
    )
    return _response(
        exchange,
        {
            "TotalNum": listed.total,
            "TotalPage": listed.pages,
            "PageNum": number,
            "PageSize": size,
            "OnlineInfo": _nullable(exchange, listed.rows),
        },
    )


ACTIONS = {STATE: _state, BACKUP: _backup, ONLINE: _online}


def _answer(exchange: Exchange) -> Outgoing:
    timestamp = _common(exchange.received)
    mainland = exchange.world.quirks.tencent_site == "mainland"
    if exchange.action not in ACTIONS or (exchange.action == BACKUP and not mainland):
        raise Refusal("InvalidAction", "The request `Action` is invalid or not found.")
    _authenticate(exchange, timestamp)
    if exchange.action in exchange.known.denied:
        raise Refusal("AuthFailure.UnauthorizedOperation", "The operation is not authorized by CAM.")
    spend(exchange)
    _region(exchange)
    return ACTIONS[exchange.action](exchange, _parameters(exchange))


def _refuse(exchange: Exchange, refusal: Refusal) -> Outgoing:
    outgoing = _response(exchange, {"Error": {"Code": refusal.code, "Message": refusal.message}}, refusal.code)
    outgoing.status = refusal.status or 200
    return outgoing


def _throttled(_exchange: Exchange, _wait: float) -> Refusal:
    return Refusal(
        "RequestLimitExceeded", "Your current request times exceed the frequency limit. Please reduce the frequency."
    )


def _spoil(payload: Any, value: Any) -> None:
    response = payload["Response"]
    for name in ("StreamState", "StreamInfoList", "OnlineInfo"):
        if name in response:
            put(response, name, value)


def _identity(received: Received) -> str:
    given = tc3.parse_authorization(received.authorization)
    return given.credential if given else ""


def _limit(exchange: Exchange) -> Limit:
    online = Limit(80 if exchange.world.quirks.tencent_site == "mainland" else 100)
    return {STATE: Limit(300), BACKUP: Limit(20), ONLINE: online}[exchange.action]


def _marks(received: Received) -> bool:
    return (
        any(name.startswith("x-tc-") for name in received.headers)
        or received.authorization.startswith("TC3-")
        or _loose(received).get("Version") == VERSION
    )


def _write(event: Event, secret: str | None, manners: Manners) -> Letter:
    """Put a push into Tencent's words; without a key set in the console there is neither `sign` nor `t`."""
    address = event.stream.address
    at, back = int(event.at), int(event.at - event.began[1])
    fields: dict[str, Any] = {
        "app": address["domain"],
        "appid": 1250000000,
        "appname": address["app"],
        "channel_id": address["stream"],
        "errcode": 0 if event.live else 1 if manners.reason is None else manners.reason,
        "errmsg": "ok" if event.live else "The push client actively stopped the push",
        "event_time": at,
        "event_type": int(event.live),
        "height": 0,
        "idc_id": 34,
        "node": "192.0.2.1",
        "sequence": str(2_210_464_508_000_000_000 + event.began[0]),
        "set_id": 2,
        "stream_id": address["stream"],
        "stream_param": "txSecret=made-up&txTime=made-up",
        "user_ip": "192.0.2.2",
        "width": 0,
    }
    if not event.live:
        fields["push_duration"] = str(back * 1000)
    if secret is not None:
        fields |= {"sign": tc3.callback_signature(key=secret, t=at + CALLBACK_SECONDS), "t": at + CALLBACK_SECONDS}
    name = "push_begin" if event.live else "push_end"
    return Letter(name, "POST", "", {"Content-Type": "application/json"}, json.dumps(fields).encode())


FAKE = Fake(
    name="tencent",
    key="secret_id",
    account_fields={"secret_id": str, "secret_key": str, "token": str, "region": str, "callback_key": str},
    account_needs=("secret_id", "secret_key"),
    stream_fields=("domain", "app", "stream"),
    stream_needs=("domain",),
    complete=_complete,
    addresses=_addresses,
    group=lambda stream: (stream.address["domain"],),
    actions=(STATE, BACKUP, ONLINE),
    limit=_limit,
    content_type="application/json",
    marks=_marks,
    action=lambda received: _header(received, "action") or str(_loose(received).get("Action", "")),
    identity=_identity,
    asked=_asked,
    nonce=lambda _received: "",
    answer=_answer,
    refuse=_refuse,
    throttled=_throttled,
    spoil=_spoil,
    unknown="paused",
    post=Post(key_field="callback_key", write=_write, retries=(60,) * 12, patience=20.0),
)
