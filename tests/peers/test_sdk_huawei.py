"""Huawei Cloud's own SDK against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdklive.v1 import ListLiveStreamsOnlineRequest, LiveClient

from exporter.fields import Secret
from exporter.model import Credentials, Moment, Stream
from exporter.providers import all_providers
from exporter.simulator import Simulator, World, serving
from testbed.apis import single

DOMAIN = "push.example.com"


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with an account of each kind and one stream in each state."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.add_account("main", "huawei", access_key="id-main", secret_key="key-main", project_id="proj1")
    world.add_account(
        "sts", "huawei", access_key="id-sts", secret_key="key-sts", project_id="proj2", security_token="token/+sts=="
    )
    for state in ("active", "inactive", "forbidden"):
        world.add_stream(f"a-{state}", "main", domain=DOMAIN, app="live", state=state)
        world.add_stream(f"s-{state}", "sts", domain="sts.example.com", app="live", state=state)
    world.add_stream("中文 流*~", "main", domain=DOMAIN, app="应用")
    with serving(world) as running:
        yield running


def client(simulator: Simulator, key_id: str = "id-main", key: str = "key-main", **more: str) -> Any:
    """Point the vendor's client at the simulator."""
    credentials = BasicCredentials(key_id, key, more.get("project", "proj1"))
    if "token" in more:
        credentials = credentials.with_security_token(more["token"])
    return LiveClient.new_builder().with_credentials(credentials).with_endpoints([simulator.url]).build()


def online(found: Any, domain: str = DOMAIN, **fields: Any) -> Any:
    """Ask which streams are online."""
    return found.list_live_streams_online(ListLiveStreamsOnlineRequest(publish_domain=domain, **fields))


def refused(found: Any, domain: str = DOMAIN, **fields: Any) -> tuple[str, int]:
    """Return the code and the HTTP status with which the call is refused."""
    with pytest.raises(ClientRequestException) as caught:
        online(found, domain, **fields)
    assert caught.value.request_id
    return str(caught.value.error_code), int(caught.value.status_code)


@pytest.mark.parametrize(
    ("name", "app", "live"),
    [
        ("a-active", "live", True),
        ("a-inactive", "live", False),
        ("a-forbidden", "live", False),
        ("nobody", "live", False),
        ("中文 流*~", "应用", True),
    ],
)
def test_the_vendors_client_reads_every_state(simulator: Simulator, name: str, app: str, live: bool) -> None:
    """The vendor's client signs in its own way and gets the row of a live stream, or a total of nothing."""
    answer = online(client(simulator), app=app, stream=name, offset=0, limit=100)
    assert (answer.total_num, answer.offset, answer.limit) == (int(live), 0, 100)
    assert answer.request_id
    assert [(row.publish_domain, row.app, row.stream) for row in answer.streams] == [(DOMAIN, app, name)] * live
    assert [(row.video_frame_rate, row.resolution) for row in answer.streams] == [(25, "1280x720")] * live


def test_temporary_credentials_work_with_their_token_only(simulator: Simulator) -> None:
    """A token is verified: the right one is let in, a wrong or missing one is refused."""
    right = client(simulator, "id-sts", "key-sts", project="proj2", token="token/+sts==")
    assert online(right, "sts.example.com").total_num == 1
    for more in ({}, {"token": "another"}):
        assert refused(client(simulator, "id-sts", "key-sts", project="proj2", **more)) == ("APIGW.0301", 401)


def test_what_is_wrong_is_refused(simulator: Simulator) -> None:
    """A wrong key, an unknown id, another project, somebody else's domain and a stream without its app."""
    assert refused(client(simulator, key="wrong")) == ("APIGW.0301", 401)
    assert refused(client(simulator, "id-nobody")) == ("APIGW.0301", 401)
    assert refused(client(simulator, project="proj2")) == ("APIGW.0305", 401)
    assert refused(client(simulator), "foreign.example.com") == ("LIVE.100011001", 400)
    assert refused(client(simulator), stream="a-active") == ("LIVE.100011001", 400)
    assert refused(client(simulator), limit=101) == ("LIVE.100011001", 400)


def test_clock_throttling_and_permissions_are_kept(simulator: Simulator) -> None:
    """A clock an hour off, calls above the quota, and a user who may not call: each has its code."""
    fault = simulator.world.fault("skew", seconds=-3600)
    assert refused(client(simulator)) == ("APIGW.0301", 401)
    simulator.world.clear(fault)
    simulator.world.accounts["main"].quota["ListLiveStreamsOnline"] = 1
    now = simulator.world.clock()
    simulator.world.clock = lambda: now
    assert online(client(simulator)).total_num == 2
    # The vendor's client asks again by itself, and then gives up.
    with pytest.raises(ClientRequestException):
        online(client(simulator))
    assert {call.code for call in simulator.world.log if call.code.endswith("08")} == {"APIGW.0308"}
    simulator.world.accounts["main"].denied.add("ListLiveStreamsOnline")
    assert refused(client(simulator)) == ("LIVE.100011003", 401)


def test_the_list_is_paged_by_rows(simulator: Simulator) -> None:
    """The vendor's client walks the pages and finds every live stream of the domain exactly once."""
    for number in range(3):
        simulator.world.add_stream(f"m-{number}", "main", domain=DOMAIN, app="live")
    names: list[str] = []
    for offset in (0, 2, 4):
        answer = online(client(simulator), offset=offset, limit=2)
        assert (answer.total_num, answer.total_page, answer.offset) == (5, 3, offset)
        names += [row.stream for row in answer.streams]
    assert names == ["a-active", "中文 流*~", "m-0", "m-1", "m-2"]


@pytest.mark.parametrize("token", [None, "token/+sts=="])
@pytest.mark.parametrize("name", ["s", "直播 1+*~/%", "😀"])
def test_the_vendors_signer_signs_as_we_do(name: str, token: str | None) -> None:
    """The vendor's own signer makes the same Authorization and the same URL of our request."""
    provider = all_providers()["huawei"]
    account = provider.account(name="main", provider="huawei", project_id="proj1", region="cn-north-4")
    stream: Stream = provider.stream(name=name, account="main", domain=DOMAIN, app="a&b")
    call = single(provider).ask(account, stream)
    credentials = Credentials("AK", Secret("SK"), Secret(token) if token else None)
    ours = provider.sign(account, credentials, call, Moment(1_767_323_045.0, "0" * 32, 1))
    headers = {name: value for name, value in ours.headers.items() if name not in ("Authorization", "Accept")}
    theirs = SdkRequest(
        method="GET", schema="https", host=headers["Host"], resource_path="/v1/proj1/realtime/streams",
        query_params=list(call.params.items()), header_params=headers,
    )  # fmt: skip
    signed = Signer(SimpleNamespace(ak="AK", sk="SK")).sign(theirs)
    assert signed.header_params["Authorization"] == ours.headers["Authorization"]
    assert account.endpoint + signed.uri == ours.url
