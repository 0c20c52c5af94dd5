"""FLV is read as it comes: by any pieces, with nothing kept, and timestamps tell whether it moves."""

import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.playback.flv import ADVANCE_SECONDS, MOST_BYTES, SIGNATURE, FlvReader, MalformedFlv

AUDIO, VIDEO, SCRIPT = 8, 9, 18
HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
AVC, AVC_HEADER = b"\x17\x01\x00\x00\x00frame", b"\x17\x00\x00\x00\x00config"
AAC, AAC_HEADER = b"\xaf\x01sound", b"\xaf\x00\x12\x10"
HOURS = 5 * 3_600_000


def tag(kind: int, stamp: int, body: bytes, behind: int | None = None) -> bytes:
    """Write a tag with the size behind it, or with another one there."""
    size = 11 + len(body) if behind is None else behind
    head = bytes([kind]) + len(body).to_bytes(3) + (stamp & 0xFFFFFF).to_bytes(3) + bytes([stamp >> 24 & 0xFF])
    return head + b"\0\0\0" + body + size.to_bytes(4)


def video(*stamps: int) -> bytes:
    """Write tags of H.264."""
    return b"".join(tag(VIDEO, stamp, AVC) for stamp in stamps)


def read(*pieces: bytes, header: bytes = HEADER) -> FlvReader:
    """Read a file's pieces, the first at second 100 and each other a second later."""
    reader = FlvReader()
    for second, piece in enumerate([header + pieces[0], *pieces[1:]] if pieces else [header]):
        reader.feed(piece, 100.0 + second)
    return reader


def test_a_stream_that_moves_is_lively() -> None:
    """Timestamps that advance for a second, and tags that come over half a second, are a live stream."""
    reader = read(tag(SCRIPT, 0, b"onMetaData") + video(0, 40), tag(AUDIO, 50, AAC), video(1040))
    assert (reader.tags, reader.last, reader.advanced, reader.lively) == (4, 102.0, 1.04, True)


def test_nothing_yet() -> None:
    """A header alone is no sign of life."""
    reader = read()
    assert (reader.tags, reader.last, reader.advanced, reader.lively) == (0, None, 0.0, False)


def test_what_comes_at_once_is_not_lively() -> None:
    """Kept seconds of a push that has stopped come in one burst; half a second later they would be lively."""
    reader = read(video(0, 1000, 2000))
    reader.feed(video(2000), 100.49)
    assert (reader.advanced, reader.lively) == (2.0, False)
    reader.feed(video(2000), 100.5)
    assert reader.lively


@pytest.mark.parametrize(("last", "lively"), [(ADVANCE_SECONDS * 1000 - 1, False), (ADVANCE_SECONDS * 1000, True)])
def test_less_than_a_second_is_not_lively(last: float, lively: bool) -> None:
    """Timestamps have to advance for a whole second."""
    assert read(video(0), video(int(last))).lively is lively


def test_timestamps_that_stand_are_not_lively() -> None:
    """Tags that go on coming with the same timestamp are no stream that moves."""
    reader = read(video(7), video(7), video(7))
    assert (reader.tags, reader.last, reader.advanced, reader.lively) == (3, 102.0, 0.0, False)


@pytest.mark.parametrize(
    ("stamps", "advanced"),
    [
        ([HOURS, HOURS + 40, HOURS + 80], 0.08),
        ([0xFFFFFFF0, 0x10], 0.032),  # wraps at 2^32
        ([0x7FFFFFE0, 0x7FFFFFF0, 0, 40], 0.056),  # some servers wrap at 2^31
        ([0xFFFFE0, 0xFFFFF0, 0, 40], 0.056),  # and some at 2^24
        ([0x7FFFFFF0, 0x80000010], 0.032),  # the others go on there
        ([5000, 6000, 0, 500], 1.5),  # a push that begins again
        ([0, 100, 60, 140, 100, 180], 0.18),  # out of order
        ([1000, 0, 999], 0.0),
        ([1001, 0, 999], 0.999),
        ([0, HOURS, HOURS + 40], 0.04),
        ([0, 10_000], 10.0),
        ([0, 10_001], 0.0),
    ],
)  # fmt: skip
def test_timestamps_advance_without_their_jumps(stamps: list[int], advanced: float) -> None:
    """Neither a wrap nor a new beginning nor an old first tag counts as hours, and steps back are not counted twice."""
    assert read(video(*stamps)).advanced == advanced


