"""Volcengine's HMAC-SHA256 against two of the vendor's SDKs and the documentation."""

import hashlib
import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.providers import derived_key
from exporter.providers.encoding import canonical_query
from exporter.providers.volcengine_openapi import SCHEME

from .known_answers import Vector, chosen, load, named

FILE = load("volcengine")
VECTORS = FILE["vectors"]
BY_NAME = {vector["name"]: vector for vector in VECTORS}
ANCHOR = FILE["published_anchor"]


def _signed_headers_of(vector: Vector) -> dict[str, str]:
    parsed = SCHEME.parse_authorization(vector["headers"]["Authorization"])
    assert parsed is not None
    return chosen(vector["headers"], parsed.signed_headers)


def _query_of(vector: Vector) -> list[tuple[str, str]]:
    return [(name, value) for name, value in vector["input"]["query"]]


def _sign(vector: Vector, **instead: str) -> str:
    given = vector["input"]
    return SCHEME.authorization(
        access_key_id=given["access_key_id"],
        secret_access_key=instead.get("secret_access_key", given["secret_access_key"]),
        region=given["region"],
        service=given["service"],
        query=_query_of(vector),
        headers=_signed_headers_of(vector),
        payload_sha256=vector["payload_sha256"],
        method=given["method"],
        path=given["path"],
    )


