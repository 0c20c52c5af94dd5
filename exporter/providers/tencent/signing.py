r"""Tencent Cloud's "signature method v3", TC3-HMAC-SHA256: https://cloud.tencent.com/document/api/213/30654.

Header values are lower-cased; the query of a GET is signed raw; the signing key changes with the UTC day.
    CanonicalRequest = method \n / \n query \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "TC3-HMAC-SHA256" \n timestamp \n date/service/tc3_request \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(HMAC(HMAC(HMAC("TC3" + SecretKey, date), service), "tc3_request"), StringToSign))
Callbacks: https://www.tencentcloud.com/document/product/267/38081
    sign = hex(md5(key + decimal(t))) with the second t of expiry, which covers nothing that the callback says
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import hmac_sha256, sha256_hex, utf8

ALGORITHM = "TC3-HMAC-SHA256"

_SECONDS_PER_DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


def canonical_request(*, method: str, query: str, headers: Mapping[str, str], payload_sha256: str) -> str:
    """Write the request as it is hashed.

    Args:
        method: GET or POST.
        query: the raw text after "?" of a GET, neither sorted nor re-encoded; empty for a POST.
        headers: exactly the headers to sign; names in any case. Values are lower-cased, as this vendor alone wants it.
        payload_sha256: hex SHA-256 of the body's bytes.
    """
    return f"{method}\n/\n{query}\n{_block(tuple(headers.items()))}\n{payload_sha256}"


@lru_cache(maxsize=64)
def _block(headers: tuple[tuple[str, str], ...]) -> str:
    """Write the headers as they are hashed: an endpoint's are always the same, for only Content-Type and Host are."""
    return canonical_block([(name.lower(), value.strip().lower()) for name, value in headers])


def string_to_sign(*, service: str, timestamp: int, canonical_request: str) -> str:
    """Bind the canonical request to its second and to its UTC day and service."""
    scope = f"{_utc_date(timestamp)}/{service}/tc3_request"
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256_hex(utf8(canonical_request))}"


def authorization(
    *,
    secret_id: str,
    secret_key: str,
    service: str,
    timestamp: int,
    headers: Mapping[str, str],
    body: bytes = b"",
    method: str = "POST",
    query: str = "",
    payload_sha256: str | None = None,
) -> str:
    """Sign a request and write its `Authorization` header; see `canonical_request`.

    Args:
        secret_id: the public id of the key.
        secret_key: the key.
        service: `live`, on every endpoint of the product.
        timestamp: X-TC-Timestamp, Unix seconds; raises `ValueError` or `OverflowError` beyond the years 1 to 9999.
        headers: exactly the headers to sign; the vendor asks for Content-Type and Host at least.
        body: the very bytes that go out.
        method: GET or POST.
        query: see `canonical_request`.
        payload_sha256: hash to use instead of the body's, for a body that is not signed.
    """
    payload = sha256_hex(body) if payload_sha256 is None else payload_sha256
    request = canonical_request(method=method, query=query, headers=headers, payload_sha256=payload)
    day = _utc_date(timestamp)
    text = string_to_sign(service=service, timestamp=timestamp, canonical_request=request)
    signature = hmac_sha256(signing_key(secret_key, day, service), text).hex()
    credential = f"{secret_id}/{day}/{service}/tc3_request"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers(request)}, Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Take an `Authorization` header apart; its scope is (date, service, "tc3_request"). None if malformed."""
    return parse(text, algorithm=ALGORITHM, scope_ends="tc3_request", scope_parts=3)


@lru_cache(maxsize=64)
def signing_key(secret_key: str, day: str, service: str) -> bytes:
    """Derive the key of one UTC day, "YYYY-MM-DD"; a new one each midnight, so the cache stays small."""
    return hmac_sha256(hmac_sha256(hmac_sha256(utf8(f"TC3{secret_key}"), day), service), "tc3_request")


def callback_signature(*, key: str, t: int) -> str:
    """Return a callback's expected `sign`, 32 hex digits."""
    return hashlib.md5(utf8(f"{key}{t}"), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=8)
def _date_of_day(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()


def _utc_date(timestamp: int) -> str:
    return _date_of_day(timestamp // _SECONDS_PER_DAY)
