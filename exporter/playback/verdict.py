"""What a check, or one playlist of it, comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from exporter.model import Reason

FIRST_BYTES: Final = 4 << 10
"""How many bytes of a segment are asked for: so many prove that it is there."""

NEVER: Final = float("inf")
_DOCUMENTS: Final = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml")
_TEXT: Final = bytes((*b"\t\n\r", *range(0x20, 0x7F)))


class Verdict(NamedTuple):
    """What a check, or one playlist of it, came to; see `PlaybackCheck`.

    Attributes:
        again: Seconds after which another check tells more; infinity if the usual time will do.
        silent: Whether it is down as nothing came for so long: that was waited for, and need not be asked for again.
    """

    up: bool | None
    message: str
    reason: Reason | None = None
    age: float | None = None
    first_byte: float | None = None
    again: float = NEVER
    silent: bool = False


class Unclear(Exception):  # noqa: N818 - a finding
    """Nobody knows; its text says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def status_says(status: int) -> tuple[Reason, str]:
    """Return the reason for a status that does not tell whether viewers get media, and words for it."""
    if status in (401, 403):
        return Reason.AUTH, f"HTTP {status}: the address is refused; its token may be wrong or have expired"
    if status == 429:
        return Reason.THROTTLED, "HTTP 429: too many requests"
    return Reason.HTTP, f"HTTP {status}"


def looks_like_a_page(begin: bytes) -> bool:
    """Whether a page or other text came where media was expected; some servers call media HTML, too.

    Encrypted media has bytes of all kinds.
    """
    return begin.lstrip()[:16].lower().startswith(_DOCUMENTS) or begin.translate(None, _TEXT) == b""


def worst(verdicts: Iterable[tuple[str, Verdict]], show: Callable[[str], str] = str) -> Verdict:
    """Return the verdict on a master playlist by those on its playlists, each with its address.

    All that count must play. `show` returns how the address of one that does not may be shown.
    """
    found = list(verdicts)
    again = min(verdict.again for _, verdict in found)
    for url, verdict in sorted(found, key=lambda one: _rank(one[1])):
        if verdict.up is not True:
            return verdict._replace(message=f"{show(url)}: {verdict.message}", again=again)
    ages = [verdict.age for _, verdict in found if verdict.age is not None]
    waits = [verdict.first_byte for _, verdict in found if verdict.first_byte is not None]
    message = "it plays" if len(found) == 1 else f"all {len(found)} playlists play"
    return Verdict(True, message, None, max(ages, default=None), max(waits, default=None), again)


def _rank(verdict: Verdict) -> int:
    """Sort what is down first, then what failed, then what is not known yet."""
    if verdict.up is not None:
        return 3 if verdict.up else 0
    return 1 if verdict.reason is not None else 2
