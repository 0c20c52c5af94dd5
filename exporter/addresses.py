"""Addresses that viewers use, and which servers a check of one may ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import quote, urlsplit

from exporter.fields import Secret
from exporter.routes import DEFAULT_PORTS

PLACEHOLDER: Final = "{stream}"
"""Stands for the stream's name in an address that many streams share."""

LONGEST: Final = 8192
"""Characters of a URL at most."""

# Names that no public server has: https://www.iana.org/assignments/special-use-domain-names and what networks use.
_PRIVATE_ENDINGS: Final = (
    ".localhost", ".local", ".localdomain", ".internal", ".intranet", ".private", ".lan", ".home", ".corp",
    ".home.arpa", ".test", ".svc", ".cluster.local",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlaybackAddress:
    """An address that viewers use, as configured: HLS or HTTP-FLV, told apart by what comes back.

    Attributes:
        name: The label `playback`.
        url: The whole address, with its query.
        shown: What may be shown of it: never the query, and only the origin where it comes from a file or a variable.
        origins: The origins that a check may ask, its own first: those of the stream's other addresses, and those
            that are configured with it.
        signed: The cloud whose signature is added to each check; empty for none.
        key: What that is signed with.
        variant: Which variant of a master playlist counts, by the end of its path; all of them where it is empty.
        interval: Seconds between two checks; None for the usual.
        private: Whether its names may lead to private addresses.
        written: What else the configuration says of it, as it may be shown; without `url` and `name`.
    """

    name: str
    url: Secret
    shown: str
    origins: tuple[str, ...]
    signed: str = ""
    key: Secret | None = None
    variant: str = ""
    interval: float | None = None
    private: bool = False
    written: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ends_in_flv(self) -> bool:
        """Whether it is called FLV; what it is shows only when it is fetched."""
        return urlsplit(self.url.reveal()).path.lower().endswith(".flv")

    def filled(self, stream: str) -> PlaybackAddress:
        """Return the address with the placeholder filled in."""
        if PLACEHOLDER not in (url := self.url.reveal()):
            return self
        name = quote(stream, safe="")
        return replace(self, url=Secret(url.replace(PLACEHOLDER, name)), shown=self.shown.replace(PLACEHOLDER, name))


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """How addresses are checked; times in seconds.

    Attributes:
        interval: Between two checks of an address.
        timeout: For each answer.
        concurrency: Most checks at once of the addresses of one host.
        rate: Most requests a second to one host.
    """

    interval: float = 15.0
    timeout: float = 5.0
    concurrency: int = 32
    rate: float = 250.0


USUAL_PLAYBACK: Final = PlaybackSettings()


def origin_of(url: str) -> str:
    """Return scheme, host in lower case and port of a URL, without the scheme's usual port; raises `ValueError`.

    A host is a name in ASCII, or an address as everybody writes it: `2130706433`, `0x7f.1` and `127.1` are none,
    though the system takes them for 127.0.0.1.
    """
    try:
        parts = urlsplit(url)
        host, port, usual = _host(parts.hostname or ""), parts.port, DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ValueError(NO_ADDRESS) from None
    if port == 0:
        raise ValueError(NO_ADDRESS)
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


NO_ADDRESS: Final = "is not an address like https://play.example.com/live/stream.m3u8"
_NAME: Final = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.ASCII)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)


def _host(host: str) -> str:
    """Return a host as it stands in a URL; raises `ValueError`."""
    if ":" in host:
        return f"[{IPv6Address(host)}]" if "%" not in host else _host("")
    if _NUMBER.fullmatch(host):
        return str(IPv4Address(host))
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise ValueError(NO_ADDRESS)
    return host


_UNSENDABLE: Final = re.compile('[^!-~]+|["<>]+')


def sendable(text: str) -> str:
    """Return a path or a query as it is sent: what no browser sends as it is is percent-encoded, and nothing else.

    https://url.spec.whatwg.org/#query-percent-encode-set
    """
    return _UNSENDABLE.sub(_encoded, text)


def _encoded(found: re.Match[str]) -> str:
    return quote(found[0].encode("utf-8", "surrogateescape"), safe="")


def written_private(host: str) -> bool:
    """Whether a host is written so that everybody sees that it is private or an address: then it may be asked."""
    host = host.lower().rstrip(".")
    if "." not in host or host.endswith(_PRIVATE_ENDINGS):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL: Final = IPv6Network("2000::/3")


def is_public(text: str) -> bool:
    """Whether an address, as a resolver returns it, is one that the whole Internet reaches.

    What IPv6 only carries to an address of IPv4 is judged by that one: mapped addresses, NAT64 (RFC 6052), 6to4.
    """
    found = ip_address(text)
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None:
            return found in _GLOBAL and found.is_global
        found = inner
    return found.is_global and not found.is_multicast and not found.is_reserved
