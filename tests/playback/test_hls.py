"""Playlists are read as origins send them, and several looks tell whether one moves."""

import math
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.playback.hls import (
    LARGEST_PLAYLIST,
    MOST_VARIANTS,
    MalformedPlaylist,
    Master,
    Media,
    read,
    select,
)
from exporter.playback.motion import Motion
from exporter.playback.urls import target
from tests.cost import LINEAR, growth

URL = "https://play.example.com/live/a/index.m3u8?token=hush"
BASE = "https://play.example.com/live/a/"
FOLDER = Path(__file__).parent / "playlists"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2009, 2100))
DATE = "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T12:00:00Z\n"


def playlist(*rows: str, target: str = "4", sequence: int | None = 100, head: str = "") -> str:
    """Write a media playlist: each row is `URI`, or tags and a URI; EXTINF is added where it lacks."""
    text = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target}\n{head}"
    if sequence is not None:
        text += f"#EXT-X-MEDIA-SEQUENCE:{sequence}\n"
    return text + "".join(f"{row}\n" if row.startswith("#") else f"#EXTINF:4.000,\n{row}\n" for row in rows)


def media(text: str) -> Media:
    """Read a playlist that lists segments."""
    found = read(text, URL)
    assert isinstance(found, Media)
    return found


def master(text: str) -> Master:
    """Read a playlist that lists playlists."""
    found = read(f"#EXTM3U\n{text}", URL)
    assert isinstance(found, Master)
    return found


def names(found: Media) -> list[str]:
    """Name what is newest, without what all addresses begin with."""
    return [one.url.removeprefix(BASE) for one in found.newest]


# --- media playlists -------------------------------------------------------------------------------------------------


def test_a_media_playlist() -> None:
    """The newest two segments are named, the newest first, by their whole addresses."""
    found = media(playlist("a.ts", "b.ts?x=1", "/c.ts", "https://cdn.example/d.ts"))
    assert found.newest == (("https://cdn.example/d.ts", 0), ("https://play.example.com/c.ts", 0))
    assert (found.target, found.until, found.ended) == (4.0, None, False)


# As servers and clouds write theirs: the newest two, the target duration, and the newest's end in seconds after noon.
ORIGINS: dict[str, tuple[list[str], float, float | None]] = {
    "nginx_rtmp": (["cam-32.ts", "cam-31.ts"], 5.0, None),
    "srs": (["livestream-8.ts?hls_ctx=9f", "livestream-7.ts?hls_ctx=9f"], 11.0, None),
    "mediamtx": (["ab_part3.mp4", "ab_seg6.mp4"], 2.0, 2.2),
    "tencent": (["1700000002.ts?txspiseq=1", "1700000001.ts?txspiseq=1"], 3.0, None),
    "alibaba": (["live/s-13.ts", "live/s-12.ts"], 6.0, 11.8),
    "huawei": (["x-4.ts", "x-3.ts"], 4.0, None),
    "ivs": (["CuoD.ts", "CvQE.ts"], 5.0, 4.0),
    "mediapackage": (["i_10.mp4", "i_9.mp4"], 6.0, None),
    "apple": (["filePart268.a.mp4", "fileSequence267.mp4"], 4.0, 14.5),
}
TEXTS = {name: (FOLDER / f"{name}.m3u8").read_text(encoding="utf-8") for name in ORIGINS}


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_are_read(origin: str) -> None:
    """What real servers and clouds send is read: newest media, target duration, and when the newest media ends."""
    newest, target, ends = ORIGINS[origin]
    found = media(TEXTS[origin])
    assert (names(found), found.target, found.ended) == (newest, target, False)
    assert found.until == (None if ends is None else pytest.approx(NOON + ends))


@pytest.mark.parametrize(
    ("target", "rows", "seconds"),
    [
        ("4.5", (), 4.5), ("0", ("a",), 4.0), ("-1", ("a",), 4.0), ("nan", ("a",), 4.0), ("inf", ("a",), 4.0),
        ("3601", ("a",), 4.0), ("3600", ("a",), 3600.0), ("0", (), 10.0),
        ("0", ("#EXTINF:nan,\na", "#EXTINF:-3,\nb"), 10.0), ("2", ("#EXTINF:12,\na",), 12.0),
        ("0", ("#EXTINF:2,\na", "#EXTINF:9.5,\nb", "#EXTINF:3,\nc"), 9.5), ("0", ("#EXTINF:1e300,\na",), 10.0),
        ("4", ("#EXTINF:4.49,\na",), 4.0), ("4", ("#EXTINF:4.5,\na",), 4.5), ("1", ("#EXTINF:0.6,\na",), 1.0),
        ("0", ("#EXTINF:3600,\na",), 3600.0), ("0", ("#EXTINF:3601,\na",), 10.0),
    ],
)  # fmt: skip
def test_target_durations(target: str, rows: tuple[str, ...], seconds: float) -> None:
    """Fractions count, and where the target is absurd the longest row does, or what is usual."""
    assert media(playlist(*rows, target=target)).target == seconds


