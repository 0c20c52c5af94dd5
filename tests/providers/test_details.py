"""What the recorded exchanges leave out: the words of a broken answer, full pages, ids of lists, ZEGO's signature."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.model import Answer, Reply, State
from exporter.providers import all_providers
from exporter.providers.interface import Listing, Malformed, Page, ProviderError
from testbed.apis import single

from .exchanges import KEYS, MOMENT, document, make, read


def answer(body: Any) -> Reply:
    """Return an answer in JSON."""
    return Reply(200, {"content-type": "application/json"}, json.dumps(body).encode())


def listed(provider: str, action: str, scope: str, body: Any, **account: Any) -> Page:
    """Read a page of a list."""
    cloud = all_providers()[provider]
    listing = cloud.apis()[action]
    assert isinstance(listing, Listing)
    configured, _ = make(cloud, document(provider), {"account": account})
    return listing.read(configured, scope, listing.ask(configured, scope, 1), answer(body))


def tencent_online(rows: int, endpoint: str = "https://live.tencentcloudapi.com") -> Page:
    """Read a page of Tencent's online list with so many rows."""
    info = [{"DomainName": "d", "AppName": "live", "StreamName": f"s{number}"} for number in range(rows)]
    body = {"Response": {"RequestId": "r-7", "TotalPage": 9, "OnlineInfo": info}}
    return listed("tencent", "DescribeLiveStreamOnlineList", "d", body, endpoint=endpoint)


def alibaba_online(rows: int) -> Page:
    """Read a page of Alibaba's online list with so many rows."""
    info = [
        {"DomainName": "play.example", "PublishDomain": "d", "AppName": "live", "StreamName": f"s{number}"}
        for number in range(rows)
    ]
    body = {"RequestId": "r-7", "TotalPage": 9, "OnlineInfo": {"LiveStreamOnlineInfo": info}}
    return listed("alibaba", "DescribeLiveStreamsOnlineList", "play.example", body)


def test_a_page_that_is_not_full_is_the_last() -> None:
    """Only a full page may be followed by another."""
    intl = "https://live.intl.tencentcloudapi.com"
    assert [tencent_online(rows, intl).last for rows in (0, 99, 100)] == [True, True, False]
    assert [tencent_online(rows).last for rows in (100, 9_999, 10_000)] == [True, True, False]
    assert [alibaba_online(rows).last for rows in (0, 2_999, 3_000)] == [True, True, False]


def test_answers_of_a_list_carry_the_id_of_its_call() -> None:
    """The request id of a list goes into the answers it gives, for support tickets."""
    push = {"DomainName": "d", "AppName": "live", "MasterFlag": 1}
    backup = {"Response": {"RequestId": "r-7", "StreamInfoList": [{"StreamName": "s0", "BackupList": [push]}]}}
    pages = [
        tencent_online(1),
        alibaba_online(1),
        listed("tencent", "DescribeBackupStreamList", "ap-guangzhou", backup),
    ]
    for page in pages:
        ids = {row.request_id for row in page.rows.values() if isinstance(row, Answer)}
        assert ids == {"r-7"}


def of_volcengine(**result: Any) -> dict[str, Any]:
    """Return an answer of Volcengine's."""
    return {"ResponseMetadata": {"RequestId": "r"}, "Result": result}


def media(*rows: tuple[str, int]) -> dict[str, Any]:
    """Return what Volcengine answers of media types."""
    return of_volcengine(StreamStates=[{"MediaType": kind, "State": state} for kind, state in rows])


BACKUP_FLAG = [{"StreamName": "a", "BackupList": [{"DomainName": "d", "AppName": "l", "MasterFlag": 2}]}]


