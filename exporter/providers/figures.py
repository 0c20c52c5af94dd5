"""Reads what arrives of a stream from the rows of a list: a table says which fields hold what, and in which unit.

A value that cannot be true costs its row the figures and no more: the list may hold streams of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.model import Figures
from exporter.providers.interface import Malformed

MOST: Final[Mapping[str, float]] = {"bits": 1e12, "frames": 1e5, "pixels": 1e5, "bytes": 1e18}
"""What no encoder sends: above these a value is no figure."""

RATES: Final = ("stream_ingest_bits_per_second", "stream_ingest_frames_per_second")
PICTURE: Final = ("stream_ingest_width_pixels", "stream_ingest_height_pixels")
STALLED: Final = "stream_ingest_stalled"
"""The metrics, for `Provider.metric_sources`."""

_SIZE = re.compile(r"([0-9]{1,6})[*xX×]([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which fields of a row hold its figures.

    Attributes:
        bits: The field of each kind of media.
        told: Whether these are shown; where their unit is unknown, they only say whether anything arrives.
        unit: Bits per second in one unit of these fields.
        frames: The field with the frames of video.
        others: Fields with frames of other media, which show that something arrives.
        width, height: The fields with the size of the picture in pixels.
        size: The field with both, such as `1280*720`.
        received: The field with the bytes since the push began.
        now: Whether the values are of this moment, so that zeros mean that nothing arrives.
    """

    bits: Mapping[str, str] = field(default_factory=dict)
    told: bool = True
    unit: float = 1.0
    frames: str = ""
    others: tuple[str, ...] = ()
    width: str = ""
    height: str = ""
    size: str = ""
    received: str = ""
    now: bool = True

    def read(self, row: Mapping[str, Any]) -> Figures | None:
        """Return the figures of a row; None if it has none, or holds a value that none can have."""
        try:
            bits = {kind: _number(row, name, MOST["bits"], self.unit) for kind, name in self.bits.items()}
            told = tuple((kind, value) for kind, value in bits.items() if value is not None and self.told)
            frames = _number(row, self.frames, MOST["frames"])
            others = [_number(row, name, MOST["frames"]) for name in self.others]
            width, height = self._size(row)
            received = _number(row, self.received, MOST["bytes"])
        except Malformed:
            return None
        stalled = stands_still(bits.values(), (frames, *others)) if self.now else None
        found = Figures(told, frames, width, height, stalled, None if received is None else int(received))
        return None if found == _NOTHING else found

    def _size(self, row: Mapping[str, Any]) -> tuple[int | None, int | None]:
        if self.size:
            found = row.get(self.size)
            if found is None or found == "":
                return None, None
            if not isinstance(found, str) or (parts := _SIZE.fullmatch(found)) is None:
                raise Malformed(f"{self.size} is no size")
            sides = {"width": int(parts[1]), "height": int(parts[2])}
            return _pixels(sides, "width"), _pixels(sides, "height")
        return _pixels(row, self.width), _pixels(row, self.height)


_NOTHING: Final = Figures()


def read_all(row: Mapping[str, Any], *tables: Columns) -> Figures | None:
    """Return what several tables find in a row; a value that cannot be true costs the figures of its own table."""
    found = _NOTHING
    for table in tables:
        if (part := table.read(row)) is not None:
            told = {name: value for name, value in part._asdict().items() if value not in (None, ())}
            found = found._replace(**told)
    return None if found == _NOTHING else found


def stands_still(bits: Iterable[float | None], frames: Iterable[float | None]) -> bool | None:
    """Say whether nothing arrives: no bits and no frames. Without frames, sound may arrive; without bits, who knows."""
    rates, pictures = list(bits), list(frames)
    if any(value for value in (*rates, *pictures)):
        return False
    return True if rates and None not in rates else None


def _number(row: Mapping[str, Any], name: str, most: float, unit: float = 1.0) -> float | None:
    """Return a number that is neither negative nor absurd, in units of the metric; None if it is missing or null."""
    value = row.get(name) if name else None
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= most / unit:  # NaN is not
        raise Malformed(f"{name} is no figure")
    return float(value) * unit + 0.0


def _pixels(row: Mapping[str, Any], name: str) -> int | None:
    """Return a side of the picture; None if it is missing, or 0 as where there is no picture."""
    value = _number(row, name, MOST["pixels"])
    if value is not None and not value.is_integer():
        raise Malformed(f"{name} is no figure")
    return int(value) if value else None
