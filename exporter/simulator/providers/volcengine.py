"""The fake of Volcengine's RTC OpenAPI: the service behind the gateway. The HTTP status of its errors is a switch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from exporter.model import State
from exporter.providers.volcengine_openapi import SCHEME
from exporter.simulator.answers import paginate
from exporter.simulator.exchange import Exchange, Outgoing, Refusal, refuse_if
from exporter.simulator.fake import Action, Fake, Limit, named
from exporter.simulator.providers import _volcengine as gateway
from exporter.simulator.types import DemoAccount, DemoStreams

STATE = "GetUserStreamState"
USERS = "GetRoomOnlineUsers"
VERSIONS = {STATE: "2020-12-01", USERS: "2023-11-01"}
MEDIA = ("Audio", "Video", "ScreenAudio", "ScreenVideo")
MESSAGES = {
    **gateway.MESSAGES,
    "InvalidParameter": "UserId is not legal.",
    "InvalidParameter.IllegalAppId": "AppId is not legal.",
    "InvalidParameter.IllegalRoomID": "RoomId is not legal.",
    "InvalidParameter.NotExistAppId": "The AppId does not exist.",
    "AccessDenied.NoPermissionForApp": "The account may not operate this AppId.",
    "RoomNotExist": "The room does not exist.",
}
_ID = re.compile(r"[a-zA-Z0-9@._-]{1,128}")


@dataclass
class Quirks:
    """Switches; docs/simulator.md describes each."""

    volcengine_absent: Literal["zeros", "empty", "null", "missing", "error"] = "zeros"
    volcengine_rtc_status: int = 200
    volcengine_users: Literal["text", "object"] = "text"


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


def _authenticate(exchange: Exchange) -> None:
    gateway.authenticate(exchange, "rtc", VERSIONS)


def _result(exchange: Exchange, result: dict[str, Any]) -> Outgoing:
    return gateway.result(exchange, "rtc", result)


def _error(exchange: Exchange, code: str, message: str) -> Outgoing:
    return gateway.error(exchange, "rtc", code, message, exchange.world.quirks.volcengine_rtc_status)


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
    marks=gateway.marks(VERSIONS),
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
