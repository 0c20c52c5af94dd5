"""What viewers get, as checks of a simulated web tell it, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from exporter.model import Reason
from exporter.playback.checks import IDLE_SECONDS
from exporter.playback.fetch import NotFetched
from exporter.playback.hls import LARGEST_PLAYLIST
from exporter.playback.steps import PlaybackTranscript
from testbed.virtual import run
from tests.playback.rig import (
    FLV_HEAD,
    ORIGIN,
    SEGMENTS,
    TS,
    A,
    Answer,
    Page,
    Rig,
    address,
    each_second,
    flv,
    flv_tag,
    media,
    moving,
    rig,
    story,
    watched,
)


def after(seconds: float) -> Callable[[Rig], Awaitable[None]]:
    """Wait so long."""

    async def wait(_: Rig) -> None:
        await asyncio.sleep(seconds)

    return wait


# --- HLS -------------------------------------------------------------------------------------------------------------


def test_a_playlist_that_moves_plays() -> None:
    """The first look decides nothing; the next, a target duration later, sees a new row, and its first bytes come."""
    seen: list[bool | None] = []

    async def tell(one: Rig) -> None:
        await asyncio.sleep(0.5)
        seen.append(one.up())
        await asyncio.sleep(5)

    one = story({A: moving()}, tell)
    outcome = one.outcome()
    assert outcome is not None
    assert seen == [None]
    assert (outcome.up, outcome.reason, outcome.message) == (True, None, "it plays")
    assert outcome.first_byte == pytest.approx(0.02)
    assert not one.counters.playback_errors
    assert one.counters.playback_bytes == {("tencent", "main"): one.web.sent}


def test_a_playlist_that_stands_still_is_down_in_time() -> None:
    """Rows that are the same for three target durations, six seconds at least, are down at the next check, within
    two intervals, with the age that its media has; until then it plays.
    """
    seen: list[tuple[float, bool | None]] = []

    async def tell(one: Rig) -> None:
        for _ in range(400):
            await asyncio.sleep(0.1)
            if not seen or seen[-1][1] != one.up():
                seen.append((round(one.web.now, 1), one.up()))

    one = story({A: moving(until=9.0)}, tell)
    assert [up for _, up in seen] == [None, True, False]
    assert 8 + 6 <= seen[2][0] <= 8 + 2 * 15
    outcome = one.outcome()
    assert outcome is not None
    assert outcome.age is not None
    assert 6 <= outcome.age < 30
    assert "nothing new for 6 s" in outcome.message


def test_it_plays_again() -> None:
    """A playlist that moves again after it stood still plays at the next check."""
    back: Answer = lambda now: Page(media(10 + int((now if now < 5 else 5 if now < 40 else now) / 2)))  # noqa: E731
    seen: list[bool | None] = []

    async def tell(one: Rig) -> None:
        seen.extend(await each_second(one, 90, Rig.up))

    story({A: back}, tell)
    assert seen == [None, True, False, True]


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_down(status: int) -> None:
    """404 and 410 are definite, at the first look."""
    one = story({A: lambda _: Page(status=status)}, after(1))
    assert one.up() is False
    assert not one.counters.playback_errors


def test_what_has_ended_is_down() -> None:
    """A playlist with EXT-X-ENDLIST is down, even while its rows still change."""
    one = story({A: lambda now: Page(media(10 + int(now), more="#EXT-X-ENDLIST\n"))}, after(30))
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (False, None)
    assert outcome.age == pytest.approx(0, abs=0.1)
    assert "ENDLIST" in outcome.message


SOUND = b"\xaf\x01" + bytes(20)

FAILURES: list[tuple[Page | NotFetched, Reason]] = [
    (Page(status=401), Reason.AUTH),
    (Page(status=403), Reason.AUTH),
    (Page(status=429), Reason.THROTTLED),
    (Page(status=500), Reason.HTTP),
    (Page(status=204), Reason.HTTP),
    (Page("<html>welcome</html>"), Reason.MALFORMED),
    (Page(""), Reason.MALFORMED),
    (Page(b"\x00\xff" * 100), Reason.MALFORMED),
    (NotFetched(Reason.DNS, "the name was not resolved"), Reason.DNS),
    (NotFetched(Reason.TLS, "no trusted connection"), Reason.TLS),
    (NotFetched(Reason.TIMEOUT, "no answer in time", 7), Reason.TIMEOUT),
    (NotFetched(Reason.CONNECTION, "refused"), Reason.CONNECTION),
]


@pytest.mark.parametrize(("page", "reason"), FAILURES)
def test_every_failure_withdraws_what_was_known(page: Page | NotFetched, reason: Reason) -> None:
    """A failure is never down: what was known is withdrawn, the reason is counted once a check, and it plays again
    as soon as it does.
    """
    seen: list[tuple[bool | None, Reason | None]] = []

    async def tell(one: Rig) -> None:
        seen.extend(await each_second(one, 80, Rig.verdict))

    one = story({A: lambda now: page if 16 <= now < 46 else moving()(now)}, tell)
    assert seen == [(None, None), (True, None), (None, reason), (True, None)]
    failed = [when for when, path in one.web.asked if path == A and 16 <= when < 46]
    assert one.counters.playback_errors == {("tencent", "a", "main", str(reason)): len(failed)}


def test_a_segment_that_is_refused_fails() -> None:
    """A playlist that moves is not enough: its newest segment has to come."""
    refused = {path: (lambda _: Page(status=403)) for path in SEGMENTS}
    one = story({A: moving(), **refused}, after(10))
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (None, Reason.AUTH)


def test_segments_that_are_missing_are_down() -> None:
    """Both the newest segment and the one before it have to be gone; a list may name a segment a moment early."""
    missing = {path: (lambda _: Page(status=404)) for path in SEGMENTS}
    assert story({A: moving(), **missing}, after(10)).up() is False

    def early(number: int) -> Answer:
        return lambda now: Page(TS, 206) if now >= 2 * (number - 10) + 1.9 else Page(status=404)

    late = {f"/live/seg-{number}.ts": early(number) for number in range(10, 100)}
    one = story({A: moving(), **late}, after(10))
    outcome = one.outcome()
    assert outcome is not None
    assert outcome.up is True
    assert "not there yet" in outcome.message


@pytest.mark.parametrize(
    "page", [Page(b"", 206), Page("<!DOCTYPE html>"), Page("x", headers={"content-type": "text/html"})]
)
def test_segments_that_are_no_media_fail(page: Page) -> None:
    """An empty segment, or a page in place of one, says that something is wrong, not that the stream is down."""
    one = story({A: moving(), **{path: (lambda _: page) for path in SEGMENTS}}, after(10))
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (None, Reason.MALFORMED)


def test_a_segment_is_fetched_once() -> None:
    """As long as the newest segment is the one that came, it is not fetched again."""
    one = story({A: lambda now: Page(media(10 if now < 1 else 11, target=20))}, after(50))
    assert one.up() is True
    assert one.web.count(A) >= 3
    assert one.web.count("/live/seg-11.ts") == 1


def test_a_file_that_all_rows_share_is_asked_for_again() -> None:
    """Each new row is fetched, by its own range, though its address is that of the row before: the file may be gone."""
    row = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2,\n#EXT-X-BYTERANGE:9@{}\nall.ts\n"
    one = story(
        {
            A: lambda now: Page(row.format(9 * int(now / 2))),
            "/live/all.ts": lambda now: Page(TS, 206) if now < 20 else Page(status=404),
        },
        after(50),
    )
    assert one.up() is False
    starts = [start for path, start in one.web.ranges if path == "/live/all.ts"]
    assert len(set(starts)) > 2
    assert all(start % 9 == 0 for start in starts)


def test_a_playlist_that_is_too_long_is_not_read() -> None:
    """One that goes on beyond the limit says nothing of what viewers get; the message says why."""
    one = story({A: lambda now: Page(media(10, more="#" * LARGEST_PLAYLIST))}, after(1))
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (None, Reason.HTTP)
    assert outcome.message == "a playlist is longer than 8 MiB"


@pytest.mark.parametrize("hidden", [True, False])
def test_a_hidden_address_hides_what_its_playlist_names(hidden: bool) -> None:
    """Where the address comes from a file or a variable, a check shows neither its path nor those in its playlist."""

    async def whole() -> str:
        whole_address = address("/canary/a.m3u8")
        one = rig(watched(replace(whole_address, shown=ORIGIN) if hidden else whole_address))
        one.web.pages = {"/canary/a.m3u8": lambda now: Page(media(10 + int(now / 2)).replace("seg", "canary/seg"))}
        async with one.checks:
            told = await one.checks.settle(one.record(), asyncio.get_running_loop().time() + 20)
        return "\n".join(line for check in told for line in check.lines())

    text = run(whole())
    assert "#EXT-X-TARGETDURATION:2" in text
    assert ("canary" in text) is not hidden


MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8?t=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh.m3u8?t=2\n"


@pytest.mark.parametrize(
    ("low", "up", "reason"),
    [
        (moving(), True, None),
        (lambda _: Page(status=404), False, None),
        (moving(until=4.0), False, None),
        (lambda _: Page(status=500), None, Reason.HTTP),
        (lambda _: Page(MASTER), None, Reason.MALFORMED),
    ],
)
def test_every_variant_counts(low: Answer, up: bool | None, reason: Reason | None) -> None:
    """A master playlist is as good as the worst of its variants, which the message names without its query."""
    one = story({A: lambda _: Page(MASTER), "/live/low.m3u8": low, "/live/high.m3u8": moving()}, after(36))
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (up, reason)
    assert ("/live/low.m3u8: " in outcome.message) == (up is not True)
    assert "?" not in outcome.message


@pytest.mark.parametrize(("variant", "up"), [("high.m3u8", True), ("low.m3u8", False), ("none.m3u8", None)])
def test_one_variant_is_enough_where_one_is_configured(variant: str, up: bool | None) -> None:
    """Only the variant that is configured is asked for; one that does not exist is a failure that names it."""

    async def whole() -> Rig:
        one = rig(watched(address(A, variant=variant)))
        one.web.pages = {**SEGMENTS, A: lambda _: Page(MASTER), "/live/high.m3u8": moving()}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(10)
        return one

    one = run(whole())
    outcome = one.outcome()
    assert outcome is not None
    assert outcome.up is up
    assert {path for _, path in one.web.asked if path.endswith("m3u8")} <= {A, f"/live/{variant}"}
    if up is None:
        assert variant in outcome.message


def test_age_by_the_date_and_by_the_rows() -> None:
    """The age is that of the newest media's end by its date, else the time since the rows last moved."""

    def dated(now: float) -> Page:
        text = media(10 + int(now / 2))
        return Page(text.replace("#EXTINF", "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00Z\n#EXTINF", 1))

    async def tell(one: Rig) -> None:
        await asyncio.sleep(5)

    plain = story({A: moving()}, tell).outcome()
    assert plain is not None
    assert plain.age is not None
    assert 0 <= plain.age < 2.1
    with_date = story({A: dated}, tell).outcome()
    assert with_date is not None
    assert with_date.age is not None
    assert with_date.age > 900  # virtual time is some minutes after that date


