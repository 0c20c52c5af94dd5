"""The status page where streams are off air, live while nobody expects them, or live but not whole."""

from __future__ import annotations

import re

import pytest

from exporter.model import Fault, Figures, Input, Reason, State
from exporter.schedule import ALWAYS, NEVER, Expectations, Schedule, Window
from exporter.serving.views import stream_object
from exporter.state.record import Record
from exporter.status.wording import coming, of_figures
from tests.status_reader import Reader, card, row, rows, shown
from tests.status_world import HOSTILE, NOW, SITE, World
from tests.test_status_choices import HANDBOOK, runbook_of

DAY = 86_400.0
MORNING = NOW.unix + 14 * 3600  # Friday 2027-01-15 22:00 UTC
SOON = Schedule(("always",), windows=(Window(0.0, MORNING, comment="new <encoders>"),))
ENDS = Schedule(("always",), windows=(Window(NOW.unix + 7200, NOW.unix + DAY),))


def expect(world: World, schedule: Schedule, *records: Record) -> None:
    """Let streams follow a schedule; all others are always expected."""
    before = world.board.expectations
    schedules = (*before.schedules, schedule)
    numbers = {**before.numbers, **{record.key: len(before.schedules) for record in records}}
    world.board.expectations = Expectations(schedules, numbers)


def mixed() -> World:
    """Return a world with a stream in each state twice: expected, and never expected."""
    world = World()
    view = world.account("main", "tencent")
    for schedule, prefix in ((ALWAYS, "on"), (NEVER, "off")):
        records = world.watch(view, *(f"{prefix}-{state}" for state in State))
        for record, state in zip(records, State, strict=True):
            if state is State.UNKNOWN:
                world.fail(record, Fault(Reason.TIMEOUT, "timeout"), 9)
            else:
                world.answer(record, state, 60)
        expect(world, schedule, *records)
    return world


def whole(*, off: int = 0) -> World:
    """Return a world in which three expected streams are live and whole, and some that are never expected are down."""
    world = World()
    view = world.account("main", "tencent")
    for record in world.watch(view, "a", "b", "c"):
        world.answer(record, State.ACTIVE, 60)
    others = world.watch(view, *(f"off-{number}" for number in range(off)))
    for record in others:
        world.answer(record, State.INACTIVE, 60)
    expect(world, NEVER, *others)
    return world


def flowing(world: World, name: str, figures: Figures, provider: str = "tencent", **told: object) -> Record:
    """Watch a stream that is live, with figures."""
    (record,) = world.watch(next(one for one in world.accounts if one.provider.name == provider), name)
    world.answer(record, State.ACTIVE, 60, figures=figures, **told)
    return record


def icon(page: str) -> str:
    """Return which icon the browser's tab shows."""
    (address,) = [str(one["href"]) for one in Reader(page).all("link") if one.get("id") == "favicon"]
    return address.removeprefix("static/").partition("-")[0]


# --- off air ---------------------------------------------------------------------------------------------------------


def test_off_air_is_calm_and_apart() -> None:
    """Not live and not expected is neither down, forbidden nor not found: it has its own tile, and stands last."""
    page = shown(mixed())
    tiles = dict(re.findall(r'<b id="n-(\w+)" data-live>([\d,]+)</b>', page))
    assert tiles == {
        "inactive": "1", "unknown": "2", "forbidden": "1", "not_found": "1", "degraded": "0", "active": "2",
        "off_air": "3",
    }  # fmt: skip
    assert set(rows(page)[-3:]) == {"off-inactive", "off-forbidden", "off-not_found"}
    assert row(page, "off-inactive").startswith("Off air off-inactive")
    assert "Never expected." in row(page, "off-inactive")
    assert runbook_of(page, "off-inactive") is None
    assert "3 off air" in card(page, "main")


def test_what_ends_on_schedule_goes_off_air_among_the_changes() -> None:
    """A stream that stops while it is not expected has gone off air; one that should be live has gone down."""
    world = World()
    view = world.account("main", "tencent")
    on, off = world.watch(view, "on", "off")
    expect(world, NEVER, off)
    for record in (on, off):
        world.answer(record, State.ACTIVE, 60)
        world.answer(record, State.INACTIVE, 30)
    listed = shown(world).split('<ol class="changes">')[1].split("</ol>")[0]
    turns = {name: re.findall(r'class="badge s-([a-z_]+)"', item)
             for item in listed.split("<li>")[1:] for name in re.findall(r"<bdi>(on|off)</bdi>", item)}  # fmt: skip
    assert turns == {"on": ["active", "inactive"], "off": ["active", "off_air"]}


