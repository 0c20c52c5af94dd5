"""Signatures of pull addresses, as Tencent and Alibaba verify them.

https://www.tencentcloud.com/document/product/267/31560 (txSecret, txTime)
https://www.alibabacloud.com/help/en/live/user-guide/url-signing (auth_key, type A)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import md5
from typing import Final, NamedTuple
from urllib.parse import unquote

VALID_SECONDS: Final = 1800.0
"""How long an address is valid after the time in its signature."""
_AUTH_KEY = re.compile(r"(?P<time>[0-9]{1,12})-(?P<rand>[0-9A-Za-z]+)-(?P<uid>[0-9A-Za-z]+)-[0-9a-f]{32}")

Query = Mapping[str, str]


class _Scheme(NamedTuple):
    """How one vendor signs an encoded path with a key."""

    sign: Callable[[str, str, int], dict[str, str]]  # given key, path and Unix seconds
    is_signed: Callable[[str, str, Query, float], bool]  # given key, path, the decoded query and Unix seconds


def sign(keys: Mapping[str, str], path: str, now: float) -> str:
    """Return the query that keys by parameter demand for an encoded path."""
    pairs = {
        name: value for each, key in keys.items() for name, value in _SCHEMES[each].sign(key, path, int(now)).items()
    }
    return "&".join(f"{name}={value}" for name, value in pairs.items())


def is_signed(keys: Mapping[str, str], path: str, query: Query, now: float) -> bool:
    """Whether an address has each signature that keys by parameter demand, right and not expired."""
    return all(_SCHEMES[each].is_signed(key, path, query, now) for each, key in keys.items())


def _tx_secret(key: str, path: str, time: str) -> str:
    # The name of the stream is that of the file, without its ending.
    name = unquote(path.rpartition("/")[2].rpartition(".")[0])
    return _md5(f"{key}{name}{time}")


def _sign_tx_secret(key: str, path: str, now: int) -> dict[str, str]:
    return {"txSecret": _tx_secret(key, path, f"{now:X}"), "txTime": f"{now:X}"}


def _has_tx_secret(key: str, path: str, query: Query, now: float) -> bool:
    time = query.get("txTime", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{1,12}", time) or now > int(time, 16) + VALID_SECONDS:
        return False
    return query.get("txSecret") == _tx_secret(key, path, time)


def _auth_key(key: str, path: str, time: int, rand: str, uid: str) -> str:
    return f"{time}-{rand}-{uid}-" + _md5(f"{path}-{time}-{rand}-{uid}-{key}")


def _sign_auth_key(key: str, path: str, now: int) -> dict[str, str]:
    return {"auth_key": _auth_key(key, path, now, "0", "0")}


def _has_auth_key(key: str, path: str, query: Query, now: float) -> bool:
    found = _AUTH_KEY.fullmatch(query.get("auth_key", ""))
    if not found or now > int(found["time"]) + VALID_SECONDS:
        return False
    return found[0] == _auth_key(key, path, int(found["time"]), found["rand"], found["uid"])


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


_SCHEMES: Final = {
    "txSecret": _Scheme(_sign_tx_secret, _has_tx_secret),
    "auth_key": _Scheme(_sign_auth_key, _has_auth_key),
}
