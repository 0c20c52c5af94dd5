"""ZEGO's signatures. They cover only secret, nonce and time, not the parameters of a call or the fields of a callback.

Calls, version 2.0: https://github.com/ZEGOCLOUD/docs_all/blob/main/snippets/Reuse/SigningTheRequestZH.mdx
    Signature = hex(md5(decimal(AppId) + SignatureNonce + ServerSecret + decimal(Timestamp)))
Callbacks: https://doc-zh.zego.im/article/9215
    signature = hex(sha1(sorted texts of CallbackSecret, timestamp and nonce, joined))
"""

import hashlib

from exporter.providers.encoding import utf8


def signature(*, app_id: int, nonce: str, server_secret: str, timestamp: int) -> str:
    """Return the parameter `Signature` of a call, 32 lower-case hex digits; `timestamp` is in Unix seconds."""
    return hashlib.md5(utf8(f"{app_id}{nonce}{server_secret}{timestamp}"), usedforsecurity=False).hexdigest()


def callback_signature(*, secret: str, timestamp: str, nonce: str) -> str:
    """Return the `signature` that a callback must have, 40 hex digits; timestamp and nonce as received."""
    return hashlib.sha1(utf8("".join(sorted((secret, timestamp, nonce)))), usedforsecurity=False).hexdigest()
