"""The fake Alibaba Cloud: both signature styles, codes with their HTTP statuses, envelopes and doubts."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.simulator import Figures, World
from exporter.simulator.exchange import Received

from .asking import NOW, STATE_OF_ACTIVE, alibaba_call, alibaba_rpc_call, answer, at, small_world

ONLINE = "DescribeLiveStreamsOnlineList"
LATE = at(NOW - 901, "%Y-%m-%dT%H:%M:%SZ")


def code(world: World, received: Received) -> tuple[str, int]:
    """Return the code and HTTP status of one call."""
    outgoing = answer(world, "alibaba", received)
    return outgoing.code, outgoing.status


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("ok", 200)),
        ({"x_acs_action": "ForbidLiveStream"}, ("InvalidApi.NotFound", 404)),
        ({"x_acs_action": None}, ("MissingAction", 400)),
        ({"x_acs_version": None}, ("MissingVersion", 400)),
        ({"x_acs_version": "2014-01-01"}, ("NoSuchVersion", 400)),
        ({"x_acs_content_sha256": None}, ("IncompleteSignature", 400)),
        ({"x_acs_date": None}, ("IllegalTimestamp", 400)),
        ({"x_acs_date": "yesterday"}, ("InvalidTimeStamp.Format", 400)),
        ({"x_acs_date": LATE}, ("InvalidTimeStamp.Expired", 400)),
        ({"x_acs_security_token": "stray"}, ("InvalidSecurityToken.MismatchWithAccessKey", 400)),
        ({"secret": "wrong"}, ("SignatureDoesNotMatch", 400)),
        ({"parameters": {**STATE_OF_ACTIVE, "StreamName": ""}}, ("MissingStreamName", 400)),
        ({"parameters": {**STATE_OF_ACTIVE, "DomainName": "foreign.example"}}, ("InvalidDomain.NotFound", 404)),
    ],
)
def test_each_check_of_v3_has_its_code(changed: dict[str, Any], expected: tuple[str, int]) -> None:
    """A V3 call that is wrong in one way gets the vendor's code and status of exactly that."""
    assert code(small_world(), alibaba_call(**changed)) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("ok", 200)),
        ({"Format": "YAML"}, ("InvalidParameter.Format", 400)),
        ({"SignatureMethod": "HMAC-MD5"}, ("InvalidSignatureMethod", 400)),
        ({"Signature": "", "AccessKeyId": "id"}, ("IncompleteSignature", 400)),
        ({"AccessKeyId": "nobody"}, ("InvalidAccessKeyId.NotFound", 404)),
        ({"AccessKeyId": None}, ("IncompleteSignature", 400)),
        ({"Timestamp": None}, ("IllegalTimestamp", 400)),
        ({"Timestamp": LATE}, ("InvalidTimeStamp.Expired", 400)),
        ({"SignatureNonce": None}, ("MissingSignatureNonce", 400)),
        ({"SecurityToken": "stray"}, ("InvalidSecurityToken.MismatchWithAccessKey", 400)),
        ({"secret": "wrong"}, ("SignatureDoesNotMatch", 400)),
        ({"DomainName": None}, ("MissingDomainName", 400)),
    ],
)
def test_each_check_of_rpc_has_its_code(changed: dict[str, Any], expected: tuple[str, int]) -> None:
    """An RPC call that is wrong in one way gets the vendor's code and status of exactly that."""
    assert code(small_world(), alibaba_rpc_call(**changed)) == expected


def test_a_body_that_was_not_signed_is_refused() -> None:
    """The body's true hash is verified, not the one that the caller claims."""
    received = alibaba_call()
    stuffed = Received("POST", "/", received.raw_query, received.headers, b"x", NOW)
    assert code(small_world(), stuffed) == ("SignatureDoesNotMatch", 400)


@pytest.mark.parametrize("make", [alibaba_call, alibaba_rpc_call])
def test_a_nonce_serves_once(make: Any) -> None:
    """The same signed request sent again is refused as a replay; one with a wrong signature uses no nonce up."""
    world, received = small_world(), make()
    assert code(world, received) == ("ok", 200)
    assert code(world, received) == ("SignatureNonceUsed", 400)


def test_nonces_are_forgotten_after_their_time() -> None:
    """A nonce is kept as long as its timestamp could still be accepted, and no longer."""
    now = [NOW]
    world = small_world()
    world.clock = lambda: now[0]
    for _ in range(5):
        assert code(world, alibaba_call()) == ("ok", 200)
    assert len(world.memory.nonces) == 5
    now[0] += 1800
    for _ in range(3):
        assert code(world, alibaba_call()) == ("ok", 200)
    assert len(world.memory.nonces) == 3


def test_rpc_without_format_answers_xml() -> None:
    """XML is the vendor's default for RPC calls, for answers and for errors."""
    outgoing = answer(small_world(), "alibaba", alibaba_rpc_call(Format=None))
    assert outgoing.content_type == "text/xml;charset=utf-8"
    assert b"<StreamState>online</StreamState>" in outgoing.encode(outgoing.payload)
    error = answer(small_world(), "alibaba", alibaba_rpc_call(Format=None, secret="wrong"))
    assert b"<Error>" in error.encode(error.payload)
    assert b"<Code>SignatureDoesNotMatch</Code>" in error.encode(error.payload)


def test_the_envelope_is_flat_or_nested() -> None:
    """Both forms of success that the sources show can be chosen."""
    world = small_world()
    assert answer(world, "alibaba", alibaba_call()).payload["StreamState"] == "online"
    world.quirks.alibaba_envelope = "nested"
    payload = answer(world, "alibaba", alibaba_call()).payload
    assert payload["DescribeLiveStreamStateResponse"]["StreamState"] == "online"


