"""What the recorded exchanges leave out: the words of a broken answer, full pages, ids of lists, ZEGO's signature."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.fields import Secret
from exporter.model import Answer, Reply, Request, State
from exporter.providers import all_providers
from exporter.providers.interface import Listing, Malformed, NoEnvelope, Page, ProviderError
from testbed.apis import single
from testbed.recorded import document as parsed
from testbed.recorded import make

from .exchanges import KEYS, MOMENT, read

document = cache(parsed)


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


STATE_OF_LIVE = "DescribeLiveStreamState"
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
        ("tencent", {"Response": {**TENCENT, "DomainName": "5000.LivePush.example."}}, {}),
        ("tencent", {"Response": {**TENCENT, "domainname": "5000.LivePush.example", "Action": STATE_OF_LIVE}}, {}),
        ("alibaba", {**ALIBABA, "DomainName": "Push.shop.example."}, {}),
        ("alibaba", {**ALIBABA, "domainname": "PUSH.shop.example", "Action": STATE_OF_LIVE}, {}),
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


EMPTY = hashlib.sha256(b"").hexdigest()
SIGNED_REQUESTS = {
    "tencent": Request(
        "POST",
        "https://live.tencentcloudapi.com/",
        {
            "Content-Type": "application/json",
            "Host": "live.tencentcloudapi.com",
            "Authorization": "TC3-HMAC-SHA256 Credential=made-up-key-id/2023-01-10/live/tc3_request, "
            "SignedHeaders=content-type;host, "
            "Signature=79752a219454d78571d689eaef02a9d4b2a9cd631f0be8e5286e790d4dc37949",
            "X-TC-Action": "DescribeLiveStreamState",
            "X-TC-Version": "2018-08-01",
            "X-TC-Timestamp": "1673334120",
            "X-TC-Region": "ap-guangzhou",
            "X-TC-Token": "made-up-token",
        },
        b'{"AppName":"live","DomainName":"5000.livepush.example","StreamName":"arena-1"}',
    ),
    "alibaba": Request(
        "POST",
        "https://live.aliyuncs.com/?AppName=shop&DomainName=push.shop.example&StreamName=shop-1",
        {
            "host": "live.aliyuncs.com",
            "x-acs-action": "DescribeLiveStreamState",
            "x-acs-content-sha256": EMPTY,
            "x-acs-date": "2023-01-10T07:02:00Z",
            "x-acs-signature-nonce": MOMENT.nonce,
            "x-acs-version": "2016-11-01",
            "x-acs-security-token": "made-up-token",
            "Authorization": "ACS3-HMAC-SHA256 Credential=made-up-key-id,SignedHeaders=host;x-acs-action;"
            "x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version,"
            "Signature=84d37cfb4ca4c067ef2ef3f3063896b886f8dfa9e2bebfcdb3f4f9ccf565606d",
            "Accept": "application/json",
        },
    ),
    "volcengine": Request(
        "GET",
        "https://rtc.volcengineapi.com/?Action=GetUserStreamState&AppId=661e0000000000000543cf00&RoomId=board"
        "&UserId=caster&Version=2020-12-01",
        {
            "Host": "rtc.volcengineapi.com",
            "X-Content-Sha256": EMPTY,
            "X-Date": "20230110T070200Z",
            "X-Security-Token": "made-up-token",
            "Authorization": "HMAC-SHA256 Credential=made-up-key-id/20230110/cn-north-1/rtc/request, "
            "SignedHeaders=host;x-content-sha256;x-date;x-security-token, "
            "Signature=f4a23a7065ac497922492d8d0a81a4ebbfc052f5e20afcb24e8f4616f1ea13dd",
            "Accept": "application/json",
        },
    ),
    "huawei": Request(
        "GET",
        "https://live.cn-north-4.myhuaweicloud.com/v1/proj1/realtime/streams"
        "?app=live&limit=100&offset=0&publish_domain=push.example&stream=s",
        {
            "Host": "live.cn-north-4.myhuaweicloud.com",
            "X-Project-Id": "proj1",
            "X-Sdk-Date": "20230110T070200Z",
            "X-Security-Token": "made-up-token",
            "Authorization": "SDK-HMAC-SHA256 Access=made-up-key-id, "
            "SignedHeaders=host;x-project-id;x-sdk-date;x-security-token, "
            "Signature=0bb757d94ac6846cffeda0adad6ac9d66a3776b97423421267e4d63f918047fe",
            "Accept": "application/json",
        },
    ),
}


@pytest.mark.parametrize("provider", SIGNED_REQUESTS)
def test_a_request_is_signed_as_a_whole(provider: str) -> None:
    """With temporary keys, every header, parameter and byte is there, and the signature covers these very ones."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider))
    keys = replace(KEYS, token=Secret("made-up-token"))
    request, wanted = cloud.sign(account, keys, single(cloud).ask(account, stream), MOMENT), SIGNED_REQUESTS[provider]
    assert (request.method, request.url, request.body) == (wanted.method, wanted.url, wanted.body)
    assert request.headers == wanted.headers


