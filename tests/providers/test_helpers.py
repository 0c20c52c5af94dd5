"""What all providers read answers and callbacks with: what each helper takes, what it refuses, and in what words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.fields import Secret, SecretSource
from exporter.model import Credentials, Reason, Reply
from exporter.providers import GROUP, _provider, all_providers, sources_of, suggest_provider
from exporter.providers.authorization import http_authorization, http_warnings, parse_basic
from exporter.providers.document import LISTED_VALUES, MOST_VALUES
from exporter.providers.encoding import host, same, timestamp
from exporter.providers.interface import Malformed, NoEnvelope, ProviderError, Refused, TransportError
from exporter.providers.reading import (
    LONGEST_WORD,
    VALUES_PER_ROW,
    as_integer,
    as_text,
    boolean_of,
    check_consistent,
    check_echo,
    check_no_error,
    check_status,
    check_success,
    choice_of,
    envelope,
    envelope_field,
    event_time,
    id_of,
    integer_of,
    message_of,
    object_in,
    object_of,
    page_count,
    printable,
    retry_after,
    rows_of,
    text_of,
    unix_seconds,
    utc_seconds,
    value_limit,
)
from exporter.spelling import LONGEST

JSON = {"content-type": "application/json"}


def answer(found: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, JSON | headers, json.dumps(found).encode())


def refused(kind: type[Exception], text: str, read: Callable[[], Any]) -> None:
    """Check that reading fails in these words."""
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        read()


# --- the envelope -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (answer({}, Age="1"), NoEnvelope, "the answer of a cache, which was made for an earlier request"),
        (answer({}, age=""), NoEnvelope, "the answer of a cache, which was made for an earlier request"),
        (answer({}, 300), NoEnvelope, "HTTP 300 redirect, which is not followed"),
        (answer({}, 399), NoEnvelope, "HTTP 399 redirect, which is not followed"),
        (Reply(404, JSON, b"{"), NoEnvelope, "HTTP 404 with a body that is not the API's"),
        (Reply(200, JSON, b" \n<html>"), NoEnvelope, "HTTP 200 with a body that is not the API's"),
        (Reply(200, {"content-type": "Text/HTML ; charset=x"}, b"{"), NoEnvelope,
         "HTTP 200 with a body that is not the API's"),
        (Reply(200, {"content-type": "text/html"}, b"{"), NoEnvelope, "HTTP 200 with a body that is not the API's"),
        (Reply(200, {}, b"{"), Malformed, "the body is not a JSON document"),
        (Reply(200, JSON, b"[]"), Malformed, "the body is not a JSON object"),
        (Reply(200, JSON, b""), Malformed, "the body is not a JSON document"),
        (answer([0] * (MOST_VALUES + 1)), Malformed, "the body is a JSON document with more values than 2,000"),
    ],
)  # fmt: skip
def test_foreign_answers_are_distinguished_from_broken_ones(reply: Reply, kind: type[Exception], text: str) -> None:
    """Cached answers, redirects, pages and other statuses are not the API's; a broken body with status 200 is."""
    refused(kind, text, lambda: envelope(reply))


@pytest.mark.parametrize("reply", [answer({"a": 1}, 299), answer({"a": 1}, 400), answer({"a": 1}, age=" 00 ")])
def test_an_envelope_is_read_under_any_other_status(reply: Reply) -> None:
    """Errors come in envelopes too, and an Age of 0 is fresh."""
    assert envelope(reply) == {"a": 1}


def test_an_envelope_has_as_many_values_as_it_may() -> None:
    """A list's page may be larger than an answer for one stream."""
    large = answer({"rows": [0] * MOST_VALUES})
    assert len(envelope(large, 2 * MOST_VALUES)["rows"]) == MOST_VALUES
    refused(ValueError, "not a JSON object", lambda: object_in(b"1"))
    refused(ValueError, "a JSON document with more values than 3", lambda: object_in(b'{"a": [1, 2, 3]}', 3))


