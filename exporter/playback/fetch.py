"""Fetches an address of viewers: only origins that it may ask, redirects included, and no more than is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple

from exporter.addresses import PlaybackAddress
from exporter.model import Reason
from exporter.routes import Route

Take = Callable[[bytes], bool]
"""Takes a part of a body; says whether more is wanted."""


class Wanted(NamedTuple):
    """What to fetch.

    Attributes:
        url: The whole address.
        address: The configured address that led to it, which says whom it may ask.
        until: When to give up, on the event loop's clock: for the head of the answer, and, without `silence`, all.
        most: Bytes of the body, unpacked, after which no more is received.
        first: Ask for the first bytes only, so many; 0 for all. A server may send all the same.
        silence: Seconds without a byte after which a body counts as silent; None where `until` holds for the body too.
    """

    url: str
    address: PlaybackAddress
    until: float
    most: int
    first: int = 0
    silence: float | None = None


class Fetched(NamedTuple):
    """What came.

    Attributes:
        url: Whence, after redirects; with its query, so it is not shown.
        shown: The same as it may be shown.
        status: The HTTP status.
        headers: By name, in any case.
        first_byte: Seconds from the request to the first byte of the body; None if there was none.
        seconds: How long all took.
        received: Bytes of the bodies as they came over the wire, those of redirects too.
        ending: Whether the body is whole, or enough of it was taken, or it fell silent, or `most` was reached.
    """

    url: str
    shown: str
    status: int
    headers: Mapping[str, str]
    first_byte: float | None
    seconds: float
    received: int
    ending: Literal["whole", "enough", "silent", "most"]


class NotFetched(Exception):  # noqa: N818 - a finding
    """There was no answer to judge; its text is fit to be shown.

    Attributes:
        reason: Why, as the label `reason`.
        received: Bytes that had come.
    """

    def __init__(self, reason: Reason, message: str, received: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.received = received


class Fetcher:
    """Fetches over kept connections of its own, never those of the providers' APIs.

    Args:
        route: Returns the way to a URL for an address.
        pace: Awaited before each request, with the origin that is about to be asked.
    """

    def __init__(self, route: Callable[[PlaybackAddress, str], Route], pace: Callable[[str], Awaitable[None]]) -> None:
        self._route = route
        self._pace = pace

    async def fetch(self, wanted: Wanted, take: Take) -> Fetched:
        """Fetch, follow redirects to origins that may be asked, and hand the body to `take` as it comes.

        Raises:
            NotFetched: No answer came, or none that may be followed.
        """
        raise NotImplementedError
