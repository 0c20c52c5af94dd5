"""What viewers get, wherever it is shown: metrics, JSON, events, log and page; the same everywhere, and no query."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from structlog.testing import capture_logs

from exporter import status
from exporter.commands.serve import log_change
from exporter.exposition import Exposition, Scope, Source
from exporter.model import Figures, Reason, State
from exporter.schedule import NEVER, Expectations
from exporter.serving import views
from exporter.state.counters import Counters
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Change
from exporter.status import wording
from exporter.status.hops import hops_of
from exporter.status.standing import Standing
from tests import browser
from tests.callbacks.rig import opened
from tests.callbacks.test_events import follow, told
from tests.peers.test_page_chromium import looking
from tests.status_reader import Reader, rows
from tests.status_site import Site
from tests.status_world import FAILS, HOSTILE, NOW, PLAYS, STANDS, World, addresses, outage, viewed, whole_page

from .watching import EPOCH, Watching, address, at, stream

AWKWARD = 'c"dn\\ -\n直播'
SECRET = "s3cret"


# --- metrics ----------------------------------------------------------------------------------------------------------


def source() -> Source:
    """Return a source with streams of two accounts, one of them without addresses."""
    two = (address(AWKWARD), address("cdn-b"))
    made = Watching().watch(
        ("tencent", stream("tencent", "a", playback=two)),
        ("tencent", stream("tencent", "plain")),
        ("zego", stream("zego", "z", playback=two[1:])),
    )
    for key in ("tencent/a", "tencent/plain", "zego/z"):
        made.says(key, State.ACTIVE, 1)
    made.check("tencent/a", 2, up=False)
    made.check("tencent/a", 2, up=None, name="cdn-b")
    made.check("zego/z", 2, up=True)
    counters = Counters()
    counters.playback_errors["tencent", "a", "cdn-b", "timeout"] = 1
    counters.playback_errors["zego", "z", "cdn-b", "dns"] = 2
    counters.playback_bytes["tencent", "main"] = 4096
    return Source(made.board, counters, list)


def samples(made: Source, only: Scope | None = None, openmetrics: bool = False, mono: float = 3) -> dict[Any, float]:
    """Return the samples about playback: name, provider, stream or account, the address and the reason."""
    text = b"".join(Exposition(made).render(at(mono), openmetrics, only)).decode()
    found = {}
    for family in (parse_openmetrics if openmetrics else parse_text)(text):
        for one in family.samples:
            if one.name.startswith(("stream_playback", "stream_hop")):
                rest = [one.labels[label] for label in ("playback", "reason") if label in one.labels]
                name = one.labels.get("stream") or one.labels["account"]
                found[(one.name.removeprefix("stream_"), one.labels["provider"], name, *rest)] = one.value
    return found


OF_A = {
    ("playback_up", "tencent", "a", AWKWARD): 0,
    ("playback_segment_age_seconds", "tencent", "a", AWKWARD): 1,
    ("playback_segment_age_seconds", "tencent", "a", "cdn-b"): 1,
    ("playback_first_byte_seconds", "tencent", "a", AWKWARD): 0.1,
    ("playback_first_byte_seconds", "tencent", "a", "cdn-b"): 0.1,
    ("playback_errors_total", "tencent", "a", "cdn-b", "timeout"): 1,
    ("hop_disagreement", "tencent", "a"): 0,
}
OF_ACCOUNT = {("playback_bytes_total", "tencent", "main"): 4096}
OF_OTHERS = {
    ("playback_up", "zego", "z", "cdn-b"): 1,
    ("playback_segment_age_seconds", "zego", "z", "cdn-b"): 1,
    ("playback_first_byte_seconds", "zego", "z", "cdn-b"): 0.1,
    ("playback_errors_total", "zego", "z", "cdn-b", "dns"): 2,
    ("hop_disagreement", "zego", "z"): 0,
}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_metrics_have_a_sample_for_what_is_known(openmetrics: bool) -> None:
    """Unknown has no `up`; any text is a label; streams without addresses have no sample at all."""
    assert samples(source(), openmetrics=openmetrics) == OF_A | OF_ACCOUNT | OF_OTHERS


def test_what_no_longer_counts_has_no_sample() -> None:
    """Once its time is over, neither the outcome nor its age is shown, nor whether hops agree."""
    left = {key for key in samples(source(), mono=62.5) if not key[0].endswith("_total")}
    assert left == set()


def test_a_probe_shows_its_own_addresses() -> None:
    """One account has the addresses of its streams, one stream those of its own."""
    keys = (("tencent", "a"), ("tencent", "plain"))
    assert samples(source(), Scope(("tencent", "main"), keys)) == OF_A | OF_ACCOUNT
    assert samples(source(), Scope(("tencent", "main"), keys[1:])) == OF_ACCOUNT


# --- JSON, events, log ------------------------------------------------------------------------------------------------


def test_json_tells_each_address() -> None:
    """In the configuration's order, with everything the check found; null is what nobody knows."""
    made = Watching().watch(("tencent", stream("tencent", "a", playback=(address("cdn-a"), address("cdn-b")))))
    empty = {"up": None, "reason": None, "message": None, "age_seconds": None, "first_byte_seconds": None}
    first, second = views.stream_object(made.row("tencent/a", 0))["playback"]
    assert first == {"name": "cdn-a", **empty, "since": None, "checked_at": None}
    made.says("tencent/a", State.ACTIVE, 1)
    made.check("tencent/a", 2, up=True)
    check = PlaybackCheck(None, "HTTP 403", Reason.AUTH, checked=EPOCH + 2.5)
    made.board.played(made.record("tencent/a"), address("cdn-b"), check, at(2.5))
    shown = views.stream_object(made.row("tencent/a", 3))
    first, second = shown["playback"]
    assert first == {"name": "cdn-a", "up": True, "since": "2027-01-15T08:00:02.000Z", "reason": None,
                     "message": "up is True", "age_seconds": 1.0, "first_byte_seconds": 0.1,
                     "checked_at": "2027-01-15T08:00:02.000Z"}  # fmt: skip
    assert second == {"name": "cdn-b", **empty, "reason": "auth", "message": "HTTP 403",
                      "since": "2027-01-15T08:00:02.500Z", "checked_at": "2027-01-15T08:00:02.500Z"}  # fmt: skip
    assert shown["hop_disagreement"] is None
    made.check("tencent/a", 4, up=True, name="cdn-b")
    assert views.stream_object(made.row("tencent/a", 5))["hop_disagreement"] is False
    assert "token" not in json.dumps(shown)
    first, _ = views.stream_object(made.row("tencent/a", 70))["playback"]
    assert first == {"name": "cdn-a", **empty, "since": "2027-01-15T08:00:02.000Z", "checked_at": None}