def test_a_playlist_may_lack_its_target_duration() -> None:
    """The longest row stands in for it."""
    assert media("#EXTM3U\n#EXTINF:3,\na\n#EXTINF:5,\nb\n").target == 5.0
    assert media("#EXTM3U\n#EXTINF:0.8,\na\n").target == 0.8


@pytest.mark.parametrize("tail", ["#EXT-X-ENDLIST", "#EXT-X-ENDLIST  ", "#EXT-X-ENDLIST\r\n\r\n"])
def test_the_end_is_seen(tail: str) -> None:
    """A list that says that it ended has ended."""
    assert media(playlist("a") + tail).ended
    assert not media(playlist("a") + "#EXT-X-ENDLISTS").ended


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: "\n \r\n" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n \n"),
        lambda text: text.replace("\n", "  \n"),
        lambda text: text.replace("#EXTINF:4.000,", "#EXTINF:4.000,caf\ufffd \x85 \u2028 \x0b \x0c \x1c x"),
        lambda text: text.replace("#EXTINF:4.000,", "#EXTINF:4.000"),
        lambda text: text.replace("#EXTINF", "# a comment\n#EXT-X-NEW:1=2,\x00\n#EXTINF"),
        lambda text: text.replace("#EXTINF", "#EXT-X-KEY:METHOD\n#EXT-X-MAP:,,=\n#EXT-X-DATERANGE:DURATION=x\n#EXTINF"),
        lambda text: text.replace("#EXTINF", "#" + "x" * 100_000 + "\n#EXTINF"),
        lambda text: text + "#EXTINF:4.000,\n",
        lambda text: text.replace("#EXTM3U", "#EXTM3U x-tvg-url=1"),
    ],
)  # fmt: skip
def test_forms_that_change_nothing(change: object) -> None:
    """Line ends, blanks, BOM, any titles, comments, tags that don't matter and a half-written row are borne."""
    assert callable(change)
    text = playlist("a.ts", "b.ts")
    assert read(change(text), URL) == read(text, URL)


@pytest.mark.parametrize(
    ("uri", "whole"),
    [
        ("中 b.ts", BASE + "%E4%B8%AD%20b.ts"), ("a\x00.ts?k=\x7f", BASE + "a%00.ts?k=%7F"),
        ("a%20%zz.ts", BASE + "a%20%zz.ts"),
        ("../x/./y.ts", "https://play.example.com/live/x/y.ts"), ("//cdn.example:8443/y.ts", "https://cdn.example:8443/y.ts"),
        ("HTTP://CDN.example/y.ts", "http://cdn.example/y.ts"), ("?n=5", BASE + "index.m3u8?n=5"),
        ("a.ts?sig=a+b/c=&t=~-_.!*'()", BASE + "a.ts?sig=a+b/c=&t=~-_.!*'()"),
    ],
)  # fmt: skip
def test_addresses_are_made_whole(uri: str, whole: str) -> None:
    """Addresses are asked for as the playlist means them: nothing that is encoded already, or signed, is changed."""
    assert [target(one.url).url for one in media(playlist(uri)).newest] == [whole]


def test_gaps_are_not_fetched() -> None:
    """A row that the origin itself calls missing is not the newest, and a list of nothing else has none."""
    found = media(playlist("a", "b", "#EXT-X-GAP\n#EXTINF:4,\nc"))
    assert names(found) == ["b", "a"]
    none = media(playlist("#EXT-X-GAP\n#EXTINF:4,\na"))
    assert (none.newest, none.rows, none.until) == ((), (), None)
    assert names(media(playlist('#EXT-X-GAP\n#EXT-X-PART:DURATION=1,URI="p",GAP=YES\n#EXTINF:4,\na', "b"))) == ["b"]


