"""SDK-HMAC-SHA256 against the vendor's SDK."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.providers.encoding import canonical_query, sha256_hex
from exporter.providers.huawei import signing

from .known_answers import Vector, load, named

VECTORS = load("huawei")["vectors"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_authorization(vector: Vector) -> None:
    """What is hashed and the header that goes out equal the vendor's byte for byte; so does the URL."""
    request = signing.canonical_request(
        method=vector["method"],
        path=vector["path"],
        query=vector["query"].items(),
        headers=vector["headers"],
        body=sha256_hex(vector["body"].encode()),
    )
    assert request == vector["canonical_request"]
    date = vector["headers"]["X-Sdk-Date"]
    key, secret = (vector["credentials"][name] for name in ("access_key", "secret_key"))
    header = signing.SCHEME.authorization(key, secret, request, date)
    assert header == vector["authorization"]
    query = canonical_query(vector["query"].items())
    assert vector["path"] + ("?" + query if query else "") == vector["uri"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_verified_from_the_wire(vector: Vector) -> None:
    """A verifier that decodes the URL of the vendor's SDK arrives at the same query."""
    pairs = parse_qsl(urlsplit(vector["uri"]).query, keep_blank_values=True)
    assert canonical_query(pairs) == vector["canonical_request"].split("\n")[2]


def test_header_order_and_case_do_not_matter() -> None:
    """The mapping may come in any order and spelling, and a path may end in a slash, as a verifier receives them."""
    vector = VECTORS[0]
    shuffled = {name.upper(): f" {value}\t" for name, value in reversed(vector["headers"].items())}
    for path in (vector["path"], vector["path"] + "/"):
        written = signing.canonical_request(path=path, query=vector["query"].items(), headers=shuffled)
        assert written == vector["canonical_request"]
