"""What the URL of an address of viewers may be. Errors say what is wrong with one, and repeat nothing of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from exporter.addresses import LONGEST, NO_ADDRESS, PLACEHOLDER, origin_of, sendable
from exporter.fields import carries_credential
from exporter.routes import DEFAULT_PORTS

SECRET: Final = 16  # characters from which the value of a parameter may well be a secret, whatever its name

_OTHER: Final = re.compile(
    r"(?!https?:)(?:[a-z][a-z0-9+.-]*://|(?:rtmp[a-z]*|rtsps?|wss?|webrtc|srt|udp|rtp):)", re.ASCII | re.IGNORECASE
)
_UNCHECKED: Final = {
    **dict.fromkeys((".mpd",), "MPEG-DASH"),
    **dict.fromkeys((".ism/manifest", ".isml/manifest"), "Smooth Streaming"),
    **dict.fromkeys((".f4m",), "HDS"),
    **dict.fromkeys(("/whep", "/whip", ".sdp"), "WebRTC"),
    **dict.fromkeys((".ts", ".m4s"), "a segment"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".m4a", ".mp3", ".aac", ".ogg"), "a file"),
    **dict.fromkeys((".html", ".htm"), "a page"),
}
"""What addresses lead to that end so, in lower case."""

_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)


class PlaybackUrl(NamedTuple):
    """A URL that may be fetched.

    Attributes:
        url: All of it, from its origin on; what no URL may hold is percent-encoded.
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
    def path(self) -> str:
        """Its path."""
        return self.url.removeprefix(self.origin).partition("?")[0]

    @property
    def unchecked(self) -> str:
        """Why nobody will know whether it plays, as far as its path tells; empty where it may well be HLS or FLV."""
        path = self.path.lower().rstrip("/")
        for ending, kind in _UNCHECKED.items():
            if path.endswith(ending):
                return f"ends in {ending} like {kind}, and only HLS and HTTP-FLV are checked"
        return ""

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
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(NO_ADDRESS) from None
    if parts.scheme not in DEFAULT_PORTS or not text[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"{NO_ADDRESS}: it begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("has a user before its @, and none is sent; write the address without it")
    origin = _origin(parts.scheme, parts.netloc)
    rest = sendable(text[len(f"{parts.scheme}://{parts.netloc}") :])
    path, _, query = rest.partition("?")
    return PlaybackUrl(
        url=origin + rest,
        shown=origin + ("" if carries_credential(path) else path),
        origin=origin,
        name=path.rpartition("/")[2],
        query=query,
    )


def parse_origin(text: str) -> str:
    """Return an origin, such as `https://cdn.example.com`; raises `ValueError`."""
    problem = "is not an origin like https://cdn.example.com or http://host:port (no path, no query, no *)"
    try:
        found = parse_playback(text)
    except ValueError:
        raise ValueError(problem) from None
    if found.url not in (found.origin, f"{found.origin}/"):
        raise ValueError(problem)
    return found.origin


_FLAWS: Final = (
    (lambda text: len(text) > LONGEST, f"is longer than {LONGEST:,} characters"),
    (_OTHER.match, "names a protocol that is not checked here; give HLS or HTTP-FLV, which begin with https:// or http://"),
    (re.compile(r"\s").search, "holds a blank; one that belongs to it is written as %20"),
    (lambda text: not text.isprintable(), "holds a character that cannot be seen"),
    (lambda text: "\\" in text, f"{NO_ADDRESS}: it holds a \\"),
    (lambda text: "#" in text, "has a fragment (all from its #), which no server is sent; leave it out"),
    (
        lambda text: text.count("{") + text.count("}") != 2 * text.count(PLACEHOLDER),
        f"holds a brace, and nothing but {PLACEHOLDER} is filled in; one that belongs to it is written as %7B or %7D",
    ),
    (_BROKEN.search, "holds a % without two hexadecimal digits behind it; one that belongs to it is written as %25"),
)  # fmt: skip
"""What may be wrong with any part of a URL, and what is said of it."""


@lru_cache(maxsize=1024)
def _origin(scheme: str, netloc: str) -> str:
    """Return the origin of a scheme, a host and a port; raises `ValueError`."""
    if PLACEHOLDER in netloc:
        raise ValueError(f"has {PLACEHOLDER} in its host; it may stand in the path and in the query")
    if not netloc.isascii():
        raise ValueError("has a host with letters beyond ASCII; write it in its ASCII form, which begins with xn--")
    try:
        port = urlsplit(f"{scheme}://{netloc}").port
    except ValueError:
        port = 0
    if port == 0 or netloc.endswith(":"):
        raise ValueError("has a port outside 1 to 65535")
    return origin_of(f"{scheme}://{netloc}")