def test_rows_of_one_file_are_one_address() -> None:
    """A list of byte ranges of one file has one address to fetch; an older file is the one before."""
    ranges = [f"#EXTINF:4,\n#EXT-X-BYTERANGE:500@{start}\nall.ts" for start in (0, 500, 1000, 1500)]
    assert names(media(playlist(*ranges))) == ["all.ts"]
    assert names(media(playlist("old.ts", *ranges))) == ["all.ts", "old.ts"]


def test_a_byte_range_begins_where_it_says() -> None:
    """The newest range of a file is what a player asks for; a range that does not say begins with its file."""
    part = '#EXT-X-PART:DURATION=1,URI="parts.mp4",BYTERANGE="{}"\n'
    for text, start in (
        (playlist(SINGLE.format(500), SINGLE.format(1000)), 1000),
        (playlist(SINGLE.format(500)) + part.format("20@40"), 40),
        (playlist(SINGLE.format(500)) + part.format("20"), 0),
        (playlist("#EXTINF:4,\n#EXT-X-BYTERANGE:500\nall.ts"), 0),
        (playlist(SINGLE.format("9" * 30)), 0),
        (playlist(SINGLE.format("many")), 0),
    ):
        assert media(text).newest[0].start == start


def test_an_empty_window_is_a_playlist() -> None:
    """A stream that has just begun lists nothing yet."""
    assert media(playlist()) == Media(4.0, (), (), None, False)


def test_rows_without_numbers_have_names() -> None:
    """The newest sixteen, by their paths, as tokens may be new each time; numbered rows need none."""
    rows = [f"row-{number}.ts?t={number}" for number in range(20)]
    newest = frozenset(f"row-{number}.ts" for number in range(4, 20))
    assert media(playlist(*rows, sequence=0)).names == media(playlist(*rows, sequence=None)).names == newest
    assert media(playlist(*rows)).names == frozenset()
    assert media(playlist(*rows, sequence=0, head="#EXT-X-PLAYLIST-TYPE:EVENT\n")).names == frozenset()


# --- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "ends"),
    [
        ("2026-01-02T12:00:00Z", 4.0), ("2026-01-02T12:00:00.250Z", 4.25), ("2026-01-02T20:00:00+08:00", 4.0),
        ("2026-01-02T20:00:00.000+0800", 4.0), ("2026-01-02T12:00:00", 4.0), ("2026-01-02t12:00:00z", 4.0),
        ("2009-01-01T00:00:00Z", EARLIEST - NOON + 4), ("2100-01-01T00:00:00Z", LATEST - NOON + 4),
        (" 2026-01-02T12:00:00.123456789Z ", 4.123456), ("2026-01-02 12:00:00Z", 4.0),
        ("2026-01-02T06:30:00-05:30", 4.0),
        ("", None), ("yesterday", None), ("2026-13-40T99:00:00Z", None), ("1970-01-01T00:00:00Z", None),
        ("2008-12-31T23:59:59Z", None), ("2100-01-01T00:00:01Z", None), ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None), ("2026-01-02T12:00:00Z" * 5000, None),
    ],
)  # fmt: skip
def test_dates(date: str, ends: float | None) -> None:
    """Dates count with any time zone, or UTC without one; a broken or absurd one is as good as none."""
    found = media(playlist(f"#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:4,\na"))
    assert found.until == (None if ends is None else pytest.approx(NOON + ends, abs=1e-5))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system's time zone cannot be changed here")
def test_a_date_without_time_zone_is_not_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an origin leaves out is UTC, wherever the exporter runs."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        found = media(playlist("#EXT-X-PROGRAM-DATE-TIME:2026-01-02T12:00:00\n#EXTINF:4,\na"))
    time.tzset()
    assert found.until == NOON + 4


def test_the_newest_end_follows_from_the_last_date() -> None:
    """Durations of rows are added to the last date before them, gaps' too; a broken date leaves that be."""
    rows = ["#EXTINF:4,\na", f"{DATE}#EXTINF:4.5,\nb", "#EXT-X-GAP\n#EXTINF:3,\nc", "#EXTINF:4,\nd"]
    assert media(playlist(*rows)).until == NOON + 11.5
    assert media(playlist(*rows, "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00Z\n#EXTINF:4,\ne")).until == NOON + 15.5
    assert media(playlist(*rows, f"#EXT-X-DISCONTINUITY\n{DATE}#EXTINF:4,\ne")).until == NOON + 4
    assert media(playlist(*rows, "#EXT-X-GAP\n#EXTINF:3,\ne")).until == NOON + 11.5


