"""Of hops and checks: what holds at the very edge, and what must not depend on who is asked first."""

from __future__ import annotations

import pytest

from exporter.model import Reason, State
from exporter.playback.verdict import Verdict, status_says, worst
from exporter.state.hops import Disagreement, Hops

from .watching import MAX_AGE, Watching, address, stream

LIVE, DOWN = State.ACTIVE, State.INACTIVE


@pytest.mark.parametrize(("doubt", "began"), [(MAX_AGE, 0.0), (MAX_AGE + 0.5, 10.5 + MAX_AGE)])
def test_a_disagreement_outlasts_as_much_doubt_as_patience(doubt: float, began: float) -> None:
    """After exactly so long it is the same one; after longer it began when both sides were known again."""
    made = Disagreement()
    made.see(True, False, 0.0, MAX_AGE)
    made.see(None, False, 10.0, MAX_AGE)
    made.see(True, False, 10.0 + doubt, MAX_AGE)
    assert made.began == began


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


def test_hops_that_watch_nothing_know_nothing() -> None:
    """Before a configuration is there, no stream is compared."""
    made, hops = Watching().watch(("tencent", stream("tencent", "a", "final"))), Hops()
    assert (hops.keys, hops.viewed) == (frozenset(), {})
    assert hops.disagree(made.record("tencent/a"), LIVE, (), 0.0) is None


def test_a_check_that_counts_no_longer_is_shown_by_nobody() -> None:
    """At its end a check still counts; after it, its address is unknown, whether or not anybody has withdrawn it."""
    made = Watching().watch(("tencent", stream("tencent", "a", playback=(address("one"), address("two")))))
    made.check("tencent/a", 0, up=True, name="one", until=30.0)
    record = made.record("tencent/a")
    check = record.playback["one"]
    assert [record.checks(mono) for mono in (30.0, 30.1)] == [
        (("one", check), ("two", None)),
        (("one", None), ("two", None)),
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
    urls = [f"https://play.example/{number}.m3u8?token=t" for number in range(len(verdicts))]
    assert worst(zip(urls, verdicts, strict=True), address()) == expected


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
