"""Volcengine's own SDK against the simulator; the action is not in the SDK's table, so it is added to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from volcengine.ApiInfo import ApiInfo
from volcengine.base.Service import Service
from volcengine.Credentials import Credentials
from volcengine.ServiceInfo import ServiceInfo

from exporter.simulator import Simulator, World, serving

APP = "661e0000000000000543cf00"
ACTIONS = {"GetUserStreamState": "2020-12-01", "GetRoomOnlineUsers": "2023-11-01", "GetRoomUsers": "2020-12-01"}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with two accounts and streams with different media."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.add_account("main", "volcengine", access_key_id="id-main", secret_access_key="key/+main", app_id=APP)
    world.add_account(
        "sts", "volcengine", access_key_id="id-sts", secret_access_key="k", session_token="STS2+/a==", app_id="app-sts"
    )
    world.add_stream("both", "main", room_id="room-1")
    world.add_stream("screen", "main", room_id="room-1", media=["ScreenAudio", "ScreenVideo"])
    world.add_stream("off", "main", room_id="room-1", state="inactive")
    world.add_stream("visitor", "sts", room_id="room-2")
    with serving(world) as running:
        yield running


def service(simulator: Simulator, key_id: str = "id-main", key: str = "key/+main", **scope: str) -> Any:
    """Point the vendor's generic client at the simulator."""
    credentials = Credentials(
        key_id, key, scope.get("service", "rtc"), scope.get("region", "cn-north-1"), scope.get("token", "")
    )
    info = ServiceInfo(simulator.url.removeprefix("http://"), {"Accept": "application/json"}, credentials, 5, 5, "http")
    apis = {
        action: ApiInfo("GET", "/", {"Action": action, "Version": version}, {}, {})
        for action, version in ACTIONS.items()
    }
    found = Service(info, apis)
    # The constructor lets the machine's own profile win over what it was given.
    found.service_info.credentials.set_ak(key_id)
    found.service_info.credentials.set_sk(key)
    return found


def ask(found: Any, action: str = "GetUserStreamState", **parameters: str) -> Any:
    """Call an action with parameters; by default ask what user `both` publishes."""
    default = {"AppId": APP, "RoomId": "room-1", "UserId": "both"}
    try:
        return json.loads(found.get(action, {**default, **parameters}))
    finally:
        found.session.close()


def refused(found: Any, action: str = "GetUserStreamState", **parameters: str) -> dict[str, Any]:
    """Return the error in the body that the vendor's client raises for a status other than 200."""
    with pytest.raises(Exception, match="ResponseMetadata") as caught:
        ask(found, action, **parameters)
    error: dict[str, Any] = json.loads(str(caught.value))["ResponseMetadata"]["Error"]
    return error


@pytest.mark.parametrize(
    ("user", "published"),
    [
        ("both", {"Audio", "Video"}),
        ("screen", {"ScreenAudio", "ScreenVideo"}),
        ("off", set()),
        ("nobody", set()),
    ],
)
def test_the_vendors_client_reads_every_mix(simulator: Simulator, user: str, published: set[str]) -> None:
    """The vendor's client signs in its own way and learns which media types are published."""
    answer = ask(service(simulator), UserId=user)
    states = {row["MediaType"]: row["State"] for row in answer["Result"]["StreamStates"]}
    assert {name for name, state in states.items() if state == 1} == published
    assert set(states) == {"Audio", "Video", "ScreenAudio", "ScreenVideo"}
    assert answer["ResponseMetadata"]["Action"] == "GetUserStreamState"
    assert "Error" not in answer["ResponseMetadata"]


def test_the_verifier_decodes_before_it_canonicalises(simulator: Simulator) -> None:
    """The vendor's client sends a space as "+" and signs it as %20: both are one text, so only the id is refused."""
    answer = ask(service(simulator), RoomId="a room/with*~", UserId="用户")
    assert answer["ResponseMetadata"]["Error"]["Code"] == "InvalidParameter.IllegalRoomID"


def test_temporary_credentials_work_with_their_token_only(simulator: Simulator) -> None:
    """A session token is verified: the right one is let in, a wrong or missing one is refused."""
    right = service(simulator, "id-sts", "k", token="STS2+/a==")
    answer = ask(right, AppId="app-sts", RoomId="room-2", UserId="visitor")
    assert answer["Result"]["UserId"] == "visitor"
    for token in ("STS2other", ""):
        assert refused(service(simulator, "id-sts", "k", token=token))["Code"] == "InvalidSecretToken"


def test_a_wrong_key_is_refused(simulator: Simulator) -> None:
    """A wrong key and an unknown id get the gateway's codes and numbers."""
    wrong = refused(service(simulator, key="wrong"))
    assert (wrong["Code"], wrong["CodeN"]) == ("SignatureDoesNotMatch", 100010)
    unknown = refused(service(simulator, "id-nobody"))
    assert (unknown["Code"], unknown["CodeN"]) == ("InvalidAccessKey", 100009)


def test_scope_clock_and_action_are_checked(simulator: Simulator) -> None:
    """A wrong service, region, action or clock gets the gateway's own code."""
    assert refused(service(simulator, service="vod"))["CodeN"] == 100007
    assert refused(service(simulator, region="mars-1"))["Code"] == "UnsupportedRegion"
    assert refused(service(simulator), "GetRoomUsers")["CodeN"] == 100008
    simulator.world.fault("skew", seconds=901)
    assert refused(service(simulator))["CodeN"] == 100006


def test_the_service_behind_the_gateway_checks_the_app(simulator: Simulator) -> None:
    """Errors of the service carry no CodeN, and their HTTP status is a switch."""
    answer = ask(service(simulator), AppId="nobodys-app")
    assert answer["ResponseMetadata"]["Error"]["Code"] == "InvalidParameter.NotExistAppId"
    simulator.world.quirks.volcengine_rtc_status = 400
    error = refused(service(simulator), AppId="app-sts")
    assert error["Code"] == "AccessDenied.NoPermissionForApp"
    assert "CodeN" not in error


def test_throttling_is_seen(simulator: Simulator) -> None:
    """Calls above the account's quota get the gateway's throttling code."""
    simulator.world.accounts["main"].quota["GetUserStreamState"] = 1
    found = service(simulator)
    now = simulator.world.clock()
    simulator.world.clock = lambda: now
    assert "Result" in ask(found)
    assert refused(found)["CodeN"] == 100018


def test_the_room_list_tells_who_is_there(simulator: Simulator) -> None:
    """The vendor's client gets the users of a room, and an empty room does not exist."""
    answer = ask(service(simulator), "GetRoomOnlineUsers")["Result"]
    assert (answer["RoomExists"], answer["TotalUser"]) == (True, 2)
    assert answer["VisibleUserList"] == ["both", "screen"]
    assert ask(service(simulator), "GetRoomOnlineUsers", RoomId="nowhere")["Result"]["RoomExists"] is False