HALLMARKS: list[tuple[dict[str, Any], int, type, type[Exception] | None, str]] = [
    ({"Code": 7}, 200, int, None, ""),
    ({"Code": 7}, 500, int, None, ""),
    ({"Code": 503}, 200, int, None, ""),
    ({"Code": 503, "RequestId": "r"}, 503, int, None, ""),
    ({"Code": 503}, 503, int, NoEnvelope, "HTTP 503 with JSON that is not the API's"),
    ({"Code": "404"}, 503, str, NoEnvelope, "HTTP 503 with JSON that is not the API's"),
    ({"Code": 5031}, 503, int, None, ""),
    ({}, 503, int, NoEnvelope, "HTTP 503 with JSON that is not the API's"),
    ({"RequestId": "r"}, 503, int, Malformed, "Code is missing or not a whole number"),
    ({}, 200, int, Malformed, "Code is missing or not a whole number"),
    ({"Code": True}, 200, int, Malformed, "Code is missing or not a whole number"),
    ({"Code": 1}, 200, str, Malformed, "Code is missing or not text"),
    ({"Code": []}, 200, dict, Malformed, "Code is missing or not an object"),
]


@pytest.mark.parametrize(("found", "status", "kind", "error", "text"), HALLMARKS)
def test_an_envelope_is_recognised_by_its_field(
    found: dict[str, Any], status: int, kind: Any, error: type[Exception] | None, text: str
) -> None:
    """Under another status JSON without the API's own member is somebody else's, unless it has a RequestId."""
    if error is None:
        assert envelope_field(answer(found, status), found, "Code", kind, "RequestId") == found["Code"]
    else:
        refused(error, text, lambda: envelope_field(answer(found, status), found, "Code", kind, "RequestId"))


TELLS = "an error field stands beside a success"
ALIKE = "two fields differ only by case and have different values"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"State": 1, "Error": {}}, TELLS),
        ({"State": 1, "errCode": 0}, TELLS),
        ({"State": 1, "error_message": ""}, TELLS),
        ({"Message": "ok", "rows": [{"Message": "ok"}]}, TELLS),
        ({"rows": [{"a": 1}, {"a": 1, "b": {"CodeN": 1}}]}, TELLS),
        ({"rows": [[{"a": 1}, {"A": 1, "code": 3}]]}, TELLS),
        ({"first": {"error": 1}, "second": {"third": {}}}, TELLS),
        ({"state": 1, "State": 2}, ALIKE),
        ({"state": 1, "other": 1, "STATE": 2}, ALIKE),
        ({"rows": [{"a": 1, "A": 1}, {"a": 1, "A": 2}]}, ALIKE),
    ],
)
def test_a_success_with_an_error_field_is_malformed(found: dict[str, Any], text: str) -> None:
    """An error field, or two names that differ only by case and have different values, make an answer malformed."""
    refused(Malformed, text, lambda: check_success(answer(found), found, ("Message",)))


@pytest.mark.parametrize(
    "found",
    [
        {"Message": "ok", "Code": 0},
        {"State": 1, "Error": None, "rows": [{"error": None}, "error", 1]},
        {"state": 1, "State": 1},
        {"state": 1, "State": None},
        {"state": None, "State": 1},
        {"a": {"state": 1}, "b": {"State": 2}},
    ],
)
def test_a_plain_success_is_accepted(found: dict[str, Any]) -> None:
    """Fields of a success may be named like an error's; null fields and equal duplicates are harmless."""
    check_success(answer(found), found, ("Message", "Code"))
    refused(NoEnvelope, "HTTP 201 without an error code", lambda: check_success(answer(found, 201), found))


def test_what_users_wrote_is_no_error() -> None:
    """Objects under fields that are free may hold any name, at any depth, and all others may not."""
    found = {"rows": [{"state": 1, "notes": {"error": "said somebody", "Error": 1}}]}
    check_success(answer(found), found, free=("notes",))
    refused(Malformed, TELLS, lambda: check_success(answer(found), found, free=("rest",)))


