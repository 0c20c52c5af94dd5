"""The fake Tencent Cloud: codes in the order of its checks, envelopes, lists and doubts."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import State
from exporter.providers.tencent import signing as tc3
from exporter.simulator import Figures, Input, Script, World
from exporter.simulator.exchange import Received

from .asking import NOW, answer, small_world, tencent_call

ONLINE = "DescribeLiveStreamOnlineList"
BACKUP = "DescribeBackupStreamList"


def code(world: World, *call: Any, **changed: Any) -> str:
    """Return the code of one call."""
    return answer(world, "tencent", tencent_call(*call, **changed)).code


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "ok"),
        ({"X_TC_Action": None}, "MissingParameter"),
        ({"X_TC_Version": None}, "MissingParameter"),
        ({"X_TC_Timestamp": None}, "MissingParameter"),
        ({"X_TC_Version": "2020-01-01"}, "NoSuchVersion"),
        ({"X_TC_Timestamp": "now"}, "InvalidParameter"),
        ({"X_TC_Action": "DropLiveStream"}, "InvalidAction"),
        ({"Authorization": None}, "AuthFailure.InvalidAuthorization"),
        ({"Authorization": "Bearer x"}, "AuthFailure.InvalidAuthorization"),
        ({"X_TC_Timestamp": str(int(NOW) - 301)}, "AuthFailure.SignatureExpire"),
        ({"X_TC_Timestamp": str(int(NOW) + 301)}, "AuthFailure.SignatureExpire"),
        ({"X_TC_Timestamp": str(int(NOW) - 300)}, "ok"),
        ({"X_TC_Token": "stray"}, "AuthFailure.TokenFailure"),
        ({"secret": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"Host": "elsewhere"}, "AuthFailure.SignatureFailure"),
        ({"Content_Type": "application/json; charset=utf-8"}, "AuthFailure.SignatureFailure"),
        ({"body": b"{"}, "InvalidParameter"),
        ({"body": b"[]"}, "InvalidParameter"),
        ({"parameters": {"Stream": "x"}}, "UnknownParameter"),
        ({"parameters": {"DomainName": "push.example", "AppName": "live", "StreamName": True}}, "InvalidParameter"),
        ({"parameters": {"DomainName": "push.example", "AppName": "live", "StreamName": ""}}, "InvalidParameterValue"),
        ({"parameters": {"DomainName": "push.example", "AppName": "live"}}, "MissingParameter"),
    ],
)
def test_each_check_has_its_code(changed: dict[str, Any], expected: str) -> None:
    """A call that is wrong in one way gets the vendor's code of exactly that, under HTTP 200."""
    outgoing = answer(small_world(), "tencent", tencent_call(**changed))
    assert (outgoing.code, outgoing.status) == (expected, 200)


@pytest.mark.parametrize("left_out", ["Content-Type", "Host"])
def test_host_and_content_type_must_be_signed(left_out: str) -> None:
    """A signature that does not cover both headers is refused, however right it is for what it covers."""
    received = tencent_call()
    signed = {"Content-Type": "application/json", "Host": received.headers["host"]}
    del signed[left_out]
    written = tc3.authorization(
        secret_id="id",
        secret_key="secret",
        service="live",
        timestamp=int(NOW),
        headers=signed,
        body=received.body,
    )
    headers = {**received.headers, "authorization": written}
    changed = Received("POST", "/", "", headers, received.body, NOW)
    assert answer(small_world(), "tencent", changed).code == "AuthFailure.SignatureFailure"


def test_a_body_other_than_the_signed_one_is_refused() -> None:
    """The body is hashed into the signature, so a proxy that changes it is found out."""
    received = tencent_call()
    changed = Received("POST", "/", "", received.headers, received.body + b" ", received.now)
    assert answer(small_world(), "tencent", changed).code == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("name", "word"),
    [("active", "active"), ("inactive", "inactive"), ("forbidden", "forbid"), ("not_found", "inactive")],
)
def test_each_state_has_its_word(name: str, word: str) -> None:
    """The envelope is Response with the vendor's word for the state and a RequestId."""
    call = {"DomainName": "push.example", "AppName": "live", "StreamName": name}
    response = answer(small_world(), "tencent", tencent_call(parameters=call)).payload["Response"]
    assert response["StreamState"] == word
    assert response.keys() == {"StreamState", "RequestId"}


