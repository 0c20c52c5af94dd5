"""Bodies, never larger than allowed, neither before nor after decompression."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from exporter.model import Reason
from exporter.provider import TransportError
from exporter.transport.wire import oversized


def unpacked(raw: bytes, headers: Mapping[str, str], largest: int) -> bytes:
    """Undo the body's Content-Encoding; raises `TransportError`."""
    encoding = headers.get("Content-Encoding")
    return raw if encoding is None or not raw else _decompress(raw, encoding.strip().lower(), largest)


def _decompress(raw: bytes, encoding: str, largest: int) -> bytes:
    if encoding in ("", "identity"):
        return raw
    bits = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
    if bits is None:
        raise TransportError(Reason.MALFORMED, "the body has a Content-Encoding that was not asked for")
    inflater = zlib.decompressobj(bits)
    try:
        body = inflater.decompress(raw, largest + 1)
    except zlib.error:
        raise TransportError(Reason.MALFORMED, "the body's compression is broken") from None
    if len(body) > largest:
        raise oversized(largest)
    if not inflater.eof:
        raise TransportError(Reason.MALFORMED, "the compressed body ends early")
    return body