@pytest.mark.parametrize(("value", "parts", "seconds"), [
    (1795653245, 1, 1795653245.0), ("1795653245594421", 1e6, 1795653245.594421),
    ("1795653245594421000", 1e9, 1795653245.594421), (0, 1, None), ("-5", 1, None), (-5, 1, None), (True, 1, None),
    ("soon", 1, None), (None, 1, None), (10**12, 1, None),
])  # fmt: skip
def test_times_come_in_parts_of_a_second(value: Any, parts: float, seconds: float | None) -> None:
    """Whole numbers or digits since 1970; 0 and what is no time are none."""
    assert unix_seconds(value, parts) == seconds


def test_repeated_parameters_must_match_the_request() -> None:
    """Parameters that an answer repeats, in any case, must match the request; missing ones are accepted."""
    asked: dict[str, str | int] = {"RoomId": "a", "Page": 1}
    for fields in ({}, {"RoomId": "a"}, {"roomid": "a", "page": 1, "other": "b"}, {"ROOMID": None}):
        check_echo(fields, asked)
    refused(
        Malformed, "roomID names something other than what was asked for", lambda: check_echo({"roomID": "b"}, asked)
    )
    refused(Malformed, "Page names something other than what was asked for", lambda: check_echo({"Page": "1"}, asked))


# --- fields -----------------------------------------------------------------------------------------------------------


def test_fields_have_the_type_that_they_must_have() -> None:
    """A field of the right type is returned; anything else is refused, and the field is named."""
    found = {"a": "text", "n": 0, "o": {}, "l": [{}], "t": True, "z": None, "m": [{}, 1]}
    assert (text_of(found, "a"), integer_of(found, "n"), object_of(found, "o")) == ("text", 0, {})
    assert (rows_of(found, "l"), rows_of(found, "z"), rows_of(found, "missing")) == ([{}], [], [])
    for name in ("n", "z", "missing"):
        refused(Malformed, f"{name} is missing or not text", lambda name=name: text_of(found, name))  # type: ignore[misc]
    for name in ("a", "t", "z", "missing"):
        refused(Malformed, f"{name} is missing or not a whole number", lambda name=name: integer_of(found, name))  # type: ignore[misc]
    for name in ("l", "z", "missing"):
        refused(Malformed, f"{name} is missing or not an object", lambda name=name: object_of(found, name))  # type: ignore[misc]
    for name in ("a", "o", "m"):
        refused(Malformed, f"{name} is not a list of objects", lambda name=name: rows_of(found, name))  # type: ignore[misc]


def test_a_default_replaces_only_what_is_missing_or_null() -> None:
    """A field of the wrong type is refused even if there is a default."""
    for fields in ({}, {"Name": None}):
        assert text_of(fields, "Name", "x") == "x"
        assert integer_of(fields, "Name", -1) == -1
        assert object_of(fields, "Name", {}) == {}
    refused(Malformed, "Name is missing or not text", lambda: text_of({"Name": 1}, "Name", "x"))


def test_a_choice_is_one_of_those_known() -> None:
    """A value stands for what the table says; true is not 1, and an unknown value is refused."""
    flags = {0: False, 1: True}
    assert choice_of({"Flag": 1}, "Flag", flags) is True
    refused(Malformed, "Flag is missing or not a whole number", lambda: choice_of({"Flag": True}, "Flag", flags))
    refused(Malformed, "Flag holds an unknown value", lambda: choice_of({"Flag": 2}, "Flag", flags))


def test_an_error_object_is_raised_with_its_id() -> None:
    """Error with Code and Message becomes a provider's error with the RequestId beside it; null is none."""
    check_no_error({"Error": None, "RequestId": "r"})
    with pytest.raises(ProviderError) as caught:
        check_no_error({"Error": {"Code": "Bad", "Message": "no"}, "RequestId": "r"})
    assert (caught.value.code, caught.value.message, caught.value.request_id) == ("Bad", "no", "r")
    refused(Malformed, "Code is missing or not text", lambda: check_no_error({"Error": {}}))


