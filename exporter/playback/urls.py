"""URLs that playlists and redirects say, as they are asked for and as they may be shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from exporter.addresses import LONGEST, NO_ADDRESS, PlaybackAddress, origin_of, sendable, written_private
from exporter.fields import carries_credential
from exporter.providers.reading import printable
from exporter.routes import DEFAULT_PORTS

MOST_SHOWN: Final = 256
"""Characters of a path that are shown."""

SHORTEST: Final = 8
"""Characters of the shortest value of a query that is looked for where it does not belong."""

_HOSTS: Final = 1024
"""How many hosts are remembered: each is asked again and again."""

_origin_of = lru_cache(_HOSTS)(origin_of)


@lru_cache(_HOSTS)
def _written_private(origin: str) -> bool:
    return written_private(urlsplit(origin).hostname or "")


_BLANK: Final = "".join(map(chr, range(0x21)))
_LEFT_OUT: Final = dict.fromkeys(map(ord, "\t\r\n"))
_AMBIGUOUS: Final = re.compile(r"[^?#]*\\|https?:(?!//[^/])|///", re.IGNORECASE)


class Target(NamedTuple):
    """What is asked for.

    Attributes:
        url: The whole URL in printable ASCII, without a fragment.
        origin: Its scheme, host and port.
    """

    url: str
    origin: str

    def __repr__(self) -> str:
        return f"<target at {self.origin}>"


def target(text: str) -> Target:
    """Return what a URL asks for; raises `ValueError` with a text that repeats nothing of it.

    What may not stand in a URL is percent-encoded; all else is left as it is, as servers sign it.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters")
    try:
        parts = urlsplit(text.strip(_BLANK))
    except ValueError:
        raise ValueError(NO_ADDRESS) from None
    try:
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("is neither http nor https")
        if "@" in parts.netloc:
            raise ValueError("has a user before its host, and none is sent")
        netloc = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
        origin = _origin_of(f"{parts.scheme}://{netloc}")
        rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(origin + sendable(rest), origin)
    except UnicodeError:
        raise ValueError(NO_ADDRESS) from None


def onward(base: Target, location: str) -> Target:
    """Return where a redirect leads to; raises `ValueError`, as `target` does."""
    return target(whole(base.url, location))


def whole(base: str, reference: str) -> str:
    r"""Return a reference made whole by the URL of what it stands in.

    Raises:
        ValueError: It is broken, or players don't agree on it: to browsers `\` is `/`, and `///` is `//`.
    """
    try:
        if _AMBIGUOUS.match(reference := reference.strip(_BLANK).translate(_LEFT_OUT)):
            raise ValueError
        return urljoin(base, reference)
    except ValueError:
        raise ValueError(NO_ADDRESS) from None


def may_ask(address: PlaybackAddress, target: Target) -> bool:
    """Whether a check of an address may ask for something."""
    return target.origin in address.origins


def may_be_private(address: PlaybackAddress, target: Target) -> bool:
    """Whether the host may turn out to be at a private address."""
    return address.private or _written_private(target.origin)


def shows_paths(address: PlaybackAddress) -> bool:
    """Whether paths may be shown of what an address leads to."""
    return urlsplit(address.shown).path != ""


def secrets_of(urls: Iterable[str]) -> frozenset[str]:
    """Return what must not be shown of URLs wherever it stands: the values of their queries, in lower case."""
    pairs = [pair for url in urls if "?" in url for pair in urlsplit(url).query.split("&")]
    values = [pair.partition("=")[2] or pair for pair in pairs]
    forms = {form.lower() for value in values for form in (value, unquote(value))}
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def repeats(text: str, secrets: Collection[str]) -> bool:
    """Whether a text holds one of these secrets, percent-encoded or not."""
    if not secrets:
        return False
    forms = {text.lower(), unquote(text).lower()}
    return any(secret in form for secret in secrets for form in forms)


def shown_of(url: str, address: PlaybackAddress, asked: Iterable[str] = ()) -> str:
    """Return a URL that a check of an address asks for as it may be shown.

    That is without its query, and only its origin where a path may be a secret: where the address comes from a file or
    a variable, and where a redirect led, paths hold tokens, as they do of a server that repeats a query there, its own
    or that of something else that was asked for.
    """
    try:
        found = target(url)
    except ValueError:
        return "an address that cannot be asked for"
    path = urlsplit(found.url).path
    secrets = secrets_of((address.url.reveal(), found.url, *asked))
    if not shows_paths(address) or carries_credential(path) or repeats(path, secrets):
        return found.origin
    return found.origin + printable(path, MOST_SHOWN)
