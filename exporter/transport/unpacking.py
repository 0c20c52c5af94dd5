"""Decompresses a provider's body, never to more bytes than allowed."""

from __future__ import annotations

import zlib
from typing import Final

from exporter.model import Reason
from exporter.providers.interface import TransportError

IN_STEP: Final = 16 << 10
OUT_STEP: Final = 64 << 10

MOST_MEMBERS: Final = 16
"""A gzip body may consist of several; each costs time, even where it holds nothing."""

BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Oversized(TransportError):  # noqa: N818 - a finding
    """The body is larger than allowed."""

    def __init__(self, largest: int) -> None:
        super().__init__(Reason.MALFORMED, f"the body is larger than {largest >> 10} KiB")


def plain(encoding: str) -> bool:
    """Say whether a Content-Encoding leaves the body as it is."""
    return encoding in ("", "identity")


def unpack(raw: bytes, encoding: str, largest: int) -> bytes:
    """Return a body as it was before it was compressed.

    All members of a gzip body together are the body (RFC 1952, 2.2). Stops as soon as it has more than is allowed.

    Args:
        raw: The whole body as it was sent.
        encoding: Its Content-Encoding in lower case, "" where there is none.
        largest: Bytes that the result may have.

    Raises:
        TransportError: The encoding is unknown or broken, or bytes follow its end.
        Oversized: The result would be larger.
    """
    if plain(encoding):
        return raw
    bits = BITS.get(encoding)
    if bits is None:
        raise TransportError(Reason.MALFORMED, "the body has a Content-Encoding that was not asked for")
    body = bytearray()
    at, members = 0, 0
    while at < len(raw):
        members += 1
        if members > (MOST_MEMBERS if bits == BITS["gzip"] else 1):
            raise TransportError(Reason.MALFORMED, "the body goes on after its compressed part")
        at = _member(raw, at, bits, body, largest)
    return bytes(body)


def _member(raw: bytes, at: int, bits: int, body: bytearray, largest: int) -> int:
    """Inflate the member that begins at `at`, and append it to the body; return the place after its end."""
    inflater = zlib.decompressobj(bits)
    full = False
    while not inflater.eof:
        # What is left of a step's input is copied each time, so little is put in at once.
        step = inflater.unconsumed_tail
        # After a full step there may be more to come out without anything put in.
        if not step and not full:
            step = raw[at : at + IN_STEP]
            at += len(step)
            if not step:
                raise TransportError(Reason.MALFORMED, "the compressed body ends early")
        try:
            out = inflater.decompress(step, OUT_STEP)
        except zlib.error:
            raise TransportError(Reason.MALFORMED, "the body's compression is broken") from None
        full = len(out) == OUT_STEP
        body += out
        if len(body) > largest:
            raise Oversized(largest)
    return at - len(inflater.unused_data)