# --- FLV -------------------------------------------------------------------------------------------------------------


def stream(page: Page, seconds: float = 30.0) -> Rig:
    """Check an address of FLV that answers with this."""

    async def whole() -> Rig:
        one = rig(watched(address("/live/a.flv")))
        one.web.pages = {"/live/a.flv": lambda _: page}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(seconds)
        return one

    return run(whole())


@pytest.mark.parametrize(
    ("page", "up", "reason"),
    [
        (Page(parts=flv(20.0), open=True), True, None),
        (Page(parts=flv(20.0, burst=3.0), open=True), True, None),
        (Page(parts=flv(2.0, burst=3.0), open=True), False, None),
        (Page(parts=((0.0, FLV_HEAD),), open=True), False, None),
        (Page(parts=(), open=True), False, None),
        (Page(parts=flv(2.0)), True, None),
        (Page(parts=((0.0, FLV_HEAD),)), None, Reason.CONNECTION),
        (Page(parts=((0.0, FLV_HEAD), *((i / 10, flv_tag(8, 5, SOUND)) for i in range(400)))), None, Reason.MALFORMED),
        (Page(parts=((0.0, FLV_HEAD), *((i, flv_tag(18, i * 1000, SOUND)) for i in range(60)))), False, None),
        (Page("<html>no</html>"), None, Reason.MALFORMED),
        (Page(status=404), False, None),
        (Page(status=403), None, Reason.AUTH),
    ],
    ids=["live", "live with a burst", "stops after a burst", "only a header", "nothing at all",
         "ends after seconds", "ends at once", "timestamps stand still", "only data", "a page", "not there", "refused"],
)  # fmt: skip
def test_flv(page: Page, up: bool | None, reason: Reason | None) -> None:
    """FLV plays once its timestamps have advanced for a second; ten seconds without a tag are down."""
    one = stream(page)
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (up, reason), outcome.message


