"""HLS playlists (RFC 8216bis): what one says, and whether it moves. PyPI's m3u8 reads their lines.

https://datatracker.ietf.org/doc/html/draft-pantos-hls-rfc8216bis
"""

from __future__ import annotations

import importlib
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from exporter.addresses import LONGEST
from exporter.playback.urls import whole

LARGEST_PLAYLIST: Final = 8 << 20
MOST_VARIANTS: Final = 16

_MOST_LINES: Final = 250_000
_LONGEST_LINE: Final = 64 << 10  # of those that count
_LONGEST_TARGET: Final = 3600.0  # seconds; what says more is broken, and would hide for hours that nothing moves
_USUAL_TARGET: Final = 10.0  # where nothing tells, as of an empty list: no usual server's is longer
_LEAST_PATIENCE: Final = 6.0
_MOST_PLAYLISTS: Final = 1000
_DATES: Final = (datetime(2009, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp())

# Python ends lines at these, HLS does not: a title may hold them.
_NO_LINE_ENDS: Final = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_LONGEST_EXTENT: Final = 40
_EXTENT: Final = re.compile(r'"?\d+@(\d{1,18})"?', re.ASCII)


class MalformedPlaylist(Exception):  # noqa: N818 - a finding
    """It breaks the rules of playlists; its text says how, in words of ours."""


class Master(NamedTuple):
    """A master playlist.

    Attributes:
        playlists: The addresses of its variants, and of the renditions with sound that have their own, each once.
    """

    playlists: tuple[str, ...]

    @property
    def left_out(self) -> int:
        """How many there are beyond those that are checked, if no variant is chosen."""
        return max(0, len(self.playlists) - MOST_VARIANTS)


class Newest(NamedTuple):
    """A segment or part that can be fetched: its address, and the byte at which it begins there."""

    url: str
    start: int = 0


class Media(NamedTuple):
    """A media playlist.

    Attributes:
        target: Its target duration in seconds, or of its longest row if that is longer.
        rows: What tells its newest segment or part from that of another time; it holds no query.
        newest: The newest segment or part that can be fetched, and that of the address before it, if there is one.
        until: When its newest media ends, in Unix seconds; None if it does not say.
        ended: Whether nothing more will come.
        names: The paths of its newest rows, where those are not numbered.
        listed: Its newest rows as they stand there, the newest last.
    """

    target: float
    rows: tuple[object, ...]
    newest: tuple[Newest, ...]
    until: float | None
    ended: bool
    names: frozenset[str] = frozenset()
    listed: tuple[str, ...] = ()

    @property
    def patience(self) -> float:
        """Seconds for which its rows may stay the same."""
        return max(3 * self.target, _LEAST_PATIENCE)


def prepare() -> None:
    """Import the library, which takes long: so few exporters need it that they do it with their first address."""
    importlib.import_module("m3u8.parser")


def read(text: str, url: str) -> Master | Media:
    """Return what a playlist says; its addresses are made whole by its own.

    Raises:
        MalformedPlaylist: It is none, or breaks the rules.
    """
    from m3u8.parser import parse  # see `prepare`

    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith("#EXTM3U"):
        raise MalformedPlaylist("it is not a playlist: it does not begin with #EXTM3U")
    if max(text.count("\n"), text.count("\r")) > _MOST_LINES:
        raise MalformedPlaylist("its playlist has too many lines")
    reader = _Reader()
    try:
        data = parse(_NO_LINE_ENDS.sub(" ", text), custom_tags_parser=reader.take)
    except MalformedPlaylist:
        raise
    except Exception:  # the library fails as it may, and its words hold the line
        raise MalformedPlaylist(f"line {reader.line} of its playlist cannot be read") from None
    reader.fold(data, {})
    return _master(data, reader, url) if data["is_variant"] else _media(data, reader, url)


def select(master: Master, variant: str) -> tuple[str, ...]:
    """Return the playlists that count: all (at most 16), or the one whose path ends so; none if there is none."""
    if not variant:
        return master.playlists[:MOST_VARIANTS]
    for ending in (f"/{variant}", variant):  # 720p.m3u8 is rather live/720p.m3u8 than live/1720p.m3u8
        if found := tuple(one for one in master.playlists if urlsplit(one).path.endswith(ending)):
            return found[:1]
    return ()


class _Piece(NamedTuple):
    """A segment or part as it stands there: its address, its place, and when it ends in Unix seconds."""

    uri: str
    start: int
    place: tuple[object, ...]
    until: float | None


class _Reader:
    """Sees each tag before the library does, and folds what the library has made of those before: nothing piles up.

    Tags that do not matter are not read, so they may be as broken as they like.
    """

    def __init__(self) -> None:
        self.line = 0
        self.target = 0.0
        self.longest = 0.0
        self.begun = False
        self.newest: deque[_Piece] = deque(maxlen=16)
        self._rows = self._parts = self._breaks = 0
        self._clock: float | None = None
        self._elapsed = 0.0
        self._gap = False

    def take(self, line: str, number: int, data: dict[str, Any], state: dict[str, Any]) -> bool:
        """Take a tag; says whether the library shall leave it out."""
        self.line = number
        self.fold(data, state)
        if len(data["playlists"]) + len(data["media"]) > _MOST_PLAYLISTS:
            raise MalformedPlaylist("its playlist names too many others")
        tag, _, value = line.partition(":")
        if tag in _READ_BY_LIBRARY:
            if len(line) > _LONGEST_LINE:
                raise MalformedPlaylist(f"line {number} of its playlist is too long")
            return False
        if tag in _READ_HERE:
            _READ_HERE[tag](self, value, data, state)
        return True

    def fold(self, data: dict[str, Any], state: dict[str, Any]) -> None:
        """Take what the library has read since: rows that are whole, and parts of the one to come."""
        for row in data["segments"]:
            self._fold_parts(row)
            if uri := row.get("uri"):
                self._fold_row(uri, row)
        data["segments"].clear()
        if segment := state.get("segment"):
            self._fold_parts(segment)

    def _fold_row(self, uri: str, row: Mapping[str, Any]) -> None:
        duration = _seconds(row.get("duration"))
        self.longest = max(self.longest, duration)
        self._rows += 1
        self.begun = True
        if self._clock is not None:
            self._clock += duration
        self._parts, self._elapsed = 0, 0.0
        if not self._gap:
            self._found(uri, duration, row.get("byterange"), self._clock)
        self._gap = False

    def _fold_parts(self, segment: dict[str, Any]) -> None:
        for part in segment.pop("parts", ()):
            duration = _seconds(part.get("duration"))
            self.begun = True
            self._parts += 1
            self._elapsed += duration
            if (uri := part.get("uri")) and part.get("gap") != "YES":
                until = None if self._clock is None else self._clock + self._elapsed
                self._found(uri, duration, part.get("byterange"), until)

    def _found(self, uri: str, duration: float, extent: object, until: float | None) -> None:
        if len(uri) > LONGEST:  # it would be kept, to tell rows apart
            raise MalformedPlaylist("an address in its playlist is too long")
        start = int(told[1]) if (told := _EXTENT.fullmatch(str(extent))) else 0
        extent = extent and str(extent)[:_LONGEST_EXTENT]
        self.newest.append(_Piece(uri, start, (self._rows, self._parts, self._breaks, duration, extent), until))

    def _take_target(self, value: str, data: dict[str, Any], state: dict[str, Any]) -> None:
        """Many servers write fractions, which the library refuses."""
        self.begun = True
        self.target = float(value)

    def _take_date(self, value: str, data: dict[str, Any], state: dict[str, Any]) -> None:
        """Take the time at which the row or part to come begins; a broken or absurd one is as good as none."""
        if (unix := _unix(value)) is not None:
            self._clock = unix - self._elapsed

    def _take_break(self, value: str, data: dict[str, Any], state: dict[str, Any]) -> None:
        self._breaks += 1

    def _take_gap(self, value: str, data: dict[str, Any], state: dict[str, Any]) -> None:
        """The library would give it to a part."""
        self._gap = True

    def _take_variant(self, value: str, data: dict[str, Any], state: dict[str, Any]) -> None:
        """Of a variant only its address counts, whatever its attributes are."""
        data["is_variant"] = True
        state["expect_playlist"], state["stream_info"] = True, {}


# The library reads rows, parts and renditions; the rest of its tags is left out.
_READ_BY_LIBRARY: Final = frozenset((
    "#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-ENDLIST", "#EXT-X-MEDIA",
    "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-PART", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-SKIP",
))  # fmt: skip
_READ_HERE: Final[Mapping[str, Callable[[_Reader, str, dict[str, Any], dict[str, Any]], None]]] = {
    "#EXT-X-TARGETDURATION": _Reader._take_target,
    "#EXT-X-PROGRAM-DATE-TIME": _Reader._take_date,
    "#EXT-X-DISCONTINUITY": _Reader._take_break,
    "#EXT-X-GAP": _Reader._take_gap,
    "#EXT-X-STREAM-INF": _Reader._take_variant,
}


def _master(data: Mapping[str, Any], reader: _Reader, url: str) -> Master:
    if reader.begun:
        raise MalformedPlaylist("its playlist mixes variants and segments")
    sound = [one["uri"] for one in data["media"] if one.get("type") == "AUDIO" and one.get("uri")]
    found = dict.fromkeys([*(one["uri"] for one in data["playlists"]), *sound])
    if not found:
        raise MalformedPlaylist("its playlist names no variant")
    return Master(tuple(dict.fromkeys(_whole(uri, url) for uri in found)))


def _media(data: Mapping[str, Any], reader: _Reader, url: str) -> Media:
    if not reader.begun:
        raise MalformedPlaylist("its playlist names neither variants nor segments")
    target = reader.target if 0 < reader.target <= _LONGEST_TARGET else reader.longest or _USUAL_TARGET
    target = target if reader.longest < target + 0.5 else reader.longest  # rows may be longer by what rounding hides
    last = reader.newest[-1] if reader.newest else None
    starts: dict[str, int] = {}
    for piece in reversed(reader.newest):
        starts.setdefault(piece.uri, piece.start)
    newest = tuple(Newest(_whole(uri, url), start) for uri, start in islice(starts.items(), 2))
    numbered = data["media_sequence"] or data["playlist_type"] == "event"
    names = frozenset(() if numbered else (urlsplit(piece.uri).path for piece in reader.newest))
    listed, until = tuple(piece.uri for piece in reader.newest), last.until if last else None
    return Media(target, _rows(data, last, names), newest, until, data["is_endlist"], names, listed)


def _rows(data: Mapping[str, Any], last: _Piece | None, names: frozenset[str]) -> tuple[object, ...]:
    """Return the place of the newest row or part, counted from the stream's beginning.

    Rows that only leave the window change nothing. Names count only where rows are not numbered: tokens in them may be
    new each time, and players go by numbers too.
    """
    if last is None:
        return ()
    row, part, breaks, *rest = last.place
    first = data["media_sequence"] + data["skip"].get("skipped_segments", 0)
    name = urlsplit(last.uri).path if names else ""
    return first + row, part, data.get("discontinuity_sequence", 0) + breaks, *rest, name


def _seconds(duration: float | None) -> float:
    return duration if duration is not None and 0 < duration <= _LONGEST_TARGET else 0.0


def _unix(date: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(date.strip().upper())
        unix = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return unix if _DATES[0] <= unix <= _DATES[1] else None


def _whole(uri: str, base: str) -> str:
    if "{$" in uri:
        raise MalformedPlaylist("its playlist uses variables (EXT-X-DEFINE), which this check does not fill in")
    try:
        return whole(base, uri)
    except ValueError:
        raise MalformedPlaylist("an address in its playlist is broken") from None
