"""The fake Volcengine: the gateway's checks in their order, the service behind it, and the doubts."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.simulator import World
from exporter.simulator.exchange import Received

from .asking import APP, NOW, answer, at, small_world, volcengine_call

GOOD = {"AppId": APP, "RoomId": "room", "UserId": "active"}
USERS = ("GetRoomOnlineUsers", {"AppId": APP, "RoomId": "room"})


def error(world: World, received: Received) -> tuple[str, int | None, int]:
    """Return code, CodeN and HTTP status of one call that is refused."""
    outgoing = answer(world, "volcengine", received)
    found = outgoing.payload["ResponseMetadata"]["Error"]
    assert "Result" not in outgoing.payload
    return found["Code"], found.get("CodeN"), outgoing.status


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"action": ""}, ("MissingParameter", 100002, 400)),
        ({"version": ""}, ("MissingParameter", 100002, 400)),
        ({"authorization": None}, ("MissingAuthenticationToken", 100003, 401)),
        ({"authorization": "Basic x"}, ("InvalidAuthorization", None, 400)),
        ({"authorization": "HMAC-SHA256 Credential=x, SignedHeaders=a, Signature=b"}, ("InvalidCredential", None, 400)),
        ({"x-date": None}, ("MissingRequestInfo", 100004, 400)),
        ({"x-date": "today"}, ("InvalidTimestamp", 100006, 400)),
        ({"x_date": at(NOW - 901, "%Y%m%dT%H%M%SZ")}, ("InvalidTimestamp", 100006, 400)),
        ({"x_date": at(NOW + 901, "%Y%m%dT%H%M%SZ")}, ("InvalidTimestamp", 100006, 400)),
        ({"action": "StartRecord"}, ("InvalidActionOrVersion", 100008, 404)),
        ({"version": "2023-11-01"}, ("InvalidActionOrVersion", 100008, 404)),
        ({"x-security-token": "stray"}, ("InvalidSecretToken", None, 401)),
        ({"secret": "wrong"}, ("SignatureDoesNotMatch", 100010, 401)),
        ({"host": "elsewhere"}, ("SignatureDoesNotMatch", 100010, 401)),
        ({"parameters": {**GOOD, "AppId": ""}}, ("InvalidParameter.IllegalAppId", None, 200)),
        ({"parameters": {**GOOD, "RoomId": "a b"}}, ("InvalidParameter.IllegalRoomID", None, 200)),
        ({"parameters": {**GOOD, "UserId": "x" * 129}}, ("InvalidParameter", None, 200)),
        ({"parameters": {**GOOD, "AppId": "nobodys"}}, ("InvalidParameter.NotExistAppId", None, 200)),
    ],
)
def test_each_check_has_its_code(changed: dict[str, Any], expected: tuple[str, int | None, int]) -> None:
    """A call that is wrong in one way gets the code, number and status of exactly that."""
    assert error(small_world(), volcengine_call(**changed)) == expected


def test_a_body_is_covered() -> None:
    """A body that was not signed is found out by its true hash."""
    received = volcengine_call()
    stuffed = Received("GET", "/", received.raw_query, received.headers, b"x", NOW)
    assert error(small_world(), stuffed)[0] == "SignatureDoesNotMatch"


def test_a_permission_is_needed() -> None:
    """An action that IAM does not allow is refused by the gateway although the key is right."""
    world = small_world()
    world.accounts["v"].denied.add("GetUserStreamState")
    assert error(world, volcengine_call()) == ("AccessDenied", 100013, 403)


@pytest.mark.parametrize(
    ("quirk", "expected"),
    [
        ("zeros", [{"MediaType": kind, "State": 0} for kind in ("Audio", "Video", "ScreenAudio", "ScreenVideo")]),
        ("empty", []),
        ("null", None),
        ("missing", "missing"),
    ],
)
def test_an_absent_room_is_a_switch(quirk: Any, expected: Any) -> None:
    """What is answered for an absent room or user is not documented, so each way can be chosen."""
    world = small_world()
    world.quirks.volcengine_absent = quirk
    result = answer(world, "volcengine", volcengine_call(parameters={**GOOD, "RoomId": "nowhere"})).payload["Result"]
    assert result.get("StreamStates", "missing") == expected


def test_an_absent_room_may_be_an_error() -> None:
    """An absent room may also be refused, under a status of choice."""
    world = small_world()
    world.quirks.volcengine_absent = "error"
    world.quirks.volcengine_rtc_status = 404
    call = volcengine_call(parameters={**GOOD, "UserId": "not_found"})
    assert error(world, call) == ("RoomNotExist", None, 404)


def test_the_room_list_follows_presence() -> None:
    """By default those are in the room who publish; a silent user can be there, and rows can be objects."""
    world = small_world()
    call = volcengine_call(*USERS, version="2023-11-01")
    assert answer(world, "volcengine", call).payload["Result"]["VisibleUserList"] == ["active"]
    world.set("volcengine/inactive", in_room=True)
    world.quirks.volcengine_users = "object"
    result = answer(world, "volcengine", call).payload["Result"]
    assert result["VisibleUserList"] == [{"UserId": "active"}, {"UserId": "inactive"}]
    assert (result["RoomExists"], result["TotalUser"]) == (True, 2)
