"""HTTP-FLV: whether tags come whose timestamps advance.

Adobe Flash Video File Format Specification 10.1, annex E: https://rtmp.veriskope.com/pdf/video_file_format_spec_v10_1.pdf
Enhanced RTMP 2: https://veovera.org/docs/enhanced/enhanced-rtmp-v2
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 256 << 10
"""What a check costs at most."""

MOST_TAKEN: Final = 208 << 10
"""What is taken of that: the rest may have come before it is known that it is enough."""

ADVANCE_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0
SIGNATURE: Final = b"FLV"

_SPREAD_SECONDS: Final = 0.5
_HEADER, _TAG, _SIZE, _PEEKED = 9, 11, 4, 2  # bytes: file header, tag header, size behind a tag, what is looked at
_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_JUMP: Final = int(SILENT_SECONDS * 1000)
_BACK: Final = 1000
_WRAP: Final = 1 << 32

# What prepares a decoder, or says that nothing more comes, is no media: its timestamp is often 0.
_CODECS_WITH_HEADERS: Final = (7, 12, 13)  # AVC; HEVC and AV1 as Chinese servers send them
_AAC, _ENHANCED_AUDIO, _COMMAND = 10, 9, 5
_CODED, _CODED_WITHOUT_OFFSET, _MODIFIED = 1, 3, 7
_MULTITRACK: Final = {_VIDEO: 6, _AUDIO: 5}


class MalformedFlv(Exception):  # noqa: N818 - a finding
    """The bytes are not FLV from here on; its text says how, in words of ours."""


class FlvReader:
    """Reads a stream's bytes as they come; nothing of them is kept.

    Attributes:
        tags: Tags of audio and video that have come; those that only prepare a decoder don't count.
        last: When the last of them came, in monotonic seconds; None before the first.
    """

    def __init__(self) -> None:
        self.tags = 0
        self.last: float | None = None
        self._first = 0.0
        self._tracks: dict[int, _Track] = {}
        self._held = bytearray()
        self._expect(len(SIGNATURE), self._take_signature)
        self._kind = self._stamp = self._size = 0

    def feed(self, data: bytes, now: float) -> None:
        """Take more bytes, which came at a time in monotonic seconds; raises `MalformedFlv`."""
        place = 0
        while place < len(data):
            if self._skip:
                passed = min(self._skip, len(data) - place)
                self._skip -= passed
                place += passed
                continue
            taken = data[place : place + self._wanted - len(self._held)]
            self._held += taken
            place += len(taken)
            if len(self._held) == self._wanted:
                self._take(now)

    @property
    def within_media(self) -> bool:
        """Whether the rest of a tag of audio or video is still to come."""
        return self._kind in (_AUDIO, _VIDEO) and self._skip > _SIZE

    @property
    def stands_still(self) -> bool:
        """Whether more tags of a kind than one have come, and no timestamp has advanced."""
        return self.tags > len(self._tracks) and not self.advanced

    @property
    def advanced(self) -> float:
        """By how many seconds the timestamps of audio or video have advanced since the first of them.

        Jumps, as of a server that begins again or sends an old tag first, are no advance.
        """
        return max((track.advanced for track in self._tracks.values()), default=0) / 1000

    @property
    def lively(self) -> bool:
        """Whether timestamps have advanced for a second, and a tag came half a second or more after the first one.

        A server may keep the last seconds of a push that has stopped, and send them all at once.
        """
        return self.last is not None and self.last - self._first >= _SPREAD_SECONDS and self.advanced >= ADVANCE_SECONDS

    def _expect(self, wanted: int, take: Callable[[float], None], skip: int = 0) -> None:
        """Hand the next bytes, so many, to a step, after others that are passed over."""
        self._held.clear()
        self._wanted, self._take, self._skip = wanted, take, skip

    def _take_signature(self, now: float) -> None:
        if self._held != SIGNATURE:
            raise MalformedFlv("it is not FLV")
        self._expect(_HEADER - len(SIGNATURE), self._take_header)

    def _take_header(self, now: float) -> None:
        offset = int.from_bytes(self._held[2:])
        if not _HEADER <= offset <= MOST_BYTES:
            raise MalformedFlv("its FLV header has an impossible size")
        self._expect(_TAG, self._take_tag, offset - _HEADER + _SIZE)

    def _take_tag(self, now: float) -> None:
        """Take a tag's header; sizes behind tags are not looked at, as many servers send zeros."""
        head = self._held
        self._kind = head[0] & 0x1F
        if head[0] & 0xC0 or self._kind not in (_AUDIO, _VIDEO, _SCRIPT):
            raise MalformedFlv(f"its FLV tag {self.tags + 1} is neither audio nor video nor data")
        self._size = int.from_bytes(head[1:4])
        self._stamp = head[7] << 24 | int.from_bytes(head[4:7])
        if self._kind == _SCRIPT or not self._size:
            self._expect(_TAG, self._take_tag, self._size + _SIZE)
        else:
            self._expect(min(self._size, _PEEKED), self._take_start)

    def _take_start(self, now: float) -> None:
        """Take the first bytes of a tag's body, which say whether it holds media."""
        start = bytes(self._held).ljust(_PEEKED, b"\xff")
        if _holds_media(self._kind, start[0], start[1]):
            self.tags += 1
            self._first = now if self.last is None else self._first
            self.last = now
            self._tracks.setdefault(self._kind, _Track(self._stamp)).move(self._stamp)
        self._expect(_TAG, self._take_tag, self._size - self._wanted + _SIZE)


class _Track:
    """The timestamps of audio or of video, in milliseconds modulo 2^32.

    Attributes:
        advanced: By how many milliseconds they have advanced without jumps.
    """

    def __init__(self, stamp: int) -> None:
        self.advanced = 0
        self._top = stamp

    def move(self, stamp: int) -> None:
        step = (stamp - self._top + _WRAP // 2) % _WRAP - _WRAP // 2
        if 0 < step <= _JUMP:
            self.advanced += step
        if step > 0 or step < -_BACK:
            self._top = stamp


def _holds_media(kind: int, first: int, second: int) -> bool:
    """Whether a tag holds sound or pictures, by the first two bytes of its body."""
    if kind == _VIDEO:
        enhanced, codec, command = first & 0x80, first & 0x0F, first >> 4 & 7 == _COMMAND
        with_header = codec in _CODECS_WITH_HEADERS
    else:
        enhanced, codec, command = first >> 4 == _ENHANCED_AUDIO, first & 0x0F, False
        with_header = first >> 4 == _AAC
    if command:
        return False
    if enhanced:
        packet = second & 0x0F if codec == _MULTITRACK[kind] else codec
        return packet in (_CODED, _CODED_WITHOUT_OFFSET, _MODIFIED)
    return not with_header or second == _CODED
