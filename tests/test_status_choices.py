"""What a reader chooses on the status page, and what it tells besides states: order, pages, changes, ways to help."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import status
from exporter.model import Fault, Input, Reason, State
from exporter.rounds.health import Health
from exporter.rules.options import RUNBOOK
from exporter.schedule import NEVER, Expectations
from exporter.status.filter import SORTS, Filter
from exporter.status.standing import Standing
from exporter.status.views import filled
from tests.markdown import page as document
from tests.status_reader import Reader, row, rows, shown, told
from tests.status_world import (
    HOSTILE,
    NOW,
    PLAYS,
    SITE,
    STANDS,
    World,
    addresses,
    crowd,
    earlier,
    hostile,
    outage,
    troubled,
)

HANDBOOK = document(Path(__file__).parent.parent / "docs" / "runbook.md")


def section(page: str, name: str) -> str:
    """Return the words of a section of the page."""
    return told(page.partition(f'<section id="{name}"')[2].partition(">")[2].partition("</section>")[0])


def links(page: str, label: str) -> dict[str, str]:
    """Return the links of the first navigation that has this label, by their texts."""
    inside = page.partition(f'aria-label="{label}"')[2].partition("</nav>")[0]
    found = re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', inside, re.DOTALL)
    return {told(text): unescape(address) for address, text in found}


# --- order and pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("state", "closing-room", "room-08"),
        ("-state", "room-08", "closing-room"),
        ("name", "arena-1", "studio-9"),
        ("-name", "studio-9", "arena-1"),
        ("provider", "keynote", "room-08"),
        ("since", "closing-room", "host-43"),
        ("-since", "host-43", "closing-room"),
        ("nonsense", "closing-room", "room-08"),
    ],
)
def test_sort(sort: str, first: str, last: str) -> None:
    """The address says how streams are sorted, forwards or backwards; what it says wrongly is ignored."""
    found = rows(shown(troubled(), f"sort={sort}"))
    assert (found[0], found[-1], len(found)) == (first, last, 19)


def test_sorting_keeps_the_filter_and_begins_at_the_first_page() -> None:
    """Each way to sort is a link that works without JavaScript; the present one leads to its reverse."""
    page = shown(crowd(60), "q=stream&state=active&limit=7&page=3&sort=name")
    found = links(page, "Sort streams")
    assert list(found) == ["State", "Name ▾", "Provider", "Last change"]
    assert found["Name ▾"] == "?q=stream&state=active&limit=7&sort=-name#streams"
    assert found["State"] == "?q=stream&state=active&limit=7#streams"
    assert "by name" in Reader(page).words("caption")
    again = shown(crowd(60), "sort=-name")
    assert links(again, "Sort streams")["Name ▴"] == "?sort=name#streams"
    assert "by name, backwards" in Reader(again).words("caption")


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{sort}" for sort in SORTS)])
def test_pages_show_each_stream_once(sort: str) -> None:
    """Following Next from the first page to the last shows every stream once, in the order of a single page."""
    world, query, found = crowd(620), f"sort={sort}&limit=160", list[str]()
    whole = rows(shown(world, f"sort={sort}&limit=2000"))
    for number in range(1, 5):
        page = shown(world, query)
        found += rows(page)
        onward = links(page, "Pages of streams, above")
        assert onward == links(page, "Pages of streams, below")
        assert ("Next" in onward, "Previous" in onward) == (number < 4, number > 1)
        query = urlsplit(onward.get("Next", "")).query
    assert found == whole
    assert len(set(found)) == 620


@pytest.mark.parametrize(("page", "number"), [("99", 3), ("0", 1), ("-1", 1), ("x", 1), ("2", 2), ("9" * 20, 1)])
def test_a_page_that_there_is_not(page: str, number: int) -> None:
    """Beyond the last page stands the last one, so a page of a shrinking list never is empty."""
    assert f"Page {number} of 3" in Reader(shown(crowd(60), f"limit=20&page={page}")).words()


def test_few_streams_need_no_pages() -> None:
    """Where all rows fit, nothing speaks of pages."""
    assert "Page 1" not in Reader(shown(crowd(60))).words()


def test_pages_keep_the_filter() -> None:
    """The next page is one of the same streams, in the same order."""
    found = links(shown(crowd(60), "state=active&limit=7&sort=-since"), "Pages of streams, above")
    assert found["Next"] == "?state=active&limit=7&sort=-since&page=2#streams"


VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(lambda text: text.replace("\r\n", "\n"))
CHOSEN = st.builds(
    Filter,
    text=VALUES | st.just(""),
    states=st.frozensets(st.sampled_from(Standing)),
    providers=st.frozensets(VALUES, max_size=2),
    accounts=st.frozensets(VALUES, max_size=2),
    labels=st.lists(st.tuples(st.from_regex("[a-z]{1,3}", fullmatch=True), VALUES | st.none()), max_size=2).map(tuple),
    limit=st.integers(1, 2000),
    sort=st.sampled_from([*SORTS, *(f"-{sort}" for sort in SORTS)]),
    page=st.integers(1, 1000),
    asked=VALUES | st.just(""),
)


@given(CHOSEN)
def test_an_address_says_what_was_chosen(chosen: Filter) -> None:
    """What the page writes into its links is read as the same again, whatever names hold."""
    address = chosen.address()
    assert address.isascii()
    assert Filter.read(parse_qsl(address.removeprefix("?"), keep_blank_values=True)) == chosen


def test_the_form_keeps_the_order() -> None:
    """Applying another filter leaves the order as it was."""
    (hidden,) = [one for one in Reader(shown(troubled(), "sort=-name")).all("input") if one.get("type") == "hidden"]
    assert hidden == {"type": "hidden", "name": "sort", "value": "-name"}


# --- what stands at the top ------------------------------------------------------------------------------------------


def test_the_headline_speaks_of_all_streams() -> None:
    """A filter that shows live streams only hides nothing from headline, title and icon."""
    page, all_of_it = shown(troubled(), "state=active&q=room-0"), shown(troubled())
    for tag in ("h1", "title"):
        assert Reader(page).words(tag) == Reader(all_of_it).words(tag)
    assert "9 of 19 streams live" in Reader(page).words("main")
    assert "inactive" in str(next(one for one in Reader(page).all("link") if one.get("id") == "favicon")["href"])


def test_the_title_names_the_environment() -> None:
    """Several tabs are told apart; without a name the page does as well."""
    assert Reader(shown(troubled())).words("title").endswith(" · production · stream-exporter")
    assert Reader(shown(troubled(), site=status.Site())).words("title").endswith("1 degraded · stream-exporter")
    reader = Reader(shown(troubled(), site=status.Site(title=HOSTILE[0])))
    assert HOSTILE[0] in reader.words("title")
    assert len(reader.all("script")) == 1


def short(name: str = "main", provider: str = "tencent", **account: Any) -> tuple[World, Any]:
    """Return a world in which 500 streams of an account have no turn, and the account."""
    world = World()
    view = world.account(name, provider, health=Health(up=True, round_seconds=10.0))
    if account:
        view.account = view.account.model_copy(update=account)
    view.health.unprobed = {"quota": 500}
    world.watch(view, *(f"s{number}" for number in range(2000)))
    return world, view


@pytest.mark.parametrize(
    ("account", "remedy"),
    [
        ({}, "Set quota_share: 0.68 (now 0.5) for the account, or give rounds more time (scrape.timeout and"),
        ({}, "Prometheus's scrape_timeout above 14 s)."),
        ({"quota": {"DescribeLiveStreamState": 150}}, "Set quota: {DescribeLiveStreamState: 202} (now 150)"),
        ({"quota": {"DescribeLiveStreamState": 250}}, "Even the documented limit of 300 a second is not enough"),
    ],
)  # fmt: skip
def test_too_little_quota_is_told_with_its_remedy(account: dict[str, Any], remedy: str) -> None:
    """Which account, which API, how long a round takes, and what to set."""
    world, view = short(**account)
    rate = view.account.quota.get("DescribeLiveStreamState", 150)
    view.paces["DescribeLiveStreamState"].limit = rate
    top = Reader(shown(world)).words("main").partition("States to show")[0]
    assert "main has too little quota: 500 of 2,000 streams had no turn in the last round." in top
    assert f"DescribeLiveStreamState may be called {rate} times a second, so a whole round takes about 1" in top
    assert "the last one had 10.0 s." in top
    assert remedy in top
    assert "stream-exporter check shows the plan." in top


def test_throttling_is_not_cured_by_a_larger_share() -> None:
    """Where the provider lets less through than the configuration allows, asking for more is no remedy."""
    world, view = short()
    view.slowed = 0.5
    top = Reader(shown(world)).words("main").partition("States to show")[0]
    assert "The provider throttles: your configuration allows 150 a second." in top
    assert "a larger quota_share does not help" in top
    assert "Set quota" not in top


def test_enough_quota_needs_no_word() -> None:
    """An account whose rounds end is not spoken of, nor one that was never asked."""
    world, view = short()
    view.health.unprobed = {"quota": 0}
    assert "too little quota" not in Reader(shown(world)).words()
    view.health.unprobed, view.health.round_seconds = {"quota": 5}, None
    assert "too little quota" not in Reader(shown(world)).words()


def test_shortages_of_a_provider_without_a_single_api() -> None:
    """The slowest API is named where streams are never asked about one by one."""
    world, view = short(provider="tencent")
    view.provider = type(view.provider)(**{**vars_of(view.provider), "single": None})
    assert "has too little quota" in Reader(shown(world)).words()


def vars_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass without copying their values."""
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}