def test_flv_that_falls_silent_has_an_age() -> None:
    """That of its last tag; of a stream without any tag no age is known."""
    for parts, age in ((flv(2.0, burst=3.0), pytest.approx(10.0, abs=0.5)), (((0.0, FLV_HEAD),), None)):
        outcome = stream(Page(parts=parts, open=True)).outcome()
        assert outcome is not None
        assert (outcome.up, outcome.age) == (False, age)


def test_flv_by_any_name() -> None:
    """What has once been FLV is waited for as FLV, whatever its address is called: ten seconds of silence are down."""

    async def whole() -> Rig:
        one = rig(watched(address("/live/a")))
        one.web.pages = {
            "/live/a": lambda now: (
                Page(parts=flv(20.0), open=True) if now < 10 else Page(parts=((0.0, FLV_HEAD),), open=True)
            )
        }
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(5)
            assert one.up() is True
            await asyncio.sleep(40)
        return one

    assert run(whole()).up() is False


@pytest.mark.parametrize("heavy", [False, True])
def test_the_same_burst_twice_is_not_fresh(heavy: bool) -> None:
    """What comes at once plays at first; the very same bytes a minute later are an old push that a server keeps."""
    size = 20_000 if heavy else 20
    tags = tuple((0.0, flv_tag(9, i * 100, b"\x27\x01" + bytes(size))) for i in range(30))
    seen: list[tuple[bool | None, Reason | None]] = []

    async def whole() -> None:
        one = rig(watched(address("/live/a.flv")))
        one.web.pages = {"/live/a.flv": lambda _: Page(parts=((0.0, FLV_HEAD), *tags))}
        async with one.checks:
            one.checks.scraped()
            seen.extend(await each_second(one, 90, Rig.verdict))

    run(whole())
    assert seen == [(True, None), (None, Reason.MALFORMED)]


