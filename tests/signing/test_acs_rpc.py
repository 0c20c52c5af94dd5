"""Alibaba Cloud's RPC signature against both generations of the vendor's SDK and the documentation."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.providers.alibaba import rpc_signing as acs_rpc
from exporter.providers.encoding import canonical_query

from .known_answers import Vector, load, named

FILE = load("alibaba")
VECTORS = [v for v in FILE["vectors"] + FILE["published"] + FILE["legacy_sdk"] if "query_without_signature" in v]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_string_to_sign(vector: Vector) -> None:
    """The doubly encoded text equals the vendor's byte for byte."""
    pairs = vector["query_without_signature"].items()
    assert canonical_query(pairs) == vector["canonical_query"]
    assert acs_rpc.string_to_sign(method=vector["method"], query=pairs) == vector["string_to_sign"]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_signature(vector: Vector) -> None:
    """The base64 signature equals the vendor's."""
    signed = acs_rpc.signature(
        access_key_secret=vector["credentials"]["access_key_secret"],
        method=vector["method"],
        query=vector["query_without_signature"].items(),
    )
    assert signed == vector["signature"]


@pytest.mark.parametrize("vector", named([v for v in VECTORS if "wire_url" in v]))
def test_verified_from_the_wire(vector: Vector) -> None:
    """A verifier may hand over the whole decoded query: `Signature` is left out of what it covers."""
    pairs = parse_qsl(urlsplit(vector["wire_url"]).query, keep_blank_values=True)
    assert ("Signature", vector["signature"]) in pairs
    signed = acs_rpc.signature(
        access_key_secret=vector["credentials"]["access_key_secret"], method=vector["method"], query=pairs
    )
    assert signed == vector["signature"]


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("published_rpc_DescribeDedicatedHosts", "9NaGiOspFP5UPcwX8Iwt2YJXXuk="),
        ("published_rpc_DescribeRegions", "OLeaidS1JvxuMvnyHOwuJ+uX5qY="),
    ],
)
def test_published_anchor(name: str, signature: str) -> None:
    """Both fixed examples of the documentation come out with the signature printed there."""
    vector = next(v for v in FILE["published"] if v["id"] == name)
    pairs = vector["query_without_signature"].items()
    assert acs_rpc.signature(access_key_secret="testsecret", method="GET", query=pairs) == signature
