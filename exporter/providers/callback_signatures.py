"""Signatures of the callbacks that the clouds send; only Volcengine's covers what the callback says.

ZEGO: https://doc-zh.zego.im/article/9215. Tencent Cloud: https://www.tencentcloud.com/document/product/267/38081.
Alibaba Cloud: https://help.aliyun.com/zh/live/developer-reference/api-live-2016-11-01-setlivestreamsnotifyurlconfig.
Volcengine: https://www.volcengine.com/docs/6348/69820.
    zego       = hex(sha1(sorted texts of CallbackSecret, timestamp, nonce, joined))
    tencent    = hex(md5(key + decimal(t)));  alibaba = hex(md5(domain "|" timestamp "|" key))
    volcengine = hex(sha256(sorted texts of the seven fields and the key, joined))
"""

import hashlib
from collections.abc import Iterable

from exporter.providers.encoding import sha256_hex, utf8


def zego(*, secret: str, timestamp: str, nonce: str) -> str:
    """Expected `signature`, 40 hex digits; timestamp and nonce as the text that was received."""
    return hashlib.sha1(utf8("".join(sorted((secret, timestamp, nonce)))), usedforsecurity=False).hexdigest()


def tencent(*, key: str, t: int) -> str:
    """Expected `sign`, 32 hex digits; `t` is the second at which the callback expires."""
    return _md5_hex(f"{key}{t}")


def alibaba(*, domain: str, timestamp: str, key: str) -> str:
    """Expected ALI-LIVE-SIGNATURE, 32 hex digits; timestamp as in ALI-LIVE-TIMESTAMP, domain without scheme."""
    return _md5_hex(f"{domain}|{timestamp}|{key}")


def volcengine(*, secret: str, fields: Iterable[str]) -> str:
    """Expected `Signature`, 64 hex digits.

    The documentation's sample digest belongs to no printed input, so the hex spelling is an inference.

    Args:
        secret: the key set for callbacks.
        fields: EventType, EventData (exactly as received), EventTime, EventId, AppId, Version and Nonce, in any order.
    """
    return sha256_hex(utf8("".join(sorted((secret, *fields)))))


def _md5_hex(text: str) -> str:
    return hashlib.md5(utf8(text), usedforsecurity=False).hexdigest()