def test_parts_end_where_their_date_and_their_durations_say() -> None:
    """Parts count from their segment's beginning, or from a date of their own."""
    part = '#EXT-X-PART:DURATION=1,URI="p"\n'
    assert media(playlist(f"{DATE}#EXTINF:4,\na") + part + part).until == NOON + 6
    assert media(playlist("a") + part + DATE + part + part).until == NOON + 2
    assert media(playlist(part + DATE + part + part + "#EXTINF:4,\na")).until == NOON + 3
    assert media(playlist(f"{DATE}{part}{part}#EXTINF:4,\na") + part).until == NOON + 5
    assert media(playlist("a") + part).until is None


# --- what moves ------------------------------------------------------------------------------------------------------

PART = '#EXT-X-PART:DURATION=1,URI="{}"\n'
SINGLE = "#EXTINF:4,\n#EXT-X-BYTERANGE:500@{}\nall.ts"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (playlist("a", "b"), playlist("b", "c", sequence=101)),
        (playlist("a", "b"), playlist("a", "b", "c")),
        (playlist("a", sequence=0, head="#EXT-X-PLAYLIST-TYPE:EVENT\n"), playlist("a", "b", sequence=0)),
        (playlist("s?n=5", "s?n=6"), playlist("s?n=6", "s?n=7", sequence=101)),
        (playlist("a", "b"), playlist("a", "b") + PART.format("p")),
        (playlist("a") + PART.format("p"), playlist("a") + PART.format("p") * 2),
        (playlist("a") + PART.format("p") * 2, playlist("a", f"{PART.format('p') * 4}#EXTINF:4,\nb")),
        (playlist("a", "b"), playlist("a", sequence=0)),
        (playlist("a", "b"), playlist("a", "#EXT-X-DISCONTINUITY\n#EXTINF:4,\nb")),
        (playlist("#EXT-X-DISCONTINUITY\n#EXTINF:4,\na"), playlist("#EXT-X-DISCONTINUITY\n" * 2 + "#EXTINF:4,\na")),
        (playlist("a") + PART.format("p"), playlist("a") + PART.format("p").replace("=1", "=0.5")),
        (playlist("a", "b"), playlist("a", "b", head="#EXT-X-DISCONTINUITY-SEQUENCE:1\n")),
        (playlist(SINGLE.format(0)), playlist(SINGLE.format(0), SINGLE.format(500))),
        (playlist(SINGLE.format(0)), playlist(SINGLE.format(500))),
        (  # ffmpeg does not number the rows of one file
            playlist(SINGLE.format(0), SINGLE.format(500), sequence=0),
            playlist(SINGLE.format(500), SINGLE.format(1000), sequence=0),
        ),
        (playlist("a"), playlist("#EXTINF:5,\na")),
        (playlist("a", "b", sequence=None), playlist("b", "c", sequence=None)),
        (playlist("a", "b", sequence=0), playlist("b", "c", sequence=0)),
        (
            playlist("b", head="#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n"),
            playlist("b", head="#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"),
        ),
        (playlist(), playlist("a")),
    ],
)
def test_what_is_new_changes_the_rows(before: str, after: str) -> None:
    """Whatever came anew is seen: rows, parts, ranges of one file, another beginning, and names of unnumbered rows."""
    assert media(before).rows != media(after).rows


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (playlist("a?t=1", "b?t=1"), playlist("a?t=2", "b?t=2")),
        (playlist("a?t=1", sequence=0), playlist("a?t=2", sequence=0)),
        (playlist("a?t=1", sequence=None), playlist("a?t=2", sequence=None)),
        (playlist("a") + PART.format("p?t=1"), playlist("a") + PART.format("p?t=2")),
        (playlist("w1_a", "w1_b"), playlist("w2_a", "w2_b")),
        (playlist("w1/a", sequence=0, head="#EXT-X-PLAYLIST-TYPE:EVENT\n"),
         playlist("w2/a", sequence=0, head="#EXT-X-PLAYLIST-TYPE:EVENT\n")),
        (playlist("a", "b", "c"), playlist("c", sequence=102)),
        (playlist("a", "b", "c"), playlist("c", head="#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n")),
        (playlist("#EXT-X-DISCONTINUITY\n#EXTINF:4,\na", "b"),
         playlist("b", sequence=101, head="#EXT-X-DISCONTINUITY-SEQUENCE:1\n")),
        (playlist("a"), playlist("a", "#EXT-X-GAP\n#EXTINF:4,\nb")),
        (playlist("a"), playlist("a") + PART.format("p").replace("DUR", "GAP=YES,DUR")),
        (playlist("a"), playlist("a") + "#EXT-X-PART:DURATION=1\n"),
        (playlist("a"), playlist("a") + '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p"\n'),
        (playlist(f"{DATE}#EXTINF:4,\na"), playlist(f"{DATE.replace('12:', '13:')}#EXTINF:4,\na")),
        (playlist("a"), playlist("#EXTINF:4.000,another title\na")),
        (playlist(f"{PART.format('p') * 2}#EXTINF:4,\na"), playlist("a")),
    ],
)  # fmt: skip
def test_what_is_not_new_changes_nothing(before: str, after: str) -> None:
    """Fresh tokens are no sign of life, nor are new names of numbered rows, rows and parts that leave, gaps, dates."""
    assert media(before).rows == media(after).rows


