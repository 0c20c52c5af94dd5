"""`Authorization` headers taken apart: by shape only, and never with an exception."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.providers.alibaba import signing as acs3
from exporter.providers.amazon_web_services import SCHEME as AWS
from exporter.providers.authorization import ParsedAuthorization
from exporter.providers.huawei import signing as sdk
from exporter.providers.tencent import signing as tc3
from exporter.providers.volcengine_openapi import SCHEME

Parse = Callable[[str], ParsedAuthorization | None]

TC3 = "TC3-HMAC-SHA256 Credential=AKID/2023-11-14/live/tc3_request, SignedHeaders=content-type;host, Signature=0a1b"
ACS3 = "ACS3-HMAC-SHA256 Credential=LTAI,SignedHeaders=host;x-acs-date,Signature=0a1b"
VOLC = "HMAC-SHA256 Credential=AKLT/20260102/cn-north-1/rtc/request, SignedHeaders=host;x-date, Signature=0a1b"
V4 = "AWS4-HMAC-SHA256 Credential=AK/20260102/us-west-2/ivs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0a1b"
SDK = "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=0a1b"
GOOD = [
    pytest.param(tc3.parse_authorization, TC3, id="tc3"),
    pytest.param(acs3.SCHEME.parse_authorization, ACS3, id="acs3"),
    pytest.param(SCHEME.parse_authorization, VOLC, id="volc"),
    pytest.param(AWS.parse_authorization, V4, id="v4"),
    pytest.param(sdk.SCHEME.parse_authorization, SDK, id="sdk"),
]
NEAR = st.lists(
    st.sampled_from(["TC3-", "ACS3-", "HMAC-SHA256", " ", ",", "=", "/", ";", "Credential", "Access", "SDK-",
                     "SignedHeaders", "Signature", "tc3_request", "request", "a", "\u4e2d", "\udc80", "\n"]),
    max_size=40,
).map("".join)  # fmt: skip


def test_tc3() -> None:
    """A Tencent Cloud header gives id, (date, service, terminator), names and signature."""
    assert tc3.parse_authorization(TC3) == (
        "TC3-HMAC-SHA256",
        "AKID",
        ("2023-11-14", "live", "tc3_request"),
        ("content-type", "host"),
        "0a1b",
    )


def test_acs3() -> None:
    """An Alibaba Cloud header has no scope, and no space after its commas."""
    assert acs3.SCHEME.parse_authorization(ACS3) == ("ACS3-HMAC-SHA256", "LTAI", (), ("host", "x-acs-date"), "0a1b")


def test_volc() -> None:
    """A Volcengine header gives (date, region, service, terminator) as its scope."""
    assert SCHEME.parse_authorization(VOLC) == (
        "HMAC-SHA256",
        "AKLT",
        ("20260102", "cn-north-1", "rtc", "request"),
        ("host", "x-date"),
        "0a1b",
    )


def test_sdk() -> None:
    """A Huawei Cloud header names its key Access, and has no scope."""
    assert sdk.SCHEME.parse_authorization(SDK) == ("SDK-HMAC-SHA256", "AK", (), ("host", "x-sdk-date"), "0a1b")


@pytest.mark.parametrize(("parse", "text"), GOOD)
def test_spaces_after_commas_are_free(parse: Parse, text: str) -> None:
    """Clients write the commas with and without a space; both are read alike."""
    assert parse(text.replace(", ", ",")) == parse(text)
    assert parse(text.replace(", ", ",").replace(",", ",  ")) == parse(text)
    assert parse(text) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SHA256", "SHA1"),
        ("KEY=", "Keys="),
        ("KEY=", ""),
        ("KEY=", "KEY=/"),
        ("SignedHeaders=", "SignedHeaders=;"),
        ("SignedHeaders=", "Signature="),
        ("Signature=0a1b", "Signature="),
        ("Signature=0a1b", "Signature"),
        ("Signature=0a1b", "Signature=0a1b,Extra=1"),
        ("Signature=0a1b", "Signature=0a1b,Signature=0a1b"),
        ("Signature=0a1b", "Signature=０a1b"),
        (" KEY", "KEY"),
        (" KEY", "\tKEY"),
    ],
)
@pytest.mark.parametrize(("parse", "text"), GOOD)
def test_malformed(parse: Parse, text: str, old: str, new: str) -> None:
    """One part missing, empty, doubled, misspelt or beyond ASCII makes the whole header malformed."""
    key = "Access" if parse == sdk.SCHEME.parse_authorization else "Credential"
    old, new = old.replace("KEY", key), new.replace("KEY", key)
    assert old in text
    assert parse(text.replace(old, new)) is None


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (tc3.parse_authorization, TC3.replace("tc3_request", "request")),
        (tc3.parse_authorization, TC3.replace("/live", "")),
        (tc3.parse_authorization, TC3.replace("/live", "/")),
        (SCHEME.parse_authorization, VOLC.replace("/request", "/tc3_request")),
        (SCHEME.parse_authorization, VOLC.replace("/rtc", "/rtc/rtc")),
        (acs3.SCHEME.parse_authorization, ACS3.replace("LTAI", "LTAI/scope")),
        (sdk.SCHEME.parse_authorization, SDK.replace("AK", "AK/scope")),
        (sdk.SCHEME.parse_authorization, SDK.replace("Access", "Credential")),
        (tc3.parse_authorization, VOLC),
        (acs3.SCHEME.parse_authorization, TC3),
        (SCHEME.parse_authorization, ACS3),
    ],
)
def test_foreign_scope_or_scheme(parse: Parse, text: str) -> None:
    """A scope of the wrong length or ending, and another cloud's header, are malformed."""
    assert parse(text) is None


@given(st.one_of(st.text(), NEAR))
@example("")
@example(TC3.replace("AKID", "\udc80"))
def test_never_raises(text: str) -> None:
    """Whatever a stranger sends, the answer is a parsed header with every part filled, or None."""
    parsers = (
        tc3.parse_authorization,
        acs3.SCHEME.parse_authorization,
        SCHEME.parse_authorization,
        sdk.SCHEME.parse_authorization,
    )
    for parse in parsers:
        parsed = parse(text)
        assert parsed is None or all((parsed.credential, *parsed.scope, *parsed.signed_headers, parsed.signature))


@pytest.mark.parametrize(("parse", "text"), GOOD)
def test_signature_can_be_compared(parse: Parse, text: str) -> None:
    """A signature that gets through is ASCII, the only text that a constant-time comparison accepts."""
    assert parse(text.replace("0a1b", "é")) is None