# --- since when ------------------------------------------------------------------------------------------------------


def test_since_is_a_lower_bound_where_the_beginning_was_not_seen() -> None:
    """A state that was there at the first look may be older, and the page says so; one seen to begin is exact."""
    world = World()
    view = world.account("main", "tencent")
    old, new = world.watch(view, "old", "new")
    (added,) = world.watch(view, "added")
    (pushed,) = world.watch(view, "pushed")
    world.answer(old, State.INACTIVE, 720)
    world.answer(new, State.ACTIVE, 720)
    world.answer(new, State.INACTIVE, 60)
    world.answer(added, State.INACTIVE, 30)
    world.answer(pushed, State.ACTIVE, 60, started=NOW.unix - 5400)
    page = shown(world)
    assert "≥ 12 min since start of the exporter" in row(page, "old")
    assert "1 min 07:59:00 UTC" in row(page, "new")
    assert "≥ 30 s since it was added" in row(page, "added")
    assert "1 h 30 min 06:30:00 UTC" in row(page, "pushed")
    world.fail(new, Fault(Reason.TIMEOUT, "timeout"), 10)
    assert "10 s 07:59:50 UTC" in row(shown(world), "new")


# --- recent changes --------------------------------------------------------------------------------------------------


def test_no_change_is_told_as_such() -> None:
    """Where nothing has changed the page says since when it would know."""
    world = World()
    (one,) = world.watch(world.account("main", "tencent"), "a")
    world.answer(one, State.ACTIVE, 60)
    page = shown(world)
    assert "No stream has changed since the exporter started 1 h 0 min ago 07:00:00 UTC" in section(page, "changes")
    assert "last change" not in Reader(page).words("main").partition("States to show")[0]


