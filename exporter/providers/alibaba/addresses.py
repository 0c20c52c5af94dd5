"""Alibaba's signature of addresses that viewers use, auth_key of type A."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporter.providers.addresses import AddressSigner, md5


def _sign(path: str, key: str, expires: int, nonce: str) -> Mapping[str, str]:
    """Sign the path as it is sent, without its query.

    https://www.alibabacloud.com/help/en/live/user-guide/url-signing
    """
    fields = f"{expires}-{nonce}-0"
    return {"auth_key": f"{fields}-{md5(f'{path}-{fields}-{key}')}"}


SIGNER: Final = AddressSigner(("auth_key",), _sign)