def test_what_is_not_expected_is_less_urgent() -> None:
    """Unknown stays unknown and live stays live, with a calm note; among the unknown, expected ones come first."""
    page = shown(mixed())
    order = rows(page)
    assert order.index("on-unknown") < order.index("off-unknown") < order.index("on-forbidden")
    assert order.index("off-active") < order.index("on-active")
    assert "Unknown off-unknown" in row(page, "off-unknown")
    assert "Not expected now." in row(page, "off-unknown")
    assert "Live while not expected. ·" in row(page, "off-active")
    assert runbook_of(page, "off-active") == f"{SITE.runbook}#streamunexpected"
    assert "streamunexpected" in HANDBOOK.anchors
    for name in ("on-unknown", "on-active"):
        assert "xpected" not in row(page, name)
    assert re.findall(r'class="r-(\w+) odd"', page) == ["unknown", "active"]


def test_when_a_stream_is_next_expected() -> None:
    """Its row names the moment, for the browser to add its own time, how long until then, and the maintenance."""
    world = whole(off=1)
    (record,) = [one for one in world.board if one.key[1] == "off-0"]
    expect(world, SOON, record)
    page = shown(world)
    told = "Next expected Fri 22:00 UTC , in 14 h 0 min. Maintenance: new <encoders>"
    assert told in row(page, "off-0")
    assert '<time class="coming" datetime="2027-01-15T22:00:00Z">' in page
    assert "<encoders>" not in page


def test_when_a_stream_is_no_longer_expected() -> None:
    """A live stream says until when it is expected, unfolded; one of no foreseen end says nothing."""
    world = whole()
    expect(world, ENDS, next(iter(world.board)))
    page = shown(world)
    assert "Expected until Fri 10:00 UTC , in 2 h 0 min" in row(page, "a")
    assert "Expected until" not in row(page, "b")


def test_a_stream_that_was_expected_for_the_last_time() -> None:
    """A schedule that has an end is told apart from one that never begins."""
    world = whole(off=1)
    (record,) = [one for one in world.board if one.key[1] == "off-0"]
    expect(world, Schedule(("gala",), intervals=()), record)
    assert "Not expected again." in row(shown(world), "off-0")


@pytest.mark.parametrize(
    ("days", "text"),
    [(0.1, "Fri 10:24 UTC"), (5.9, "Thu 05:36 UTC"), (6, "2027-01-21 08:00 UTC"), (400, "2028-02-19 08:00 UTC")],
)
def test_times_to_come(days: float, text: str) -> None:
    """A weekday is never ambiguous: from six days on the date is named."""
    assert coming(NOW.unix + days * DAY, NOW.unix) == text


def test_hostile_comments_stay_text() -> None:
    """A comment of maintenance that holds markup is shown as text, set apart from the direction around it."""
    for comment in HOSTILE:
        world = whole(off=1)
        expect(world, Schedule(("always",), windows=(Window(0.0, MORNING, comment=comment),)), *list(world.board)[-1:])
        reader = Reader(shown(world))
        assert len(reader.all("script")) == 1
        assert not reader.all("img")


# --- degraded --------------------------------------------------------------------------------------------------------


def lame() -> World:
    """Return a world of live streams of which each lacks something else, and one that lacks nothing."""
    world = World()
    tencent, volc = world.account("main", "tencent"), world.account("rtc", "volcengine")
    flowing(world, "frozen", Figures(stalled=True))
    flowing(world, "moving", Figures(stalled=False))
    half, both = world.watch(tencent, "half", "both", inputs=2)
    one = (Input("d", "live", "push", primary=True),)
    world.answer(half, State.ACTIVE, 60, inputs=one)
    world.answer(both, State.ACTIVE, 60, inputs=one, figures=Figures(stalled=True))
    (mute,) = world.watch(volc, "mute", media_expected=["audio", "screen_video"])
    world.answer(mute, State.ACTIVE, 60, media=(("audio", True), ("screen_video", False)))
    return world


def test_degraded_says_what_is_missing() -> None:
    """In words, with what to do and the section of the runbook: of several, the one that viewers notice first."""
    page = shown(lame())
    for name, words, anchor in (
        ("frozen", "Live, but nothing arrives.", "streamstalled"),
        ("half", "Live, but only 1 of 2 inputs are there.", "streamredundancylost"),
        ("both", "Live, but nothing arrives and only 1 of 2 inputs are there.", "streamstalled"),
        ("mute", "Live, but screen video is missing. Publish it", "streammediamissing"),
    ):
        assert row(page, name).startswith(f"Degraded {name}")
        assert words in row(page, name)
        assert runbook_of(page, name) == f"{SITE.runbook}#{anchor}"
        assert anchor in HANDBOOK.anchors
    assert row(page, "moving").startswith("Live moving")
    assert rows(page)[-1] == "moving"
    assert Reader(page).words("h1") == "4 degraded"
    assert "5 of 5 streams live" in Reader(page).words("main")


def test_what_is_not_expected_is_not_degraded() -> None:
    """A stream that nobody expects may stand still: it is live while not expected, and no more."""
    world = lame()
    expect(world, NEVER, *world.board)
    assert Reader(shown(world)).words("h1") == "No stream is expected now; 5 live (not expected)"
    assert "Live while not expected." in row(shown(world), "frozen")


