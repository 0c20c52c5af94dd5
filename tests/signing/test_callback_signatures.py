"""The signatures that arrive with callbacks, cloud by cloud."""

import pytest

from exporter.providers.alibaba import signing as alibaba
from exporter.providers.encoding import expiry_signature
from exporter.providers.huawei import signing as huawei
from exporter.providers.zego import signing as zego

from .known_answers import Vector, load, named

ZEGO = load("zego")
BODIES = list(ZEGO["callback_bodies"].values())
TENCENT = load("tencent")["callbacks"]
HUAWEI = load("huawei")["callbacks"]
SAMPLES = load("tencent_callback_samples")


@pytest.mark.parametrize("vector", named([ZEGO["callback_anchor"], *ZEGO["callback_vectors"]]))
def test_zego(vector: Vector) -> None:
    """The three texts are sorted as text before they are hashed, wherever the secret falls."""
    given = vector["input"]
    signed = zego.callback_signature(
        secret=given["callback_secret"], timestamp=given["timestamp"], nonce=given["nonce"]
    )
    assert signed == vector["signature"]


def test_zego_published_anchor() -> None:
    """The documentation's example comes out with the signature printed there."""
    signed = zego.callback_signature(secret="secret", timestamp="1470820198", nonce="123412")
    assert signed == "5bd59fd62953a8059fb7eaba95720f66d19e4517"


@pytest.mark.parametrize("body", BODIES, ids=[body["event"] for body in BODIES])
def test_zego_bodies(body: Vector) -> None:
    """A whole callback verifies from its own timestamp and nonce."""
    signed = zego.callback_signature(secret="callbacksecret0", timestamp=body["timestamp"], nonce=body["nonce"])
    assert signed == body["signature"]


@pytest.mark.parametrize("vector", TENCENT, ids=[str(vector["t"]) for vector in TENCENT])
def test_tencent(vector: Vector) -> None:
    """Key and decimal second are hashed with nothing between them, a Chinese and an empty key included."""
    assert expiry_signature(key=vector["key"], t=vector["t"]) == vector["sign"]


@pytest.mark.parametrize("name", ["begin", "end"])
def test_tencent_samples(name: str) -> None:
    """What is computed for the second of a documented callback has the length of the masked signature printed there."""
    sample = SAMPLES[name]
    known = next(vector for vector in TENCENT if vector["t"] == sample["t"])
    signed = expiry_signature(key=known["key"], t=sample["t"])
    assert signed == known["sign"]
    assert len(signed) == len(sample["sign"])


def test_tencent_without_a_key() -> None:
    """Where no key is configured a callback carries neither signature nor second, so there is nothing to compare."""
    assert not {"sign", "t"} & SAMPLES["no_key_configured_begin"].keys()


@pytest.mark.parametrize("vector", named(load("alibaba")["callbacks"]))
def test_alibaba(vector: Vector) -> None:
    """Domain, timestamp and key are hashed in this order with a bar between them."""
    domain, timestamp, key = vector["md5_content"].split("|")
    assert timestamp == vector["ALI_LIVE_TIMESTAMP"]
    assert alibaba.callback_signature(domain=domain, timestamp=timestamp, key=key) == vector["ALI_LIVE_SIGNATURE"]


@pytest.mark.parametrize("vector", HUAWEI, ids=[vector["stream"] + vector["event"] for vector in HUAWEI])
def test_huawei(vector: Vector) -> None:
    """Event, domain, app, stream and expiry are hashed in this order with nothing between them."""
    given = {name: value for name, value in vector.items() if name != "auth_sign"}
    assert huawei.callback_signature(**given) == vector["auth_sign"]