@pytest.mark.parametrize(
    ("found", "pages"),
    [
        ({"TotalPage": 3}, 3),
        ({"TotalPage": 0}, 1),
        ({"TotalPage": -1}, 1),
        ({"TotalPage": 9, "TotalNum": 201}, 3),
        ({"TotalPage": 9, "TotalNum": 200}, 2),
        ({"TotalPage": 2, "TotalNum": 900}, 2),
        ({"TotalPage": 9, "TotalNum": 0}, 1),
        ({"TotalPage": 9, "TotalNum": 1}, 1),
        ({"TotalPage": 9, "TotalNum": -1}, 9),
        ({"TotalPage": 9, "TotalNum": True}, 9),
        ({"TotalPage": 9, "TotalNum": "100"}, 9),
    ],
)
def test_a_list_has_as_many_pages_as_its_rows_fill(found: dict[str, Any], pages: int) -> None:
    """TotalPage counts up to the pages that TotalNum rows fill, if TotalNum is a valid number."""
    assert page_count(found, "TotalPage", "TotalNum", 100) == pages


def test_pages_have_as_many_values_as_their_rows_explain() -> None:
    """A page of few rows may have few values, and the largest no more than any page."""
    assert value_limit(0) == MOST_VALUES
    assert value_limit(10) == MOST_VALUES + 10 * VALUES_PER_ROW
    assert value_limit(10**6) == LISTED_VALUES


def test_messages_and_request_ids_are_text_or_nothing() -> None:
    """A message is taken as it is, an id only if it looks like one."""
    assert [message_of({"Message": value}, "Message") for value in ("m", "", 1, None)] == ["m", "", "", ""]
    assert (message_of({"Msg": "m"}, "Message"), message_of({"Msg": "m"}, "Msg")) == ("", "m")
    for value, expected in (
        ("A-z_0.9:", "A-z_0.9:"),
        ("a" * 128, "a" * 128),
        ("a" * 129, ""),
        ("a b", ""),
        ("", ""),
        (7, ""),
    ):
        assert id_of({"RequestId": value}, "RequestId") == expected
    assert id_of({"requestId": "a"}, "RequestId") == ""


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("four", "four"),
        ("eight...", "eight..."),
        ("nine.....", "nine...…"),
        ("nine.....and more", "nine...…"),
        ("a\nb\x00c", "a b c"),
        ("\ud800b", "?b"),
        ("a\tb" + "c" * 9, "a bcccc…"),
        ("直播\u202e", "直播 "),
        ("1234567\n", "1234567 "),
    ],
)
def test_text_that_is_shown_is_printable_and_short(text: str, shown: str) -> None:
    """Characters that break lines, terminals or UTF-8 are replaced, and a truncated text ends in an ellipsis."""
    assert printable(text, 8) == shown


