"""JSON Web Tokens by HMAC-SHA256, `HS256`: https://www.rfc-editor.org/rfc/rfc7519.

    token = b64url(header) "." b64url(claims) "." b64url(HMAC-SHA256(secret, all before the last dot))

b64url is base64 for URLs without padding; header and claims are JSON objects.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from exporter.providers.encoding import hmac_sha256, same, utf8
from exporter.providers.reading import object_in

ALGORITHM: Final = "HS256"
LEEWAY: Final = 60
"""Seconds by which the clocks of both sides may differ."""

_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


def encode(claims: Mapping[str, Any], secret: str) -> str:
    """Return a token with these claims, in ASCII."""
    parts = ({"alg": ALGORITHM, "typ": "JWT"}, claims)
    head = ".".join(_packed(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{head}.{_packed(hmac_sha256(utf8(secret), head))}"


def grant(issuer: str, secret: str, claims: Mapping[str, Any], now: float, life: int) -> str:
    """Return a token that is valid for a while: the same one until half of that is over.

    Args:
        issuer: The id of the key.
        secret: What it is signed with.
        claims: What it says beside its issuer and its times.
        now: Unix seconds.
        life: For how many seconds it is valid, beside `LEEWAY` before.
    """
    return _grant(issuer, secret, json.dumps(claims), int(now) // (life // 2) * (life // 2), life)


@lru_cache(maxsize=1024)
def _grant(issuer: str, secret: str, claims: str, begin: int, life: int) -> str:
    return encode({"iss": issuer, "nbf": begin - LEEWAY, "exp": begin + life, **json.loads(claims)}, secret)


def decode(token: str, secret: str | None) -> dict[str, Any]:
    """Return the claims of a token. Their times are not compared with any clock.

    Args:
        token: As received.
        secret: What it must be signed with; None to read it without verifying it.

    Raises:
        ValueError: It is no token, names another algorithm, or has another signature.
    """
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise ValueError("not a token")
    header, claims = (object_in(_unpacked(part)) for part in parts.groups()[:2])
    signed = token.rpartition(".")[0]
    if header.get("alg") != ALGORITHM:
        raise ValueError("another algorithm")
    if secret is not None and not same(_packed(hmac_sha256(utf8(secret), signed)), parts[3]):
        raise ValueError("another signature")
    return claims


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
