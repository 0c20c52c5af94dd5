"""Content negotiation: the format and the encoding that a client accepts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from prometheus_client.exposition import choose_encoder
from zlib_ng import zlib_ng

_OPENMETRICS_TYPE: Final = "application/openmetrics-text"
OPENMETRICS: Final = f"{_OPENMETRICS_TYPE}; version=1.0.0"
TEXT: Final = "text/plain; version=0.0.4"
GZIP_LEVEL: Final = 2  # of zlib-ng: a thirtieth of gzip -9's time for a fifth more bytes


_QUALITY: Final = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
# A draft of OpenMetrics (0.0.1), or no version at all.
_OTHER_VERSION: Final = re.compile(r"version\s*=(?!\s*\"?[1-9]\d*(?:\.\d+)*\"?$).+", re.ASCII)
_UNLISTED: Final = (0.0, -math.inf)

Rank = tuple[float, float]
"""How much a client wants something: by its quality, then by its place in the header."""


def negotiate(accept: str) -> tuple[bool, str]:
    """Return (whether to use OpenMetrics, Content-Type) for an Accept header; a malformed one gets the text format."""
    ranks = _ranks(accept)
    openmetrics = _rank(ranks, _OPENMETRICS_TYPE, "application/*", "*/*")
    text = _rank(ranks, "text/plain", "text/*", "*/*")
    # Where one range admits both, text is the simpler one.
    chosen = openmetrics[0] > 0 and openmetrics > text
    return chosen, choose_encoder(OPENMETRICS if chosen else TEXT)[1]


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether a client with these request headers prefers gzip to no compression."""
    ranks = _ranks(headers.get("Accept-Encoding", ""))
    gzip = _rank(ranks, "gzip", "*")
    return gzip[0] > 0 and gzip > _rank(ranks, "identity")


def _ranks(header: str) -> dict[str, Rank]:
    """Return what a header lists; of what it lists twice the better one counts, and a quality that is none is 1."""
    ranks: dict[str, Rank] = {}
    for place, part in enumerate(header.lower().split(",")):
        name, *parameters = (word.strip() for word in part.split(";"))
        if name == _OPENMETRICS_TYPE and any(map(_OTHER_VERSION.fullmatch, parameters)):
            continue
        qualities = [float(found[1]) for word in parameters if (found := _QUALITY.fullmatch(word))]
        ranks[name] = max(ranks.get(name, _UNLISTED), (qualities[0] if qualities else 1.0, -place))
    return ranks


def _rank(ranks: Mapping[str, Rank], *names: str) -> Rank:
    """Return the rank of the first of these names that is listed: the most specific one decides."""
    return next((ranks[name] for name in names if name in ranks), _UNLISTED)


class Compressor:
    """Compresses a document with gzip, slice by slice."""

    def __init__(self) -> None:
        self._deflate = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, 31)

    def add(self, part: bytes) -> bytes:
        """Compress a slice; return the bytes that are ready."""
        return self._deflate.compress(part)

    def end(self) -> bytes:
        """Return the remainder."""
        return self._deflate.flush()
