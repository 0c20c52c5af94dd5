"""Checks of one address, when they are told to: what they ask for, what they remember, and what they say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.model import Reason
from exporter.playback import flv as flv_format
from exporter.playback.checker import MOST_SEGMENT, Checked, Checker, Means
from exporter.playback.fetch import Fetched, Take, Wanted
from exporter.playback.hls import LARGEST_PLAYLIST
from exporter.playback.signing import signed
from exporter.playback.urls import target
from exporter.playback.verdict import FIRST_BYTES, NEVER, Verdict
from exporter.rounds.shared import Clock
from exporter.routes import Http
from exporter.transport.aside import at_once
from testbed.virtual import run
from tests.playback.rig import (
    FLV_HEAD,
    ORIGIN,
    SEGMENTS,
    TS,
    A,
    Answer,
    Page,
    Web,
    address,
    flv,
    flv_tag,
    media,
    moving,
)
from tests.virtual import EPOCH

FLV = "/live/a.flv"
NONCE = "0" * 32
SOUND = b"\xaf\x01" + bytes(20)
NO_MEDIA = flv_tag(18, 0, b"onMetaData")


class Seen(NamedTuple):
    """A check, and what it asked for."""

    checked: Checked
    wanted: list[Wanted]

    @property
    def verdict(self) -> Verdict:
        """What it came to."""
        return self.checked.verdict

    @property
    def told(self) -> tuple[bool | None, Reason | None, str]:
        """Whether it plays, or why nobody knows, in words."""
        return self.verdict.up, self.verdict.reason, self.verdict.message


def check(
    pages: Mapping[str, Answer], *times: float, of: PlaybackAddress | None = None, reused: Collection[str] = ()
) -> list[Seen]:
    """Check an address at these times, in seconds since the start.

    Args:
        pages: What the web answers with.
        times: When to check.
        of: The address; usually one of HLS.
        reused: Paths that are fetched over used connections, unless only a new one will do.
    """

    async def story() -> list[Seen]:
        loop = asyncio.get_running_loop()
        web, wanted, seen = Web(dict(pages)), list[Wanted](), list[Seen]()

        async def fetch(one: Wanted, take: Take) -> Fetched:
            wanted.append(one)
            found = await web.fetch(one, take)
            return found._replace(reused=not one.new and one.url.removeprefix(ORIGIN) in reused)

        means = Means(fetch, Clock(lambda: EPOCH + web.now, loop.time, lambda: NONCE), at_once)
        checker = Checker(of or address(A), Http(), means)
        for time in times:
            await asyncio.sleep(time - web.now)
            checked = await checker.check(5.0)
            seen.append(Seen(checked, wanted[:]))
            wanted.clear()
        return seen

    return run(story())


def says(*args: Any, **fields: Any) -> Answer:
    """Return what answers with this page whenever it is asked."""
    return lambda _now: Page(*args, **fields)


def approx(value: float) -> Any:
    """Return what is this value, nearly."""
    return pytest.approx(value, abs=0.001)


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_what_is_down_is_asked_for_on_a_new_connection_if_that_is_news_or_may_answer_another_request() -> None:
    """Only the second request insists on a new connection, and none follows an old answer that came over one."""
    fresh = [[one.new for one in seen.wanted] for seen in check({}, 0, 10, 20)]
    assert fresh == [[False, True], [False], [False]]
    used = [[one.new for one in seen.wanted] for seen in check({}, 0, 10, 20, reused={A})]
    assert used == [[False, True]] * 3


def test_one_answer_over_a_used_connection_is_enough_to_ask_for_all_of_it_again() -> None:
    """The list may have been another request's, though its segments came over new connections."""
    last = check({A: moving()}, 0, 3, 6, 9, reused={A})[-1]
    assert last.verdict.up is False
    assert [one.new for one in last.wanted] == [False] * 3 + [True] * 3


