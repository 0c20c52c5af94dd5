"""URLs that playlists and redirects say, as they are asked for and as they may be shown."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from exporter.addresses import LONGEST, NO_ADDRESS, PlaybackAddress, origin_of, sendable, written_private
from exporter.fields import carries_credential
from exporter.routes import DEFAULT_PORTS

_BLANK: Final = "".join(map(chr, range(0x21)))


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

    @property
    def host(self) -> str:
        """Its host, an address of IPv6 without brackets."""
        return urlsplit(self.origin).hostname or ""


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
        origin = origin_of(f"{parts.scheme}://{netloc}")
        rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(origin + sendable(rest), origin)
    except UnicodeError:
        raise ValueError(NO_ADDRESS) from None


def onward(base: Target, location: str) -> Target:
    """Return where a redirect leads to; raises `ValueError`, as `target` does."""
    try:
        joined = urljoin(base.url, location.strip(_BLANK))
    except ValueError:
        raise ValueError(NO_ADDRESS) from None
    return target(joined)


def may_ask(address: PlaybackAddress, target: Target) -> bool:
    """Whether a check of an address may ask for something."""
    return target.origin in address.origins


def may_be_private(address: PlaybackAddress, target: Target) -> bool:
    """Whether the host may turn out to be at a private address."""
    return address.private or written_private(target.host)


def shown(address: PlaybackAddress, target: Target, *, redirected: bool) -> str:
    """Return a target as it may be shown: without its query, and only its origin where a path may be a secret.

    That is where an address comes from a file or a variable, and where a redirect led: paths of those hold tokens.
    """
    path = urlsplit(target.url).path
    if redirected or not urlsplit(address.shown).path or carries_credential(path):
        return target.origin
    return target.origin + path


def shown_of(url: str, address: PlaybackAddress) -> str:
    """Return a URL that a check of an address asks for as it may be shown."""
    try:
        return shown(address, target(url), redirected=False)
    except ValueError:
        return "an address that cannot be asked for"
