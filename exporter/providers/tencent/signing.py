r"""Tencent Cloud's "signature method v3", TC3-HMAC-SHA256: https://cloud.tencent.com/document/api/213/30654.

Header values are lower-cased, the query of a GET is signed as it is sent, and the signing key changes every UTC day.
    CanonicalRequest = method \n / \n query \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "TC3-HMAC-SHA256" \n timestamp \n date/service/tc3_request \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(HMAC(HMAC(HMAC("TC3" + SecretKey, date), service), "tc3_request"), StringToSign))
Callbacks: https://www.tencentcloud.com/document/product/267/38081
    sign = hex(md5(key + decimal(t))), where t is the time of expiry; it covers nothing else in the callback
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import hmac_sha256, sha256_hex, utf8

ALGORITHM = "TC3-HMAC-SHA256"

_EPOCH = date(1970, 1, 1).toordinal()


def canonical_request(*, method: str, query: str, headers: Mapping[str, str], payload_sha256: str) -> str:
    """Return CanonicalRequest for exactly the headers to sign; `query` is the text after "?", empty for a POST."""
    return f"{method}\n/\n{query}\n{_block(tuple(headers.items()))}\n{payload_sha256}"


@lru_cache(maxsize=64)
def _block(headers: tuple[tuple[str, str], ...]) -> str:
    """Return the canonical headers; cached, because only an endpoint's Content-Type and Host are signed."""
    return canonical_block([(name.lower(), value.strip().lower()) for name, value in headers])


def string_to_sign(*, service: str, timestamp: int, canonical_request: str) -> str:
    """Return StringToSign; `timestamp` is in Unix seconds."""
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
    """Sign a request and return its `Authorization` header; see `canonical_request`.

    `headers` must hold at least Content-Type and Host. `timestamp` is X-TC-Timestamp in Unix seconds; raises
    `ValueError` or `OverflowError` beyond the years 1 to 9999. `payload_sha256` replaces the hash of the body.
    """
    payload = sha256_hex(body) if payload_sha256 is None else payload_sha256
    request = canonical_request(method=method, query=query, headers=headers, payload_sha256=payload)
    day = _utc_date(timestamp)
    text = string_to_sign(service=service, timestamp=timestamp, canonical_request=request)
    signature = hmac_sha256(signing_key(secret_key, day, service), text).hex()
    credential = f"{secret_id}/{day}/{service}/tc3_request"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers(request)}, Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Parse an `Authorization` header, whose scope is (date, service, "tc3_request"); None if it is malformed."""
    return parse(text, algorithm=ALGORITHM, scope_ends="tc3_request", scope_parts=3)


@lru_cache(maxsize=64)
def signing_key(secret_key: str, day: str, service: str) -> bytes:
    """Derive the key of a UTC day, "YYYY-MM-DD"."""
    return hmac_sha256(hmac_sha256(hmac_sha256(utf8(f"TC3{secret_key}"), day), service), "tc3_request")


def _utc_date(timestamp: int) -> str:
    return date.fromordinal(_EPOCH + timestamp // 86_400).isoformat()