def test_text_is_shown_up_to_128_characters() -> None:
    """One more is too many, and is cut."""
    assert printable("x" * 128) == "x" * 128
    assert printable("x" * 129) == "x" * 127 + "…"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0), (-5, -5), ("0", 0), ("007", 7), ("9" * 18, int("9" * 18)), ("9" * 19, None),
        ("1795653245594421000", 1795653245594421000), (str(1 << 63), None),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1 << 63, None), (-(1 << 63), None), (True, None), ("", None), ("-1", None), ("1.0", None), (1.0, None),
        ("٣", None), (None, None),
    ],
)  # fmt: skip
def test_numbers_come_as_numbers_or_digits(value: Any, number: int | None) -> None:
    """Anything else, or a number too large for any API, is refused."""
    assert as_integer(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"), ("", ""), (7, "7"), (-7, "-7"), (True, ""), (1 << 63, ""), (None, ""), (1.5, ""), (["a"], ""),
        ("x" * LONGEST_WORD, "x" * LONGEST_WORD), ("x" * (LONGEST_WORD + 1), ""),
        ("a" + chr(0xD800), ""), ("a" + chr(0xDFFF), ""),
        ("直\U0001f600", "直\U0001f600"),
    ],
)  # fmt: skip
def test_a_callbacks_words_are_short_texts_or_whole_numbers(value: Any, text: str) -> None:
    """Everything else counts as nothing."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2018-06-29T19:00:00Z", 1530298800.0),
        ("2018-06-29T19:00:00.5Z", 1530298800.5),
        ("2018-06-29T19:00:00.123456789Z", 1530298800.123456),
        ("2018-06-29T21:00:00+02:00", 1530298800.0),
        ("0001-01-01T00:00:00Z", -62135596800.0),
        ("2018-06-29T19:00:00", None),
        ("2018-06-29T19:00:00.Z", None),
        ("2018-06-29T19:00:00+99:00", None),
        ("2018-06-29T19:00:00Zx", None),
        ("x2018-06-29T19:00:00Z", None),
        ("2018-06-31T19:00:00Z", None),
        ("٢٠١٨-06-29T19:00:00Z", None),
        (1530298800, None),
        (None, None),
    ],
)
def test_times_are_read_by_rfc_3339(text: Any, seconds: float | None) -> None:
    """A time needs a zone and may have a fraction; other formats and impossible days are refused."""
    assert utc_seconds(text) == seconds


@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_a_flag_is_true_or_false(value: Any) -> None:
    """Numbers, texts and null are no flags."""
    assert boolean_of({"on": True, "off": False}, "on")
    assert not boolean_of({"on": True, "off": False}, "off")
    refused(Malformed, "on is neither true nor false", lambda: boolean_of({"on": value}, "on"))


KEYS = Credentials("", Secret("pass:wörd"))
BASIC = "Basic dXNlcjpwYXNzOnfDtnJk"


def test_name_and_password_or_a_token_are_sent() -> None:
    """Basic and Bearer are written as HTTP wants them, a token comes first, and who has neither sends nothing."""
    assert http_authorization("user", KEYS) == {"Authorization": BASIC}
    assert http_authorization("user", replace(KEYS, token=Secret("t.o.k"))) == {"Authorization": "Bearer t.o.k"}
    assert http_authorization(None, KEYS) == {}
    parsed = parse_basic(BASIC)
    assert parsed is not None
    assert (parsed.credential, parsed.signature) == ("user", "pass:wörd")
    assert [parse_basic(text) for text in ("", "Basic", "Basic ä", "Basic dXNlcg==", "Basic /w==", "Bearer dTpw")] == [
        None
    ] * 6


def test_what_an_account_gives_in_vain_is_told() -> None:
    """A password without a name is not sent, and neither is beside a token."""
    word = SecretSource.plain("word")
    assert [one.field for one in http_warnings(None, word)] == ["password"]
    assert [one.field for one in http_warnings("user", word, word)] == ["username", "password"]
    assert not [*http_warnings("user", word), *http_warnings("user", None), *http_warnings(None, None, word)]


def test_a_host_is_what_the_header_says() -> None:
    """In lower case, with its port where it has one, and without a path."""
    assert host("https://Live.Example") == "live.example"
    assert host("http://127.0.0.1:8080/base") == "127.0.0.1:8080"


def test_signatures_are_compared_as_they_are() -> None:
    """Any text can be compared, even if it is not valid UTF-8."""
    assert same("ab", "ab")
    assert not same("ab", "aB")
    assert not same("ab", "ab\ud800")


def test_errors_carry_their_details() -> None:
    """A provider's error has code, text and id; a connection's has a reason, a text, and whether it broke early."""
    error = ProviderError("Code", "text", "id")
    assert (error.code, error.message, error.request_id, str(error)) == ("Code", "text", "id", "Code")
    assert (ProviderError("Code").message, ProviderError("Code").request_id) == ("", "")
    broke = TransportError(Reason.DNS, "no such host", broke_early=True)
    assert (broke.reason, broke.message, broke.broke_early, str(broke)) == (
        Reason.DNS,
        "no such host",
        True,
        "no such host",
    )
    assert TransportError(Reason.DNS, "no such host").broke_early is False


# --- a provider -------------------------------------------------------------------------------------------------------


def test_a_callback_is_refused_for_a_reason() -> None:
    """A refusal has an outcome and an event, which is `unknown` by default."""
    forged = Refused("forged")
    assert (forged.outcome, forged.event, str(forged)) == ("forged", "unknown", "forged")
    assert Refused("expired", "stream_close").event == "stream_close"


def test_the_rate_of_an_api_is_as_configured_or_a_share_of_the_documented() -> None:
    """`quota` of an action counts as it is, and `quota_share` for every other."""
    tencent = all_providers()["tencent"]
    account = tencent.account(name="main", provider="tencent", quota={"DescribeBackupStreamList": 7}, quota_share=0.25)
    rates = tencent.allowed_rates(account)
    assert rates == {
        "DescribeLiveStreamState": 75.0, "DescribeBackupStreamList": 7.0, "DescribeLiveStreamOnlineList": 20.0,
        "DescribeLiveStreamPushInfoList": 7.5,
    }  # fmt: skip


def test_calls_are_counted_by_what_the_cloud_counts_them_by() -> None:
    """Quotas are per key; all temporary keys of a role count as one; ZEGO counts by AppID."""
    tencent, zego, token = all_providers()["tencent"], all_providers()["zego"], Secret("token")
    own = tencent.account(name="a", provider="tencent", secret_id=SecretSource.plain("id"))
    role = tencent.account(name="a", provider="tencent")
    assert tencent.identity(own, Credentials("id", Secret("s"), token)) == "id"
    assert tencent.identity(own, Credentials("id", Secret("s"))) == "id"
    assert tencent.identity(role, Credentials("id", Secret("s"))) == "id"
    assert tencent.identity(role, Credentials("id", Secret("s"), token)) == ""
    assert zego.identity(zego.account(name="a", provider="zego", app_id=12), Credentials("", Secret("s"))) == "12"


def test_a_quota_of_each_region_is_not_shared_with_another() -> None:
    """One key has a quota in each region of IVS, and so has a role; its accounts in one region share theirs."""
    ivs, token = all_providers()["ivs"], Secret("token")
    regions = ("us-west-2", "eu-west-1", "eu-west-1")
    accounts = [ivs.account(name=f"a{n}", provider="ivs", region=region) for n, region in enumerate(regions)]
    for credentials in (Credentials("id", Secret("s")), Credentials("id", Secret("s"), token)):
        first, second, third = (ivs.identity(account, credentials) for account in accounts)
        assert first != second == third


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({"region": "eu-west-1"}, "https://ivs.eu-west-1.amazonaws.com"),
        ({"region": "eu-west-1", "endpoint": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
    ],
)
def test_an_endpoint_follows_the_region(given: dict[str, str], endpoint: str) -> None:
    """Where a cloud has an endpoint for each region, the account's is used unless another is given."""
    assert all_providers()["ivs"].account(name="a", provider="ivs", **given).endpoint == endpoint


