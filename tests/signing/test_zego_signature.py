"""ZEGO's request signature against the documentation's example and computed vectors."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.providers.encoding import percent
from exporter.providers.zego import signing as zego

from .known_answers import Vector, load, named

FILE = load("zego")
VECTORS = [FILE["request_anchor"], *FILE["request_vectors"]]


@pytest.mark.parametrize("vector", named(VECTORS))
def test_signature(vector: Vector) -> None:
    """The MD5 of AppId, nonce, secret and timestamp equals the known one, whatever else the call carries."""
    given = vector["input"]
    signed = zego.signature(
        app_id=given["app_id"],
        nonce=given["signature_nonce"],
        server_secret=given["server_secret"],
        timestamp=given["timestamp"],
    )
    assert signed == vector["signature"]


def test_published_anchor() -> None:
    """The documentation's example comes out with the signature printed there."""
    secret = "9193cc662a4c0ec135ec71fb57194b38"
    signed = zego.signature(app_id=12345, nonce="4fd24687296dd9f3", server_secret=secret, timestamp=1615186943)
    assert signed == "43e5cfcca828314675f91b001390566a"


@pytest.mark.parametrize("vector", named(FILE["request_vectors"]))
def test_query_on_the_wire(vector: Vector) -> None:
    """Percent-encoding writes the URL of the vector, and decoding gives the parameters back, the signature too."""
    pairs = [(name, value) for name, value in vector["query"]]
    wire = urlsplit(vector["url"]).query
    assert "&".join(f"{percent(name)}={percent(value)}" for name, value in pairs) == wire
    assert parse_qsl(wire, keep_blank_values=True) == pairs
    assert ("Signature", vector["signature"]) in pairs