def test_each_request_wants_no_more_than_it_needs() -> None:
    """A playlist whole, of a segment the first bytes of its range, and FLV for as long as it is not silent."""
    ranged = media(12).replace("seg-12", "#EXT-X-BYTERANGE:99@700\nseg-12")
    pages = {**SEGMENTS, A: lambda now: Page(ranged if now > 1 else media(10)), FLV: says(parts=flv(9.0), open=True)}
    found = [(one.url, one.most, one.first, one.start, one.silence) for one in check(pages, 0, 3)[-1].wanted]
    assert found == [
        (f"{ORIGIN}{A}", LARGEST_PLAYLIST, 0, 0, None),
        (f"{ORIGIN}/live/seg-12.ts?t=secret", MOST_SEGMENT, FIRST_BYTES, 700, None),
    ]
    hidden = {A: pages[FLV]}
    asked = [
        (one.most, one.first, one.silence, one.silence_of_flv)
        for seen in (*check(pages, 0, of=address(FLV)), *check(hidden, 0, 20))
        for one in seen.wanted
    ]
    ten = flv_format.SILENT_SECONDS
    of_flv = (flv_format.MOST_BYTES, 0, ten, ten)
    assert asked == [of_flv, (LARGEST_PLAYLIST, 0, None, ten), of_flv], "what it is shows only when it is fetched"


def test_flv_that_fails_once_is_still_waited_for() -> None:
    """A page in its place makes no playlist of it."""
    pages = {FLV: lambda now: Page("<html>") if now < 5 else Page(open=True)}
    page, silent = check(pages, 0, 10, of=address(FLV))
    assert (page.verdict.reason, silent.told) == (Reason.MALFORMED, (False, None, "no tag has come for 10 s"))


def test_each_check_is_signed_anew() -> None:
    """By the time of the check, so that no token expires."""
    one = address(A, signed="alibaba", key=Secret("key"))
    found = [wanted.url for seen in check({A: moving()}, 0, 4000, of=one) for wanted in seen.wanted[:1]]
    assert found == [signed(one, EPOCH + at, NONCE) for at in (0, 4000)]
    assert found[0] != found[1]


@pytest.mark.parametrize(("slow", "timeouts"), [(4.9, [5.0] * 7 + [0.596]), (5.1, [5.0] * 6 + [4.496])])
def test_what_is_left_of_the_time_is_used_and_no_more(slow: float, timeouts: list[float]) -> None:
    """The last request of many has the rest of six timeouts; without a rest there is none."""
    many = "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{number}.m3u8\n" for number in range(12))
    pages = {f"/live/{number}.m3u8": says(media(10), delay=slow) for number in range(12)}
    (seen,) = check({A: says(many, delay=0.004), **pages}, 0)
    assert [round(one.timeout, 3) for one in seen.wanted] == timeouts


# --- figures ----------------------------------------------------------------------------------------------------------


def ages(pages: Mapping[str, Answer], *times: float, **fields: Any) -> list[tuple[bool | None, float | None]]:
    """Return whether it plays, and the age of its newest media, at each of these times."""
    return [
        (seen.verdict.up, seen.verdict.age and round(seen.verdict.age, 2)) for seen in check(pages, *times, **fields)
    ]


def test_the_age_of_hls_is_the_time_since_it_was_asked_for_and_had_moved() -> None:
    """Before it has moved nobody knows; once it stands still it grows."""
    pages = {**SEGMENTS, A: moving(until=4.0)}
    still = "it stands still: nothing new for 6 s or more in a media playlist, target duration 2 s"
    assert check(pages, 0, 3, 5, 8, 12)[-1].told == (False, None, still)
    assert ages(pages, 0, 3, 5, 8, 12) == [(None, None), (True, 0.02), (True, 0.02), (True, 3.02), (False, 7.04)]


@pytest.mark.parametrize(("ahead", "expected"), [(-30.0, 33.02), (-2.0, 5.02), (90.0, 0.0)])
def test_the_age_of_hls_goes_by_its_dates(ahead: float, expected: float) -> None:
    """The newest row ends two seconds after its date; a date to come is no age below zero."""
    date = datetime.fromtimestamp(EPOCH + ahead, UTC).isoformat()
    dated = media(10).replace("#EXTINF:2,\nseg-10", f"#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:2,\nseg-10")
    pages = {**SEGMENTS, A: lambda now: Page(dated if now > 1 else media(9))}
    assert ages(pages, 0, 5) == [(None, None), (True, expected)]
    assert ages({A: says(f"{dated}#EXT-X-ENDLIST\n", delay=0.01)}, 5) == [(False, expected)]


