"""Alibaba Cloud's older "RPC signature", HMAC-SHA1, version 1.0: https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism.

Only the method and the query are signed.
    CanonicalQuery = every parameter but Signature, percent-encoded, sorted by name
    StringToSign   = method "&" "%2F" "&" percent(CanonicalQuery)
    Signature      = base64(HMAC-SHA1(AccessKeySecret + "&", StringToSign))
"""

import base64
import hmac
from collections.abc import Iterable

from exporter.providers.encoding import canonical_query, percent, utf8


def string_to_sign(*, method: str, query: Iterable[tuple[str, str]]) -> str:
    """Return StringToSign for decoded parameters; `Signature` is left out."""
    signed = [pair for pair in query if pair[0] != "Signature"]
    return f"{method}&%2F&{percent(canonical_query(signed))}"


def signature(*, access_key_secret: str, method: str, query: Iterable[tuple[str, str]]) -> str:
    """Return the parameter `Signature` in base64, not yet percent-encoded."""
    digest = hmac.digest(utf8(f"{access_key_secret}&"), utf8(string_to_sign(method=method, query=query)), "sha1")
    return base64.b64encode(digest).decode("ascii")
