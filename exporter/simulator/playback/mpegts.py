"""Segments and parts as an MPEG transport stream: one programme with H.264 and AAC (ISO/IEC 13818-1)."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Final

from exporter.simulator.playback.frames import ADTS, SILENCE, VARIANTS, Variant, frames
from exporter.simulator.playback.timeline import PARTS

PACKET: Final = 188
_CLOCK: Final = 90_000  # ticks a second; counters have 33 bits
_DELAY: Final = _CLOCK // 5  # from a picture's arrival to its showing
_PROGRAMMES, _PROGRAMME, _VIDEO, _AUDIO = 0, 0x1000, 0x100, 0x101  # packet identifiers
_SOUNDS: Final = 8  # AAC frames in a packet
_START: Final = b"\0\0\0\1"
_DELIMITER: Final = _START + b"\x09\xf0"


def segment(number: int, target: int, variant: str) -> bytes:
    """Return a segment, which is its parts one after another."""
    return b"".join(part(number * PARTS + index, target, variant) for index in range(PARTS))


@lru_cache(maxsize=256)
def part(number: int, target: int, variant: str) -> bytes:
    """Return a part: a quarter of a segment, by its number since 1970."""
    since, until = (Fraction(each * target, PARTS) for each in (number, number + 1))
    packets = [_packet(_PROGRAMMES, number, _PROGRAMMES_TABLE), _packet(_PROGRAMME, number, _PROGRAMME_TABLE)]
    picture = _picture(VARIANTS[variant])
    for frame in frames(since, until, _SOUNDS):
        time = int(frame.time * _CLOCK)
        if frame.picture:
            packets.append(_packets(_VIDEO, frame.number, _elementary(0xE0, time + _DELAY, picture), time))
        else:
            packets.append(_packets(_AUDIO, frame.number, _elementary(0xC0, time + _DELAY, (ADTS + SILENCE) * _SOUNDS)))
    return b"".join(packets)


def _picture(variant: Variant) -> bytes:
    return _DELIMITER + b"".join(
        _START + unit for unit in (variant.parameters, variant.picture_parameters, variant.picture)
    )


def _elementary(kind: int, time: int, data: bytes) -> bytes:
    """Return a packet of an elementary stream (2.4.3.6) with the time at which it is shown."""
    time %= 1 << 33
    stamp = bytes(
        (0x21 | time >> 29 & 0x0E, time >> 22 & 0xFF, time >> 14 & 0xFE | 1, time >> 7 & 0xFF, time << 1 & 0xFE | 1)
    )
    length = len(data) + 8
    return b"\0\0\1" + bytes((kind, length >> 8, length & 0xFF, 0x84, 0x80, 5)) + stamp + data


def _packets(identifier: int, number: int, data: bytes, clock: int | None = None) -> bytes:
    """Divide what begins a frame into packets; all frames of a kind need equally many, so counters never jump."""
    reference = b"" if clock is None else _reference(clock)
    room = PACKET - 4
    first = room - (2 + len(reference) if reference else 0)
    pieces = [data[:first], *(data[start : start + room] for start in range(first, len(data), room))]
    return b"".join(
        _packet(identifier, number * len(pieces) + index, piece, not index, b"" if index else reference)
        for index, piece in enumerate(pieces)
    )


def _reference(clock: int) -> bytes:
    """Return the program clock reference (2.4.3.5)."""
    return ((clock % (1 << 33)) << 15 | 0x7E00).to_bytes(6, "big")


def _packet(identifier: int, counter: int, payload: bytes, begins: bool = True, reference: bytes = b"") -> bytes:
    """Return a packet (2.4.3.2), filled up by its adaptation field."""
    head = bytes((0x47, begins << 6 | identifier >> 8, identifier & 0xFF))
    spare = PACKET - 4 - len(payload)
    if not spare:
        return head + bytes((0x10 | counter & 0x0F,)) + payload
    # The field: its length, then flags (random access and clock reference), then stuffing.
    flags = bytes((0x50 if reference else 0,)) if spare > 1 else b""
    field = (flags + reference).ljust(spare - 1, b"\xff")
    return head + bytes((0x30 | counter & 0x0F, len(field))) + field + payload


def _table(content: bytes) -> bytes:
    """Return a table's section (2.4.4) with its pointer and checksum, filled up to a packet."""
    section = content[:1] + (0xB000 | len(content) + 3).to_bytes(2, "big") + content[1:]
    whole = b"\0" + section + _checksum(section).to_bytes(4, "big")
    return whole.ljust(PACKET - 4, b"\xff")


def _checksum(data: bytes) -> int:
    """Return the CRC of annex A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc >> 31 else crc << 1) & 0xFFFFFFFF
    return crc


# Table, programme 1, version 0, section 0 of 0; then programme 1, or its clock and its two streams with their types.
_PROGRAMMES_TABLE: Final = _table(bytes.fromhex("00 0001 c1 0000 0001 f000"))
_PROGRAMME_TABLE: Final = _table(bytes.fromhex("02 0001 c1 0000 e100 f000 1b e100 f000 0f e101 f000"))