def test_the_age_of_flv_is_the_time_since_its_last_tag() -> None:
    """Of what plays, and of what has fallen silent; without a tag there is none."""
    burst = b"".join(tag for _, tag in flv(2.0))
    kept = says(parts=((0.0, burst), (3.0, NO_MEDIA)))
    silent = says(parts=((0.0, FLV_HEAD), (1.0, flv_tag(8, 0, SOUND))), open=True)
    empty = says(parts=((0.0, FLV_HEAD),), open=True)
    found = [(*ages({FLV: page}, 0, of=address(FLV)),) for page in (kept, silent, empty)]
    assert found == [((True, 2.98),), ((False, 10.0),), ((False, None),)]


def test_the_first_byte_is_that_of_the_newest_segment_and_stays_while_that_does() -> None:
    """It is fetched once; while it was not there yet, the one before it counts, and it is asked for again."""
    pages = {
        **SEGMENTS,
        A: moving(until=4.0),
        "/live/seg-12.ts": lambda now: Page(status=404) if now < 6 else Page(TS, 206, delay=0.3),
    }
    seen = check(pages, 0, 5, 7, 8)[1:]
    assert [one.verdict.up for one in seen] == [True] * 3
    assert [one.verdict.first_byte for one in seen] == [approx(0.02), approx(0.3), approx(0.3)]
    assert [len(one.wanted) - 1 for one in seen] == [2, 1, 0]
    late = "it plays, though its newest segment is not there yet"
    assert [one.verdict.message for one in seen] == [late, "it plays", "it plays"]


def test_the_first_byte_of_flv_is_that_of_its_stream() -> None:
    """Time to the first byte is what a viewer waits for a picture at least."""
    (seen,) = check({FLV: says(parts=tuple((when + 0.4, tag) for when, tag in flv(9.0)))}, 0, of=address(FLV))
    assert seen.told == (True, None, "it plays")
    assert seen.verdict.first_byte == approx(0.4)


def test_no_more_of_a_segment_is_taken_than_tells_that_it_is_there() -> None:
    """Where a server sends all of it, the rest is paid for by nobody."""
    parts = ((0.0, bytes(FIRST_BYTES - 1)), (0.1, b"x"), (0.2, bytes(FIRST_BYTES)))
    pages = {A: moving(), **dict.fromkeys(SEGMENTS, says(parts=parts))}
    seen = check(pages, 0, 3)[-1]
    assert seen.verdict.up is True
    assert seen.checked.steps[-1].came == f"HTTP 200, {FIRST_BYTES:,} bytes"


# --- segments that are not there --------------------------------------------------------------------------------------


def test_segments_that_came_meanwhile_begin_a_new_time_of_grace() -> None:
    """A list may be ahead of its segments now and then; it is down only if none came since the last time."""
    pages: dict[str, Answer] = {A: moving()}
    pages |= {path: lambda now: Page(status=404) if int(now) in (3, 9, 12) else Page(TS, 206) for path in SEGMENTS}
    seen = check(pages, 0, 3, 6, 9, 12)
    assert [one.verdict.up for one in seen] == [None, None, True, None, False]
    assert [one.verdict.again for one in seen[1:4]] == [2.0, NEVER, 2.0]
    gone = "the playlist moves, but its newest segments are not there: HTTP 404"
    assert seen[-1].told == (False, None, gone)
    judged = [step.judged for step in seen[-1].checked.steps]
    assert (judged[1::3], judged[2::3]) == (["the newest media is not there"] * 2, [gone] * 2)


def test_rows_that_stay_the_same_are_given_time_to_be_served() -> None:
    """The very segments that were not there may still come: only later ones that are not there either are down."""
    pages = {A: moving(until=4.0)}
    seen = check(pages, 0, 5, 7, 9)
    assert [one.verdict.up for one in seen] == [None] * 4
    assert seen[-1].told == (
        None, None, "the playlist moves, but its newest segments are not there: HTTP 404",
    )  # fmt: skip


@pytest.mark.parametrize(("delay", "reason"), [(5.97, None), (5.99, Reason.TIMEOUT)])
def test_segments_that_were_asked_for_too_late_tell_nothing(delay: float, reason: Reason | None) -> None:
    """After as long as rows may stay, they may have left the list and be gone again."""
    pages = {A: moving(), **dict.fromkeys(SEGMENTS, says(status=404, delay=delay))}
    seen = check(pages, 0, 3)[-1]
    assert seen.verdict.reason is reason
    late = "its newest segments were asked for so late that they may be gone again"
    assert (seen.verdict.message == late) is (reason is not None)


