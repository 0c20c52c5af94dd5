"""Of hops and checks: what holds at the very edge, and what must not depend on who is asked first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exporter.model import Reason, State
from exporter.playback.body import MOST_HELD, SMALL
from exporter.playback.checker import Checked, Checker, Means
from exporter.playback.fetch import Fetched, NotFetched, Take, Wanted
from exporter.playback.verdict import Verdict, status_says, worst
from exporter.rounds.shared import Clock
from exporter.routes import Http
from exporter.transport.aside import at_once
from testbed.virtual import run
from tests.virtual import EPOCH

from .rig import ORIGIN, TS, Answer, Page, Web, media, moving
from .rig import address as served
from .watching import Watching, address, stream

LIVE, DOWN = State.ACTIVE, State.INACTIVE


def test_one_live_stream_asked_anew_speaks_for_its_side() -> None:
    """Of several live streams of a group at one provider, the newest word counts; the others need not be asked anew."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final")),
        ("tencent", stream("tencent", "b", "final")),
        ("zego", stream("zego", "z", "final")),
    )
    for name in ("a", "b"):
        made.says(f"tencent/{name}", LIVE, 0)
    made.says("zego/z", DOWN, 1)
    made.says("zego/z", DOWN, 2)
    assert made.differs("zego/z", 2.5) is False
    made.says("tencent/b", LIVE, 3)
    assert [made.differs(key, 4) for key in ("zego/z", "tencent/a", "tencent/b")] == [True, True, True]


def test_a_check_that_counts_no_longer_is_shown_by_nobody() -> None:
    """At its end a check still counts; after it, its address is unknown, whether or not anybody has withdrawn it."""
    made = Watching().watch(("tencent", stream("tencent", "a", playback=(address("one"), address("two")))))
    made.check("tencent/a", 0, up=True, name="one", until=30.0)
    record = made.record("tencent/a")
    check = record.playback["one"].check
    assert [[(one.name, one.check) for one in record.checks(mono)] for mono in (30.0, 30.1)] == [
        [("one", check), ("two", None)],
        [("one", None), ("two", None)],
    ]


PLAYS, LATER = Verdict(True, "", age=1.0, first_byte=0.2, again=9.0), Verdict(True, "", age=3.0, first_byte=0.1)
EARLY, FAILED, GONE = Verdict(None, "early"), Verdict(None, "failed", Reason.TIMEOUT), Verdict(False, "gone")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([PLAYS], Verdict(True, "it plays", None, 1.0, 0.2, 9.0)),
        ([PLAYS, LATER, PLAYS], Verdict(True, "all 3 playlists play", None, 3.0, 0.2, 9.0)),
        ([Verdict(True, ""), Verdict(True, "")], Verdict(True, "all 2 playlists play")),
        ([PLAYS, EARLY], Verdict(None, "https://play.example/1.m3u8: early", again=9.0)),
        ([EARLY, FAILED], Verdict(None, "https://play.example/1.m3u8: failed", Reason.TIMEOUT)),
        ([FAILED, EARLY], Verdict(None, "https://play.example/0.m3u8: failed", Reason.TIMEOUT)),
        ([PLAYS, FAILED, EARLY, GONE], Verdict(False, "https://play.example/3.m3u8: gone", again=9.0)),
    ],
)
def test_of_several_playlists_the_worst_counts(verdicts: list[Verdict], expected: Verdict) -> None:
    """What is down goes before what failed, that before what is not known yet; figures are the worst of all."""
    shown = [f"https://play.example/{number}.m3u8" for number in range(len(verdicts))]
    assert worst(zip(shown, verdicts, strict=True)) == expected


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (401, Reason.AUTH, "HTTP 401: the address is refused; its token may be wrong or have expired"),
        (403, Reason.AUTH, "HTTP 403: the address is refused; its token may be wrong or have expired"),
        (429, Reason.THROTTLED, "HTTP 429: too many requests"),
        (503, Reason.HTTP, "HTTP 503"),
    ],
)
def test_a_status_that_tells_nothing_has_its_reason(status: int, reason: Reason, words: str) -> None:
    """Whoever is on call sees whether it is the token, the rate or the server."""
    assert status_says(status) == (reason, words)


MASTER = "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}.m3u8\n" for name in ("low", "high"))
SAID = "a media playlist, target duration 2 s"


def checks(pages: dict[str, Answer], count: int, held: int = 0, **fields: Any) -> list[Checked]:
    """Return checks of an address, three seconds apart, while other checks hold so many bytes."""

    async def story() -> list[Checked]:
        loop, web, http = asyncio.get_running_loop(), Web(pages), Http()

        async def fetch(wanted: Wanted, take: Take) -> Fetched:
            assert wanted.http is http
            assert 0 < wanted.timeout <= 5.0
            return await web.fetch(wanted, take)

        means = Means(fetch, Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32), at_once)
        means.held.size = held
        checker, done = Checker(served(A, **fields), http, means), list[Checked]()
        for _ in range(count):
            done.append(await checker.check(5.0))
            assert means.held.size == held, "what was kept of playlists is given back"
            await asyncio.sleep(3)
        return done

    return run(story())