def at(rows: object, target: float = 2.0) -> Media:
    """Build what one look saw."""
    return Media(target, (rows,), (), None, False)


def looks(*seen: tuple[float, object], target: float = 2.0) -> list[bool | None]:
    """Look at these times, and say what was told each time."""
    motion = Motion()
    return [motion.look(at(rows, target), now) for now, rows in seen]


def test_a_stream_that_moves_is_told_at_the_second_look() -> None:
    """The first look tells nothing, a change tells that it moves, and within the limit it goes on moving."""
    assert looks((0, 1), (2, 2), (4, 2), (7.9, 2), (8, 3)) == [None, True, True, True, True]


@pytest.mark.parametrize(("target", "limit"), [(0.5, 6.0), (2.0, 6.0), (2.5, 7.5), (10.0, 30.0)])
def test_rows_that_stand_are_told_after_three_target_durations(target: float, limit: float) -> None:
    """Three target durations, and six seconds at least, without a new row say that nothing moves."""
    assert looks((0, 1), (limit - 0.01, 1), (limit, 1), target=target) == [None, None, False]
    assert looks((0, 1), (1, 2), (limit + 0.99, 2), (limit + 1, 2), target=target) == [None, True, True, False]


def test_rows_that_move_again_are_told_at_once() -> None:
    """A stream that comes back is up with its first new row, whether it ever moved before or not."""
    assert looks((0, 1), (5, 1), (10, 1), (15, 2), (20, 2), (25, 2), (30, 3)) == [
        None, None, False, True, True, False, True,
    ]  # fmt: skip


def test_two_caches_that_take_turns_do_not_move() -> None:
    """Old rows that come back are not new ones, not even with several caches; new ones in between are."""
    assert looks((0, 1), (1, 2), (3, 1), (5, 2), (6.9, 1), (7, 2)) == [None, True, True, True, True, False]
    turns = looks(*((second, second * 9 % 16) for second in range(36)))
    assert turns == [None, *[True] * 30, *[False] * 5]
    assert looks((0, 1), (5, 2), (10, 1), (10.9, 1), (11, 3)) == [None, True, True, True, True]


def test_one_look_after_a_pause_does_not_tell_that_rows_stand() -> None:
    """The encoder may have begun anew meanwhile and come to the same number, or a cache be that much behind; looks
    that are far apart tell all the same, the second after the last change.
    """
    assert looks((0, 1), (1, 2), (1000, 2), (1003.9, 2), (1004, 2)) == [None, True, True, True, False]
    assert looks((0, 1), (1, 2), (16, 2), (18, 3), (33, 3), (35, 4)) == [None, True, True, True, True, True]
    assert looks((0, 1), (60, 2), (120, 2), (180, 2), (240, 2)) == [None, True, True, False, False]


@pytest.mark.parametrize(
    ("back", "moves"),
    [((2, 3), False), ((2, 3, 4), True), ((2, 2, 3), False), ((2, 4, 6), True), ((2, 5, 8), False), ((5, 4, 3), False)],
)
def test_rows_that_come_again_are_new_only_if_they_go_on_step_by_step(back: tuple[int, ...], moves: bool) -> None:
    """An encoder that began anew makes two rows in two seconds at most, after its first; caches leap, or stand."""
    motion = Motion()
    for number, rows in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, *back)):
        motion.look(at(rows), 2.0 * number)
    assert motion.moved == (2.0 * (8 + len(back)) if moves else 16.0)