def test_json_and_events_of_a_running_exporter() -> None:
    """A check is in `/api/v1/streams` at once, though its outcome is the same, and followers are told of changes."""

    async def main() -> None:
        async with opened({"zego": ["one", "plain"]}) as rig:
            board, now, (one,) = rig.service.board, rig.service.clock.now, addresses("cdn-a")
            kept = {"one": (one,)}
            changed = [one.stream.model_copy(update={"playback": kept.get(one.stream.name, ())}) for one in board]
            board.watch([("zego", stream) for stream in changed], 60)
            record = board.get(("zego", "one"))
            assert record is not None
            reply = await follow(rig, rig.session)
            for check in (PLAYS, PLAYS._replace(age=4.5), STANDS):
                board.played(record, one, check._replace(checked=now().unix), now())
            events = [await told(reply) for _ in range(2)]
            assert [name for name, _ in events] == ["playback", "playback"]
            assert [(data["old"], data["new"]) for _, data in events] == [(None, True), (True, False)]
            assert set(events[0][1]) == {"time", "provider", "stream", "playback", "old", "new", "evidence"}
            assert events[1][1]["evidence"] == STANDS.message
            reply.close()
            async with rig.session.get(f"{rig.url}/api/v1/streams") as page:
                rows = {row["stream"]: row for row in await page.json()}
            assert [address["up"] for address in rows["one"]["playback"]] == [False]
            assert rows["one"]["degraded"] == ["playback"]
            assert (rows["plain"]["playback"], rows["plain"]["hop_disagreement"]) == ([], None)
            assert board.has_playback

    asyncio.run(main())


def test_the_log_tells_when_viewers_get_nothing() -> None:
    """From and to down it is told to everybody; what is only known or not known to those who debug."""
    with capture_logs() as lines:
        for old, new in ((None, True), (True, False), (False, True), (True, None)):
            log_change(Change(EPOCH, "zego", "one", old, new, "seen", "cdn-a"))
    assert [line["log_level"] for line in lines] == ["debug", "info", "info", "debug"]
    fields = {"provider": "zego", "stream": "one", "playback": "cdn-a", "evidence": "seen"}
    assert lines[1] == {**fields, "event": "playback changed", "log_level": "info", "old": "up", "new": "down"}


# --- the page ---------------------------------------------------------------------------------------------------------


