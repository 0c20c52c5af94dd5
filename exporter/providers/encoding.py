"""Text to bytes, to hex, to query, and the headers' texts: what the signature schemes have in common.

Percent-encoding is that of RFC 3986, section 2.3: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
    percent(text)          = letters, digits and -_.~ stay; every other UTF-8 byte becomes %XX in upper case
    canonical_query(pairs) = percent(name) "=" percent(value), sorted by name, joined by "&"
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote, urlsplit

from exporter.model import Moment

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes at all, the payload hash of every request without a body."""

_by_name = itemgetter(0)


def utf8(text: str) -> bytes:
    """Encode `text` as UTF-8, lone surrogates included.

    It cannot fail, and must not: the strict codec's error carries the whole text, which may be a secret.
    """
    return text.encode("utf-8", "surrogatepass")


def percent(text: str) -> str:
    """Percent-encode `text` after RFC 3986: a space becomes %20, a slash %2F, a tilde stays."""
    return quote(text, safe="", errors="surrogatepass")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Encode decoded name-value pairs in the one order and spelling that client and server both sign.

    Names are sorted by their bytes before encoding, as the vendors' own clients do. A name that comes more than once
    keeps its values in the caller's order; an empty value keeps its "=".
    """
    return "&".join([f"{percent(name)}={percent(value)}" for name, value in sorted(pairs, key=_by_name)])


def sha256_hex(data: bytes) -> str:
    """Hash `data` to 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def hmac_sha256(key: bytes, text: str) -> bytes:
    """Authenticate `text` under `key`: 32 bytes."""
    return hmac.digest(key, utf8(text), "sha256")


def same(mine: str, theirs: str) -> bool:
    """Compare signatures in constant time, as bytes, whatever text was sent."""
    return hmac.compare_digest(utf8(mine), utf8(theirs))


@lru_cache(maxsize=1024)
def host(endpoint: str) -> str:
    """Return what the Host header says for an endpoint: without a default port, in lower case."""
    return urlsplit(endpoint).netloc.lower()


@lru_cache(maxsize=256)
def _stamp(second: int, form: str) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(form)


def timestamp(moment: Moment, form: str) -> str:
    """Return the moment in UTC as a vendor's header wants it, by a strftime form."""
    return _stamp(int(moment.now), form)