@pytest.mark.parametrize(("later", "renamed"), [(3.9, True), (4.0, False), (7.9, False)])
def test_names_that_are_all_others_tell_nothing_only_while_some_would_have_stayed(later: float, renamed: bool) -> None:
    """Of three rows of two seconds one is still there after less than four; from then on all may be new."""
    motion, seen = Motion(), []
    for now, names in ((0.0, "abc"), (later, "def")):
        rows = (2, 0, 0, 2.0, None, names[-1])
        seen.append(motion.look(Media(2.0, rows, (), None, False, frozenset(names)), now))
    assert (seen, motion.renamed) == ([None, None if renamed else True], renamed)


def test_a_target_duration_that_shrinks_leaves_rows_the_time_they_had() -> None:
    """A list whose long row leaves its window says less of how long the next one may take."""
    motion = Motion()
    assert [motion.look(at(1, target), now) for target, now in ((10, 0.0), (2, 5.0), (2, 29.0), (2, 30.0))] == [
        None, None, None, False,
    ]  # fmt: skip


def test_the_last_change_is_remembered() -> None:
    """Where no date says how old the newest media is, the time since the last change does."""
    motion = Motion()
    told = []
    for now, rows in [(0.0, 1), (2.0, 2), (3.0, 2), (100.0, 2), (101.0, 3), (500.0, 4)]:
        motion.look(at(rows), now)
        told.append(motion.moved)
    assert told == [None, 2.0, 2.0, 2.0, 101.0, 500.0]


def test_when_to_look_again() -> None:
    """Undecided: after a target duration; near the limit: just after it; else the usual time will do."""

    def again(*seen: tuple[float, object], target: float) -> float:
        motion = Motion()
        for now, rows in seen:
            motion.look(at(rows, target), now)
        return motion.again(at(seen[-1][1], target), seen[-1][0])

    assert again((0, 1), target=4) == 4
    assert again((0, 1), target=0.2) == 1
    assert again((0, 1), (5.5, 1), target=2) == pytest.approx(0.6)
    assert again((0, 1), (3, 1), (6, 1), target=2) == math.inf
    assert again((0, 1), (2, 2), target=2) == math.inf
    assert again((0, 1), (2, 2), (3, 2), target=2) == pytest.approx(5.1)
    assert again((0, 1), (2, 2), (8, 2), target=2) == pytest.approx(4.1)  # nobody has looked for too long
    assert again((0, 1), (2, 2), (5, 2), (8, 2), target=2) == math.inf
    assert again((0, 1), (2, 2), (62, 3), target=5) == math.inf
    assert again((0, 1), (2, 2), (62.1, 3), target=5) == 5  # it may have stopped while nobody looked
    assert again((0, 1), (2, 2), (62.1, 3), (67.1, 3), target=5) == pytest.approx(10.1)
    assert again((0, 1), (2, 2), (62.1, 3), (67.1, 4), target=5) == math.inf
    assert again((0, 1), (90, 2), target=30) == math.inf
    assert again((0, 1), (91, 2), target=30) == 30


# --- master playlists ------------------------------------------------------------------------------------------------

VARIANT = "#EXT-X-STREAM-INF:BANDWIDTH={},RESOLUTION=1x1\n{}\n"


def test_a_master_playlist() -> None:
    """Variants and renditions with sound count, each once; subtitles, captions and I-frame playlists don't."""
    found = master(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en, stereo",URI="en.m3u8?t=1"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="in the video"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="en",URI="subs.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="en",INSTREAM-ID="CC1"\n'
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=often,URI="iframes.m3u8"\n'
        '#EXT-X-SESSION-KEY:METHOD\n#EXT-X-SESSION-DATA:DATA-ID="x"\n#EXT-X-CONTENT-STEERING:SERVER-URI="s"\n'
        + VARIANT.format(1, "low.m3u8") + VARIANT.format("unknown", "high/x.m3u8") + VARIANT.format(3, "low.m3u8")
    )  # fmt: skip
    assert found.playlists == (BASE + "low.m3u8", BASE + "high/x.m3u8", BASE + "en.m3u8?t=1")
    assert found.left_out == 0
    assert select(found, "") == found.playlists


def test_few_of_many_variants_are_checked() -> None:
    """A list of many variants costs no more than that of some; the one that is chosen is found wherever it stands."""
    found = master("".join(VARIANT.format(1, f"v{number}.m3u8") for number in range(MOST_VARIANTS + 4)))
    assert select(found, "") == tuple(f"{BASE}v{number}.m3u8" for number in range(MOST_VARIANTS))
    assert found.left_out == 4
    assert select(found, "v19.m3u8") == (BASE + "v19.m3u8",)


