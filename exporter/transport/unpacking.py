"""Decompresses a provider's body, never to more bytes than allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from exporter.model import Reason
from exporter.providers.interface import TransportError

IN_STEP: Final = 16 << 10
OUT_STEP: Final = 64 << 10

MOST_MEMBERS: Final = 16
"""A gzip body may consist of several; each costs time, even where it holds nothing."""

BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
ZLIB: Final = 8


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
    unpacker = Unpacker(encoding)
    body = bytearray()
    for at in range(0, len(raw), IN_STEP):
        for out in unpacker.feed(raw[at : at + IN_STEP]):
            body += out
            if len(body) > largest:
                raise Oversized(largest)
    unpacker.end()
    return bytes(body)


class Unpacker:
    """Unpacks a body as it comes, a step at a time; raises `TransportError` where its encoding is unknown.

    Args:
        encoding: Its Content-Encoding in lower case, "" where there is none.
    """

    def __init__(self, encoding: str) -> None:
        self._bits = 0 if plain(encoding) else BITS.get(encoding)
        if self._bits is None:
            raise TransportError(Reason.MALFORMED, "the body has a Content-Encoding that was not asked for")
        self._inflater: zlib._Decompress | None = None
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes out of some bytes that are put in, in steps; raises `TransportError` if they are broken."""
        if not self._bits:
            yield data
            return
        while data:
            inflater = self._member(data)
            # What is left of a step's input is copied each time, so little is put in at once.
            step, data = data[:IN_STEP], data[IN_STEP:]
            full = True  # after a full step there may be more to come out without anything put in
            while (step or full) and not inflater.eof:
                try:
                    out = inflater.decompress(step, OUT_STEP)
                except zlib.error:
                    raise TransportError(Reason.MALFORMED, "the body's compression is broken") from None
                step, full = inflater.unconsumed_tail, len(out) == OUT_STEP
                if out:
                    yield out
            if inflater.eof:
                data = inflater.unused_data + data

    def _member(self, data: bytes) -> zlib._Decompress:
        """Return what inflates the member that goes on, or begins, with some bytes."""
        if self._inflater is None or self._inflater.eof:
            self._members += 1
            if self._members > (MOST_MEMBERS if self._bits == BITS["gzip"] else 1):
                raise TransportError(Reason.MALFORMED, "the body goes on after its compressed part")
            # Some servers leave out zlib's frame, whose first byte says 8, for "deflate".
            bare = self._bits == BITS["deflate"] and data[0] & 15 != ZLIB
            self._inflater = zlib.decompressobj(-15 if bare else self._bits or 0)
        return self._inflater

    def end(self) -> None:
        """Take the end of the body; raises `TransportError` if that is too early."""
        if self._inflater is not None and not self._inflater.eof:
            raise TransportError(Reason.MALFORMED, "the compressed body ends early")