def ways(world: World, now: float = NOW.unix) -> dict[str, list[tuple[str, bool]]]:
    """Return what each stream's hops are called, and whether they are shown as the broken one."""
    found = {}
    for row in world.board.rows(NOW):
        if (hops := hops_of(row, now)) is not None:
            found[row.stream.name] = [(hop.word, hop.broken) for hop in hops.hops]
    return found


def test_the_first_hop_that_fails_is_the_broken_one() -> None:
    """Neither what is unknown is broken, nor what only follows from the hop that is."""
    assert ways(viewed()) == {
        "well": [("arrives", False), ("live", False), ("play", False)],
        "edge": [("arrives", False), ("live", False), ("get nothing at 1 of 2", True)],
        "nobody": [("unknown", False), ("live", False), ("get nothing", True)],
        "encoder": [("stalled", True), ("live", False), ("get nothing", False)],
        "cloud": [("unknown", False), ("down", True), ("get nothing", False)],
        "token": [("arrives", False), ("live", False), ("unknown", False)],
        "new": [("arrives", False), ("live", False), ("unknown", False)],
        "failed": [("unknown", False), ("unknown", False), ("play", False)],
    }


def test_off_air_is_not_broken() -> None:
    """While nobody expects the stream, viewers who get nothing are as they should be; bits alone show what arrives."""
    world = World()
    view = world.account("tencent-main", "tencent")
    world.board.expectations = Expectations((NEVER,))
    off, on = world.watch(view, "off", "on", playback=addresses("cdn-a"))
    world.answer(off, State.INACTIVE, 60)
    world.answer(on, State.ACTIVE, 60, figures=Figures((("all", 1e6),)))
    world.check(off, 5, STANDS)
    world.check(on, 5, STANDS)
    assert ways(world) == {
        "off": [("unknown", False), ("off air", False), ("get nothing", False)],
        "on": [("arrives", False), ("live", False), ("get nothing", True)],
    }
    assert {hop.standing for row in world.board.rows(NOW, [off.key]) for hop in hops_of(row, NOW.unix).hops} <= {  # type: ignore[union-attr]
        Standing.OFF_AIR, Standing.UNKNOWN
    }  # fmt: skip


def row_of(page: str, name: str) -> str:
    """Return the text of a stream's row."""
    begin = page.index(f'id="s-tencent/{name}"')
    return Reader(f"<tr {page[begin : page.index('</tr>', begin)]}</tr>").words()


def test_the_page_shows_the_way_and_each_address() -> None:
    """In words for those who hear it, unfolded with age, first byte and how long ago; no query of an address."""
    page = whole_page(viewed().snapshot(), status.Filter())
    assert "Source arrives Cloud live Viewers play" in row_of(page, "well")
    edge = row_of(page, "edge")
    assert "≥ 5 s viewers get nothing since the first check (live for ≥ 10 min)" in edge
    assert "Live, but viewers get nothing at address cdn-b." in edge
    assert "up for ≥ 5 s cdn-a media 3.14 s old · first byte after 31 ms · checked 5 s ago" in edge
    assert f"down for ≥ 5 s cdn-b media 95.2 s old · checked 5 s ago {STANDS.message}" in edge
    assert "unknown for ≥ 5 s cdn-a checked 5 s ago HTTP 403" in row_of(page, "token")
    assert "unknown cdn-a not checked yet" in row_of(page, "new")
    assert "Viewers" not in row_of(page, "plain") + row_of(page, "plain-down")
    assert "Viewers cannot play 3 live streams: they get nothing at one address at least." in Reader(page).words()
    assert "runbook#streamnotplayable" in page
    assert "runbook#streamstalled" in page
    assert SECRET not in page


def test_the_page_says_for_how_long_viewers_have_had_nothing() -> None:
    """Not only for how long the cloud has been live; no longer than it has been; of each address, how long it is so."""
    world = outage()
    page = whole_page(world.snapshot(), status.Filter())
    assert "12 min viewers get nothing 07:48:00 UTC (live for 9 h 0 min)" in row_of(page, "edge")
    assert "up for ≥ 50 min cdn-a media" in row_of(page, "edge")
    assert "down for 12 min cdn-b since 07:48:00 UTC · media 95.2 s old" in row_of(page, "edge")
    assert "1 min viewers get nothing 07:59:00 UTC (live for 1 min)" in row_of(page, "late")
    assert "down for 12 min cdn-a since 07:48:00 UTC" in row_of(page, "late")
    assert "7 h 0 min 01:00:00 UTC" in row_of(page, "calm")
    assert "viewers get nothing" not in row_of(page, "calm")
    assert "unknown for 50 min cdn-a since 07:10:00 UTC · not checked lately" in row_of(page, "lost")
    assert rows(whole_page(world.snapshot(), status.Filter(sort="since"))) == ["late", "edge", "calm", "lost"]
    world.board.expectations = Expectations((NEVER,))
    page = whole_page(world.snapshot(), status.Filter())
    assert "Live edge" in row_of(page, "edge")
    assert "9 h 0 min 2027-01-14 23:00:00 UTC" in row_of(page, "edge")


