r"""Huawei Cloud's AK/SK signature: https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm.html.

The path that is signed ends in a slash, and the time is that of the header X-Sdk-Date.
Callbacks: https://support.huaweicloud.com/bestpractice-live/live_14_0003.html
    auth_sign = hex(HMAC(key, event domain app stream auth_timestamp)), where auth_timestamp is the time of expiry
"""

from collections.abc import Mapping

from exporter.providers import authorization
from exporter.providers.encoding import EMPTY_SHA256, hmac_sha256, utf8
from exporter.providers.own_key import Scheme

SCHEME = Scheme("SDK-HMAC-SHA256", key="Access", gap=", ")


def canonical_request(
    path: str, query: authorization.Pairs, headers: Mapping[str, str], body: str = EMPTY_SHA256, method: str = "GET"
) -> str:
    """Return CanonicalRequest for exactly the headers to sign; the path is encoded, the body hashed in hex."""
    signed = authorization.folded(headers)
    return authorization.canonical_request(method, f"{path.removesuffix('/')}/", query, signed, body)


def callback_signature(key: str, event: str, domain: str, app: str, stream: str, auth_timestamp: str) -> str:
    """Return the `auth_sign` that a callback must have, 64 hex digits."""
    return hmac_sha256(utf8(key), f"{event}{domain}{app}{stream}{auth_timestamp}").hex()