def test_flv_is_left_once_it_plays() -> None:
    """No more than needed is received: little over a second of the stream."""
    one = stream(Page(parts=flv(60.0), open=True), 5.0)
    assert one.counters.playback_bytes["tencent", "main"] < 14 * len(flv(1.0)[1][1])


def test_large_flv_is_left_at_its_limit() -> None:
    """At a high bit rate the limit of bytes comes before a second has passed: timestamps that advance are enough."""
    tags = tuple((0.0, flv_tag(9, i * 10, b"\x27\x01" + bytes(20_000))) for i in range(60))
    one = stream(Page(parts=((0.0, FLV_HEAD), *tags), open=True), 5.0)
    assert one.up() is True
    assert one.counters.playback_bytes["tencent", "main"] <= (256 << 10) + 20_100


# --- when ------------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_a_scrape_and_long_after() -> None:
    """Checks begin with the first scrape, go on beside further ones, and end some minutes after the last.

    Until then their bytes are 0.
    """

    async def whole() -> Rig:
        one = rig(watched(address(A)))
        one.web.pages = {**SEGMENTS, A: moving(until=100)}
        async with one.checks:
            await asyncio.sleep(30)
            assert not one.web.asked
            assert one.counters.playback_bytes == {("tencent", "main"): 0}
            one.checks.scraped()
            await asyncio.sleep(2 * IDLE_SECONDS)
            last = one.web.asked[-1][0]
            assert 30 + IDLE_SECONDS - 16 <= last <= 30 + IDLE_SECONDS + 16
            one.checks.scraped()
            await asyncio.sleep(1)
            assert one.web.asked[-1][0] > last + 100
        return one

    run(whole())


def test_each_interval_once() -> None:
    """Once it is known whether it plays, an address is checked once an interval, its own if it has one."""

    async def whole() -> Rig:
        one = rig(watched(address(A), address("/live/b.m3u8", "other", interval=60.0)))
        one.web.pages = {**SEGMENTS, A: moving(2), "/live/b.m3u8": moving(2)}
        async with one.checks:
            for _ in range(60):
                one.checks.scraped()
                await asyncio.sleep(10)
        return one

    one = run(whole())
    assert 600 / 15 - 1 <= one.web.count(A) <= 600 / 15 + 3
    assert 600 / 60 - 1 <= one.web.count("/live/b.m3u8") <= 600 / 60 + 3


