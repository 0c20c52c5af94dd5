r"""Alibaba Cloud's "V3 request signature", ACS3-HMAC-SHA256: https://help.aliyun.com/document_detail/2593177.html.

The secret itself is the key; the query is canonical and the time is one of the headers.
    CanonicalRequest = method \n path \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "ACS3-HMAC-SHA256" \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(AccessKeySecret, StringToSign))
Callbacks: https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-setlivestreamsnotifyurlconfig
    ALI-LIVE-SIGNATURE = hex(md5(domain "|" ALI-LIVE-TIMESTAMP "|" key)), which covers nothing that the callback says
"""

import hashlib
from collections.abc import Iterable, Mapping

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import canonical_query, hmac_sha256, sha256_hex, utf8

ALGORITHM = "ACS3-HMAC-SHA256"


def canonical_request(
    *, method: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str], path: str = "/"
) -> str:
    """Write the request as it is hashed.

    Args:
        method: GET or POST.
        query: decoded names and values, in any order.
        headers: exactly the headers to sign: host and every x-acs-* header of the request. Raises `KeyError` without
            x-acs-content-sha256, the hex SHA-256 of the body.
        path: encoded path.
    """
    folded = {name.lower(): value.strip() for name, value in headers.items()}
    block = canonical_block(folded.items())
    return f"{method}\n{path}\n{canonical_query(query)}\n{block}\n{folded['x-acs-content-sha256']}"


def string_to_sign(canonical_request: str) -> str:
    """Name the scheme before the hash of the canonical request."""
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
    """Sign a request and write its `Authorization` header; see `canonical_request`."""
    request = canonical_request(method=method, query=query, headers=headers, path=path)
    signature = hmac_sha256(utf8(access_key_secret), string_to_sign(request)).hex()
    return f"{ALGORITHM} Credential={access_key_id},SignedHeaders={signed_headers(request)},Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Take an `Authorization` header apart; this scheme has no scope. None if malformed."""
    return parse(text, algorithm=ALGORITHM)


def callback_signature(*, domain: str, timestamp: str, key: str) -> str:
    """Return a callback's expected ALI-LIVE-SIGNATURE, 32 hex digits, for a domain without scheme."""
    return hashlib.md5(utf8(f"{domain}|{timestamp}|{key}"), usedforsecurity=False).hexdigest()