@pytest.mark.parametrize(
    ("provider", "body", "name", "kind"),
    [
        ("zego", {"Code": "3", "RequestId": "r"}, "Code", "a whole number"),
        ("tencent", {"Response": 3, "RequestId": "r"}, "Response", "an object"),
        ("alibaba", {"Code": 3, "RequestId": "r"}, "Code", "text"),
        ("alibaba", {"DescribeLiveStreamStateResponse": 3, "RequestId": "r"}, "DescribeLiveStreamStateResponse",
         "an object"),
        ("volcengine", {"ResponseMetadata": 3, "RequestId": "r"}, "ResponseMetadata", "an object"),
        ("huawei", {"error_code": 3, "request_id": "r"}, "error_code", "text"),
    ],
)  # fmt: skip
def test_a_broken_error_with_a_request_id_is_the_clouds_own(provider: str, body: Any, name: str, kind: str) -> None:
    """Under an error status, JSON beside the cloud's request id is its own broken answer, else somebody else's page."""
    cloud = all_providers()[provider]
    account, stream = make(cloud, document(provider))
    own = answer(body)._replace(status=500)
    with pytest.raises(Malformed, match=f"^{name} is missing or not {kind}$"):
        read(single(cloud), account, stream, "", own)
    foreign = answer({field: value for field, value in body.items() if field == name})._replace(status=500)
    with pytest.raises(NoEnvelope):
        read(single(cloud), account, stream, "", foreign)


INTL = {"endpoint": "https://live.intl.tencentcloudapi.com"}
LIVE = {"domain": "push.example", "app": "live", "stream": None}
ONLINE_OF_TENCENT, ONLINE_OF_ALIBABA = "DescribeLiveStreamOnlineList", "DescribeLiveStreamsOnlineList"
BACKUP, PUSHES = "DescribeBackupStreamList", "DescribeLiveStreamPushInfoList"
RATES = "DescribeLiveDomainFrameRateAndBitRateData"


@pytest.mark.parametrize(
    ("provider", "action", "account", "stream", "scope", "key"),
    [
        ("tencent", BACKUP, {}, LIVE, "main", ("push.example", "live", "s")),
        ("tencent", BACKUP, {"region": None}, LIVE, None, ("push.example", "live", "s")),
        ("tencent", BACKUP, INTL, LIVE, None, ("push.example", "live", "s")),
        ("tencent", ONLINE_OF_TENCENT, {}, {**LIVE, "stream": "x"}, "push.example", ("push.example", "live", "x")),
        ("tencent", PUSHES, {}, {**LIVE, "app": "a"}, "push.example\na", ("push.example", "a", "s")),
        ("alibaba", ONLINE_OF_ALIBABA, {}, LIVE, None, ("push.example", "live", "s")),
        ("alibaba", ONLINE_OF_ALIBABA, {}, {**LIVE, "streaming_domain": "play.example", "stream": "x"},
         "play.example", ("push.example", "live", "x")),
        ("alibaba", RATES, {}, LIVE, "push.example", ("push.example", "live", "s")),
        ("alibaba", RATES, {}, {**LIVE, "streaming_domain": "push.example"}, None, ("push.example", "live", "s")),
        ("volcengine", "GetRoomOnlineUsers", {"app_id": "app"}, {"room_id": "r"}, "app\nr", "s"),
        ("volcengine", "GetRoomOnlineUsers", {}, {"room_id": "r", "app_id": "own", "user_id": "u"}, "own\nr", "u"),
    ],
)  # fmt: skip
def test_a_list_is_asked_for_a_scope_and_has_streams_by_their_keys(
    provider: str, action: str, account: dict[str, Any], stream: dict[str, Any], scope: str | None, key: Any
) -> None:
    """A stream is looked for in the list of its own domain, room or account, under its own address."""
    cloud = all_providers()[provider]
    api = cloud.apis()[action] if action != RATES and action != PUSHES else cloud.figures[0]
    made = make(cloud, document(provider), {"account": account, "stream": {"name": "s", **stream}})
    assert isinstance(api, Listing)
    assert api.action == action
    assert api.scope(*made) == scope
    assert tuple(api.keys(*made)) == (key,)


