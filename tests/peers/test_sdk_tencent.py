"""Tencent's own SDK against the simulator: what the vendor's client believes of our fake cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.live.v20180801 import models
from tencentcloud.live.v20180801.live_client import LiveClient

from exporter.simulator import Figures, Input, Simulator, World, serving

PLACE = {"DomainName": "5000.livepush.example", "AppName": "live"}


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with an account of each kind, one stream in each state, and twelve more that are live."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.add_account("main", "tencent", secret_id="id-main", secret_key="key-main")
    world.add_account("sts", "tencent", secret_id="id-sts", secret_key="key-sts", token="token-sts")
    for state in ("active", "inactive", "forbidden"):
        world.add_stream(f"a-{state}", "main", domain=PLACE["DomainName"], state=state)
        world.add_stream(f"s-{state}", "sts", domain=PLACE["DomainName"], state=state)
    world.add_stream("中文-流", "main", domain=PLACE["DomainName"])
    world.set("tencent/a-active", inputs=[Input(PLACE["DomainName"], "live"), Input("b.example", "gifshow", "pull")])
    for number in range(12):
        world.add_stream(f"more-{number}", "main", domain="list.livepush.example")
    with serving(world) as running:
        yield running


def client(simulator: Simulator, *, key: str = "key-main", region: str = "", method: str = "POST", **kept: str) -> Any:
    """Point the vendor's client at the simulator."""
    profile = HttpProfile(protocol="http", endpoint=simulator.url.removeprefix("http://"), reqMethod=method)
    credential = Credential(kept.get("key_id", "id-main"), key, kept.get("token"))
    return LiveClient(credential, region, ClientProfile(httpProfile=profile))


def state_of(found: Any, name: str) -> Any:
    """Ask for the state of one stream."""
    request = models.DescribeLiveStreamStateRequest()
    request.DomainName, request.AppName, request.StreamName = PLACE["DomainName"], PLACE["AppName"], name
    return found.DescribeLiveStreamState(request)


def refused(found: Any, name: str = "a-active") -> str:
    """Return the code with which the call is refused."""
    with pytest.raises(TencentCloudSDKException) as caught:
        state_of(found, name)
    assert caught.value.requestId
    return str(caught.value.code)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-active", "active"),
        ("a-inactive", "inactive"),
        ("a-forbidden", "forbid"),
        ("nobody", "inactive"),
        ("中文-流", "active"),
    ],
)
def test_the_vendors_client_reads_every_state(simulator: Simulator, method: str, name: str, expected: str) -> None:
    """The vendor's client signs by POST and by GET in its own way and gets the true state."""
    answer = state_of(client(simulator, method=method), name)
    assert answer.StreamState == expected
    assert len(answer.RequestId) == 36


def test_temporary_credentials_work_with_their_token_only(simulator: Simulator) -> None:
    """A token is verified: the right one is let in, a wrong or missing one is refused by the vendor's code."""
    right = client(simulator, key_id="id-sts", key="key-sts", token="token-sts")
    assert state_of(right, "s-active").StreamState == "active"
    for token in ("token-other", ""):
        assert refused(client(simulator, key_id="id-sts", key="key-sts", token=token)) == "AuthFailure.TokenFailure"


def test_a_wrong_key_is_refused(simulator: Simulator) -> None:
    """A wrong key and an unknown id get the vendor's two different codes, and the vendor's client sees them."""
    assert refused(client(simulator, key="wrong")) == "AuthFailure.SignatureFailure"
    assert refused(client(simulator, key="wrong", method="GET")) == "AuthFailure.SignatureFailure"
    assert refused(client(simulator, key_id="id-nobody")) == "AuthFailure.SecretIdNotFound"


def test_a_wrong_clock_is_refused(simulator: Simulator) -> None:
    """A server clock more than five minutes off refuses what the vendor's client has just signed."""
    simulator.world.fault("skew", seconds=301)
    assert refused(client(simulator)) == "AuthFailure.SignatureExpire"


def test_parameters_are_checked(simulator: Simulator) -> None:
    """Unknown and missing parameters are errors at Tencent, as the vendor's documentation says."""
    found = client(simulator)
    for parameters, code in (
        ({**PLACE, "StreamName": "a-active", "Stream": "x"}, "UnknownParameter"),
        (PLACE, "MissingParameter"),
        ({**PLACE, "StreamName": 1}, "InvalidParameter"),
    ):
        with pytest.raises(TencentCloudSDKException) as caught:
            found.call("DescribeLiveStreamState", parameters)
        assert caught.value.code == code