def test_sound_and_pictures_have_their_own_clocks() -> None:
    """Audio may be seconds behind video: what interleaves is no advance, and the one that gets on counts."""
    both = b"".join(video(stamp) + tag(AUDIO, stamp - 5000, AAC) for stamp in range(HOURS, HOURS + 3))
    assert read(both).advanced == 0.002
    assert read(video(0) + tag(AUDIO, 0, AAC), tag(AUDIO, 1500, AAC) + video(0)).lively


@pytest.mark.parametrize(
    ("kind", "body", "counts"),
    [
        (VIDEO, AVC, True), (VIDEO, b"\x27\x01", True), (VIDEO, AVC_HEADER, False), (VIDEO, b"\x17\x02", False),
        (VIDEO, b"\x1c\x01", True), (VIDEO, b"\x1c\x00", False), (VIDEO, b"\x1d\x00", False),  # HEVC, AV1
        (VIDEO, b"\x17", False), (VIDEO, b"\x12\x00", True), (VIDEO, b"\x12", True),  # H.263 has no header
        (VIDEO, b"\x57\x01", False), (VIDEO, b"\xd1\x00", False),  # commands
        (VIDEO, b"\x90hvc1", False), (VIDEO, b"\x91hvc1", True), (VIDEO, b"\xa3hvc1", True),
        (VIDEO, b"\x92hvc1", False), (VIDEO, b"\x94hvc1", False), (VIDEO, b"\x95hvc1", False),
        (VIDEO, b"\x97\x00", True),
        (VIDEO, b"\x96\x00av01", False), (VIDEO, b"\x96\x11av01", True),  # several tracks
        (AUDIO, AAC, True), (AUDIO, AAC_HEADER, False), (AUDIO, b"\xaf", False), (AUDIO, b"\x2f\xff", True),
        (AUDIO, b"\x90Opus", False), (AUDIO, b"\x91Opus", True), (AUDIO, b"\x94Opus", False),
        (AUDIO, b"\x95\x00Opus", False), (AUDIO, b"\x95\x01Opus", True), (AUDIO, b"\x96\x01", False),
        (AUDIO, b"", False), (VIDEO, b"", False), (SCRIPT, b"\x17\x01", False), (SCRIPT, b"", False),
        (VIDEO | 0x20, AVC, True),  # encrypted
    ],
)  # fmt: skip
def test_only_media_counts(kind: int, body: bytes, counts: bool) -> None:
    """Configuration of decoders, ends of sequences, metadata and empty tags are no media, in old FLV and enhanced."""
    reader = read(tag(kind, HOURS, body), video(HOURS))
    assert (reader.tags, reader.last) == (1 + counts, 101.0)
    alone = read(tag(kind, HOURS, body))
    assert (alone.tags, alone.last) == (counts, 100.0 if counts else None)


def test_a_header_at_zero_is_no_advance() -> None:
    """Servers send the decoder's configuration with timestamp 0, and go on at the time of the stream."""
    first = tag(VIDEO, 0, AVC_HEADER) + tag(AUDIO, 0, AAC_HEADER)
    assert read(first, video(5000), tag(AUDIO, 5010, AAC)).advanced == 0.0