# --- in words ---------------------------------------------------------------------------------------------------------


def variants(count: int) -> str:
    """Return a master playlist of so many variants."""
    return "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{number}.m3u8\n" for number in range(count))


def test_variants_that_are_left_out_are_named() -> None:
    """Of very many only the first are checked, and whoever asks by hand is told so, unless one was chosen."""
    pages = {A: says(variants(20)), **{f"/live/{number}.m3u8": says(media(10)) for number in range(20)}}
    (seen,) = check(pages, 0)
    assert seen.checked.steps[0].judged == "a master playlist; 16 of its playlists count, 4 are left out"
    (seen,) = check(pages, 0, of=address(A, variant="19.m3u8"))
    assert seen.checked.steps[0].judged == "a master playlist; 1 of its playlists count"
    assert seen.wanted[1].url == f"{ORIGIN}/live/19.m3u8"


def renamed(now: float) -> Page:
    """Return rows without numbers that have other names each time."""
    return Page(media(2).replace("seg-", f"w{now}/seg-"))


@pytest.mark.parametrize(
    ("pages", "reason", "message"),
    [
        ({A: moving(), **dict.fromkeys(SEGMENTS, says(b"", 206))}, Reason.MALFORMED, "the newest segment is empty"),
        ({A: moving(), **dict.fromkeys(SEGMENTS, says("<html>", 206))}, Reason.MALFORMED,
         "a page came where the newest segment was expected"),
        ({A: moving(), **dict.fromkeys(SEGMENTS, says(status=403))}, Reason.AUTH,
         "HTTP 403: the address is refused; its token may be wrong or have expired"),
        ({A: renamed}, Reason.MALFORMED,
         "its rows have no numbers, and other names each time: it may stand still"),
        ({A: says(parts=((0.0, media(10).encode()), (5.1, b"#\n")))}, Reason.TIMEOUT, "no complete playlist in time"),
        ({A: says(variants(1)), "/live/0.m3u8": says(parts=flv(9.0))}, Reason.MALFORMED,
         f"{ORIGIN}/live/0.m3u8: FLV stands where a playlist was expected"),
    ],
)  # fmt: skip
def test_why_nobody_knows_of_hls(pages: dict[str, Answer], reason: Reason, message: str) -> None:
    """Each failure has its reason and its words, which the request that it is about is judged with."""
    last = check(pages, 0, 3, 12)[-1]
    assert last.told == (None, reason, message)
    assert last.checked.steps[-1].judged == message.removeprefix(f"{ORIGIN}/live/0.m3u8: ")


LARGE = flv_tag(9, 5, b"\x17\x01" + bytes(60 << 10))


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (Page(parts=flv(0.61)), (None, Reason.CONNECTION, "the server ended the stream after 0.5 s of media")),
        (Page(parts=((0.0, FLV_HEAD),)), (None, Reason.CONNECTION, "the server ended the stream after 0.0 s of media")),
        (Page(parts=((0.0, FLV_HEAD), *((i * 6.0, LARGE[i * 99 : i * 99 + 99]) for i in range(6)))),
         (None, Reason.TIMEOUT, "a tag is so large or so slow that no whole one has come in time")),
        (Page(parts=((0.0, FLV_HEAD), *((i * 6.0, flv_tag(8, 5, SOUND)) for i in range(6)))),
         (None, Reason.MALFORMED, "tags come, but their timestamps stand still")),
        (Page(parts=((0.0, FLV_HEAD), (0.1, flv_tag(8, 5, SOUND))), open=True),
         (False, None, "no tag has come for 10 s")),
        (Page(open=True), (False, None, "no tag has come for 10 s")),
        (Page(b"<html>"), (None, Reason.MALFORMED, "it is not a playlist: it does not begin with #EXTM3U")),
        (Page(FLV_HEAD + b"\xff" * 20), (None, Reason.MALFORMED, "its FLV tag 1 is neither audio nor video nor data")),
    ],
)  # fmt: skip
def test_what_comes_of_flv_that_does_not_play(page: Page, told: tuple[bool | None, Reason | None, str]) -> None:
    """Only silence is down; all else has its reason and its words, and is asked for once."""
    (seen,) = check({FLV: lambda _now: page}, 0, of=address(FLV))
    assert (seen.told, seen.checked.steps[-1].judged) == (told, told[2])
    assert len(seen.wanted) == 1


