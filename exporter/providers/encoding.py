"""Encodings and digests that the signature schemes share.

Percent-encoding is that of RFC 3986, section 2.3: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
    percent(text)          = letters, digits and -_.~ as they are, every other UTF-8 byte as %XX in upper case
    canonical_query(pairs) = percent(name) "=" percent(value), sorted by name, joined by "&"
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote, urlsplit

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes: the payload hash of a request without a body."""

_by_name = itemgetter(0)


def utf8(text: str) -> bytes:
    """Encode text as UTF-8, lone surrogates included: the strict codec's error would hold the text."""
    return text.encode("utf-8", "surrogatepass")


def percent(text: str) -> str:
    """Percent-encode text by RFC 3986: a space becomes %20, a slash %2F, a tilde stays."""
    return quote(text, safe="", errors="surrogatepass")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Encode name-value pairs as client and server sign them.

    Names are sorted before they are encoded, as in the vendors' own clients. The values of a repeated name keep their
    order; an empty value keeps its "=".
    """
    return "&".join([f"{percent(name)}={percent(value)}" for name, value in sorted(pairs, key=_by_name)])


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def hmac_sha256(key: bytes, text: str) -> bytes:
    """Return the HMAC-SHA256 of a text, 32 bytes."""
    return hmac.digest(key, utf8(text), "sha256")


def same(mine: str, theirs: str) -> bool:
    """Compare two signatures in constant time, whatever text was sent."""
    return hmac.compare_digest(utf8(mine), utf8(theirs))


def expiry_signature(*, key: str, t: int) -> str:
    """Return the signature of callbacks that cover their expiry alone: hex(md5(key + decimal(t))), 32 digits."""
    return hashlib.md5(utf8(f"{key}{t}"), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1024)
def host(endpoint: str) -> str:
    """Return the Host header of an endpoint, in lower case."""
    return urlsplit(endpoint).netloc.lower()


@lru_cache(maxsize=256)
def _stamp(second: int, form: str) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(form)


def timestamp(now: float, form: str) -> str:
    """Format Unix seconds in UTC; `form` is as in strftime."""
    return _stamp(int(now), form)