@pytest.mark.parametrize(
    ("variant", "chosen"),
    [
        ("720p.m3u8", ["x/720p.m3u8?t=1"]), ("/x/720p.m3u8", ["x/720p.m3u8?t=1"]), ("0p.m3u8", ["1720p.m3u8"]),
        ("1720p.m3u8", ["1720p.m3u8"]), ("480p.m3u8", []), ("t=1", []),
    ],
)  # fmt: skip
def test_one_variant_can_be_chosen(variant: str, chosen: list[str]) -> None:
    """The end of the path chooses, whole names before parts of one; queries do not count."""
    found = master(VARIANT.format(1, "1720p.m3u8") + VARIANT.format(2, "x/720p.m3u8?t=1"))
    assert select(found, variant) == tuple(BASE + one for one in chosen)


# --- what is no playlist ---------------------------------------------------------------------------------------------

NO_PLAYLIST = "it is not a playlist: it does not begin with #EXTM3U"
NOTHING = "its playlist names neither variants nor segments"
VARIABLES = "its playlist uses variables (EXT-X-DEFINE), which this check does not fill in"
SOUND = '#EXT-X-MEDIA:TYPE=AUDIO,URI="hush.m3u8"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", NO_PLAYLIST),
        ("<html>#EXTM3U hush", NO_PLAYLIST),
        ("hush.ts\n#EXTM3U", NO_PLAYLIST),
        ("X#EXTM3U\n#EXTINF:4,\nhush", NO_PLAYLIST),
        ("#EXTM3U", NOTHING),
        ("#EXTM3U\nhttps://hush.example/radio", NOTHING),
        ("#EXTM3U\n#EXTINF:4,\n", NOTHING),
        (playlist("#EXTINF:hush,\na"), "line 5 of its playlist cannot be read"),
        (playlist("a", "#EXTINF:4 hush=1,\nb"), "line 7 of its playlist cannot be read"),
        (playlist(target="hush"), "line 3 of its playlist cannot be read"),
        (playlist(target=""), "line 3 of its playlist cannot be read"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:hush\n", "line 2 of its playlist cannot be read"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE\n", "line 2 of its playlist cannot be read"),
        (playlist("a") + "#EXT-X-PART:DURATION=hush", "line 7 of its playlist cannot be read"),
        ("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO\n", NOTHING),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "its playlist names no variant"),
        (playlist("a") + VARIANT.format(1, "hush.m3u8"), "its playlist mixes variants and segments"),
        (playlist() + VARIANT.format(1, "hush.m3u8"), "its playlist mixes variants and segments"),
        ("#EXTM3U\n" + VARIANT.format(1, "hush.m3u8") + PART.format("p"), "its playlist mixes variants and segments"),
        (playlist("{$hush}/a.ts"), VARIABLES),
        ("#EXTM3U\n" + VARIANT.format(1, "{$hush}.m3u8"), VARIABLES),
        (playlist("http://[hush/a.ts"), "an address in its playlist is broken"),
        ("#EXTM3U\n" + VARIANT.format(1, "//[hush/a.m3u8"), "an address in its playlist is broken"),
        (playlist(f"#EXTINF:4,{'h' * 65536}\na"), "line 5 of its playlist is too long"),
        (playlist(f"#EXTINF:4,\n{'a' * 8193}"), "an address in its playlist is too long"),
        (playlist(f'#EXT-X-PART:DURATION=1,URI="{"a" * 8193}"'), "an address in its playlist is too long"),
        ("#EXTM3U\n" + "\n" * 250_001, "its playlist has too many lines"),
        ("#EXTM3U" + "\n" * 250_000, NOTHING),
        ("#EXTM3U\r" + "\r" * 250_001, "its playlist has too many lines"),
        ("#EXTM3U\n" + VARIANT.format(1, "hush.m3u8") * 1002, "its playlist names too many others"),
        ("#EXTM3U\n" + SOUND * 1002, "its playlist names too many others"),
        ("#EXTM3U\n" + SOUND * 501 + VARIANT.format(1, "hush.m3u8") * 501, "its playlist names too many others"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_what_is_malformed_is_said_in_our_words(text: str, said: str) -> None:
    """What is wrong is told, and nothing of the text, as it may hold tokens."""
    with pytest.raises(MalformedPlaylist) as failed:
        read(text, URL)
    assert str(failed.value) == said
    assert failed.value.__suppress_context__ or failed.value.__context__ is None


# --- whatever comes --------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from([
    "#EXTM3U", "#EXTINF:", "#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-PART:", "#EXT-X-STREAM-INF:",
    "#EXT-X-MEDIA:", "#EXT-X-BYTERANGE:", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-SKIP:", "#EXT-X-GAP", "#EXT-X-ENDLIST",
    "#EXT-X-DISCONTINUITY", "#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-PLAYLIST-TYPE:", "#EXT-X-KEY:", "#EXT-X-MAP:",
    "#EXT-X-DATERANGE:", "DURATION=", "URI=", "TYPE=AUDIO", "GAP=YES", "BYTERANGE=", "SKIPPED-SEGMENTS=", '"', "'",
    ",", "=", "4", "4.0", "-1", "1e999", "nan", "9" * 30, "2026-01-02T12:00:00Z", "a.ts", "http://", "[", "?", "#", "@",
    "{$x}", ":", "\n", "\n", "\n", "\r\n", "\r", "\x00", "\x85", "\u2028", "\ufeff", "\ufffd", "中", "\ud800", " ",
])  # fmt: skip
LINES = st.lists(st.one_of(_PIECES, st.text(max_size=5)), max_size=60).map("".join)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Draw a playlist of which some parts are others, or lines made of what playlists are made of."""
    text = draw(st.one_of(LINES, st.sampled_from(list(TEXTS.values()))))
    text = text if draw(st.booleans()) else f"#EXTM3U\n{text}"
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(_PIECES) + text[start + draw(st.integers(0, 20)) :]
    return text


@given(broken())
def test_only_our_own_exception_is_raised(text: str) -> None:
    """Whatever comes is read, or is malformed in our words; what is read can be asked for and looked at."""
    try:
        found = read(text, URL)
    except MalformedPlaylist:
        return
    assert read(text, URL) == found
    if isinstance(found, Master):
        assert set(select(found, "a.ts")) <= set(found.playlists)
    else:
        assert 0 < found.target <= 3600
        assert Motion().look(found, 0.0) is None
        assert found.until is None or math.isfinite(found.until)
    for address in [one.url for one in found.newest] if isinstance(found, Media) else found.playlists:
        with suppress(ValueError):
            assert target(address).url.isascii()


HOSTILE = {
    "rows": "#EXTINF:1,\na\n",
    "parts": '#EXT-X-PART:DURATION=1,URI="a"\n',
    "dates": DATE,
    "parts and dates": '#EXT-X-PART:DURATION=1,URI="a"\n' + DATE,
    "keys": '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n',
    "comments": "#\n",
    "nothing": "\n",
}


LONG_LINES = {
    "quotes": ("#EXT-X-MEDIA:", "\"'", "\n"),
    "attributes": ("#EXT-X-PART:", "A=1,", "\n"),
    "numbers": ("#EXTINF:", "9", ",\na\n"),
}


def many(kind: str, size: int) -> str:
    """Return a playlist of such a size that repeats a row."""
    times = min(size // len(HOSTILE[kind]), size // 32 // HOSTILE[kind].count("\n"))
    return playlist("a") + "".join(HOSTILE[kind].format(number) for number in range(times))


def long(kind: str, size: int) -> str:
    """Return a playlist with one row that is so long."""
    begin, once, end = LONG_LINES[kind]
    return playlist("a") + begin + once * (size // len(once)) + end


@pytest.mark.parametrize("kind", [*HOSTILE, *LONG_LINES])
def test_time_is_bounded(kind: str) -> None:
    """A playlist takes time by its size, whatever it repeats: as large as one may be, a few seconds."""

    def make(size: int) -> Callable[[], None]:
        text = many(kind, size) if kind in HOSTILE else long(kind, size)

        def work() -> None:
            with suppress(MalformedPlaylist):
                read(text, URL)

        return work

    assert growth(make, LARGEST_PLAYLIST // 4 if kind in HOSTILE else 64_000) < LINEAR


@pytest.mark.parametrize("kind", ["rows", "parts", "keys"])
def test_what_is_read_is_not_kept(kind: str) -> None:
    """Memory is that of the lines: a day of rows costs no hundreds of megabytes."""
    once = HOSTILE[kind]
    text = playlist("a") + "".join(once.format(number) for number in range(6_000 // once.count("\n")))
    tracemalloc.start()
    read(text, URL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(text) + 80 * 6_000


def test_little_is_kept_of_a_playlist() -> None:
    """What tells rows apart, and what is asked for, is short, as it is kept between checks."""
    read = media(playlist("#EXTINF:4,", f"#EXT-X-BYTERANGE:{'9' * 60_000}", "a" * 8192))
    assert len(repr(read)) < 40_000