@pytest.mark.parametrize(
    ("provider", "stream", "key"),
    [
        ("zego", {"stream_id": "x"}, "x"),
        ("zego", {}, "s"),
        ("tencent", LIVE, ("push.example", "live", "s")),
        ("tencent", {**LIVE, "stream": "x"}, ("push.example", "live", "x")),
        ("alibaba", LIVE, ("push.example", "live", "s")),
        ("alibaba", {**LIVE, "stream": "x", "streaming_domain": "play.example"}, ("push.example", "live", "x")),
        ("alibaba", {**LIVE, "streaming_domain": "push.example"}, ("", "live", "s")),
        ("huawei", {**LIVE, "stream": "x"}, ("push.example", "live", "x")),
    ],
)
def test_a_callback_finds_streams_by_their_keys(provider: str, stream: dict[str, Any], key: Any) -> None:
    """Callbacks name the ingest domain; a stream configured by its streaming domain is found by any."""
    cloud = all_providers()[provider]
    assert cloud.callbacks is not None
    made = make(cloud, document(provider), {"stream": {"name": "s", **stream}})
    assert tuple(cloud.callbacks.keys(*made)) == (key,)


def test_tencents_sites_differ_in_pages_and_pauses() -> None:
    """The mainland's lists have larger pages and may be asked for once a minute; the international ones each round."""
    tencent = all_providers()["tencent"]
    online, pushes = tencent.apis()[ONLINE_OF_TENCENT], tencent.figures[0]
    assert isinstance(online, Listing)
    for fields, rows, rates, every in (({}, 10_000, 4_000, 60.0), (INTL, 100, 1_000, 0.0)):
        account, _ = make(tencent, document("tencent"), {"account": fields})
        assert online.ask(account, "d", 3).params == {"DomainName": "d", "PageNum": 3, "PageSize": rows}
        assert pushes.ask(account, "d\na", 3).params == {
            "PushDomain": "d", "AppName": "a", "PageNum": 3, "PageSize": rates,
        }  # fmt: skip
        assert {online.ask(account, "d", 1).version, pushes.ask(account, "d\na", 1).version} == {"2018-08-01"}
        assert {online.every(account), pushes.every(account)} == {every}


@pytest.mark.parametrize(
    ("provider", "action", "body", "pages"),
    [
        ("tencent", ONLINE_OF_TENCENT, {"Response": {"TotalPage": 9, "TotalNum": 10_001}}, 2),
        ("tencent", PUSHES, {"Response": {"TotalPage": 9, "TotalNum": 4_001}}, 2),
        ("tencent", PUSHES, {"Response": {"TotalPage": 9}}, 9),
        ("alibaba", ONLINE_OF_ALIBABA, {"TotalPage": 9, "TotalNum": 3_001}, 2),
        ("alibaba", ONLINE_OF_ALIBABA, {"TotalPage": 9, "TotalNum": 3_000}, 1),
        ("alibaba", ONLINE_OF_ALIBABA, {f"{ONLINE_OF_ALIBABA}Response": {"TotalPage": 9}}, 9),
        ("alibaba", RATES, {f"{RATES}Response": {"FrameRateAndBitRateInfos": {}}}, 1),
    ],
)
def test_a_list_has_no_more_pages_than_its_rows_fill(provider: str, action: str, body: Any, pages: int) -> None:
    """The number of rows bounds the number of pages, whether the answer is nested or flat."""
    cloud = all_providers()[provider]
    api = next(one for one in (*cloud.listings, *cloud.figures) if one.action == action)
    account, _ = make(cloud, document(provider))
    page = api.read(account, "d", api.ask(account, "d", 1), answer(body))
    assert (page.pages, dict(page.rows), page.last) == (pages, {}, True)


@pytest.mark.parametrize(("service", "error"), [("rtc", None), ("live", Malformed)])
def test_a_room_is_told_by_the_service_that_was_asked(service: str, error: type[Exception] | None) -> None:
    """A list that names its service is read; one of another service is no answer."""
    users = {"RoomExists": True, "TotalUser": 1, "VisibleUserList": ["caster"], "InvisibleUserList": []}
    body = {"ResponseMetadata": {"RequestId": "r", "Service": service}, "Result": users}
    if error is None:
        page = listed("volcengine", "GetRoomOnlineUsers", "app\nboard", body)
        assert (dict(page.rows), page.complete) == ({"caster": None}, True)
    else:
        with pytest.raises(error, match=r"^Service names something other than what was asked for$"):
            listed("volcengine", "GetRoomOnlineUsers", "app\nboard", body)


def test_of_two_groups_with_as_many_inputs_the_first_counts() -> None:
    """One stream in two groups of a backup list is told by the one with more inputs, or by the first of equals."""
    push = {"DomainName": "d", "AppName": "live", "MasterFlag": 1}
    groups = [
        {"StreamName": "s", "HostGroupName": name, "BackupList": [{**push, "PublishTime": f"1970-01-01T00:00:0{at}Z"}]}
        for at, name in enumerate(("one", "two"), 1)
    ]
    page = listed("tencent", BACKUP, "main", {"Response": {"StreamInfoList": groups}})
    (found,) = page.rows.values()
    assert found is not None
    assert found.started == 1.0