def test_an_unknown_stream_may_be_an_error() -> None:
    """What a stream answers that was never pushed is not documented, so it can be an error."""
    world = small_world()
    world.quirks.tencent_absent = "ResourceUnavailable.StreamNotExist"
    call = {"DomainName": "push.example", "AppName": "live", "StreamName": "nobody"}
    assert code(world, parameters=call) == "ResourceUnavailable.StreamNotExist"


def test_an_expired_token_is_refused() -> None:
    """Temporary credentials stop working at their time."""
    world = small_world()
    world.accounts["t"].fields["token"] = "token"
    world.accounts["t"].token_expires = NOW + 1
    assert code(world, X_TC_Token="token") == "ok"
    world.accounts["t"].token_expires = NOW
    assert code(world, X_TC_Token="token") == "AuthFailure.TokenFailure"


def test_a_permission_is_needed() -> None:
    """An action that CAM does not allow is refused although the key is right."""
    world = small_world()
    world.accounts["t"].denied.add(ONLINE)
    assert code(world, ONLINE, {}) == "AuthFailure.UnauthorizedOperation"
    assert code(world) == "ok"


def test_the_online_list_filters_and_pages() -> None:
    """Domain, app and stream filter exactly, and page sizes out of range are refused."""
    world = small_world()
    world.add_stream("other", "t", domain="push.example", app="radio")
    listed = answer(world, "tencent", tencent_call(ONLINE, {"AppName": "radio"})).payload["Response"]
    assert [row["StreamName"] for row in listed["OnlineInfo"]] == ["other"]
    assert (listed["TotalNum"], listed["TotalPage"], listed["PageSize"]) == (1, 1, 10)
    for wrong in ({"PageSize": 9}, {"PageSize": 300_001}, {"PageNum": 0}):
        assert code(world, ONLINE, wrong) == "InvalidParameterValue"


def test_the_international_site_differs() -> None:
    """The international site has smaller pages and no backup list."""
    world = small_world()
    world.quirks.tencent_site = "international"
    assert code(world, ONLINE, {"PageSize": 101}) == "InvalidParameterValue"
    assert code(world, BACKUP, {}, X_TC_Region="ap-guangzhou") == "InvalidAction"


def test_the_backup_list_follows_the_inputs() -> None:
    """An input that is down is not listed, the next one becomes master, and with none left the stream is gone."""
    world = small_world()
    primary, backup = Input("push.example", "live"), Input("spare.example", "live")
    world.set("tencent/active", inputs=[primary, backup])

    def inputs() -> list[tuple[str, int]]:
        call = tencent_call(BACKUP, {"StreamName": "active"}, X_TC_Region="ap-guangzhou")
        groups = answer(world, "tencent", call).payload["Response"]["StreamInfoList"]
        return [(row["DomainName"], row["MasterFlag"]) for group in groups for row in group["BackupList"]]

    assert sorted(inputs()) == [("push.example", 1), ("spare.example", 0)]
    primary.up = False
    assert inputs() == [("spare.example", 1)]
    backup.up = False
    assert inputs() == []


def test_inputs_of_other_host_groups_stand_in_groups_of_their_own() -> None:
    """One stream name may stand in several groups, each with its HostGroupName and its own master."""
    world = small_world()
    world.set("tencent/active", inputs=[Input("push.example", "live"), Input("push.example", "live", group="west")])
    call = tencent_call(BACKUP, {"StreamName": "active"}, X_TC_Region="ap-guangzhou")
    groups = answer(world, "tencent", call).payload["Response"]["StreamInfoList"]
    assert [group["HostGroupName"] for group in groups] == ["", "west"]
    assert [[row["MasterFlag"] for row in group["BackupList"]] for group in groups] == [[1], [1]]


def test_the_online_list_may_be_a_minute_old() -> None:
    """With the switch the list tells of the last full minute: what has ended since still stands there."""
    world = small_world()
    world.quirks.tencent_online_seconds = 60.0
    world.set("tencent/active", state=Script((State.INACTIVE, State.ACTIVE), every=30.0, offset=2.0 - NOW % 60.0))
    listed = answer(world, "tencent", tencent_call(ONLINE, {})).payload["Response"]
    world.quirks.tencent_online_seconds = 0.0
    now = answer(world, "tencent", tencent_call(ONLINE, {})).payload["Response"]
    assert "active" not in {row["StreamName"] for row in now["OnlineInfo"]}
    assert (listed["TotalNum"], now["TotalNum"]) == (1, 0)