def test_headers_may_be_longer_and_sizes_wrong() -> None:
    """A header says how long it is; the sizes behind tags are zero or wrong with many servers."""
    longer = b"FLV\x01\x05\x00\x00\x00\x0cxyz\x00\x00\x00\x09"
    pieces = tag(VIDEO, 0, AVC, behind=0), tag(VIDEO, 1200, AVC, behind=0xFFFFFFFF)
    assert read(*pieces, header=longer).lively


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html><body>", "it is not FLV"),
        (b"FLw", "it is not FLV"),
        (b"FLV\x01\x05\x00\x00\x00\x08", "its FLV header has an impossible size"),
        (b"FLV\x01\x05\x01\x00\x00\x09", "its FLV header has an impossible size"),
        (b"FLV\x01\x05" + (MOST_BYTES + 1).to_bytes(4), "its FLV header has an impossible size"),
        (HEADER + tag(10, 0, b"secret"), "its FLV tag 1 is neither audio nor video nor data"),
        (HEADER + tag(AUDIO, 0, AAC) + tag(0x49, 0, AVC), "its FLV tag 2 is neither audio nor video nor data"),
        (HEADER + tag(AUDIO, 0, AAC) + tag(0x89, 0, AVC), "its FLV tag 2 is neither audio nor video nor data"),
    ],
)
def test_what_is_not_flv_is_said(data: bytes, said: str) -> None:
    """Another answer is known by its first bytes, a broken one at its tag, and nothing of it is repeated."""
    with pytest.raises(MalformedFlv, match=f"^{said}$") as failed:
        FlvReader().feed(data, 0.0)
    assert not any(word in str(failed.value) for word in ("html", "secret"))


def test_the_largest_header_is_read() -> None:
    """A header of any size that can be received is passed over."""
    header = b"FLV\x01\x05" + MOST_BYTES.to_bytes(4) + bytes(MOST_BYTES - 9 + 4)
    assert read(video(0), header=header).tags == 1


def test_bodies_are_not_kept() -> None:
    """A tag of 16 MiB costs no memory: it is passed over as it comes."""
    reader = read(bytes([VIDEO]) + b"\xff\xff\xff" + bytes(7) + AVC)
    piece = bytes(1 << 16)
    tracemalloc.start()
    for _ in range(256):
        reader.feed(piece, 101.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000
    assert reader.tags == 1


@pytest.mark.parametrize("size", [1, 5])
def test_bytes_may_come_in_small_pieces(size: int) -> None:
    """Nothing is lost or read twice where a tag's header comes one by one, or with a piece of what follows."""
    reader, data = FlvReader(), HEADER + video(0) + tag(AUDIO, 40, AAC) + video(1500)
    for place in range(0, len(data), size):
        reader.feed(data[place : place + size], float(place))
    assert (reader.tags, reader.advanced, reader.lively) == (3, 1.5, True)


def _outcome(pieces: Iterable[bytes]) -> tuple[object, ...]:
    reader = FlvReader()
    failed = ""
    try:
        for piece in pieces:
            reader.feed(piece, 1.0)
    except MalformedFlv as error:
        failed = str(error)
    return failed, reader.tags, reader.last, reader.advanced


TAGS = st.lists(
    st.builds(
        tag,
        st.sampled_from([AUDIO, VIDEO, SCRIPT]),
        st.integers(0, 0xFFFFFFFF),
        st.sampled_from([AVC, AVC_HEADER, AAC, AAC_HEADER, b"", b"\x96", bytes(100)]),
        st.sampled_from([None, 0]),
    ),
    max_size=12,
).map(b"".join)
FILES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(SIGNATURE.__add__),
    st.binary(max_size=200).map(HEADER.__add__),
    TAGS.map(HEADER.__add__),
)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Draw a file of which some bytes are others."""
    data = bytearray(draw(FILES))
    for place in draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=4)) if data else []:
        data[place] = draw(st.integers(0, 255))
    return bytes(data)


@given(broken(), st.lists(st.integers(0, 400), max_size=12))
def test_any_pieces_give_the_same(data: bytes, cuts: list[int]) -> None:
    """However the network cuts a file, whole or broken, the same is seen, and only our own exception is raised."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    whole = _outcome([data])
    assert _outcome(data[start:end] for start, end in pairwise(places)) == whole
    assert _outcome(data[place : place + 1] for place in range(len(data))) == whole


@given(TAGS)
def test_whole_tags_are_never_malformed(data: bytes) -> None:
    """Tags of known kinds are read whatever their timestamps and bodies are."""
    assert _outcome([HEADER, data])[0] == ""
