"""ZEGO's signatures. Neither covers what a call asks or a callback says, only secret, nonce and time.

Calls, version 2.0: https://github.com/ZEGOCLOUD/docs_all/blob/main/snippets/Reuse/SigningTheRequestZH.mdx
    Signature = hex(md5(decimal(AppId) + SignatureNonce + ServerSecret + decimal(Timestamp)))
Callbacks: https://doc-zh.zego.im/article/9215
    signature = hex(sha1(sorted texts of CallbackSecret, timestamp and nonce, joined))
"""

import hashlib

from exporter.providers.encoding import utf8


def signature(*, app_id: int, nonce: str, server_secret: str, timestamp: int) -> str:
    """Sign a call: 32 lower-case hex digits for the parameter `Signature`.

    Args:
        app_id: AppId, an unsigned 32-bit number.
        nonce: SignatureNonce as it is sent, leading zeros included; new for each call.
        server_secret: the key.
        timestamp: Timestamp, Unix seconds.
    """
    return hashlib.md5(utf8(f"{app_id}{nonce}{server_secret}{timestamp}"), usedforsecurity=False).hexdigest()


def callback_signature(*, secret: str, timestamp: str, nonce: str) -> str:
    """Return a callback's expected `signature`, 40 hex digits; timestamp and nonce as the text that was received."""
    return hashlib.sha1(utf8("".join(sorted((secret, timestamp, nonce)))), usedforsecurity=False).hexdigest()