@pytest.mark.parametrize("region", ["", "EU-WEST-1", "evil.example/", "a@b", "x" * 33, 1, None])
def test_what_is_no_region_makes_no_endpoint(region: object) -> None:
    """A region cannot lead requests to another host: the error is about the region, and about nothing else."""
    with pytest.raises(ValidationError) as caught:
        all_providers()["ivs"].account(name="a", provider="ivs", region=region)
    assert [error["loc"] for error in caught.value.errors()] == [("region",)]


@pytest.mark.parametrize(
    ("provider", "account", "stream", "fields"),
    [
        ("ivs", {"region": "eu-west-1"}, {"channel_arn": "arn:aws:ivs:eu-west-1:1:channel/a-B"}, []),
        ("ivs", {"region": "eu-west-1"}, {"channel_arn": "arn:aws:ivs:us-west-2:1:channel/a"}, ["channel_arn"]),
        ("ivs", {"region": "eu-west-1"}, {"channel_arn": "arn:aws:ivs:eu-west-1:1:stream-key/a"}, ["channel_arn"]),
        ("volcengine_live", {}, {"app": "live", "domain": "d"}, []),
        ("volcengine_live", {}, {"app": "live", "vhost": "v"}, []),
        ("volcengine_live", {}, {"app": "live"}, ["vhost"]),
        ("volcengine_live", {}, {"app": "live", "vhost": "v", "domain": "d"}, ["domain"]),
    ],
)
def test_an_address_that_cannot_be_asked_for_is_an_error(
    provider: str, account: dict[str, str], stream: dict[str, str], fields: list[str]
) -> None:
    """A channel of another region would never be found, and the API wants vhost or domain, not both."""
    kind = all_providers()[provider]
    made = kind.account(name="a", provider=provider, **account)
    problems = kind.problems(made, kind.stream(name="s", account="a", **stream))
    assert [field for field, _ in problems] == fields