def test_changes_are_told_the_latest_first() -> None:
    """Who, when, from what to what, by which evidence; the headline says when the last one was."""
    world = World()
    view = world.account("main", "tencent")
    one, two = world.watch(view, "one", "two")
    for record in (one, two):
        world.answer(record, State.ACTIVE, 600)
    world.answer(one, State.INACTIVE, 120)
    world.fail(two, Fault(Reason.TIMEOUT, "timeout"), 42)
    page = shown(world)
    words = section(page, "changes")
    latest, earliest = "42 s ago 07:59:18 UTC Live to → Unknown two", "2 min ago 07:58:00 UTC Live to → Down one"
    assert f"{latest} tencent · main · by timeout" in words
    assert f"{earliest} tencent · main · by DescribeLiveStreamState" in words
    assert words.index(latest) < words.index(earliest)
    assert "last change 42 s ago" in Reader(page).words("main")
    assert "one" in section(shown(world, "q=one"), "changes")
    assert "two" not in section(shown(world, "q=one"), "changes")
    assert "No such stream has changed" in section(shown(world, "provider=zego"), "changes")


def test_many_changes_are_folded() -> None:
    """The latest ten are shown, the rest is folded, and an outage is one entry."""
    world = crowd(300)
    for number, record in enumerate(list(world.board)[:30]):
        world.answer(record, State.NOT_FOUND, 30 - number)
    words = section(shown(world), "changes")
    assert "15 earlier changes" in words
    world = crowd(300)
    for record in world.board:
        world.fail(record, Fault(Reason.DNS, "dns"), 5)
    words = section(shown(world), "changes")
    assert "stream-00000, stream-00001, stream-00002, stream-00006, stream-00007 and more: 150 changes" in words


