r"""Alibaba Cloud's "V3 request signature", ACS3-HMAC-SHA256: https://help.aliyun.com/document_detail/2593177.html.

The time is one of the headers.
Callbacks: https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-setlivestreamsnotifyurlconfig
    ALI-LIVE-SIGNATURE = hex(md5(domain "|" ALI-LIVE-TIMESTAMP "|" key)); it covers nothing else in the callback
"""

import hashlib
from collections.abc import Iterable, Mapping

from exporter.providers import authorization as shared
from exporter.providers.encoding import utf8
from exporter.providers.own_key import Scheme

SCHEME = Scheme("ACS3-HMAC-SHA256")


def canonical_request(
    *, method: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str], path: str = "/"
) -> str:
    """Return CanonicalRequest for exactly the headers to sign: host and every x-acs-* header of the request.

    Raises `KeyError` without x-acs-content-sha256, the hex SHA-256 of the body. The query is decoded, the path encoded.
    """
    signed = shared.folded(headers)
    return shared.canonical_request(method, path, query, signed, signed["x-acs-content-sha256"])


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
    return SCHEME.authorization(access_key_id, access_key_secret, request)


def callback_signature(*, domain: str, timestamp: str, key: str) -> str:
    """Return the ALI-LIVE-SIGNATURE that a callback must have, 32 hex digits."""
    return hashlib.md5(utf8(f"{domain}|{timestamp}|{key}"), usedforsecurity=False).hexdigest()
