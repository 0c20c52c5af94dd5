"""HTTP-FLV: the head of a stream and its tags.

Adobe Flash Video File Format Specification 10.1, annex E: https://rtmp.veriskope.com/pdf/video_file_format_spec_v10_1.pdf
"""

from __future__ import annotations

import struct
from typing import Final

from exporter.simulator.playback.frames import AUDIO_CONFIG, FRAMES, HIGH, SILENCE, frames

AUDIO, VIDEO, SCRIPT = 8, 9, 18
BURST: Final = 1.0
"""Seconds of media that a new viewer gets at once."""
_KEY_FRAME, _AAC = b"\x17", b"\xaf"


def head(time: int) -> bytes:
    """Return header, metadata, and the decoders' configurations with a time in milliseconds."""
    sets = HIGH.parameters, HIGH.picture_parameters
    config = b"\x01" + sets[0][1:4] + b"\xff"  # ISO/IEC 14496-15, 5.2.4.1
    config += b"".join(
        b"%c%b%b" % (count, len(unit).to_bytes(2, "big"), unit) for count, unit in zip((0xE1, 1), sets, strict=True)
    )
    return b"".join(
        (
            b"FLV\x01\x05\0\0\0\x09\0\0\0\0",
            _tag(SCRIPT, 0, _metadata()),
            _tag(VIDEO, time, _KEY_FRAME + b"\0\0\0\0" + config),
            _tag(AUDIO, time, _AAC + b"\0" + AUDIO_CONFIG),
        )
    )


def tags(since: float, until: float, began: float) -> bytes:
    """Return the tags of the media from one time to before another, in Unix seconds, of a push that began then."""
    picture = _KEY_FRAME + b"\x01\0\0\0" + len(HIGH.picture).to_bytes(4, "big") + HIGH.picture
    sound = _AAC + b"\x01" + SILENCE
    return b"".join(
        _tag(
            VIDEO if frame.picture else AUDIO,
            milliseconds(float(frame.time), began),
            picture if frame.picture else sound,
        )
        for frame in frames(since, until)
    )


def milliseconds(time: float, began: float) -> int:
    """Return the timestamp of a time in Unix seconds: since the push began, with 32 bits."""
    return max(0, int((time - began) * 1000)) & 0xFFFFFFFF


def _tag(kind: int, time: int, data: bytes) -> bytes:
    # Type, size, the lower and then the upper part of the time, stream 0; behind it the size of all that.
    front = struct.pack(">B", kind) + len(data).to_bytes(3, "big")
    front += (time & 0xFFFFFF).to_bytes(3, "big") + bytes((time >> 24 & 0xFF,)) + b"\0\0\0"
    return front + data + (len(front) + len(data)).to_bytes(4, "big")


def _metadata() -> bytes:
    """Return `onMetaData` in AMF 0: a text, then an array of numbers by name."""
    known = {
        "width": HIGH.width,
        "height": HIGH.height,
        "framerate": int(FRAMES),
        "videocodecid": 7,
        "audiocodecid": 10,
    }
    pairs = b"".join(_text(name) + b"\0" + struct.pack(">d", value) for name, value in known.items())
    return b"\x02" + _text("onMetaData") + b"\x08" + len(known).to_bytes(4, "big") + pairs + b"\0\0\x09"


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()
