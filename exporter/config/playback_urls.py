"""What the URL of an address of viewers may be. Errors say what is wrong with one, and repeat nothing of it."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from exporter.addresses import PLACEHOLDER, origin_of
from exporter.fields import carries_credential
from exporter.routes import DEFAULT_PORTS

LONGEST: Final = 8192  # characters
SECRET: Final = 16  # characters from which the value of a parameter may well be a secret, whatever its name

_PROBLEM: Final = "is not an address like https://play.example.com/live/stream.m3u8"
_OTHER: Final = re.compile(r"(rtmp[a-z]*|rtsps?|wss?|webrtc|srt|udp|rtp):", re.ASCII | re.IGNORECASE)
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*", re.ASCII)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII | re.IGNORECASE)  # resolvers take it for IPv4
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_AS_IT_IS: Final = "!#$%&'()*+,/:;=?@[]~{}"


class PlaybackUrl(NamedTuple):
    """A URL that may be fetched.

    Attributes:
        url: All of it; what is not ASCII is percent-encoded.
        shown: The same without its query, or only its origin if the path holds a credential.
        origin: Scheme, host and port.
        name: The end of its path, which names the stream as a rule.
        query: What stands behind its question mark.
    """

    url: str
    shown: str
    origin: str
    name: str
    query: str

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters of its query, in lower case."""
        return frozenset(name.lower() for name, _ in parse_qsl(self.query, keep_blank_values=True))

    @property
    def holds_secret(self) -> bool:
        """Whether it may well hold a token."""
        if carries_credential(self.url):
            return True
        values = (value.replace(PLACEHOLDER, "") for _, value in parse_qsl(self.query))
        return any(len(value) >= SECRET for value in values)


def parse_playback(text: str) -> PlaybackUrl:
    """Return what a text says as a URL; raises `ValueError`."""
    if problem := next((words for found, words in _FLAWS if found(text)), ""):
        raise ValueError(problem)
    parts = _split(text)
    url = quote(text, safe=_AS_IT_IS)
    origin = origin_of(url)
    path = urlsplit(url).path
    shown = origin + ("" if carries_credential(path) else path)
    return PlaybackUrl(url, shown, origin, path.rpartition("/")[2], parts.query)


def parse_origin(text: str) -> str:
    """Return an origin, such as `https://cdn.example.com`; raises `ValueError`."""
    problem = "is not an origin like https://cdn.example.com or http://host:port (no path, no query)"
    try:
        found = parse_playback(text)
    except ValueError:
        raise ValueError(problem) from None
    if found.query or "?" in text or urlsplit(found.url).path not in ("", "/"):
        raise ValueError(problem)
    return found.origin


_FLAWS: Final = (
    (lambda text: len(text) > LONGEST, f"is longer than {LONGEST:,} characters"),
    (_OTHER.match, "names a protocol that is not checked here; give HLS or HTTP-FLV, which begin with https:// or http://"),
    (lambda text: any(sign.isspace() for sign in text), "holds a blank; one that belongs to it is written as %20"),
    (lambda text: not text.isprintable(), "holds a character that cannot be seen"),
    (lambda text: "\\" in text, f"{_PROBLEM}: it holds a \\"),
    (lambda text: "#" in text, "has a fragment (all from its #), which no server is sent; leave it out"),
    (
        lambda text: re.search("[{}]", text.replace(PLACEHOLDER, "")),
        f"holds a brace, and nothing but {PLACEHOLDER} is filled in; one that belongs to it is written as %7B or %7D",
    ),
    (_BROKEN.search, "holds a % without two hexadecimal digits behind it; one that belongs to it is written as %25"),
)  # fmt: skip
"""What may be wrong with any part of a URL, and what is said of it."""


def _split(text: str) -> SplitResult:
    """Return the parts of a URL of which scheme, host and port are as they should be; raises `ValueError`."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError(_PROBLEM) from None
    if parts.scheme not in DEFAULT_PORTS or not text[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"{_PROBLEM}: it begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("has a user before its @, and none is sent; write the address without it")
    if PLACEHOLDER in parts.netloc:
        raise ValueError(f"has {PLACEHOLDER} in its host; it may stand in the path and in the query")
    if not parts.netloc.isascii():
        raise ValueError("has a host with letters beyond ASCII; write it in its ASCII form, which begins with xn--")
    if not _is_host(host):
        raise ValueError(f"{_PROBLEM}: its host is none")
    _check_port(parts)
    return parts


def _is_host(host: str) -> bool:
    if ":" in host or _NUMBER.fullmatch(host):
        try:
            return bool(ip_address(host)) and "%" not in host
        except ValueError:
            return False
    return len(host) <= 253 and _HOST.fullmatch(host) is not None


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("has a port that is none: 1 to 65535")