def test_throttling_is_seen(simulator: Simulator) -> None:
    """Calls above the account's quota get the vendor's throttling code, and calls below it do not."""
    simulator.world.accounts["main"].quota["DescribeLiveStreamState"] = 2
    now = simulator.world.clock()
    simulator.world.clock = lambda: now
    found = client(simulator)
    assert [state_of(found, "a-active").StreamState for _ in range(2)] == ["active", "active"]
    assert refused(found) == "RequestLimitExceeded"


def test_the_online_list_is_paged(simulator: Simulator) -> None:
    """The vendor's client walks the pages and finds every live stream of the domain exactly once."""
    found = client(simulator)
    names: list[str] = []
    for number in (1, 2):
        request = models.DescribeLiveStreamOnlineListRequest()
        request.DomainName, request.PageNum, request.PageSize = "list.livepush.example", number, 10
        answer = found.DescribeLiveStreamOnlineList(request)
        assert (answer.TotalNum, answer.TotalPage, answer.PageNum) == (12, 2, number)
        names += [row.StreamName for row in answer.OnlineInfo]
        assert all(row.PublishTimeList[0].PublishTime.endswith("Z") for row in answer.OnlineInfo)
    assert sorted(names) == sorted(f"more-{number}" for number in range(12))


def test_the_backup_list_tells_the_inputs(simulator: Simulator) -> None:
    """The vendor's client gets master and backup of a stream, and is refused without a region."""
    request = models.DescribeBackupStreamListRequest()
    request.StreamName = "a-active"
    answer = client(simulator, region="ap-guangzhou").DescribeBackupStreamList(request)
    (group,) = answer.StreamInfoList
    assert {(row.AppName, row.MasterFlag, row.SourceFrom) for row in group.BackupList} == {
        ("live", 1, "直推流"),
        ("gifshow", 0, "拉流转推(1)"),
    }
    for region, code in (("", "MissingParameter"), ("mars-1", "UnsupportedRegion")):
        with pytest.raises(TencentCloudSDKException) as caught:
            client(simulator, region=region).DescribeBackupStreamList(request)
        assert caught.value.code == code


def test_a_fault_reaches_the_vendors_client(simulator: Simulator) -> None:
    """A code that a test asks for comes out of the vendor's client as that code, and goes away when cleared."""
    simulator.world.fault("code", stream="tencent/a-active", code="InternalError.StreamStatusError")
    found = client(simulator)
    assert refused(found) == "InternalError.StreamStatusError"
    assert state_of(found, "a-inactive").StreamState == "inactive"
    simulator.world.clear()
    assert state_of(found, "a-active").StreamState == "active"


def test_the_push_info_list_tells_what_arrives(simulator: Simulator) -> None:
    """The vendor's client reads frames, bits and size of each live stream of an app, page by page; one stands still."""
    simulator.world.set("tencent/more-7", figures=Figures(moving=False))
    found = client(simulator)
    rows = []
    for number in (1, 2):
        request = models.DescribeLiveStreamPushInfoListRequest()
        request.PushDomain, request.AppName = "list.livepush.example", "live"
        request.PageNum, request.PageSize = number, 10
        answer = found.DescribeLiveStreamPushInfoList(request)
        assert (answer.TotalNum, answer.TotalPage, answer.PageNum) == (12, 2, number)
        rows += answer.DataInfoList
    assert sorted(row.StreamName for row in rows) == sorted(f"more-{number}" for number in range(12))
    for row in rows:
        moves = row.StreamName != "more-7"
        assert (row.VideoFps, row.VideoSpeed, row.AudioSpeed) == ((25, 2_500_000, 128_000) if moves else (0, 0, 0))
        assert (row.PushDomain, row.AppName, row.Resolution) == ("list.livepush.example", "live", "1280*720")
    request.PageSize = 100_001
    with pytest.raises(TencentCloudSDKException) as caught:
        found.DescribeLiveStreamPushInfoList(request)
    assert caught.value.code == "InvalidParameterValue"