def test_a_timestamp_is_the_moment_in_utc() -> None:
    """In whole seconds, in the form that a vendor wants."""
    assert timestamp(1530298800.9, "%Y-%m-%dT%H:%M:%SZ") == "2018-06-29T19:00:00Z"


ZEGO, ZEGO_FILE = "exporter.providers.zego.provider", "exporter/providers/zego/provider.py"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("exporter.providers.zego.nothing:PROVIDER",
         "exporter/providers/zego lacks nothing.py, which ends in PROVIDER = Provider(...)"),
        (f"{ZEGO}:NOTHING", f"{ZEGO_FILE} does not end in NOTHING = Provider(...)"),
        (f"{ZEGO}:STATE", f"{ZEGO_FILE} does not end in STATE = Provider(...)"),
        (f"{ZEGO}:PROVIDER", f"{ZEGO_FILE} is named zego, and has to be toy"),
        ("exporter.providers.nobody.provider:PROVIDER", "No module named 'exporter.providers.nobody'"),
    ],
)  # fmt: skip
def test_a_place_without_its_provider_says_what_is_missing(place: str, text: str) -> None:
    """A file, its last line or its name that is not there is told in words; a missing package keeps its own error."""
    refused(ImportError, text, lambda: _provider(EntryPoint("toy", place, GROUP)))


def test_a_provider_is_what_its_place_says() -> None:
    """The object at the place is the provider itself."""
    zego = all_providers()["zego"]
    assert _provider(EntryPoint("zego", "exporter.providers.zego.provider:PROVIDER", GROUP)) is zego


def test_a_metric_names_all_its_sources_once() -> None:
    """In alphabetical order of the clouds, without those that do not fill it."""
    assert sources_of("stream_no_such_metric") == ""
    assert sources_of("stream_inputs") == "Tencent DescribeBackupStreamList"
    shared = sources_of("stream_start_timestamp_seconds").split(", ")
    assert {"PublishTime of a list of streams online", "ZEGO create_time"} <= set(shared)
    assert len(set(shared)) == len(shared)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("zeg", "zego"), ("ZEGO1", "zego"), ("qcluod", "tencent"), ("aliyum", "alibaba"), ("volc_rct", "volcengine"),
        ("nothing like it", ""), ("", ""), ("volcengine" + "_" * 2, "volcengine"),
    ],
)  # fmt: skip
def test_a_misspelt_cloud_is_suggested_by_its_own_name(word: str, name: str) -> None:
    """Also where an alias is misspelt; nothing like it, or far too long, suggests nothing."""
    assert suggest_provider(word, all_providers()) == (f"; did you mean '{name}'?" if name else "")
    long = {"z" * 60: all_providers()["zego"]}
    assert suggest_provider("z" * LONGEST, long) == f"; did you mean '{'z' * 60}'?"
    assert suggest_provider("z" * (LONGEST + 1), long) == ""


def test_an_answer_that_names_its_domain_may_write_it_otherwise() -> None:
    """A domain is compared without case and without the dot at its end, any other parameter as it is."""
    asked = {"Domain": "push.example", "App": "live"}
    for fields in ({"domain": "Push.Example."}, {"DOMAIN": "push.example", "App": "live"}, {"Domain": None}):
        check_echo(fields, asked, "Domain")
    wrong = "{} names something other than what was asked for".format
    for name, value in (("Domain", "push.example.."), ("Domain", "other.example"), ("Domain", 7), ("App", "Live"),
                        ("App", "live.")):  # fmt: skip
        refused(Malformed, wrong(name), lambda name=name, value=value: check_echo({name: value}, asked, "Domain"))  # type: ignore[misc]
    refused(Malformed, wrong("Domain"), lambda: check_echo({"Domain": "Push.Example"}, asked))
    refused(Malformed, wrong("Domain"), lambda: check_echo({"Domain": "7"}, {"Domain": 7}, "Domain"))