@pytest.mark.parametrize(
    ("provider", "action", "body", "text"),
    [
        ("tencent", "", {"Response": {"StreamState": "x"}}, "StreamState holds an unknown value"),
        ("alibaba", "", {"StreamState": "x"}, "StreamState holds an unknown value"),
        ("tencent", "DescribeBackupStreamList", {"Response": {"StreamInfoList": BACKUP_FLAG}},
         "MasterFlag holds an unknown value"),
        ("volcengine", "", media(("Audio", 2)), "State holds an unknown value"),
        ("volcengine", "", media(("Audio", 0), ("Audio", 1)), "one MediaType stands twice with different State"),
        ("volcengine", "", media(("Hologram", 1)), "a MediaType that is not known is published"),
        ("volcengine", "GetRoomOnlineUsers", of_volcengine(VisibleUserList={}), "a list of users is not a list"),
        ("volcengine", "GetRoomOnlineUsers", of_volcengine(VisibleUserList=[7]),
         "a user is neither text nor an object"),
        ("zego", "", {"Code": 0, "Data": {"create_time": "7", "close_time": "8"}},
         "Code 0 (active) with a close_time after create_time"),
    ],
)  # fmt: skip
def test_the_error_names_the_broken_field(provider: str, action: str, body: Any, text: str) -> None:
    """The error names the field that is wrong, without its value."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider))
    api = cloud.apis()[action or cloud.main.action]
    scope = str(api.scope(account, stream)) if isinstance(api, Listing) else ""
    with pytest.raises(Malformed) as caught:
        read(api, account, stream, scope, answer(body))
    assert str(caught.value) == text


WORDS = {"Code": "Busy", "Message": "in its own words"}


@pytest.mark.parametrize(
    ("provider", "body", "code"),
    [
        ("zego", {"Code": 3, "Message": "in its own words", "RequestId": "r-7"}, "3"),
        ("tencent", {"Response": {"Error": WORDS, "RequestId": "r-7"}}, "Busy"),
        ("alibaba", {**WORDS, "RequestId": "r-7"}, "Busy"),
        ("alibaba", {"DescribeLiveStreamStateResponse": {**WORDS, "RequestId": "r-7"}}, "Busy"),
        ("volcengine", {"ResponseMetadata": {"Error": WORDS, "RequestId": "r-7"}}, "Busy"),
        ("huawei", {"error_code": "Busy", "error_msg": "in its own words", "request_id": "r-7"}, "Busy"),
        ("huawei", {"error_code": "APIG.1", "error_msg": "in its own words", "request_id": "r-7"}, "APIGW.1"),
    ],
)
def test_an_error_keeps_the_words_of_the_cloud(provider: str, body: Any, code: str) -> None:
    """Code, message and request id go to logs and pages as the cloud sent them."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider))
    with pytest.raises(ProviderError) as caught:
        read(single(cloud), account, stream, "", answer(body))
    error = caught.value
    assert (error.code, error.message, error.request_id) == (code, "in its own words", "r-7")


ROW_OF_HUAWEI = {"publish_domain": "push.example", "app": "live", "stream": "s"}
TENCENT = {"StreamState": "active", "RequestId": "r"}
ALIBABA = {"StreamState": "online", "RequestId": "r"}


