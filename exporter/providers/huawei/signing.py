r"""Huawei Cloud's AK/SK signature: https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm.html.

The secret itself is the key, and the time is one of the headers.
    CanonicalRequest = method \n path "/" \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "SDK-HMAC-SHA256" \n X-Sdk-Date \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(SecretKey, StringToSign))
Callbacks: https://support.huaweicloud.com/bestpractice-live/live_14_0003.html
    auth_sign = hex(HMAC(key, event domain app stream auth_timestamp)), where auth_timestamp is the time of expiry
"""

from collections.abc import Iterable, Mapping

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import EMPTY_SHA256, canonical_query, hmac_sha256, sha256_hex, utf8

ALGORITHM = "SDK-HMAC-SHA256"


def canonical_request(
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    body: str = EMPTY_SHA256,
    method: str = "GET",
) -> str:
    """Return CanonicalRequest for exactly the headers to sign; the path is encoded, the body hashed in hex."""
    block = canonical_block([(name.lower(), value.strip()) for name, value in headers.items()])
    return f"{method}\n{path.removesuffix('/')}/\n{canonical_query(query)}\n{block}\n{body}"


def authorization(access_key: str, secret_key: str, x_sdk_date: str, canonical_request: str) -> str:
    """Sign a request and return its `Authorization` header."""
    text = f"{ALGORITHM}\n{x_sdk_date}\n{sha256_hex(utf8(canonical_request))}"
    names, signature = signed_headers(canonical_request), hmac_sha256(utf8(secret_key), text).hex()
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Parse an `Authorization` header, which has no scope; None if it is malformed."""
    return parse(text, algorithm=ALGORITHM, key="Access")


def callback_signature(key: str, event: str, domain: str, app: str, stream: str, auth_timestamp: str) -> str:
    """Return the `auth_sign` that a callback must have, 64 hex digits."""
    return hmac_sha256(utf8(key), f"{event}{domain}{app}{stream}{auth_timestamp}").hex()
