r"""Alibaba Cloud's "V3 request signature", ACS3-HMAC-SHA256: https://help.aliyun.com/document_detail/2593177.html.

The secret itself is the key, and the time is one of the headers.
    CanonicalRequest = method \n path \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "ACS3-HMAC-SHA256" \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(AccessKeySecret, StringToSign))
Callbacks: https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-setlivestreamsnotifyurlconfig
    ALI-LIVE-SIGNATURE = hex(md5(domain "|" ALI-LIVE-TIMESTAMP "|" key)); it covers nothing else in the callback
"""

import hashlib
from collections.abc import Iterable, Mapping

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import canonical_query, hmac_sha256, sha256_hex, utf8

ALGORITHM = "ACS3-HMAC-SHA256"


def canonical_request(
    *, method: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str], path: str = "/"
) -> str:
    """Return CanonicalRequest for exactly the headers to sign: host and every x-acs-* header of the request.

    Raises `KeyError` without x-acs-content-sha256, the hex SHA-256 of the body. The query is decoded, the path encoded.
    """
    folded = {name.lower(): value.strip() for name, value in headers.items()}
    block = canonical_block(folded.items())
    return f"{method}\n{path}\n{canonical_query(query)}\n{block}\n{folded['x-acs-content-sha256']}"


def string_to_sign(canonical_request: str) -> str:
    """Return StringToSign."""
    return f"{ALGORITHM}\n{sha256_hex(utf8(canonical_request))}"


def authorization(
    *,
    access_key_id: str,
    access_key_secret: str,
    method: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    path: str = "/",
) -> str:
    """Sign a request and return its `Authorization` header; see `canonical_request`."""
    request = canonical_request(method=method, query=query, headers=headers, path=path)
    signature = hmac_sha256(utf8(access_key_secret), string_to_sign(request)).hex()
    return f"{ALGORITHM} Credential={access_key_id},SignedHeaders={signed_headers(request)},Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Parse an `Authorization` header, which has no scope; None if it is malformed."""
    return parse(text, algorithm=ALGORITHM)


def callback_signature(*, domain: str, timestamp: str, key: str) -> str:
    """Return the ALI-LIVE-SIGNATURE that a callback must have, 32 hex digits."""
    return hashlib.md5(utf8(f"{domain}|{timestamp}|{key}"), usedforsecurity=False).hexdigest()