def test_requests_keep_their_rate() -> None:
    """However many addresses come due at once, a host gets no more requests a second than allowed."""

    async def whole() -> Rig:
        one = rig(*(watched(address(f"/live/{i}.m3u8"), name=f"s{i}") for i in range(50)), rate=10.0, concurrency=50)
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(14)
        return one

    times = [when for when, _ in run(whole()).web.asked]
    assert len(times) >= 50
    assert max(sum(start <= one < start + 1 for one in times) for start in times) <= 11


def test_what_is_no_longer_watched_is_not_checked() -> None:
    """After a reload an address that is gone is asked no more, one that stays keeps what is known, and one whose
    settings changed begins anew.
    """

    async def whole() -> None:
        one = rig(watched(address(A), address("/live/b.m3u8", "other")))
        one.web.pages = {**SEGMENTS, A: moving(), "/live/b.m3u8": moving()}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(10)
            assert one.up() is True
            one.configure(watched(address(A)))
            asked = one.web.count("/live/b.m3u8")
            await asyncio.sleep(40)
            assert one.web.count("/live/b.m3u8") == asked
            assert one.up() is True
            one.configure(watched(address(A, interval=5.0)))
            before = one.web.count(A)
            await asyncio.sleep(0.1)
            assert one.web.count(A) == before + 1

    run(whole())


def test_a_check_is_joined() -> None:
    """Who asks by hand while a check is under way gets that one; it is told how it went."""
    told: list[PlaybackTranscript] = []

    async def tell(one: Rig) -> None:
        await asyncio.sleep(0.01)
        told.extend(await one.checks.settle(one.record(), asyncio.get_running_loop().time() + 20))
        assert one.web.asked[0][0] == 0.0

    one = story({A: moving()}, tell)
    assert [check.outcome.up for check in told] == [True]
    assert [step.asked for step in told[0].steps] == [f"https://play.example{A}", "https://play.example/live/seg-11.ts"]
    assert one.web.count(A) == 2


def test_by_hand_what_is_known_is_not_asked_again() -> None:
    """Of two addresses the one that is settled at the first look is left alone while the other one has to move."""

    async def whole() -> None:
        one = rig(watched(address(A), address("/live/gone.m3u8", "other")))
        one.web.pages = {**SEGMENTS, A: moving()}
        async with one.checks:
            told = await one.checks.settle(one.record(), asyncio.get_running_loop().time() + 20)
        assert [check.outcome.up for check in told] == [True, False]
        assert (one.web.count(A), one.web.count("/live/gone.m3u8")) == (2, 2)

    run(whole())


def test_by_hand_a_reload_ends_it() -> None:
    """An address that a reload takes away while it is asked by hand is asked no more, and that is no bug of ours."""

    async def whole(settled: float) -> None:
        one = rig(watched(address(A)))
        one.web.pages = {**SEGMENTS, A: moving()}
        async with one.checks:
            asking = asyncio.create_task(one.checks.settle(one.record(), asyncio.get_running_loop().time() + 20))
            await asyncio.sleep(settled)
            one.configure(watched())
            (told,) = await asking
        assert (told.outcome.up, told.outcome.reason) == (None, None)
        assert one.web.count(A) <= 1

    with capture_logs() as lines:
        for settled in (0.0, 0.5):
            run(whole(settled))
    assert lines == []


def test_by_hand_no_longer_than_wanted() -> None:
    """Asking by hand ends at the deadline though it is not known yet whether it plays."""

    async def tell(one: Rig) -> None:
        began = one.web.now
        told = await one.checks.settle(one.record(), asyncio.get_running_loop().time() + 0.5)
        assert one.web.now - began < 0.5
        assert told[0].outcome.up is None

    story({A: moving()}, tell)


def test_a_fault_of_ours_is_told() -> None:
    """An error in the exporter itself withdraws what was known, with its own reason, and checks go on."""

    def broken(now: float) -> Page | NotFetched:
        if now < 10:
            raise ZeroDivisionError
        return moving()(now)

    seen: list[Reason | None] = []

    async def tell(one: Rig) -> None:
        await asyncio.sleep(1)
        outcome = one.outcome()
        assert outcome is not None
        seen.append(outcome.reason)
        await asyncio.sleep(50)

    one = story({A: broken}, tell)
    assert seen == [Reason.BUG]
    assert one.up() is True
