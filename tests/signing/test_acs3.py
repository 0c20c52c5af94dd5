"""ACS3-HMAC-SHA256 against the vendor's SDK and documentation."""

import hmac
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.providers.alibaba import signing as acs3
from exporter.providers.encoding import canonical_query

from .known_answers import Vector, chosen, load, named

FILE = load("alibaba")
VECTORS = [v for v in FILE["vectors"] + FILE["published"] if "canonical_request" in v]


def _signed_headers_of(vector: Vector) -> dict[str, str]:
    parsed = acs3.SCHEME.parse_authorization(vector["headers"]["Authorization"])
    assert parsed is not None
    return chosen(vector["headers"], parsed.signed_headers)


@pytest.mark.parametrize("vector", named(VECTORS))
def test_canonical_request(vector: Vector) -> None:
    """The text that is hashed equals the vendor's byte for byte, so the service hashes the same."""
    written = acs3.canonical_request(
        method=vector["method"],
        query=vector["query"].items(),
        headers=_signed_headers_of(vector),
        path=vector.get("path", "/"),
    )
    assert written == vector["canonical_request"]
    assert acs3.SCHEME.string_to_sign(written) == vector["string_to_sign"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_authorization(vector: Vector) -> None:
    """The header that goes out equals the vendor's byte for byte and carries the vector's signature."""
    header = acs3.authorization(
        access_key_id=vector["credentials"]["access_key_id"],
        access_key_secret=vector["credentials"]["access_key_secret"],
        method=vector["method"],
        query=vector["query"].items(),
        headers=_signed_headers_of(vector),
    )
    assert header == vector["headers"]["Authorization"]
    assert header.endswith(f",Signature={vector['signature']}")


@pytest.mark.parametrize("vector", named([v for v in VECTORS if "signed_headers" in v]))
def test_signed_headers(vector: Vector) -> None:
    """The names in the header are the vector's, a session token's among them where there is one."""
    parsed = acs3.SCHEME.parse_authorization(vector["headers"]["Authorization"])
    assert parsed is not None
    assert list(parsed.signed_headers) == vector["signed_headers"]
    with_token = vector["credentials"]["security_token"] is not None
    assert ("x-acs-security-token" in parsed.signed_headers) == with_token


@pytest.mark.parametrize("vector", named([v for v in VECTORS if "wire_url" in v]))
def test_verified_from_the_wire(vector: Vector) -> None:
    """A verifier that decodes the URL of the vendor's SDK ("+" for a space) arrives at the same canonical query."""
    pairs = parse_qsl(urlsplit(vector["wire_url"]).query, keep_blank_values=True)
    assert canonical_query(pairs) == vector["canonical_query"]


def test_published_anchor() -> None:
    """The documentation's fixed example comes out with the signature printed there."""
    vector = next(v for v in FILE["published"] if v["id"] == "published_v3_RunInstances")
    header = acs3.authorization(
        access_key_id="YourAccessKeyId",
        access_key_secret="YourAccessKeySecret",
        method="POST",
        query=vector["query"].items(),
        headers=_signed_headers_of(vector),
    )
    assert header.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


def test_header_order_and_case_do_not_matter() -> None:
    """The mapping may come in any order and spelling, as a verifier receives it."""
    vector = VECTORS[0]
    shuffled = {name.upper(): f" {value}\t" for name, value in reversed(_signed_headers_of(vector).items())}
    written = acs3.canonical_request(method="POST", query=vector["query"].items(), headers=shuffled)
    assert written == vector["canonical_request"]


def test_method_path_and_body_are_signed() -> None:
    """Another method, path or body hash is signed as such, in the text and in the header."""
    headers = {"host": "a.example", "x-acs-content-sha256": "5f"}
    request = acs3.canonical_request(method="GET", query=[], headers=headers, path="/a")
    signed = "host:a.example\nx-acs-content-sha256:5f\n\nhost;x-acs-content-sha256"
    assert request == f"GET\n/a\n\n{signed}\n5f"
    header = acs3.authorization(
        access_key_id="id", access_key_secret="secret", method="GET", query=[], headers=headers, path="/a"
    )
    expected = hmac.digest(b"secret", acs3.SCHEME.string_to_sign(request).encode(), "sha256").hex()
    assert header.endswith(f"Signature={expected}")


def test_missing_body_hash_is_named() -> None:
    """Without x-acs-content-sha256 there is nothing to sign, and the error names the header and no value."""
    with pytest.raises(KeyError, match=r"^'x-acs-content-sha256'$"):
        acs3.canonical_request(method="POST", query=[], headers={"host": "h", "x-acs-security-token": "t"})
