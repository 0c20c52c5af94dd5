"""What tests know of Volcengine."""

from __future__ import annotations

from typing import Any

from exporter.model import Reason, State
from tests.providers.facts import Case, Facts, Listed, tells_of_error

APP_ID = "661e0000000000000543cf00"


def judge(found: dict[str, Any]) -> State | None:
    """Active while any known type has State 1, in an answer about this very user."""
    metadata, result = found.get("ResponseMetadata"), found.get("Result")
    if not isinstance(metadata, dict) or tells_of_error(found) or not isinstance(result, dict):
        return None
    if metadata.get("Action") not in (None, "GetUserStreamState") or result.get("UserId") not in (None, "caster"):
        return None
    if result.get("RoomId") not in (None, "board") or result.get("AppId") not in (None, APP_ID):
        return None
    rows = result.get("StreamStates")
    rows = [] if rows is None else rows
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        return None
    published = {row["MediaType"] for row in rows if row["State"]}
    if published - {"Audio", "Video", "ScreenAudio", "ScreenVideo"}:
        return None
    return State.ACTIVE if published else State.INACTIVE


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("MediaType"), str)
        and type(row.get("State")) is int
        and row["State"] in (0, 1)
    )


def not_in_room(found: dict[str, Any], _stream: Any) -> bool:
    """Both lists are there, and the total agrees."""
    result = found["Result"]
    whole = result["TotalUser"] == len(result["VisibleUserList"]) + len(result["InvisibleUserList"])
    return isinstance(result["RoomExists"], bool) and whole


FACTS = Facts(
    keys={"access_key_id": "volcengine-id", "secret_access_key": "volcengine-secret", "app_id": "app"},
    address={"room_id": "room"},
    named_by="user_id",
    narrow=True,
    judge=judge,
    lists={"GetRoomOnlineUsers": Listed(live=lambda _found, _stream: False, gone=not_in_room)},
    states=(
        Case("active", "volcengine", State.ACTIVE, "ok"),
        Case("all media 0", "volcengine", State.INACTIVE, "ok", state=State.INACTIVE),
        *(
            Case(
                f"absent, {form}", "volcengine", State.INACTIVE, "ok", state=State.NOT_FOUND,
                quirks={"volcengine_absent": form},
            )
            for form in ("zeros", "empty", "null", "missing")
        ),
        Case(
            "absent, a code", "volcengine", ("RoomNotExist", Reason.BAD_REQUEST), "RoomNotExist",
            state=State.NOT_FOUND, quirks={"volcengine_absent": "error"},
        ),
    ),
    codes={
        "SignatureDoesNotMatch": Reason.AUTH, "InvalidTimestamp": Reason.CLOCK,
        "InvalidParameter.NotExistAppId": Reason.ACCOUNT, "FlowLimitExceeded": Reason.THROTTLED,
        "MissingParameter": Reason.BAD_REQUEST, "InternalError": Reason.PROVIDER_ERROR,
    },
    unlisted=("InvalidParameter.InventedToday", Reason.BAD_REQUEST),
    throttled="FlowLimitExceeded",
    expired="InvalidTimestamp",
    inner="Result",
    others={
        "another room": ("Result.RoomId", "other"),
        "another user": ("Result.UserId", "other"),
        "another app": ("Result.AppId", "other"),
        "another Action": ("ResponseMetadata.Action", "GetRoomOnlineUsers"),
        "another Version": ("ResponseMetadata.Version", "2023-11-01"),
        "another Service": ("ResponseMetadata.Service", "live"),
        "Error beside ResponseMetadata": ("Error", {"Code": "InternalError", "Message": "busy"}),
        "error within ResponseMetadata": ("ResponseMetadata.error", {"Code": "InternalError"}),
        "Error within Result": ("Result.Error", {"Code": "InternalError"}),
        "a type that is unknown and on": ("Result.StreamStates.0.MediaType", "AudioAux"),
        "a type of another case": ("Result.StreamStates.0.MediaType", "AUDIO"),
    },
)  # fmt: skip