def test_the_mainland_site_lists_ten_thousand_rows_a_page() -> None:
    """A page is as large as is asked for, up to the 300,000 rows that the vendor documents."""
    world = World(clock=lambda: NOW)
    world.add_account("t", "tencent", secret_id="id", secret_key="secret", region="ap-guangzhou")
    for number in range(10_001):
        world.add_stream(f"s{number}", "t", domain="push.example")
    pages = [
        answer(world, "tencent", tencent_call(ONLINE, {"PageNum": page, "PageSize": 10_000})).payload["Response"]
        for page in (1, 2)
    ]
    assert [len(page["OnlineInfo"]) for page in pages] == [10_000, 1]
    assert [page["TotalPage"] for page in pages] == [2, 2]


def test_empty_lists_may_be_null() -> None:
    """The documentation says that lists may be null; the switch makes them so."""
    world = small_world()
    world.quirks.tencent_null_lists = True
    call = tencent_call(BACKUP, {"StreamName": "nobody"}, X_TC_Region="ap-guangzhou")
    assert answer(world, "tencent", call).payload["Response"]["StreamInfoList"] is None


def test_only_redundant_streams_may_be_listed() -> None:
    """Whether the backup list has streams with a single input is not documented, so it is a switch."""
    world = small_world()
    world.quirks.tencent_backup_list = "redundant"
    call = tencent_call(BACKUP, {}, X_TC_Region="ap-guangzhou")
    assert answer(world, "tencent", call).payload["Response"]["StreamInfoList"] == []


PUSHES = "DescribeLiveStreamPushInfoList"


def pushed(world: World, **parameters: Any) -> Any:
    """Return what arrives, as the fake tells it."""
    given = {"PushDomain": "push.example", "AppName": "live", **parameters}
    sent = {name: value for name, value in given.items() if value is not None}
    return answer(world, "tencent", tencent_call(PUSHES, sent)).payload["Response"]


def test_what_arrives_is_told_of_live_streams_alone() -> None:
    """Of one domain and app; a stream that stands still has its zeros, and its encoder's words all the same."""
    world = small_world()
    world.add_stream("frozen", "t", domain="push.example", figures=Figures(moving=False))
    world.add_stream("other", "t", domain="push.example", app="radio")
    rows = {row["StreamName"]: row for row in pushed(world)["DataInfoList"]}
    assert set(rows) == {"active", "frozen"}
    assert [rows["active"][name] for name in ("VideoFps", "VideoSpeed", "Resolution")] == [25, 2_500_000, "1280*720"]
    assert [rows["frozen"][name] for name in ("VideoFps", "VideoSpeed", "AudioFps", "AudioSpeed")] == [0] * 4
    assert rows["frozen"]["MetaVideoSpeed"] == 2_500_000
    assert [row["StreamName"] for row in pushed(world, AppName="radio")["DataInfoList"]] == ["other"]
    assert len(pushed(world, AppName=None, PushDomain=None)["DataInfoList"]) == 2, "the app is live by default"


@pytest.mark.parametrize("page", [{"PageSize": 0}, {"PageSize": 100_001}, {"PageNum": 0}, {"PageNum": 10_001}])
def test_pages_of_what_arrives_have_limits(page: dict[str, int]) -> None:
    """As the vendor's page says."""
    assert pushed(small_world(), **page)["Error"]["Code"] == "InvalidParameterValue"
    world = small_world()
    world.quirks.tencent_site = "international"
    assert pushed(world, PageSize=1001)["Error"]["Code"] == "InvalidParameterValue"
    assert pushed(world, PageSize=1000)["TotalNum"] == 1


def test_a_stream_may_stand_still_by_its_script() -> None:
    """What arrives is a function of time, as the state is."""
    figures = Figures(moving=Script((State.ACTIVE, State.INACTIVE), every=10.0))
    assert [figures.is_moving(second) for second in (0, 9, 10, 19, 20)] == [True, True, False, False, True]
