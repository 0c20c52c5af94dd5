"""The files of each stream under `/playback/PROVIDER/NAME/`, as functions of the time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from exporter.simulator.faults import Wire
from exporter.simulator.playback import flv, mpegts, playlists, tokens
from exporter.simulator.playback.frames import HIGH, VARIANTS
from exporter.simulator.playback.timeline import PARTS, Push, push_at
from exporter.simulator.types import Stream

PREFIX: Final = "/playback/"
LIVE_FLV: Final = "live.flv"
_PLAYLIST, _SEGMENT, _FLV = "application/vnd.apple.mpegurl", "video/mp2t", "video/x-flv"
# What follows the name of a stream, or of its variant: the number of a segment, and that of its part.
_NUMBERS = re.compile(r"-(?P<number>[0-9]{1,12})(?:\.(?P<part>[0-3]))?\.ts")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a viewer asks for.

    Attributes:
        stream: The stream; None if there is none of that name.
        path: The path, as requested.
        file: The name of the file, decoded.
        query: The decoded query.
    """

    stream: Stream | None
    path: str
    file: str
    query: Mapping[str, str]

    @property
    def action(self) -> str:
        """What a fault calls it: the file, or `segment` for each segment and part."""
        return "segment" if self.file.endswith(".ts") else self.file

    def link(self, now: float) -> playlists.Link:
        """Return what makes addresses beside this one, signed at a time in Unix seconds if the stream demands it."""
        folder = self.path.rpartition("/")[0]

        def link(file: str) -> str:
            name = quote(file, safe="")
            query = self.stream and tokens.sign(self.stream.playback.keys, f"{folder}/{name}", now)
            return f"{name}?{query}" if query else name

        return link


def find(streams: Mapping[str, Stream], path: str, raw_query: str) -> Asked:
    """Return what an encoded path asks for; slashes in a stream's name may be encoded or not."""
    folder, _, file = path.rpartition("/")
    key = unquote(folder.removeprefix(PREFIX))
    return Asked(streams.get(key), path, unquote(file), dict(parse_qsl(raw_query, keep_blank_values=True)))


def write(asked: Asked, now: float) -> Wire:
    """Return the answer at a time in Unix seconds; of `live.flv` its beginning."""
    stream = asked.stream
    if stream is None:
        return _refused(404)
    if not tokens.is_signed(stream.playback.keys, asked.path, asked.query, now):
        return _refused(403)
    push = push_at(stream, now)
    if push is None or asked.action in stream.playback.missing:
        return _refused(404)
    if asked.action == "segment":
        return _media(stream, push, asked.file)
    if asked.file == LIVE_FLV:
        return (
            Wire(200, {"Content-Type": _FLV}, flv.head(flv.milliseconds(burst(push), push.began)))
            if push.live
            else _refused(404)
        )
    writer = _PLAYLISTS.get(asked.file)
    if writer is None:
        return _refused(404)
    text = writer(stream, push, asked.link(now))
    return Wire(200, {"Content-Type": _PLAYLIST, "Cache-Control": "no-cache"}, text.encode())


def burst(push: Push) -> float:
    """Return from when on, in Unix seconds, a new viewer of FLV gets media."""
    return max(push.began, push.edge - flv.BURST)


def ranged(wire: Wire, wanted: str) -> Wire:
    """Return the range that a header asks for; all if it asks for none or for several, or if there is nothing."""
    found = re.fullmatch(r"bytes=([0-9]{0,12})-([0-9]{0,12})", wanted)
    if found is None or not any(found.groups()) or not wire.body:
        return wire
    size = len(wire.body)
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Wire(416, {"Content-Range": f"bytes */{size}", "Content-Type": "text/plain"}, b"")
    headers = {**wire.headers, "Content-Range": f"bytes {first}-{last}/{size}"}
    return Wire(206, headers, wire.body[first : last + 1])


def _refused(status: int) -> Wire:
    return Wire(status, {"Content-Type": "text/plain"}, b"")


def _media(stream: Stream, push: Push, file: str) -> Wire:
    """Return a segment or a part, if it is whole by now."""
    variant = next((name for name in VARIANTS if file.startswith(_begins(stream, name))), "")
    found = _NUMBERS.fullmatch(file.removeprefix(_begins(stream, variant)))
    if found is None:
        return _refused(404)
    number = int(found["number"])
    newest = number * PARTS + int(found["part"] or PARTS - 1)
    if number < push.first or newest > push.last_part:
        return _refused(404)
    name = variant or HIGH.name
    body = mpegts.part(newest, push.target, name) if found["part"] else mpegts.segment(number, push.target, name)
    return Wire(200, {"Content-Type": _SEGMENT, "Accept-Ranges": "bytes"}, body)


def _begins(stream: Stream, variant: str = "") -> str:
    """Return how the names of segments begin."""
    return f"{stream.name}-{variant}" if variant else stream.name


def _sliding(variant: str = "") -> Callable[[Stream, Push, playlists.Link], str]:
    return lambda stream, push, link: playlists.sliding(push, stream.playback.rows, _begins(stream, variant), link)


_PLAYLISTS: Final[Mapping[str, Callable[[Stream, Push, playlists.Link], str]]] = {
    "master.m3u8": lambda _stream, _push, link: playlists.master(link),
    "index.m3u8": _sliding(),
    **{f"{name}.m3u8": _sliding(name) for name in VARIANTS},
    "low-latency.m3u8": lambda stream, push, link: playlists.low_latency(
        push, stream.playback.rows, _begins(stream), link
    ),
    "event.m3u8": lambda stream, push, link: playlists.event(push, _begins(stream), link),
}
