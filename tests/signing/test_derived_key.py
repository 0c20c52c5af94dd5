"""Keys derived for a day, a region and a service: held to the clients of AWS and of Volcengine."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.fields import Secret
from exporter.model import Call, Credentials, Moment, Request
from exporter.providers.amazon_web_services import SCHEME
from exporter.providers.derived_key import canonical_request
from exporter.providers.encoding import sha256_hex
from exporter.providers.interface import AnyProvider
from exporter.providers.ivs.provider import PROVIDER as IVS
from exporter.providers.volcengine_live.provider import PROVIDER as LIVE

from .known_answers import Vector, chosen, load, named

ANY_IVS: AnyProvider = IVS
ANY_LIVE: AnyProvider = LIVE
OF_IVS = load("ivs")["vectors"]
OF_LIVE = load("volcengine_live")["vectors"]


def _moment(vector: Vector) -> Moment:
    return Moment(datetime.fromisoformat(vector["input"]["time"]).astimezone(UTC).timestamp(), "", 0)


def _credentials(vector: Vector) -> Credentials:
    given = vector["input"]
    token = Secret(given["session_token"]) if given["session_token"] else None
    return Credentials(given["access_key_id"], Secret(given["secret_access_key"]), token)


def _call_of_ivs(vector: Vector) -> Request:
    given, headers = vector["input"], vector["headers"]
    scheme = "http" if ":" in headers["Host"] else "https"
    endpoint = f"{scheme}://{headers['Host']}"
    account = ANY_IVS.account(name="a", provider="ivs", region=given["region"], endpoint=endpoint)
    call = Call(given["action"], "2020-07-14", json.loads(given["body"]))
    return IVS.sign(account, _credentials(vector), call, _moment(vector))


@pytest.mark.parametrize("vector", named(OF_IVS))
def test_ivs_signs_what_the_vendor_signs(vector: Vector) -> None:
    """Both texts before the signature equal the vendor's byte for byte, the body's hash included."""
    given, sent = vector["input"], _call_of_ivs(vector)
    signed = SCHEME.parse_authorization(vector["headers"]["Authorization"])
    assert signed is not None
    written = canonical_request(
        headers=chosen(dict(sent.headers), signed.signed_headers),
        payload_sha256=sha256_hex(sent.body),
        method="POST",
        path=urlsplit(sent.url).path,
    )
    assert written == vector["canonical_request"]
    text = SCHEME.string_to_sign(
        region=given["region"], service="ivs", time=vector["headers"]["X-Amz-Date"], canonical_request=written
    )
    assert text == vector["string_to_sign"]


@pytest.mark.parametrize("vector", named(OF_IVS))
def test_ivs_sends_what_the_vendor_sends(vector: Vector) -> None:
    """Body and headers are the vendor's own, the signature and the session token included."""
    sent = _call_of_ivs(vector)
    assert sent.body.decode() == vector["input"]["body"]
    assert sent.headers == vector["headers"]


@pytest.mark.parametrize("vector", named(OF_LIVE))
def test_volcengine_live_sends_what_the_vendor_sends(vector: Vector) -> None:
    """The query is the vendor's own once it is decoded, and so are all headers that are signed."""
    given = vector["input"]
    endpoint = f"{'http' if ':' in given['host'] else 'https'}://{given['host']}"
    account = ANY_LIVE.account(name="a", provider="volcengine_live", region=given["region"], endpoint=endpoint)
    (_, action), (_, version), *pairs = given["query"]
    sent = LIVE.sign(account, _credentials(vector), Call(action, version, dict(pairs)), _moment(vector))
    assert sorted(parse_qsl(urlsplit(sent.url).query)) == sorted(map(tuple, given["query"]))
    assert {name: value for name, value in sent.headers.items() if name != "Accept"} == vector["headers"]


def test_the_day_the_region_and_the_service_make_the_key() -> None:
    """Each of them, and the secret, changes the key."""
    parts = ("secret", "20260102", "us-west-2", "ivs")
    changed = [[*parts[:n], "other", *parts[n + 1 :]] for n in range(4)]
    keys = {SCHEME.signing_key(*map(str, one)) for one in changed}
    assert len(keys | {SCHEME.signing_key(*parts)}) == 5
