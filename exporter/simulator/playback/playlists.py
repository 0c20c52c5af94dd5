"""HLS playlists (RFC 8216bis) of a push.

https://datatracker.ietf.org/doc/html/draft-pantos-hls-rfc8216bis
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from exporter.simulator.playback.frames import VARIANTS
from exporter.simulator.playback.timeline import PARTS, Push

LONGEST_EVENT: Final = 1800
"""Rows of an EVENT list; after so many a new list begins."""

Link = Callable[[str], str]
"""Returns the address of a file, relative to the playlist's."""


def master(link: Link) -> str:
    """Return a playlist of all variants."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in VARIANTS.values():
        size = f'RESOLUTION={variant.width}x{variant.height},CODECS="{variant.codecs}"'
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={variant.bits},{size}", link(f"{variant.name}.m3u8")]
    return _text(lines)


def sliding(push: Push, rows: int, name: str, link: Link) -> str:
    """Return the newest rows; `name` begins those of the segments."""
    first = max(push.first, push.last - rows + 1)
    return _text([*_head(push, 4, first), *_rows(push, range(first, push.last + 1), name, link), *_end(push)])


def event(push: Push, name: str, link: Link) -> str:
    """Return a list that grows from the beginning of the push, or from when the one before it was full."""
    first = push.first + (push.last - push.first) // LONGEST_EVENT * LONGEST_EVENT
    rows = _rows(push, range(first, push.last + 1), name, link)
    return _text([*_head(push, 4, 0), "#EXT-X-PLAYLIST-TYPE:EVENT", *rows, *_end(push)])


def low_latency(push: Push, rows: int, name: str, link: Link) -> str:
    """Return the newest rows, and the parts of the last two and of what comes next."""
    first, duration = max(push.first, push.last - rows + 1), push.target / PARTS
    lines = [*_head(push, 9, first), f"#EXT-X-SERVER-CONTROL:PART-HOLD-BACK={3 * duration:g}"]
    lines += [f"#EXT-X-PART-INF:PART-TARGET={duration:g}"]
    for number in range(first, push.last + 2):
        if number >= push.last - 1:
            parts = range(number * PARTS, min((number + 1) * PARTS, push.last_part + 1))
            links = [link(f"{name}-{number}.{part % PARTS}.ts") for part in parts]
            lines += [f'#EXT-X-PART:DURATION={duration:g},URI="{each}",INDEPENDENT=YES' for each in links]
        if number <= push.last:
            lines += _rows(push, range(number, number + 1), name, link)
    if push.live:
        number, part = divmod(push.last_part + 1, PARTS)
        lines += [f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{link(f"{name}-{number}.{part}.ts")}"']
    return _text([*lines, *_end(push)])


def _head(push: Push, version: int, first: int) -> list[str]:
    target = f"#EXT-X-TARGETDURATION:{push.target}"
    return ["#EXTM3U", f"#EXT-X-VERSION:{version}", target, f"#EXT-X-MEDIA-SEQUENCE:{first}"]


def _rows(push: Push, numbers: range, name: str, link: Link) -> Iterator[str]:
    for number in numbers:
        begins = datetime.fromtimestamp(number * push.target, UTC)
        yield f"#EXT-X-PROGRAM-DATE-TIME:{begins:%Y-%m-%dT%H:%M:%S}.000Z"
        yield f"#EXTINF:{push.target}.000,"
        yield link(f"{name}-{number}.ts")


def _end(push: Push) -> list[str]:
    return [] if push.live else ["#EXT-X-ENDLIST"]


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