def test_json_says_what_is_missing() -> None:
    """Beside the state, which stays active, `degraded` lists what a live stream lacks."""
    found = {one.key[1]: stream_object(one) for one in lame().board.rows(NOW)}
    assert {name: one["degraded"] for name, one in found.items()} == {
        "frozen": ["stalled"], "moving": [], "half": ["inputs"], "both": ["inputs", "stalled"],
        "mute": ["screen_video"],
    }  # fmt: skip
    assert {(one["state"], one["active"]) for one in found.values()} == {("active", True)}


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        (Figures(), ""),
        (Figures((("video", 2.5e6), ("audio", 128_000.0)), 25.0, 1280, 720),
         "video 2.5 Mbit/s · audio 128 kbit/s · 25 fps · 1280×720"),
        (Figures((("all", 999_600.0),), 29.97), "1 Mbit/s · 29.97 fps"),
        (Figures((("all", 0.0),), 0.0), "0 kbit/s · 0 fps"),
        (Figures(width=640), ""),
    ],
)  # fmt: skip
def test_figures_in_words(figures: Figures, text: str) -> None:
    """What arrives is told in units that people use, as far as it is known."""
    assert of_figures(figures) == text


def test_figures_are_shown_where_known() -> None:
    """An unfolded row tells what arrives; one of a provider that does not say has no such line."""
    world = World()
    world.account("main", "tencent")
    flowing(world, "known", Figures((("all", 3e6),), 50.0))
    flowing(world, "silent", Figures(stalled=False))
    page = shown(world)
    assert "Arriving: 3 Mbit/s · 50 fps" in row(page, "known")
    assert "Arriving" not in row(page, "silent")


# --- the headline ----------------------------------------------------------------------------------------------------


def test_green_needs_everything_expected_to_be_live_and_whole() -> None:
    """Headline, title and icon are good news only then; what is off air is counted and spoils nothing."""
    assert Reader(shown(whole())).words("h1") == "All 3 streams are live"
    page = shown(whole(off=2))
    assert Reader(page).words("h1") == "All 3 expected streams are live; 2 off air"
    assert Reader(page).words("title").startswith("All 3 expected streams are live; 2 off air · ")
    assert "3 of 3 expected streams live" in Reader(page).words("main")
    assert (icon(page), 'class="verdict s-active"' in page) == ("active", True)
    world = whole(off=2)
    flowing(world, "frozen", Figures(stalled=True))
    page = shown(world)
    assert Reader(page).words("h1") == "1 degraded"
    assert "4 of 4 expected streams live · 2 off air" in Reader(page).words("main")
    assert (icon(page), 'class="verdict s-degraded"' in page) == ("degraded", True)


def test_the_worst_of_what_is_expected_colours_the_headline() -> None:
    """Down wins over all else; where nothing is expected the headline is calm, whatever the streams do."""
    page = shown(mixed())
    assert (Reader(page).words("h1"), icon(page)) == ("1 down, 1 unknown, 1 forbidden, 1 not found", "inactive")
    aside = "1 of 5 expected streams live · 3 off air · 1 live (not expected) · 1 unknown (not expected)"
    assert aside in Reader(page).words("main")
    world = mixed()
    expect(world, NEVER, *world.board)
    page = shown(world)
    assert Reader(page).words("h1").startswith("No stream is expected now; 6 off air")
    assert icon(page) == "off_air"


@pytest.mark.parametrize("query", ["state=off_air", "state=degraded", "q=nothing-like-it"])
def test_the_headline_ignores_the_filter(query: str) -> None:
    """What is filtered away is spoken of all the same."""
    for tag in ("h1", "title"):
        assert Reader(shown(mixed(), query)).words(tag) == Reader(shown(mixed())).words(tag)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=off_air", {"off-inactive", "off-forbidden", "off-not_found"}),
        ("state=inactive", {"on-inactive"}),
        ("state=off_air&state=inactive", {"off-inactive", "off-forbidden", "off-not_found", "on-inactive"}),
        ("state=degraded", set()),
    ],
)
def test_filter_by_what_is_expected(query: str, names: set[str]) -> None:
    """Off air and degraded can be chosen like any state, and a filter for what is down shows what should be live."""
    page = shown(mixed(), query)
    assert set(rows(page)) == names
    assert {one.get("value") for one in Reader(page).all("input") if "checked" in one} == set(
        re.findall(r"state=(\w+)", query)
    )


def test_what_was_asked_is_called_as_in_its_row() -> None:
    """The answer to a question about a stream that is off air does not call it down."""
    page = shown(mixed(), "asked=tencent/off-inactive")
    inside = page.partition('aria-label="What was just asked"')[2].partition("</section>")[0]
    assert "Off air" in inside
    assert "Down" not in inside


def test_ten_thousand_off_air_are_counted() -> None:
    """However many are off air, the page has its rows, and the headline their number."""
    page = shown(whole(off=10_000))
    assert Reader(page).words("h1") == "All 3 expected streams are live; 10,000 off air"
    assert len(rows(page)) == 500
