"""Alibaba's own SDK against the simulator, in both of its signature styles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alibabacloud_live20161101 import models
from alibabacloud_live20161101.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException, ThrottlingException
from alibabacloud_tea_openapi.models import Config

from exporter.simulator import Simulator, World, serving

DOMAIN = "push.example.com"
BOTH = pytest.mark.parametrize("style", ["v3", "v2"])


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A cloud with an account of each kind and one stream in each state."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.add_account("main", "alibaba", access_key_id="id-main", access_key_secret="key-main")
    world.add_account(
        "sts", "alibaba", access_key_id="id-sts", access_key_secret="key-sts", security_token="token/+sts=="
    )
    for state in ("active", "inactive", "forbidden"):
        world.add_stream(
            f"a-{state}", "main", domain=DOMAIN, app="live", streaming_domain="play.example.com", state=state
        )
        world.add_stream(f"s-{state}", "sts", domain="sts.example.com", app="live", state=state)
    world.add_stream("中文 流*~", "main", domain=DOMAIN, app="应用", ingest="pull")
    with serving(world) as running:
        yield running


def client(simulator: Simulator, style: str, **credentials: str) -> Any:
    """Point the vendor's client at the simulator; `v2` is the RPC style."""
    return Client(
        Config(
            access_key_id=credentials.get("key_id", "id-main"),
            access_key_secret=credentials.get("key", "key-main"),
            security_token=credentials.get("token"),
            endpoint=simulator.url.removeprefix("http://"),
            protocol="http",
            signature_algorithm="v2" if style == "v2" else None,
        )
    )


def state_of(found: Any, name: str, app: str = "live", domain: str = DOMAIN) -> Any:
    """Ask for the state of one stream."""
    request = models.DescribeLiveStreamStateRequest(app_name=app, domain_name=domain, stream_name=name)
    return found.describe_live_stream_state(request).body


def refused(found: Any, name: str = "a-active", **place: str) -> tuple[str, int]:
    """Return the code and the HTTP status with which the call is refused."""
    with pytest.raises(ClientException) as caught:
        state_of(found, name, **place)
    assert caught.value.request_id
    return str(caught.value.code), int(caught.value.status_code)


@BOTH
@pytest.mark.parametrize(
    ("name", "app", "domain", "expected"),
    [
        ("a-active", "live", DOMAIN, ("online", "push")),
        ("a-active", "live", "play.example.com", ("online", "push")),
        ("a-inactive", "live", DOMAIN, ("offline", "push")),
        ("a-forbidden", "live", DOMAIN, ("forbidden", "push")),
        ("nobody", "live", DOMAIN, ("offline", "push")),
        ("中文 流*~", "应用", DOMAIN, ("online", "pull")),
    ],
)
def test_the_vendors_client_reads_every_state(
    simulator: Simulator, style: str, name: str, app: str, domain: str, expected: tuple[str, str]
) -> None:
    """The vendor's client signs in both styles in its own way and gets the true state."""
    answer = state_of(client(simulator, style), name, app, domain)
    assert (answer.stream_state, answer.type) == expected
    assert answer.request_id == answer.request_id.upper()


@BOTH
def test_temporary_credentials_work_with_their_token_only(simulator: Simulator, style: str) -> None:
    """A token is verified: the right one is let in, a wrong or missing one is refused by the vendor's code."""
    right = client(simulator, style, key_id="id-sts", key="key-sts", token="token/+sts==")
    assert state_of(right, "s-active", domain="sts.example.com").stream_state == "online"
    missing = client(simulator, style, key_id="id-sts", key="key-sts")
    assert refused(missing) == ("MissingSecurityToken", 400)
    wrong = client(simulator, style, key_id="id-sts", key="key-sts", token="token-other")
    assert refused(wrong) == ("InvalidSecurityToken.MismatchWithAccessKey", 400)