def told_by_volcengine(metadata: dict[str, Any], result: dict[str, Any], *rows: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of Volcengine's that repeats these parameters."""
    published = [{"MediaType": "Audio", "State": 1, **row} for row in rows or ({},)]
    return {"ResponseMetadata": {"RequestId": "r", **metadata}, "Result": {"StreamStates": published, **result}}


@pytest.mark.parametrize(
    ("provider", "body", "name"),
    [
        ("zego", {"Code": 0, "Action": "Other", "Data": {}}, "Action"),
        ("zego", {"Code": 0, "action": "Other", "Data": {}}, "action"),
        ("zego", {"Code": 0, "Data": {"StreamId": "rtc02"}}, "StreamId"),
        ("zego", {"Code": 41006, "Data": {"stream_id": "rtc02"}}, "stream_id"),
        ("zego", {"Code": 0, "Data": {"streamid": "None"}}, "streamid"),
        ("tencent", {"Response": {**TENCENT, "Action": "Other"}}, "Action"),
        ("tencent", {"Response": {**TENCENT, "StreamName": "other"}}, "StreamName"),
        ("tencent", {"Response": {**TENCENT, "DomainName": "other"}}, "DomainName"),
        ("alibaba", {**ALIBABA, "Action": "Other"}, "Action"),
        ("alibaba", {**ALIBABA, "StreamName": "other"}, "StreamName"),
        ("alibaba", {**ALIBABA, "DomainName": "other"}, "DomainName"),
        ("volcengine", told_by_volcengine({"Action": "Other"}, {}), "Action"),
        ("volcengine", told_by_volcengine({"Version": "Other"}, {}), "Version"),
        ("volcengine", told_by_volcengine({"Service": "Other"}, {}), "Service"),
        ("volcengine", told_by_volcengine({}, {"RoomId": "other"}), "RoomId"),
        ("volcengine", told_by_volcengine({}, {}, {"UserId": "other"}), "UserId"),
        ("huawei", {"total_num": 1, "streams": [ROW_OF_HUAWEI], "limit": 7}, "limit"),
        ("huawei", {"total_num": 1, "streams": [{**ROW_OF_HUAWEI, "app": "other"}]}, "a row"),
    ],
)
def test_an_answer_to_another_request_is_malformed(provider: str, body: Any, name: str) -> None:
    """Whatever an answer repeats of the request, in any case, has to be what was asked for; the error names it."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider))
    with pytest.raises(Malformed) as caught:
        read(single(cloud), account, stream, "", answer(body))
    assert str(caught.value) == f"{name} names something other than what was asked for"


@pytest.mark.parametrize(
    ("provider", "body", "fields"),
    [
        ("zego", {"Code": 0, "Action": "DescribeRTCStreamState", "Data": {"StreamId": "rtc01"}}, {}),
        ("zego", {"Code": 0, "Data": {"stream_id": "zegotest-1234567890-rtc01"}}, {"is_test": True}),
        ("zego", {"Code": 0, "Data": {"StreamID": "rtc01"}}, {"is_test": True}),
        ("zego", {"Code": 0, "Data": {"streamid": None}}, {}),
        ("volcengine", told_by_volcengine(
            {"Action": "GetUserStreamState", "Version": "2020-12-01", "Service": "rtc"},
            {"RoomId": "board", "userid": "caster"}, {"RoomId": "board", "UserId": "caster"}), {}),
    ],
)  # fmt: skip
def test_an_answer_may_repeat_the_request(provider: str, body: Any, fields: dict[str, Any]) -> None:
    """Names that are those of the request are harmless, ZEGO's with and without the test environment's prefix."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider), {"account": fields})
    found = read(single(cloud), account, stream, "", answer(body))
    assert isinstance(found, Answer)
    assert found.state is State.ACTIVE


@pytest.mark.parametrize(
    ("time", "started"),
    [
        ("1" + "0" * 12, None),
        ("9" * 12, float("9" * 12)),
        ("9" * 13, None),
        ("", None),
        ("0", None),
        ("٣", None),
        (3, 3.0),
        (-3, None),
        (3.5, None),
        (True, None),
    ],
)
def test_zegos_times_are_digits(time: Any, started: float | None) -> None:
    """Anything but a plausible integer, as a number or in digits, is not a start time."""
    zego = all_providers()["zego"]
    account, stream = make(zego, document("zego"))
    call = single(zego).ask(account, stream)
    read = single(zego).read(account, stream, call, answer({"Code": 0, "Data": {"create_time": time}}))
    assert read.started == started


def test_zego_signs_app_nonce_secret_and_time() -> None:
    """The signature is the documented MD5 of values in the same URL."""
    zego = all_providers()["zego"]
    account, stream = make(zego, document("zego"))
    request = zego.sign(account, KEYS, single(zego).ask(account, stream), MOMENT)
    query = {name: value for name, (value,) in parse_qs(urlsplit(request.url).query).items()}
    signed = query["AppId"] + query["SignatureNonce"] + KEYS.key_secret.reveal() + query["Timestamp"]
    assert query["Signature"] == hashlib.md5(signed.encode()).hexdigest()
    assert query["SignatureNonce"] == MOMENT.nonce[:16]
    assert query["Timestamp"] == str(int(MOMENT.now))
    assert request.headers == {"Host": "rtc-api.zego.im", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("is_test", "told"), [(None, []), (True, [("IsTest", "true")]), (False, [("IsTest", "false")])]
)
def test_zegos_parameters_are_all_there(is_test: bool | None, told: list[tuple[str, str]]) -> None:
    """What identifies the call comes first, the environment only where it is configured, and the sequence last."""
    zego = all_providers()["zego"]
    account, stream = make(zego, document("zego"), {"account": {"is_test": is_test}})
    request = zego.sign(account, KEYS, single(zego).ask(account, stream), MOMENT)
    address, _, query = request.url.partition("?")
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    name = "zegotest-1234567890-rtc01" if is_test else "rtc01"
    assert address == "https://rtc-api.zego.im/"
    assert [pair for pair in pairs if pair[0] != "Signature"] == [
        ("Action", "DescribeRTCStreamState"), ("AppId", "1234567890"), ("SignatureNonce", MOMENT.nonce[:16]),
        ("Timestamp", str(int(MOMENT.now))), ("SignatureVersion", "2.0"), *told, ("StreamId", name),
        ("Sequence", str(MOMENT.sequence)),
    ]  # fmt: skip
