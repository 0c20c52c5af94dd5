"""TC3-HMAC-SHA256 against the vendor's SDK and documentation."""

import hashlib

import pytest

from exporter.providers.tencent import signing as tc3

from .known_answers import Vector, chosen, load, named

VECTORS = load("tencent")["vectors"]
BY_NAME = {vector["name"]: vector for vector in VECTORS}


def _signed_headers_of(vector: Vector) -> dict[str, str]:
    parsed = tc3.parse_authorization(vector["authorization"])
    assert parsed is not None
    return chosen(vector["request_headers"], parsed.signed_headers)


def _sign(vector: Vector, **instead: str) -> str:
    given = vector["input"]
    return tc3.authorization(
        secret_id=given["secret_id"],
        secret_key=instead.get("secret_key", given["secret_key"]),
        service=given["service"],
        timestamp=given["timestamp"],
        headers=_signed_headers_of(vector),
        method=given["method"],
        query=given["canonical_query_string"],
        payload_sha256=vector["hashed_request_payload"],
    )


@pytest.mark.parametrize("vector", named(VECTORS))
def test_canonical_request(vector: Vector) -> None:
    """The text that is hashed equals the vendor's byte for byte, so the service hashes the same."""
    given = vector["input"]
    written = tc3.canonical_request(
        method=given["method"],
        query=given["canonical_query_string"],
        headers=_signed_headers_of(vector),
        payload_sha256=vector["hashed_request_payload"],
    )
    assert written == vector["canonical_request"]
    assert hashlib.sha256(written.encode()).hexdigest() == vector["hashed_canonical_request"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_string_to_sign(vector: Vector) -> None:
    """Timestamp, UTC date and service are bound into the signature as the vendor binds them."""
    given = vector["input"]
    written = tc3.string_to_sign(
        service=given["service"], timestamp=given["timestamp"], canonical_request=vector["canonical_request"]
    )
    assert written == vector["string_to_sign"]
    assert written.split("\n")[2] == vector["credential_scope"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_signing_key(vector: Vector) -> None:
    """The day's key equals the last of the vendor's three derived keys."""
    given = vector["input"]
    day = vector["credential_scope"].split("/")[0]
    assert (
        tc3.signing_key(given["secret_key"], day, given["service"]).hex()
        == vector["derived_keys_hex"]["secret_signing"]
    )


@pytest.mark.parametrize("vector", named(VECTORS))
def test_authorization(vector: Vector) -> None:
    """The header that goes out equals the vendor's byte for byte and carries the vector's signature."""
    assert _sign(vector) == vector["authorization"]
    assert vector["authorization"].endswith(f", Signature={vector['signature']}")


@pytest.mark.parametrize("vector", named([v for v in VECTORS if v["name"] != "state_unsigned_payload"]))
def test_body_is_hashed(vector: Vector) -> None:
    """Given the body instead of its hash, the signer hashes exactly those bytes (a GET has none)."""
    given = vector["input"]
    header = tc3.authorization(
        secret_id=given["secret_id"],
        secret_key=given["secret_key"],
        service=given["service"],
        timestamp=given["timestamp"],
        headers=_signed_headers_of(vector),
        body=bytes.fromhex(given["body_hex"]) if given["method"] == "POST" else b"",
        method=given["method"],
        query=given["canonical_query_string"],
    )
    assert header == vector["authorization"]


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("doc_v3_content_type_host", "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
        ("doc_v3_with_x_tc_action", "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"),
    ],
)
def test_published_anchor(name: str, signature: str) -> None:
    """Both editions of the documentation's worked example come out with the signature printed there."""
    assert _sign(BY_NAME[name]).endswith(f"Signature={signature}")


def test_token_and_region_are_not_signed() -> None:
    """Token, region and language travel unsigned: the signature is the same with and without them."""
    names = ("state_basic", "state_token", "state_region", "state_token_region", "state_lang_en")
    assert len({_sign(BY_NAME[name]) for name in names}) == 1


def test_header_order_and_case_do_not_matter() -> None:
    """The mapping may come in any order and spelling, as a verifier receives it."""
    vector = BY_NAME["doc_v3_with_x_tc_action"]
    shuffled = {name.upper(): f"  {value} " for name, value in reversed(_signed_headers_of(vector).items())}
    written = tc3.canonical_request(
        method="POST", query="", headers=shuffled, payload_sha256=vector["hashed_request_payload"]
    )
    assert written == vector["canonical_request"]


def test_another_key_signs_otherwise() -> None:
    """The cache of derived keys never gives one account the key of another."""
    vector = BY_NAME["state_basic"]
    first, other = _sign(vector), _sign(vector, secret_key="EXAMPLEsecretKEY0000000000000002")
    assert first != other
    assert _sign(vector) == first


def test_key_cache_tells_nothing() -> None:
    """Neither the cache nor the failure of a bad timestamp shows the secret, and the cache is bounded."""
    secret = "EXAMPLE-do-not-print"
    tc3.signing_key(secret, "2023-11-14", "live")
    with pytest.raises((ValueError, OverflowError)) as caught:
        tc3.authorization(secret_id="id", secret_key=secret, service="live", timestamp=10**30, headers={})
    assert secret not in repr(tc3.signing_key) + repr(tc3.signing_key.cache_info()) + repr(caught.value)
    assert tc3.signing_key.cache_parameters()["maxsize"] == 64


def test_undecodable_secret_does_not_leak() -> None:
    """A secret that is no valid UTF-8 signs wrongly instead of raising an error that would carry it."""
    header = tc3.authorization(
        secret_id="id", secret_key="\udcff-secret", service="live", timestamp=0, headers={"A": "b"}
    )
    assert tc3.parse_authorization(header) is not None
