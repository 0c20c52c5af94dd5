"""Requests as they go out, byte for byte."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from exporter import __version__
from exporter.model import Request
from exporter.providers.interface import MEBIBYTE
from exporter.routes import Proxy
from exporter.transport.tunnel import authorized

USER_AGENT: Final = f"stream-exporter/{__version__}"

_URL: Final = re.compile(r"(https?://([^/?#\s\0]+))(/?[^#\s\0]*)")


def written(request: Request, largest: int, passes: Proxy | None = None) -> bytes:
    """Return a request as it goes out, its URL and headers byte for byte.

    Args:
        request: The request.
        largest: Bytes that the answer's body may have.
        passes: The proxy that passes the request on, if one does.

    Raises:
        ValueError: A header would end its line, or the URL is none.
    """
    where, host, target = _split(request.url)
    given = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if not given.count("\r") == given.count("\n") == len(request.headers) or "\0" in given:
        raise ValueError("a header holds more than one line")
    carries = bool(request.body) or request.method != "GET"
    default = _default_fields(host, tuple(request.headers), carries, largest > MEBIBYTE)
    length = f"Content-Length: {len(request.body)}\r\n" if carries else ""
    target = target if target.startswith("/") else f"/{target}"
    if passes is not None:
        target, length = f"{where}{target}", authorized(passes) + length
    return f"{request.method} {target} HTTP/1.1\r\n{default}{given}{length}\r\n".encode() + request.body


@lru_cache(maxsize=64)
def _default_fields(host: str, given: tuple[str, ...], carries: bool, large: bool) -> str:
    """Return the header fields that every request has, without those that are given."""
    fields = {
        "Host": host,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "gzip" if large else "identity",
    }
    if carries:
        fields["Content-Type"] = "application/octet-stream"
    names = {name.lower() for name in given}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if name.lower() not in names)


@lru_cache(maxsize=128)
def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    return _split(url)[0]


def _split(url: str) -> tuple[str, str, str]:
    """Return a URL's origin, its host with the port, and what is asked for there."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("no URL")
    return found[1], found[2], found[3]
