"""What looks like down and is none: caches, restarts, turns that come late, an exporter that was held up."""

from __future__ import annotations

import asyncio

import pytest

from exporter.model import Reason
from exporter.playback.flv import MOST_BYTES
from testbed.virtual import run
from tests.playback.rig import (
    FLV_HEAD,
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

FLV = "/live/a.flv"
NO_TAG = flv_tag(18, 0, b"onMetaData")


def never_down(pages: dict[str, Answer], seconds: float = 180.0, **settings: float) -> list[bool | None]:
    """Return what was told each half second, which is never down."""
    told: list[bool | None] = []

    async def watch(one: Rig) -> None:
        for _ in range(int(seconds * 2)):
            await asyncio.sleep(0.5)
            told.append(one.up())

    story(pages, watch, **settings)
    assert False not in told
    return told


def of_flv(page: Page, seconds: float = 60.0) -> Rig:
    """Check an address of FLV for some time."""

    async def whole() -> Rig:
        one = rig(watched(address(FLV)))
        one.web.pages = {FLV: lambda _: page}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(seconds)
        return one

    return run(whole())


# --- HLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [5, 7, 8, 15])
@pytest.mark.parametrize("interval", [5.0, 15.0, 60.0])
def test_a_cache_that_is_behind_is_not_down(behind: int, interval: float) -> None:
    """Answers come from two caches in turn, one of them some rows behind the other: both go on."""
    asked = [0]

    def turns(now: float) -> Page:
        asked[0] += 1
        return Page(media(100 + int(now / 2) - behind * (asked[0] % 2)))

    told = never_down({A: turns}, 400.0, interval=interval)
    assert True in told


@pytest.mark.parametrize(
    ("every", "named"), [(every, True) for every in (9, 14.6, 16, 31, 61)] + [(every, False) for every in (40, 61, 130)]
)
@pytest.mark.parametrize("interval", [5.0, 15.0])
def test_an_encoder_that_begins_anew_is_not_down(every: float, named: bool, interval: float) -> None:
    """Its numbers begin again each time, and come to where they were; new names tell even if that is all the time."""

    def again(now: float) -> Page:
        text = media(10 + int(now % every / 2))
        return Page(text.replace("seg-", f"run{int(now / every)}/seg-") if named else text)

    segments = {f"/live/run{run}/{path[6:]}": page for run in range(50) for path, page in SEGMENTS.items()}
    assert True in never_down({A: again, **segments}, 400.0, interval=interval)


@pytest.mark.parametrize(("target", "interval"), [(6, 5.0), (10, 5.0), (20, 15.0)])
def test_an_encoder_that_begins_anew_is_not_down_though_rows_are_longer_than_the_interval(
    target: int, interval: float
) -> None:
    """Looks that see the same row twice on its way do not hide that it goes on, nor does a row that it had before."""
    told = never_down({A: lambda now: Page(media(10 + int(now % (8 * target) / target), target=target))}, 290.0,
                      interval=interval)  # fmt: skip
    assert told[-1] is True


def test_an_encoder_that_began_anew_between_two_looks_is_not_down() -> None:
    """The newest row has the very number that it had at the look before."""
    told = never_down({A: lambda now: Page(media(10 + int((now if now < 14 else now - 15) / 2)))}, 60.0)
    assert told.count(True) > 100


@pytest.mark.parametrize("status", [404, 410])
def test_one_answer_that_it_is_not_there_is_not_down(status: int) -> None:
    """A list that is just being replaced, or a cache that has not got it yet, is asked again at once."""
    missed = [0]

    def once(now: float) -> Page:
        missed[0] += now >= 10
        return Page(status=status) if missed[0] == 1 else Page(media(10 + int(now / 2)))

    assert never_down({A: once}, 40.0)[-1] is True


def test_one_answer_that_it_has_ended_is_not_down() -> None:
    """The end of another stream may come on a connection that is out of step: a new one tells."""
    asked = [0]

    def once(now: float) -> Page:
        asked[0] += 1
        return Page(media(10 + int(now / 2), more="#EXT-X-ENDLIST\n" if asked[0] == 3 else ""))

    assert never_down({A: once}, 40.0)[-1] is True


def test_segments_that_come_later_than_their_list_are_not_down() -> None:
    """For one look both newest segments are not there yet."""

    def late(now: float) -> Page:
        return Page(TS, 206) if not 15 <= now < 18 else Page(status=404)

    told = never_down({A: moving(), **dict.fromkeys(SEGMENTS, late)}, 60.0)
    assert told[-1] is True


def test_segments_whose_turn_comes_late_are_not_down() -> None:
    """Where the rate makes requests wait, a segment may be gone again before it is asked for."""

    async def whole() -> list[bool | None]:
        streams = [watched(address(f"/{i}/a.m3u8"), name=f"s{i}") for i in range(40)]
        one = rig(*streams, rate=2.0, concurrency=40)

        def segment(number: int) -> Answer:
            return lambda now: Page(TS, 206) if now < 2 * (number - 10) + 8 else Page(status=404)

        one.web.pages = {f"/{i}/a.m3u8": moving() for i in range(40)}
        one.web.pages |= {f"/{i}/seg-{number}.ts": segment(number) for i in range(40) for number in range(200)}
        told = []
        async with one.checks:
            one.checks.scraped()
            for _ in range(250):
                await asyncio.sleep(1)
                told += [one.up(f"s{i}") for i in range(40)]
        return told

    assert False not in run(whole())


def test_an_empty_list_that_does_not_say_its_target_is_not_down_at_once() -> None:
    """Before the first row nothing tells how long it takes."""
    empty = "#EXTM3U\n#EXT-X-TARGETDURATION:0\n#EXT-X-MEDIA-SEQUENCE:0\n"
    told = never_down({A: lambda now: Page(empty) if now < 12 else Page(media(10 + int(now / 10), target=10))}, 60.0)
    assert told[-1] is True


@pytest.mark.parametrize("every", [1.0, 2.0, 20.0])
def test_an_exporter_that_was_held_up_does_not_call_a_list_old(every: float) -> None:
    """What was asked for before it was held up is as old as the request, not as the moment when it is read."""
    behind = {"until": 0.0}

    def answered(now: float) -> Page:
        return Page(media(10 + int(now / 2)), delay=behind["until"])

    async def watch(one: Rig) -> None:
        for number in range(60):
            behind["until"] = 4.9 if number % 3 == 2 else 0.02
            await asyncio.sleep(every)
            assert one.up() is not False

    story({A: answered}, watch, interval=5.0)


# --- FLV -------------------------------------------------------------------------------------------------------------


def test_a_turn_that_comes_late_is_no_silence() -> None:
    """The time that a request waits for its turn is none in which the stream was silent."""

    async def whole() -> None:
        streams = [watched(address(f"/{i}.flv"), name=f"s{i}") for i in range(30)]
        one = rig(*streams, rate=1.0, concurrency=30)
        parts = ((0.0, FLV_HEAD + NO_TAG), *flv(20.0)[1:])
        one.web.pages = {f"/{i}.flv": (lambda _: Page(parts=parts, open=True)) for i in range(30)}
        async with one.checks:
            one.checks.scraped()
            for _ in range(60):
                await asyncio.sleep(1)
                assert False not in [one.up(f"s{i}") for i in range(30)]
            assert one.up("s29") is True

    run(whole())


@pytest.mark.parametrize("pause", [9.9, 9.0])
@pytest.mark.parametrize("kind", [8, 9])
def test_tags_that_are_far_apart_are_no_silence(pause: float, kind: int) -> None:
    """Less than ten seconds without a tag are not down, from any timestamp on."""
    body = b"\xaf\x01" + bytes(20) if kind == 8 else b"\x27\x01" + bytes(20)
    tags = [(i * pause, flv_tag(kind, (1 << 31) + int(i * pause * 1000), body)) for i in range(9)]
    assert of_flv(Page(parts=((0.0, FLV_HEAD), *tags), open=True), 40.0).up() is True


@pytest.mark.parametrize("rate", [8 << 10, 40 << 10])
def test_a_large_tag_is_no_silence(rate: int) -> None:
    """A picture that takes longer than ten seconds to come is under way all the time."""
    tag = flv_tag(9, 5, b"\x17\x01" + bytes(600 << 10))
    parts = tuple((i / 4, tag[i * rate // 4 : (i + 1) * rate // 4]) for i in range(4 * 40))
    outcome = of_flv(Page(parts=((0.0, FLV_HEAD), *parts), open=True)).outcome()
    assert outcome is not None
    assert outcome.up is None
    assert outcome.reason is not None


@pytest.mark.parametrize("path", [FLV, A])
def test_a_flood_of_tags_that_stand_still_is_malformed_and_costs_what_flv_may(path: str) -> None:
    """However the address is called, no more is taken than of any FLV, and the reason is not that time was short."""

    async def whole() -> Rig:
        one = rig(watched(address(path)))
        tags = tuple((0.001 * number, flv_tag(9, 5, b"\x27\x01" + bytes(4000))) for number in range(2000))
        one.web.pages = {path: lambda _: Page(parts=((0.0, FLV_HEAD), *tags), open=True)}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(20)
        return one

    one = run(whole())
    outcome = one.outcome()
    assert outcome is not None
    assert (outcome.up, outcome.reason) == (None, Reason.MALFORMED)
    assert outcome.message == "tags come, but their timestamps stand still"
    assert one.web.sent / one.web.count(path) <= MOST_BYTES


def test_an_exporter_that_was_held_up_does_not_call_flv_silent() -> None:
    """What came meanwhile is taken before anybody says that nothing came."""
    parts = (
        (0.0, FLV_HEAD),
        (0.1, NO_TAG),
        (9.9, NO_TAG),
        (10.3, NO_TAG),
        *((10.4 + i / 10, flv_tag(8, i * 100, b"\xaf\x01ab")) for i in range(99)),
    )
    assert of_flv(Page(parts=parts, open=True), 30.0).up() is True


# --- what only looks alive --------------------------------------------------------------------------------------------


def test_a_segment_is_looked_at_anew_where_its_name_stays() -> None:
    """Rows that are ranges of one file, or are told apart by their queries, have a new segment with each row."""

    def one_file(now: float) -> Page:
        number = 10 + int(now / 2)
        return Page(media(number).replace(f"seg-{number}.ts?t=secret", f"all.ts?n={number}"))

    gone: Answer = lambda now: Page(TS, 206) if now < 10 else Page(status=403)  # noqa: E731
    seen: list[Reason | None] = []

    async def watch(one: Rig) -> None:
        await asyncio.sleep(40)
        outcome = one.outcome()
        assert outcome is not None
        seen.append(outcome.reason)

    story({A: one_file, "/live/all.ts": gone}, watch)
    assert seen == [Reason.AUTH]


@pytest.mark.parametrize("caches", [2, 3, 8])
@pytest.mark.parametrize("interval", [5.0, 15.0])
def test_caches_that_all_stand_still_are_down(caches: int, interval: float) -> None:
    """However many take turns, each with other rows: none of them has anything new."""
    asked = [0]

    def turns(_: float) -> Page:
        asked[0] += 1
        return Page(media(100 + 4 * (asked[0] * 3 % caches)))

    ends: list[bool | None] = []

    async def watch(one: Rig) -> None:
        await asyncio.sleep(300)
        ends.append(one.up())

    story({A: turns}, watch, interval=interval)
    assert ends == [False]


@pytest.mark.parametrize("first", [0, 1])
def test_rows_with_other_names_each_time_are_not_new(first: int) -> None:
    """Numbers tell that they stand still; without them nobody knows, though it is not up."""
    asked = [0]

    def renamed(_: float) -> Page:
        asked[0] += 1
        return Page(media(first + 2).replace("seg-", f"w{asked[0]}/seg-"))

    ends: list[tuple[bool | None, Reason | None]] = []

    async def watch(one: Rig) -> None:
        await asyncio.sleep(100)
        outcome = one.outcome()
        assert outcome is not None
        ends.append((outcome.up, outcome.reason))

    story({A: renamed}, watch)
    assert ends == [(False, None) if first else (None, Reason.MALFORMED)]


def test_rows_without_numbers_that_keep_their_names_move() -> None:
    """Some servers never number them: new names tell, as others stay."""
    segments = {f"/live/seg-{number}.ts": SEGMENTS["/live/seg-1.ts"] for number in range(200)}
    still = {A: lambda now: Page(media(10 + int(now / 2)).replace("SEQUENCE:", "SEQUENCE:0\n#"))}
    assert never_down({**segments, **still}, 100.0)[10:].count(True) == 190


@pytest.mark.parametrize("rows", [3, 20])
@pytest.mark.parametrize("interval", [5.0, 15.0])
def test_rows_that_change_under_the_same_numbers_are_not_down_until_they_stand(rows: int, interval: float) -> None:
    """Players go by numbers, so it is not up; but rows are not unchanged, and their server is told."""

    def stuck(now: float) -> Page:
        first = int(min(now, 100) / 2)
        return Page(media(first + rows - 1, rows=rows).replace(f"SEQUENCE:{first}\n", "SEQUENCE:7\n"))

    seen: list[tuple[bool | None, Reason | None]] = []

    async def watch(one: Rig) -> None:
        await each_second(one, 11, Rig.verdict)  # what it is until then does not count
        seen.extend(await each_second(one, 149, Rig.verdict))

    story({A: stuck}, watch, interval=interval)
    assert seen[-2:] == [(None, Reason.MALFORMED), (False, None)]
    assert [up for up, _ in seen].count(False) == 1


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_what_was_received_counts_whatever_comes_of_it() -> None:
    """FLV that is broken far behind its begin has come all the same."""
    tags = [flv_tag(8, 5, b"\xaf\x01" + bytes(1000)) for _ in range(50)]
    one = of_flv(Page(parts=((0.0, FLV_HEAD), *((0.01, tag) for tag in tags), (0.02, b"\xff" * 100))), 1.0)
    outcome = one.outcome()
    assert outcome is not None
    assert outcome.reason is Reason.MALFORMED
    assert one.counters.playback_bytes["tencent", "main"] == one.web.sent > 50_000


def test_what_is_down_is_not_asked_for_twice_each_time() -> None:
    """Only news is asked for again: many streams off air cost one request each interval."""

    async def whole() -> Rig:
        one = rig(watched(address(A)))
        async with one.checks:
            for _ in range(30):
                one.checks.scraped()
                await asyncio.sleep(10)
        return one

    assert run(whole()).web.count(A) <= 300 / 15 + 3


def test_an_interval_is_kept_across_reloads() -> None:
    """An address that was taken away and given back, again and again, is checked as often as any."""

    async def whole() -> None:
        one = rig(watched(address(A)))
        one.web.pages = {**SEGMENTS, A: moving()}
        async with one.checks:
            one.checks.scraped()
            for _ in range(20):
                await asyncio.sleep(3)
                one.configure()
                one.configure(watched(address(A)))
            await asyncio.sleep(20)
            before = one.web.count(A)
            await asyncio.sleep(60)
            assert one.web.count(A) - before <= 5

    run(whole())