def test_changes_of_addresses_are_among_the_recent_ones() -> None:
    """With the stream, the address and what was found, the latest first, as the filter has it."""
    world = outage()
    words = section(shown(world), "changes")
    down = f"12 min ago 07:48:00 UTC Up to → Down edge at address cdn-b tencent · tencent-main · {STANDS.message}"
    lost = "5 s ago 07:59:55 UTC Up to → Unknown lost at address cdn-b tencent · tencent-main · not checked lately"
    known = f"15 s ago 07:59:45 UTC Unknown to → Down edge at address cdn-b tencent · tencent-main · {STANDS.message}"
    places = [words.index(one) for one in (lost, known, down)]
    assert places == sorted(places)
    assert "1 min ago 07:59:00 UTC Down to → Live late tencent · tencent-main · by Describe" in words
    assert "last change 5 s ago" in Reader(shown(world)).words("main")
    words = section(shown(world, "q=edge"), "changes")
    assert down in words
    assert "lost at" not in words + section(shown(world, "provider=zego"), "changes")


def test_an_address_of_a_stream_off_air_is_not_red() -> None:
    """That viewers get nothing of what ended on schedule is told, and calls nobody."""
    world = World()
    world.board.expectations = Expectations((NEVER,))
    (record,) = world.watch(world.account("tencent-main", "tencent"), "off", playback=addresses("cdn-a"))
    world.answer(record, State.INACTIVE, 60)
    world.check(record, 30, PLAYS)
    world.check(record, 5, STANDS)
    page = shown(world)
    assert "Up to → Down off at address cdn-a" in section(page, "changes")
    assert "s-inactive" not in page.partition('id="streams"')[2].partition('id="accounts"')[0]


# --- ways to help ----------------------------------------------------------------------------------------------------


def runbook_of(page: str, name: str) -> str | None:
    """Return where a stream's link to the runbook leads."""
    labelled = [one for one in Reader(page).all("a") if one.get("aria-label") == f"Runbook for {name}"]
    return str(labelled[0]["href"]) if labelled else None


def test_each_trouble_leads_to_its_section_of_the_runbook() -> None:
    """Every state and every reason has a section that is there; what is well has none."""
    world = World()
    view = world.account("main", "tencent")
    for state in (State.INACTIVE, State.FORBIDDEN, State.NOT_FOUND):
        world.answer(world.watch(view, str(state))[0], state, 9)
    for reason in Reason:
        world.fail(world.watch(view, str(reason))[0], Fault(reason, "code"), 9)
    (half,) = world.watch(view, "half", inputs=2)
    world.answer(half, State.ACTIVE, 9, inputs=(Input("d", "live", "push", primary=True),))
    world.answer(world.watch(view, "well")[0], State.ACTIVE, 9)
    (late,) = world.watch(view, "late")
    world.answer(late, State.ACTIVE, 500)
    late.answered_mono = NOW.mono - 500
    world.watch(view, "fresh")
    page = shown(world)
    expected: dict[str, str | None] = {
        "inactive": "streamdown", "forbidden": "streamforbidden", "not_found": "streamdown",
        "half": "streamredundancylost", "well": None, "late": "streamquotaexhausted", "fresh": None,
        **{str(reason): str(reason) for reason in Reason},
    }  # fmt: skip
    for name, anchor in expected.items():
        assert runbook_of(page, name) == (None if anchor is None else f"{SITE.runbook}#{anchor}")
        assert anchor is None or anchor in HANDBOOK.anchors
    assert RUNBOOK.endswith("/docs/runbook.md")
    assert runbook_of(shown(world, site=status.Site()), "inactive") is None