@BOTH
def test_a_wrong_key_is_refused(simulator: Simulator, style: str) -> None:
    """A wrong key and an unknown id get the vendor's two different codes."""
    assert refused(client(simulator, style, key="wrong")) == ("SignatureDoesNotMatch", 400)
    assert refused(client(simulator, style, key_id="id-nobody")) == ("InvalidAccessKeyId.NotFound", 404)


@BOTH
def test_a_wrong_clock_is_refused(simulator: Simulator, style: str) -> None:
    """A server clock more than fifteen minutes off refuses what the vendor's client has just signed."""
    simulator.world.fault("skew", seconds=-902)
    assert refused(client(simulator, style)) == ("InvalidTimeStamp.Expired", 400)


@BOTH
def test_parameters_and_domains_are_checked(simulator: Simulator, style: str) -> None:
    """A missing parameter and somebody else's domain get the vendor's codes."""
    found = client(simulator, style)
    assert refused(found, app="") == ("MissingAppName", 400)
    assert refused(found, domain="foreign.example.com") == ("InvalidDomain.NotFound", 404)


@BOTH
def test_throttling_is_seen_with_its_hint(simulator: Simulator, style: str) -> None:
    """Calls above the quota are refused, and the vendor's client reads the hint how long to wait."""
    simulator.world.accounts["main"].quota["DescribeLiveStreamState"] = 1
    found = client(simulator, style)
    now = simulator.world.clock()
    simulator.world.clock = lambda: now
    assert state_of(found, "a-active").stream_state == "online"
    assert refused(found) == ("Throttling.User", 400)
    simulator.world.quirks.alibaba_retry_hints = True
    with pytest.raises(ThrottlingException) as caught:
        state_of(found, "a-active")
    assert caught.value.retry_after == 1000


@BOTH
def test_the_online_list_is_paged(simulator: Simulator, style: str) -> None:
    """The vendor's client walks the pages and finds every live stream of the streaming domain exactly once."""
    for number in range(3):
        simulator.world.add_stream(
            f"m-{number}", "main", domain=DOMAIN, app="live", streaming_domain="play.example.com"
        )
    found = client(simulator, style)
    names: list[str] = []
    for number in (1, 2):
        request = models.DescribeLiveStreamsOnlineListRequest(
            domain_name="play.example.com", page_num=number, page_size=3, only_stream="yes"
        )
        body = found.describe_live_streams_online_list(request).body
        assert (body.total_num, body.total_page, body.page_num, body.page_size) == (4, 2, number, 3)
        names += [row.stream_name for row in body.online_info.live_stream_online_info]
    assert names == ["a-active", "m-0", "m-1", "m-2"]


@BOTH
def test_a_permission_is_needed(simulator: Simulator, style: str) -> None:
    """A user whom RAM does not allow the action is refused by the vendor's code although the key is right."""
    simulator.world.accounts["main"].denied.add("DescribeLiveStreamState")
    assert refused(client(simulator, style)) == ("Forbidden.RAM", 403)


@BOTH
def test_the_rates_of_a_domain_are_told_for_a_time_that_is_over(simulator: Simulator, style: str) -> None:
    """The vendor's client reads frames, and bytes per second, of five minutes ago; of now nothing is known yet."""
    found, now = client(simulator, style), simulator.world.clock()

    def rows(seconds: float) -> list[Any]:
        time = datetime.fromtimestamp(now - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        request = models.DescribeLiveDomainFrameRateAndBitRateDataRequest(domain_name=DOMAIN, query_time=time)
        body = found.describe_live_domain_frame_rate_and_bit_rate_data(request).body
        told: list[Any] = body.frame_rate_and_bit_rate_infos.frame_rate_and_bit_rate_info
        return told

    told = {row.stream_url: (row.video_frame_rate, row.bit_rate) for row in rows(300)}
    assert told[f"rtmp://{DOMAIN}/live/a-active"] == (25.0, 328_500.0)
    assert not [url for url in told if "inactive" in url or "forbidden" in url]
    assert not rows(0)
