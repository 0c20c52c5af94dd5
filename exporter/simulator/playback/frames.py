"""The pictures and sounds of every stream: one colour and silence, as functions of the time.

Video is H.264 with key frames only, ten a second; audio is AAC-LC in stereo at 44.1 kHz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

FRAMES: Final = Fraction(10)
"""Video frames a second."""
SOUNDS: Final = Fraction(44_100, 1024)
"""AAC frames a second."""
SILENCE: Final = bytes.fromhex("210049900219002380")
AUDIO_CONFIG: Final = bytes.fromhex("1210")  # AAC-LC, 44.1 kHz, stereo: ISO/IEC 14496-3, 1.6.2.1
# Eleven bits of sync, MPEG-4, no CRC, the same configuration, and the length of 16 bytes: 1.A.2.2.1
ADTS: Final = bytes.fromhex("fff15080021ffc")


@dataclass(frozen=True, slots=True)
class Variant:
    """One quality of a stream; the parts of its video are H.264 NAL units without start codes."""

    name: str
    width: int
    height: int
    bits: int  # a second, as a master playlist says
    parameters: bytes  # sequence parameter set
    picture_parameters: bytes
    picture: bytes  # a key frame

    @property
    def codecs(self) -> str:
        """The codecs as RFC 6381 writes them."""
        return f"avc1.{self.parameters[1:4].hex()},mp4a.40.2"


# Encoded by x264 from one frame of one colour.
_PICTURE_PARAMETERS = bytes.fromhex("68ee0f2c80")
HIGH: Final = Variant(
    "high", 1280, 720, 50_000,
    bytes.fromhex("674d401fdc05005bb011000003000100000300140f183380"), _PICTURE_PARAMETERS,
    bytes.fromhex(
        "65888404bffee8c9fccb2c5b27d3e9c39650af69c7308f474c3abd4728f90da3117944430000030000030000030000030002"
        "08ff33af38357f41dc24000003000007c80006300008a80010b000350000c9000388000fe0004c80021a000fb000628003ac"
        "0000030000030000030000030000030000030000030000030000030000030000030000030000030000030000030000030000"
        "0300000300000300000300000300000300000300000300000300000300000300000300000300000300000300000300000300"
        "0003000003000003000003000003000d99"
    ),
)  # fmt: skip
LOW: Final = Variant(
    "low", 640, 360, 40_000,
    bytes.fromhex("674d4016dc0a02ff97011000000300100000030140f162f8"), _PICTURE_PARAMETERS,
    bytes.fromhex(
        "65888404bffee8c9fccb2c5b27d3e9c39650af69c7308f474c3abd4728f90da311794443000003000003000003003000e80b"
        "1a5d6440375e00000301920035e12d09a87505c06a0778a08ea14c20040000030000030000030000030000030005bd"
    ),
)  # fmt: skip
VARIANTS: Final = {variant.name: variant for variant in (HIGH, LOW)}


class Frame(NamedTuple):
    """A frame: when it is shown, in Unix seconds, its number since 1970, and whether it is a picture."""

    time: Fraction
    number: int
    picture: bool


def frames(since: float | Fraction, until: float | Fraction, group: int = 1) -> Iterator[Frame]:
    """Yield the frames from one time to before another, in order; only each `group`-th sound."""
    sounds = SOUNDS / group
    found = [
        Frame(number / rate, number, rate is FRAMES)
        for rate in (FRAMES, sounds)
        for number in _numbers(since, until, rate)
    ]
    yield from sorted(found)


def _numbers(since: float | Fraction, until: float | Fraction, rate: Fraction) -> range:
    return range(ceil(Fraction(since) * rate), ceil(Fraction(until) * rate))
