"""Signatures of pull addresses that are made anew for each check, so that they never expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from exporter.addresses import PlaybackAddress, sendable

AHEAD_SECONDS: Final = 300
"""How far ahead an address expires; a domain's own validity period may add to it. It bears clocks that differ."""

_ENDINGS: Final = (".m3u8", ".flv")


def signed(address: PlaybackAddress, unix: float, nonce: str) -> str:
    """Return an address as it is fetched at a time in Unix seconds; `nonce` is 32 hexadecimal digits, new each time.

    Other parameters of its query stay as they are; an old signature is replaced.
    """
    url = address.url.reveal()
    if address.signed is None or address.key is None:
        return url
    parts = urlsplit(url)
    path = sendable(parts.path or "/")
    made = _SCHEMES[address.signed](path, address.key.reveal(), int(unix) + AHEAD_SECONDS, nonce)
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in made]
    query = "&".join([*kept, *(f"{name}={value}" for name, value in made.items())])
    return parts._replace(path=path, query=query, fragment="").geturl()


def _tencent(path: str, key: str, expires: int, nonce: str) -> Mapping[str, str]:
    """Sign as Tencent does, and Huawei's type B: the stream's name has its template's suffix, and no file ending.

    https://www.tencentcloud.com/document/product/267/31560
    https://www.tencentcloud.com/document/product/267/38393
    """
    name = unquote(path.rpartition("/")[2])
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    time = f"{expires:X}"
    return {"txSecret": _md5(f"{key}{name}{time}"), "txTime": time}


def _alibaba(path: str, key: str, expires: int, nonce: str) -> Mapping[str, str]:
    """Sign as Alibaba's type A does: the path as it is sent, without its query.

    https://www.alibabacloud.com/help/en/live/user-guide/url-signing
    """
    fields = f"{expires}-{nonce}-0"
    return {"auth_key": f"{fields}-{_md5(f'{path}-{fields}-{key}')}"}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_SCHEMES: Final[Mapping[str, Callable[[str, str, int, str], Mapping[str, str]]]] = {
    "tencent": _tencent,
    "alibaba": _alibaba,
}
