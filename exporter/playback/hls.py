"""HLS playlists (RFC 8216bis): what one says, and whether it moves. PyPI's m3u8 reads their lines.

https://datatracker.ietf.org/doc/html/draft-pantos-hls-rfc8216bis
"""

from __future__ import annotations

from typing import Final, NamedTuple

LARGEST_PLAYLIST: Final = 8 << 20
MOST_VARIANTS: Final = 16


class MalformedPlaylist(Exception):  # noqa: N818 - a finding
    """It breaks the rules of playlists; its text says how, in words of ours."""


class Master(NamedTuple):
    """A master playlist.

    Attributes:
        playlists: The addresses of its variants, and of the renditions with sound that have their own, each once.
        left_out: How many more there are than are checked.
    """

    playlists: tuple[str, ...]
    left_out: int = 0


class Media(NamedTuple):
    """A media playlist.

    Attributes:
        target: Its target duration in seconds.
        rows: What tells its rows and parts from those of another time; queries do not count.
        newest: The addresses of the newest segments or parts that can be fetched, the newest first: at most two.
        until: When its newest media ends, in Unix seconds; None if it does not say.
        ended: Whether nothing more will come.
    """

    target: float
    rows: tuple[object, ...]
    newest: tuple[str, ...]
    until: float | None
    ended: bool


def read(text: str, url: str) -> Master | Media:
    """Return what a playlist says; its addresses are made whole by its own.

    Raises:
        MalformedPlaylist: It is none, or breaks the rules.
    """
    raise NotImplementedError


def select(master: Master, variant: str) -> tuple[str, ...]:
    """Return the playlists that count: all, or the one whose path ends so; none if there is none."""
    raise NotImplementedError


class Motion:
    """Whether one media playlist moves, as far as several looks at it tell."""

    def look(self, media: Media, now: float) -> bool | None:
        """Take what was seen at a time in monotonic seconds.

        Returns:
            True if its rows changed within three target durations (and six seconds), False if they stood still for
            longer, None if it is too early to tell. Rows that were seen before do not count as a change: two caches
            may take turns.
        """
        raise NotImplementedError

    def again(self, media: Media, now: float) -> float:
        """Return the seconds after which another look tells more than this one; infinity if the usual time will do."""
        raise NotImplementedError

    @property
    def moved(self) -> float | None:
        """When its rows last changed, in monotonic seconds; None before that."""
        raise NotImplementedError