A, LOW, HIGH = "/live/a.m3u8", "/live/low.m3u8", "/live/high.m3u8"
OURS: dict[str, Answer] = {f"/live/seg-{number}.ts": lambda _now: Page(TS * 30) for number in range(8, 12)}
GONE_404 = ("HTTP 404, 0 bytes", "it is not there: HTTP 404")
PLAYLIST, SEGMENT = ("HTTP 200, 145 bytes", f"{SAID}, which moves"), ("HTTP 200, 5,640 bytes", "it plays")
TWO = ("HTTP 200, 87 bytes", "a master playlist; 2 of its playlists count")
NO_SUCH = "the master playlist has no variant whose path ends in other.m3u8"
NEITHER = "the playlist moves, but its newest segments are not there: HTTP 404"
NESTED = "a master playlist stands where a media playlist was expected"
ENDED, NONSENSE = (
    "it has ended: the playlist says EXT-X-ENDLIST",
    "it is not a playlist: it does not begin with #EXTM3U",
)


def says(*args: Any, **fields: Any) -> Answer:
    """Return what answers with this page whenever it is asked."""
    return lambda _now: Page(*args, **fields)


@pytest.mark.parametrize(
    ("pages", "variant", "outcome", "steps"),
    [
        ({}, "", (False, None, GONE_404[1]), [GONE_404]),
        ({A: moving(), **OURS}, "", (True, None, "it plays"), [PLAYLIST, SEGMENT]),
        ({A: moving()}, "", (None, None, NEITHER),
         [PLAYLIST, ("HTTP 404, 0 bytes", "the newest media is not there"), ("HTTP 404, 0 bytes", NEITHER)]),
        ({A: says(media(10, more="#EXT-X-ENDLIST\n"))}, "", (False, None, ENDED), [("HTTP 200, 159 bytes", ENDED)]),
        ({A: lambda _now: NotFetched(Reason.TIMEOUT, "too late", 7)}, "", (None, Reason.TIMEOUT, "too late"),
         [("no answer", "too late")]),
        ({A: says("oops", 500)}, "", (None, Reason.HTTP, "HTTP 500"), [("HTTP 500, 4 bytes", "HTTP 500")]),
        ({A: says("nonsense")}, "", (None, Reason.MALFORMED, NONSENSE), [("HTTP 200, 8 bytes", NONSENSE)]),
        ({A: says(MASTER)}, "other.m3u8", (None, Reason.MALFORMED, NO_SUCH), [("HTTP 200, 87 bytes", NO_SUCH)]),
        ({A: says(MASTER)}, "", (False, None, f"{ORIGIN}{LOW}: {GONE_404[1]}"), [TWO, GONE_404, GONE_404]),
        ({A: says(MASTER), LOW: moving(), HIGH: says(MASTER), **OURS}, "",
         (None, Reason.MALFORMED, f"{ORIGIN}{HIGH}: {NESTED}"),
         [TWO, PLAYLIST, SEGMENT, ("HTTP 200, 87 bytes", NESTED)]),
        ({A: says(MASTER), LOW: moving(), HIGH: moving(), **OURS}, "", (True, None, "all 2 playlists play"),
         [TWO, PLAYLIST, SEGMENT, PLAYLIST, SEGMENT]),
    ],
)  # fmt: skip
def test_a_check_says_what_came_and_what_that_means(
    pages: dict[str, Answer], variant: str, outcome: object, steps: list[tuple[str, str]]
) -> None:
    """Who asks by hand sees each request, how long it took, what came of it and what was made of that."""
    done = checks(pages, 2, variant=variant)[-1]
    assert (done.verdict.up, done.verdict.reason, done.verdict.message) == outcome
    assert [(step.came, step.judged) for step in done.steps] == steps
    assert [round(step.seconds, 3) for step in done.steps] == [0.02] * len(steps)
    assert done.steps[0].asked == f"{ORIGIN}{A}"
    came = [came.split()[2].replace(",", "") for came, _ in steps if came != "no answer"]
    assert done.received == (sum(map(int, came)) if came else 7), "bytes count where no answer came of them, too"


def test_all_requests_of_a_check_have_so_long_together() -> None:
    """Where each of many playlists is slow, those after six times the timeout are not asked for any more."""
    many = "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{number}.m3u8\n" for number in range(12))
    slow = {f"/live/{number}.m3u8": says(media(10), delay=4.0) for number in range(12)}
    (done,) = checks({A: says(many), **slow}, 1)
    assert (done.verdict.up, done.verdict.reason) == (None, Reason.TIMEOUT)
    assert done.verdict.message == f"{ORIGIN}/live/8.m3u8: its many playlists take too long altogether"
    assert len(done.steps) == 1 + 8


def test_a_playlist_that_comes_too_slowly_is_not_known() -> None:
    """Its parts may come one by one, but not for longer than an answer may take."""
    text = media(10).encode()
    for last, message in ((4.9, f"{SAID}; too early to tell whether it moves"), (5.1, "no complete playlist in time")):
        parts = ((0.0, text[:20]), (1.0, text[20:40]), (last, text[40:]))
        (done,) = checks({A: says(parts=parts)}, 1)
        assert (done.verdict.up, done.verdict.message) == (None, message)


@pytest.mark.parametrize(("over", "reason"), [(0, None), (1, Reason.HTTP)])
def test_playlists_hold_so_many_bytes_together(over: int, reason: Reason | None) -> None:
    """One more large one waits for its next turn; it is not taken to be down."""
    text = media(10, more=f"#{'x' * SMALL}\n")
    (done,) = checks({A: says(text)}, 1, held=MOST_HELD - (len(text) - SMALL) + over)
    assert (done.verdict.up, done.verdict.reason) == (None, reason)
    wanted = "too many large playlists come at once; this one has its turn later"
    assert (done.verdict.message == wanted) is (reason is not None)