@pytest.mark.parametrize("vector", named(VECTORS))
def test_canonical_request(vector: Vector) -> None:
    """The text that is hashed equals the vendor's byte for byte, so the service hashes the same."""
    written = derived_key.canonical_request(
        query=_query_of(vector),
        headers=_signed_headers_of(vector),
        payload_sha256=vector["payload_sha256"],
        method=vector["input"]["method"],
        path=vector["input"]["path"],
    )
    assert written == vector["canonical_request"]
    assert hashlib.sha256(written.encode()).hexdigest() == vector["canonical_request_sha256"]
    assert canonical_query(_query_of(vector)) == vector["canonical_query"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_string_to_sign_and_key(vector: Vector) -> None:
    """Date, region and service are bound into text and key as the vendor binds them."""
    given = vector["input"]
    region, service, x_date = given["region"], given["service"], given["x_date"]
    written = SCHEME.string_to_sign(
        region=region, service=service, time=x_date, canonical_request=vector["canonical_request"]
    )
    assert written == vector["string_to_sign"]
    assert written.split("\n")[2] == vector["credential_scope"]
    key = SCHEME.signing_key(given["secret_access_key"], x_date[:8], region, service)
    assert key.hex() == vector["signing_key_hex"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_authorization(vector: Vector) -> None:
    """The header that goes out equals the vendor's byte for byte and carries the vector's signature."""
    header = _sign(vector)
    assert header == vector["headers"]["Authorization"]
    assert header.endswith(f" SignedHeaders={vector['signed_headers']}, Signature={vector['signature']}")


@pytest.mark.parametrize("wire", ["wire_url_sdk_a", "wire_url_strict"])
@pytest.mark.parametrize("vector", named(VECTORS))
def test_verified_from_the_wire(vector: Vector, wire: str) -> None:
    """A verifier that decodes the URL ("+" or "%20" for a space) arrives at the same canonical query."""
    pairs = parse_qsl(urlsplit(vector[wire]).query, keep_blank_values=True)
    assert canonical_query(pairs) == vector["canonical_query"]


def test_published_anchor() -> None:
    """The documentation's walk-through comes out with every intermediate text and the signature printed there."""
    given = ANCHOR["input"]
    pairs = parse_qsl(urlsplit(given["url"]).query, keep_blank_values=True)
    request = derived_key.canonical_request(query=pairs, headers=_signed_headers_of(ANCHOR))
    assert request == ANCHOR["canonical_request"]
    assert hashlib.sha256(request.encode()).hexdigest() == ANCHOR["canonical_request_sha256"]
    text = SCHEME.string_to_sign(
        region=given["region"], service=given["service"], time=given["x_date"], canonical_request=request
    )
    assert text == ANCHOR["string_to_sign"]
    key = SCHEME.signing_key(given["secret_access_key"], "20240619", given["region"], given["service"])
    assert key.hex() == ANCHOR["signing_key_hex"]
    header = SCHEME.authorization(
        access_key_id=given["access_key_id"],
        secret_access_key=given["secret_access_key"],
        region=given["region"],
        service=given["service"],
        query=pairs,
        headers=_signed_headers_of(ANCHOR),
    )
    assert header == ANCHOR["headers"]["Authorization"]
    assert header.endswith("Signature=e31c4558bcfe08a286001f59cedbf0791ffd0b2362f10e55ee2627467bcdde93")


@pytest.mark.parametrize("vector", named([v for v in VECTORS if v["input"]["session_token"]]))
def test_token_is_signed(vector: Vector) -> None:
    """A session token is one of the signed headers, so nobody can exchange it."""
    assert f"\nx-security-token:{vector['input']['session_token']}\n" in derived_key.canonical_request(
        query=_query_of(vector), headers=_signed_headers_of(vector)
    )


@pytest.mark.parametrize(
    ("host", "signed"),
    [("a.example:80", "a.example"), ("a.example:443", "a.example"), ("a.example:8443", "a.example:8443"),
     ("[::1]:443", "[::1]"), ("a.example:1443", "a.example:1443")],
)  # fmt: skip
def test_default_ports_are_dropped(host: str, signed: str) -> None:
    """Host is signed without the two default ports, and with every other one."""
    request = derived_key.canonical_request(query=[], headers={"Host": host})
    assert request.split("\n")[3] == f"host:{signed}"


def test_header_order_and_case_do_not_matter() -> None:
    """The mapping may come in any order and spelling, as a verifier receives it."""
    vector = BY_NAME["content_type_with_token"]
    shuffled = {name.upper(): f" {value}\t" for name, value in reversed(_signed_headers_of(vector).items())}
    assert derived_key.canonical_request(query=_query_of(vector), headers=shuffled) == vector["canonical_request"]


def test_method_path_and_body_are_signed() -> None:
    """A POST elsewhere with a body is signed as such, not as the bare GET that the defaults stand for."""
    headers = {"Host": "a.example", "X-Date": " 20260102T030405Z "}
    request = derived_key.canonical_request(query=[], headers=headers, payload_sha256="5f", method="POST", path="/a")
    assert request == "POST\n/a\n\nhost:a.example\nx-date:20260102T030405Z\n\nhost;x-date\n5f"
    text = SCHEME.string_to_sign(region="r", service="rtc", time="20260102T030405Z", canonical_request=request)
    header = SCHEME.authorization(
        access_key_id="id",
        secret_access_key="secret",
        region="r",
        service="rtc",
        query=[],
        headers=headers,
        payload_sha256="5f",
        method="POST",
        path="/a",
    )
    key = SCHEME.signing_key("secret", "20260102", "r", "rtc")
    assert header.endswith(f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}")


def test_missing_date_is_named() -> None:
    """Without X-Date there is no day to sign for, and the error names the header and no value."""
    with pytest.raises(KeyError, match=r"^'x-date'$"):
        SCHEME.authorization(
            access_key_id="id", secret_access_key="secret", region="r", service="rtc", query=[], headers={"Host": "h"}
        )


def test_key_cache_tells_nothing() -> None:
    """The cache of derived keys shows no secret, is bounded, and keeps accounts apart."""
    vector = BY_NAME["plain"]
    first, other = _sign(vector), _sign(vector, secret_access_key="EXAMPLE-do-not-print")
    assert first != other
    assert _sign(vector) == first
    assert "do-not-print" not in repr(derived_key.derive) + repr(derived_key.derive.cache_info())
    assert derived_key.derive.cache_parameters()["maxsize"] == 64