def test_a_stream_leads_to_its_dashboard() -> None:
    """Placeholders are filled in so that no name leaves its place in the address; without one there is no link."""
    page = shown(hostile())
    found = [str(one["href"]) for one in Reader(page).all("a") if str(one.get("aria-label")).startswith("Dashboard of")]
    assert len(found) == 2 * len(HOSTILE)
    named = [dict(parse_qsl(urlsplit(address).query))["var-stream"] for address in found]
    assert {*HOSTILE} < {*named}
    assert "Dashboard" not in Reader(shown(hostile(), site=status.Site())).words()
    values = {"provider": "p", "account": "{stream}", "stream": "a&b/c d\ud83d"}
    assert filled("x/{account}?{stream}{other}", values) == "x/%7Bstream%7D?a%26b%2Fc%20d%3F{other}"


@pytest.mark.parametrize("asked", ["zego/closing-room", "tencent/nobody", "x", "/", "<script>"])
def test_what_was_asked_stays_in_sight(asked: str) -> None:
    """After a question the answer is shown whatever is filtered, and closing it leads back to the page before."""
    page = shown(troubled(), f"state=active&sort=name&asked={asked}")
    inside = page.partition('aria-label="What was just asked"')[2].partition("</section>")[0]
    if asked == "zego/closing-room":
        assert "Down closing-room asked 4 s ago The stream exists but is closed." in told("<" + inside)
    else:
        assert "This stream is not watched." in inside
    assert 'href="?state=active&amp;sort=name">Close' in inside
    assert len(Reader(page).all("script")) == 1
    assert "just asked" not in shown(troubled())


def test_a_question_names_its_stream_whatever_the_name() -> None:
    """The value of each button is the stream's name, spelled so that no browser changes it."""
    buttons = [str(one["value"]) for one in Reader(shown(hostile())).all("button") if one.get("name") == "target"]
    assert len(buttons) == 2 * len(HOSTILE)
    assert all(re.fullmatch(r"[A-Za-z0-9/%._~-]+", one) for one in buttons)


# --- hostile sizes ---------------------------------------------------------------------------------------------------


def test_long_and_broken_text_stays_text() -> None:
    """Four KiB of anything, and half characters, in what comes from outside make a page that is whole and valid."""
    world = World()
    view = world.account("main", "tencent")
    (one,) = world.watch(view, "a")
    long = "<b>\u202e\ud83d\n" * 1024
    world.fail(one, Fault(Reason.MALFORMED, "malformed", long, long), 5)
    page = shown(world, f"q={'%3Cb%3E%0A%ED%A0%BD' * 512}&asked={'%3Cb%3E%0A' * 512}&label={'%22%3E=%0A' * 512}")
    Reader(page.encode().decode())
    assert "<b>\u27e8" not in page
    assert "⟨U+D83D⟩" in row(shown(world), "a")


def test_nothing_moves() -> None:
    """Nobody who asked for reduced motion sees any: there is none."""
    (style,) = [asset.body.decode() for name, asset in status.ASSETS.items() if name.endswith(".css")]
    assert not re.search(r"transition|animation|scroll-behavior", style)


def test_a_page_of_rows_does_not_block() -> None:
    """The last page of 10,000 streams is made in slices as the first is."""
    known = crowd(10_000).snapshot(now=earlier(-1))
    parts = list(status.slices(known, Filter(sort="-provider", page=20)))
    assert parts.count("") > 30