def test_doubts_about_absence_are_switches() -> None:
    """An unknown stream and a foreign domain may be a state or an error."""
    world = small_world()
    world.quirks.alibaba_absent = "InvalidStream.NotFound"
    assert (
        code(world, alibaba_call(parameters={**STATE_OF_ACTIVE, "StreamName": "nobody"}))[0] == "InvalidStream.NotFound"
    )
    foreign = {**STATE_OF_ACTIVE, "DomainName": "foreign.example"}
    world.quirks.alibaba_foreign_domain = "offline"
    assert answer(world, "alibaba", alibaba_call(parameters=foreign)).payload["StreamState"] == "offline"
    world.quirks.alibaba_foreign_domain = "IllegalOperation"
    assert code(world, alibaba_call(parameters=foreign)) == ("IllegalOperation", 403)


def test_errors_have_the_vendors_shape() -> None:
    """Errors name Code, Message, RequestId, HostId and a link."""
    payload = answer(small_world(), "alibaba", alibaba_call(secret="wrong")).payload
    assert payload.keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}


def test_the_online_list_filters_and_hides_nothing() -> None:
    """The list goes by streaming domain, fuzzily or exactly by name, and in its full form carries a push key."""
    world = small_world()
    world.add_stream("active-2", "a", domain="push.example", app="live", streaming_domain="play.example")

    def names(**parameters: str) -> list[str]:
        call = alibaba_call(ONLINE, {"DomainName": "play.example", **parameters})
        rows = answer(world, "alibaba", call).payload["OnlineInfo"]["LiveStreamOnlineInfo"]
        return [row["StreamName"] for row in rows]

    assert names() == ["active", "active-2"]
    assert names(StreamName="active") == ["active", "active-2"]
    assert names(StreamName="active", QueryType="strict") == ["active"]
    assert names(AppName="radio") == []
    full = answer(world, "alibaba", alibaba_call(ONLINE, {"DomainName": "play.example"})).payload
    assert "auth_key=" in full["OnlineInfo"]["LiveStreamOnlineInfo"][0]["PublishUrl"]


def test_one_name_may_be_live_on_two_ingest_domains() -> None:
    """Rows name the ingest domain unless OnlyStream leaves it out or the switch hides it."""
    world = small_world()
    world.add_stream("twin", "a", domain="spare.example", app="live", stream="active", streaming_domain="play.example")

    def rows(**parameters: str) -> list[dict[str, object]]:
        call = alibaba_call(ONLINE, {"DomainName": "play.example", **parameters})
        found: list[dict[str, object]] = answer(world, "alibaba", call).payload["OnlineInfo"]["LiveStreamOnlineInfo"]
        return found

    assert [row["PublishDomain"] for row in rows()] == ["push.example", "spare.example"]
    assert {row["DomainName"] for row in rows()} == {"play.example"}
    assert rows(OnlyStream="yes")[0].keys() == {"DomainName", "AppName", "StreamName", "PublishTime"}
    world.quirks.alibaba_publish_domain = False
    assert not any("PublishDomain" in row for row in rows())
    world.set("alibaba/active", state="inactive")
    by_streaming_domain = {**STATE_OF_ACTIVE, "DomainName": "play.example"}
    assert answer(world, "alibaba", alibaba_call(parameters=by_streaming_domain)).payload["StreamState"] == "online"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"PageSize": "3001"}, "InvalidPageSize.Malformed"),
        ({"PageSize": "x"}, "InvalidPageSize.Malformed"),
        ({"PageNum": "0"}, "InvalidPageNum.Malformed"),
    ],
)
def test_pages_out_of_range_are_refused(parameters: dict[str, str], expected: str) -> None:
    """Page numbers and sizes have bounds."""
    assert code(small_world(), alibaba_call(ONLINE, {"DomainName": "play.example", **parameters}))[0] == expected


RATES = "DescribeLiveDomainFrameRateAndBitRateData"


def rates(world: World, seconds: float, **parameters: str) -> Any:
    """Return what arrived so many seconds ago, as the fake tells it."""
    time = at(NOW - seconds, "%Y-%m-%dT%H:%M:%SZ")
    sent = {"DomainName": "push.example", "QueryTime": time, **parameters}
    return answer(world, "alibaba", alibaba_call(RATES, sent)).payload


def test_rates_are_told_of_what_is_some_minutes_old() -> None:
    """In bytes per second, of the ingest domain's live streams; nothing is known of the last four minutes."""
    world = small_world()
    world.add_stream("frozen", "a", domain="push.example", app="live", figures=Figures(moving=False))
    world.add_stream("other", "a", domain="other.example", app="live")
    rows = rates(world, 300)["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"]
    assert [(row["StreamUrl"], row["VideoFrameRate"], row["BitRate"]) for row in rows] == [
        ("rtmp://push.example/live/active", 25.0, 328_500.0),
        ("rtmp://push.example/live/frozen", 0.0, 0.0),
    ]
    assert rates(world, 239)["FrameRateAndBitRateInfos"] == {"FrameRateAndBitRateInfo": []}
    world.quirks.alibaba_rates_seconds = 0
    assert len(rates(world, 239)["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"]) == 2


def test_rates_need_a_domain_of_ones_own_and_a_time() -> None:
    """Each mistake has its code."""
    assert rates(small_world(), 300, DomainName="")["Code"] == "MissingDomainName"
    assert rates(small_world(), 300, QueryTime="")["Code"] == "MissingQueryTime"
    assert rates(small_world(), 300, QueryTime="now")["Code"] == "InvalidQueryTime.Malformed"
    assert rates(small_world(), 300, DomainName="foreign.example")["Code"] == "InvalidDomain.NotFound"
