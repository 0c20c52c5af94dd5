"""Whether a media playlist moves, as far as several looks at it tell."""

from __future__ import annotations

import math
from collections import deque
from typing import Final
from urllib.parse import urlsplit

from exporter.playback.hls import Media

_LEAST_AGAIN: Final = 1.0
_MARGIN: Final = 0.1
_LONG: Final = 60.0
_REMEMBERED: Final = 16
_STEPS: Final = 2

_Rows = tuple[object, ...]


class Motion:
    """Whether one media playlist moves.

    Attributes:
        moved: When its rows last changed, in monotonic seconds; None before that.
        renamed: Whether its rows are not numbered, and have other names each time they are asked for: then nobody can
            tell that they stand still.
        misnumbered: Whether its rows change under the same numbers, by which many players tell that they stand still.
    """

    def __init__(self) -> None:
        self.moved: float | None = None
        self.renamed = self.misnumbered = False
        self._since: float | None = None
        self._looked = 0.0
        self._patience = 0.0
        self._unsure = self._doubted = self._stood = False
        self._steps = 0
        self._last: Media | None = None
        self._standing: dict[_Rows, float] = {}  # since when each has stood, of those that come in turn
        self._seen: deque[tuple[_Rows, float | None, str]] = deque(maxlen=_REMEMBERED)

    def look(self, media: Media, now: float) -> bool | None:
        """Take what was seen at a time in monotonic seconds.

        Returns:
            True if its rows changed within three target durations (and six seconds), False if they stood still for
            longer, None if it is too early to tell. Rows of the last look do not count as a change, whatever their
            date and name, nor do those that were seen before: caches may take turns. But those of an encoder that
            began anew, or of a cache that is behind, go on step by step.
        """
        gap, last = now - self._looked, self._last
        self._looked, self._last = now, media
        rows, before = self._told_apart(media, last, gap)
        if rows != before:
            self._steps = self._steps + 1 if _steps_on(before, rows, gap / media.target) else 0
        seen = (rows, media.until, urlsplit(media.newest[0].url).path if media.newest and not self.renamed else "")
        known = seen in self._seen
        if known:
            self._seen.remove(seen)
        self._seen.append(seen)
        if _slid(last, media):
            self._slide(rows, now)
        elif rows == before or (known and self._steps < _STEPS):
            self._stand(media, rows, now, gap)
        else:
            self._move(media, rows, now, gap)
        if now - self._standing[rows] >= self._patience:
            self._stood = True
            return None if self.renamed else False
        return True if self.moved is not None and not self._stood else None

    def _told_apart(self, media: Media, last: Media | None, gap: float) -> tuple[_Rows, _Rows | None]:
        """Return what tells rows apart, now and at the last look: no names, if all have others within their time."""
        if not media.names:
            self.renamed = False
        elif last is not None and last.names:
            stayed = not media.names.isdisjoint(last.names)
            if stayed or gap < (len(media.names) - 1) * media.target:
                self.renamed = not stayed
        before = None if last is None else last.rows
        return (media.rows[:-1], before and before[:-1]) if self.renamed else (media.rows, before)

    def _move(self, media: Media, rows: _Rows, now: float, gap: float) -> None:
        self._patience = media.patience
        if self._since is not None:
            self.moved = now
            self._unsure = gap > max(self._patience, _LONG)
        self.misnumbered = False
        self._begin(rows, now)

    def _slide(self, rows: _Rows, now: float) -> None:
        self.moved, self.misnumbered = None, True
        self._begin(rows, now)

    def _begin(self, rows: _Rows, now: float) -> None:
        self._since, self._doubted, self._stood = now, False, False
        self._standing = {rows: now}

    def _stand(self, media: Media, rows: _Rows, now: float, gap: float) -> None:
        """Take rows that tell nothing new.

        If nobody looked for as long as they may stand still, they get more time, once: the encoder may have begun anew
        meanwhile and come to the same number, or a cache be that much behind. Two target durations more will tell.
        """
        if gap >= self._patience and not (self._doubted or self._stood):
            self._since, self._doubted = now - self._patience / 3, True
            self._standing = {rows: self._since}
        self._patience = max(self._patience, media.patience)
        self._standing.setdefault(rows, now)

    def again(self, media: Media, now: float) -> float:
        """Return the seconds after which another look tells more than this one; infinity if the usual time will do.

        What changed while nobody looked for long may have stopped since, so it is looked at again soon.
        """
        left = self._left(now)
        just_moved, just_slid = self.moved == now, self.misnumbered and self._since == now
        if left <= 0 or just_slid or (just_moved and not self._unsure):
            return math.inf
        soon = left + _MARGIN
        return min(soon, max(media.target, _LEAST_AGAIN)) if self.moved is None or just_moved else soon

    def _left(self, now: float) -> float:
        """Return the seconds until rows that stay the same have stood still for too long."""
        return self._patience - (now - self._since if self._since is not None else 0.0)


def _slid(last: Media | None, now: Media) -> bool:
    """Whether the newest row is another one under the same number, while others are those of the last look."""
    if last is None or now.names or now.rows != last.rows or now.listed[-1:] == last.listed[-1:]:
        return False
    before, names = ([urlsplit(uri).path for uri in media.listed] for media in (last, now))
    return names[-1] not in before and not set(before).isdisjoint(names)


def _steps_on(last: _Rows | None, now: _Rows, most: float) -> bool:
    """Whether rows have gone on since the last look, by no more than could be made meanwhile."""
    before, number = (rows[0] if rows else None for rows in (last, now))
    return isinstance(before, int) and isinstance(number, int) and 0 < number - before <= most + 1