def test_a_second_of_flv_at_once_is_enough() -> None:
    """A server that keeps a group of pictures sends it at once; a viewer sees it."""
    for last, up in ((999, None), (1000, True)):
        page = Page(FLV_HEAD + flv_tag(8, 0, SOUND) + flv_tag(8, last, SOUND))
        (seen,) = check({FLV: lambda _now, page=page: page}, 0, of=address(FLV))  # type: ignore[misc]
        assert seen.verdict.up is up


@pytest.mark.parametrize("advance", [0, 1])
def test_as_much_as_is_taken_of_flv_is_enough_if_it_has_advanced(advance: int) -> None:
    """Pictures may be so large that a quarter of a megabyte holds less than a second of them."""
    large = flv_tag(9, advance, b"\x17\x01" + bytes(flv_format.MOST_BYTES))
    parts = ((0.0, FLV_HEAD + flv_tag(9, 0, b"\x17\x01ab")), (0.1, large))
    (seen,) = check({FLV: says(parts=parts, open=True)}, 0, of=address(FLV))
    assert (seen.verdict.up, seen.verdict.reason) == ((True, None) if advance else (None, Reason.MALFORMED))


def test_the_same_media_at_once_each_time_is_unknown_after_a_minute() -> None:
    """A server may begin with the same picture for each viewer for so long; other media begin anew."""
    burst = flv(3.0, burst=3.0)
    other = ((0.0, FLV_HEAD + NO_MEDIA), *burst[1:])
    pages: dict[str, Answer] = {FLV: lambda now: Page(parts=burst if now < 100 else other)}
    seen = check(pages, 5, 65, 65.1, 101, 160, 162, of=address(FLV))
    same = "the same media has come at once each time, as of a push that has stopped"
    plays, stands = (True, None, "it plays"), (None, Reason.MALFORMED, same)
    assert [one.told for one in seen] == [plays, plays, stands, plays, plays, stands]


@pytest.mark.parametrize(("shown", "line"), [(f"{ORIGIN}{A}", "seg-10.ts?<redacted>"), (ORIGIN, "<redacted>")])
def test_a_playlist_is_shown_as_far_as_its_address_may_be(shown: str, line: str) -> None:
    """Where only the origin may be shown, the names of segments are hidden, too."""
    one = PlaybackAddress("main", Secret(f"{ORIGIN}{A}"), shown, (ORIGIN,))
    (seen,) = check({A: moving()}, 0, of=one)
    assert seen.checked.steps[0].body.splitlines()[-1] == line


def test_a_playlist_that_repeats_the_signature_shows_none() -> None:
    """Some servers write the token of a check into the paths of segments."""
    one = address(A, signed="alibaba", key=Secret("key"))
    token = signed(one, EPOCH, NONCE).partition("auth_key=")[2]
    (seen,) = check({A: says(media(10).replace("seg-", f"{token}/seg-"))}, 0, of=one)
    body = seen.checked.steps[0].body
    assert "#EXTM3U" in body
    assert token not in body


def test_a_playlist_need_not_be_utf_8() -> None:
    """Titles in any encoding change nothing."""
    pages = {**SEGMENTS, A: lambda now: Page(media(10 + int(now / 2)).encode().replace(b"F:2,", b"F:2,caf\xe9 \xff"))}
    assert [seen.verdict.up for seen in check(pages, 0, 3)] == [None, True]


def test_an_address_in_a_playlist_need_not_be_utf_8() -> None:
    """It is asked for byte for byte as it stands there, as ffmpeg does."""
    byte = b"\xe9".decode("utf-8", "surrogateescape")
    pages = {path.replace("seg-", byte): page for path, page in SEGMENTS.items()}
    pages[A] = lambda now: Page(media(10 + int(now / 2)).encode().replace(b"seg-", b"\xe9"))
    assert [seen.verdict.up for seen in check(pages, 0, 3)] == [None, True]
    assert target(f"{ORIGIN}/{byte}.ts").url == f"{ORIGIN}/%E9.ts"


def test_another_look_comes_when_it_tells_more() -> None:
    """After a target duration while it is too early to tell, and just after the time when it would stand still."""
    pages = {**SEGMENTS, A: moving(until=4.0)}
    again = [seen.verdict.again for seen in check(pages, 0, 5, 8, 12)]
    assert again == [approx(2.0), NEVER, approx(3.1), NEVER]
