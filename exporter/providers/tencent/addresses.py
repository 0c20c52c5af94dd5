"""Tencent's signature of addresses that viewers use, txSecret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from exporter.providers.addresses import FILE_ENDINGS, AddressSigner, md5


def _sign(path: str, key: str, expires: int, _nonce: str) -> Mapping[str, str]:
    """Sign the stream's name, which has its template's suffix and no file ending.

    https://www.tencentcloud.com/document/product/267/31560
    https://www.tencentcloud.com/document/product/267/38393
    """
    name = unquote(path.rpartition("/")[2])
    for ending in FILE_ENDINGS:
        name = name.removesuffix(ending)
    time = f"{expires:X}"
    return {"txSecret": md5(f"{key}{name}{time}"), "txTime": time}


SIGNER: Final = AddressSigner(("txSecret", "txTime"), _sign)
