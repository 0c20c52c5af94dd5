"""HTTP-FLV: whether tags come whose timestamps advance.

Adobe Flash Video File Format Specification 10.1, annex E: https://rtmp.veriskope.com/pdf/video_file_format_spec_v10_1.pdf
"""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 256 << 10
ADVANCE_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0
SIGNATURE: Final = b"FLV"


class MalformedFlv(Exception):  # noqa: N818 - a finding
    """The bytes are not FLV from here on; its text says how, in words of ours."""


class FlvReader:
    """Reads a stream's bytes as they come; nothing of them is kept.

    Attributes:
        tags: Tags of audio and video that have begun... see `feed`.
        last: When the last of them came, in monotonic seconds; None before the first.
    """

    tags: int
    last: float | None

    def feed(self, data: bytes, now: float) -> None:
        """Take more bytes, which came at a time in monotonic seconds; raises `MalformedFlv`."""
        raise NotImplementedError

    @property
    def advanced(self) -> float:
        """By how many seconds the timestamps of audio and video have advanced since the first of them."""
        raise NotImplementedError

    @property
    def lively(self) -> bool:
        """Whether timestamps have advanced for a second, and a tag came half a second or more after the first one.

        A server may keep the last seconds of a push that has stopped, and send them all at once.
        """
        raise NotImplementedError