def test_an_object_within_an_answer_contradicts_nothing_around_it() -> None:
    """A field that stands inside and outside has one value, and null is another; what stands in one alone is free."""
    agreeing: list[dict[str, Any]] = [{}, {"a": 1}, {"c": 3}]
    for outer in agreeing:
        check_consistent(outer, {"a": 1, "b": 2})
    differing: list[dict[str, Any]] = [{"a": 2}, {"a": None}, {"a": 1, "b": None}]
    for outer in differing:
        refused(Malformed, "the answer says two different things",
                lambda outer=outer: check_consistent(outer, {"a": 1, "b": 2}))  # type: ignore[misc]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (Reply(404, {}, b""), ProviderError, "404"),
        (Reply(200, {"content-type": "text/html"}, b""), NoEnvelope, "HTTP 200 with a body that is not the API's"),
        (Reply(404, {"content-type": "Text/HTML; charset=x"}, b""), NoEnvelope,
         "HTTP 404 with a body that is not the API's"),
        (Reply(302, {}, b""), NoEnvelope, "HTTP 302 redirect, which is not followed"),
        (Reply(200, {"AGE": "1"}, b""), NoEnvelope,
         "the answer of a cache, which was made for an earlier request"),
    ],
)  # fmt: skip
def test_a_status_is_a_code_only_of_the_api_itself(reply: Reply, kind: type[Exception], text: str) -> None:
    """Pages, redirects and cached answers are nobody's code; 200 without them is a success."""
    refused(kind, text, lambda: check_status(reply))
    check_status(Reply(200, {"age": "0", "average": "1", "content-type": "application/json"}, b""))


# --- throttling -------------------------------------------------------------------------------------------------------

USER_API = "Limit:50,Remain:{},TimeLeft:{}"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "60"}, 60.0),
        ({"retry-after": "61"}, 60.0),
        ({"retry-after": "99999999999"}, 60.0),
        ({"retry-after": "999999999999"}, None),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"x-acs-retry-after": "2500"}, 2.5),
        ({"x-ratelimit-user-api": USER_API.format(0, 3500)}, 3.5),
        ({"x-ratelimit-user-api": USER_API.format(0, 3500).replace(",", " , ")}, 3.5),
        ({"x-ratelimit-user-api": USER_API.format(1, 3500)}, None),
        ({"x-ratelimit-user-api": "TimeLeft:3500"}, None),
        # The longest of several hints counts, wherever it stands.
        ({"retry-after": "2", "x-acs-retry-after": "5000", "x-ratelimit-user-api": USER_API.format(0, 1000)}, 5.0),
        ({"retry-after": "6", "x-acs-retry-after": "5000", "x-ratelimit-user-api": USER_API.format(0, 1000)}, 6.0),
        ({"retry-after": "2", "x-acs-retry-after": "5000", "x-ratelimit-user-api": USER_API.format(0, 9000)}, 9.0),
        ({"retry-after": "2", "x-acs-retry-after": "soon"}, 2.0),
        ({"x-ratelimit-user-api": "Remain:0,TimeLeft:1:2"}, None),
    ],
)
def test_the_longest_hint_of_an_answer_counts_up_to_a_minute(headers: dict[str, str], seconds: float | None) -> None:
    """Waits in any of a cloud's headers are read in seconds; anything but a number is ignored."""
    assert retry_after(all_providers()["alibaba"], Reply(200, headers, b"")) == seconds


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 1000.0),
        ({"ms": "900500"}, 900.5),
        ({"ms": 0, "s": "800"}, 800.0),
        ({"ms": "-1", "s": True}, 1000.0),
        ({"ms": "900500", "s": 800}, 900.5),
        ({"s": 1001}, 1000.0),
        ({"s": 1000}, 1000.0),
    ],
)
def test_an_event_happened_when_the_best_field_says_so(fields: dict[str, Any], seconds: float) -> None:
    """The first field with a number above zero counts, limited to the time of the callback."""
    assert event_time(fields, {"ms": 0.001, "s": 1.0}, 1000) == seconds