def test_a_page_without_addresses_is_as_before() -> None:
    """Not a byte more for each of very many streams that have none, and no notice."""
    world = World()
    plain = world.account("tencent-main", "tencent")
    for record in world.watch(plain, "one", "two"):
        world.answer(record, State.ACTIVE, 60)
    page = whole_page(world.snapshot(), status.Filter())
    assert 'class="hops"' not in page
    assert 'class="addresses"' not in page
    assert "Viewers cannot play" not in page
    assert "Nobody knows whether viewers" not in page


def test_the_page_says_why_nobody_knows_what_viewers_get() -> None:
    """Folded, too, and with the runbook, as StreamPlaybackBlind fires; what has only not been checked has neither."""
    page = whole_page(viewed().snapshot(), status.Filter())
    assert f"Viewers unknown Address cdn-a: {FAILS.message} · by DescribeLiveStreamState" in row_of(page, "token")
    assert "Address cdn" not in row_of(page, "new") + row_of(page, "well")
    assert [name for name in ("token", "new", "well") if "Runbook" in row_of(page, name)] == ["token"]
    assert "runbook#streamplaybackblind" in page
    notice = "Nobody knows whether viewers can play 1 more live stream: checks of an address fail."
    assert notice in Reader(page).words()


def test_ages_of_media_are_as_exact_as_they_are_useful() -> None:
    """Three digits, and hundredths at most: what came just now is not 0.000155 s old."""
    ages = {0.000155: "0 s", 0.0442: "0.04 s", 0.912: "0.91 s", 3.14159: "3.14 s", 95.2: "95.2 s", 3600.0: "1 h 0 min"}
    assert {age: wording.of_check(PLAYS._replace(age=age), 0).split(" old")[0] for age in ages} == {
        age: f"media {told}" for age, told in ages.items()
    }


def test_hostile_names_and_messages_are_text() -> None:
    """Names come from the configuration, messages tell what a server sent: neither is ever markup."""
    world = World()
    view = world.account("tencent-main", "tencent")
    (record,) = world.watch(view, "one", playback=addresses(*HOSTILE))
    world.answer(record, State.ACTIVE, 60)
    world.check(record, 5, *(FAILS._replace(up=False, message=name) for name in HOSTILE))
    page = whole_page(world.snapshot(), status.Filter())
    assert len(Reader(page).all("script")) == 1
    assert not Reader(page).all("img")
    assert "\u202e" not in page


@pytest.mark.skipif(browser.BINARY is None, reason="Chromium is not installed: nobody LOOKED at the page")
@pytest.mark.parametrize("script", [True, False])
def test_the_way_in_a_browser(script: bool) -> None:
    """On a phone and a desk it fits, each mark has its shape, and the broken hop alone has a ground of its own."""

    async def visit(site: Site, tab: Any) -> None:
        await tab.do("Emulation.setScriptExecutionDisabled", value=not script)
        for width in (390, 1280):
            for dark in (False, True):
                await tab.look(width, dark)
                await tab.open(site.address)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width
                find = "[...document.getElementById('s-tencent/edge').querySelectorAll('.hops li')]"
                shapes = await tab.evaluate(f"{find}.map((one) => one.querySelector('use').getAttribute('href'))")
                assert shapes == ["#i-active", "#i-active", "#i-inactive"]
                grounds = f"{find}.map((one) => getComputedStyle(one.querySelector('b')).backgroundColor)"
                clear = "rgba(0, 0, 0, 0)"
                assert [one == clear for one in await tab.evaluate(grounds)] == [True, True, False]
                boxes = f"{find}.map((one) => one.getBoundingClientRect()).every((box) => box.right <= {width})"
                assert await tab.evaluate(boxes)
                await tab.evaluate("document.querySelectorAll('.streams details').forEach((one) => one.open = true)")
                assert await tab.evaluate("document.querySelector('.addresses').checkVisibility()")
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.complaints == []

    looking(viewed(), visit)


def test_a_change_of_what_viewers_get_refreshes_the_page() -> None:
    """The script follows the event, so that nobody waits for the next poll."""
    (script,) = [asset.body.decode() for name, asset in status.ASSETS.items() if name.endswith(".js")]
    assert '"playback"' in script
