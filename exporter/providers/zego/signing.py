"""ZEGO's server API "signature", version 2.0: https://github.com/ZEGOCLOUD/docs_all/blob/main/snippets/Reuse/SigningTheRequestZH.mdx.

The parameters of the call itself are not covered.
    Text      = decimal(AppId) + SignatureNonce + ServerSecret + decimal(Timestamp)
    Signature = hex(md5(Text))
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
