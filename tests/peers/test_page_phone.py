"""The status page on a phone, and what a reader does with it: fold, sort, turn pages, ask, without losing the place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exporter.model import Figures, State
from exporter.schedule import ALWAYS, Expectations
from testbed.processes import eventually
from tests import browser
from tests.browser import PATIENCE, Tab
from tests.peers.test_page_chromium import looking
from tests.status_site import Site
from tests.status_world import NOW, World, crowd, earlier, hostile, troubled, viewed
from tests.test_status_expected import SOON, flowing, mixed

pytestmark = pytest.mark.skipif(browser.BINARY is None, reason="Chromium is not installed: nobody LOOKED at the page")

PHONE, DESK = 390, 1280
# What is seen, and can be pressed, but is smaller than a finger; links within sentences are as high as the text.
SMALL = """
[...document.querySelectorAll('a, button, summary, input, select')].filter((one) => {
  const box = one.getBoundingClientRect();
  const over = one.matches('.streams summary') ? one.closest('tr').getBoundingClientRect() : box;
  return one.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})
    && !one.matches('.skip, .tile input') && !one.closest('p, dd, td:not(.last), .chips, summary')
    && over.height < LEAST;
}).map((one) => one.outerHTML.slice(0, 80)).join('\\n')
"""
ROW_HEIGHTS = "[...document.querySelectorAll('#streams-live tbody tr')].map((one) => one.offsetHeight)"
FIRST_ROW = "document.querySelector('#streams-live tbody tr').getBoundingClientRect().top"
FIELDS_SHOWN = "document.querySelector('[name=q]').checkVisibility()"


async def zone(tab: Tab, name: str) -> None:
    """Move the browser into a time zone."""
    await tab.do("Emulation.setTimezoneOverride", timezoneId=name)


@pytest.mark.parametrize(("width", "most"), [(DESK, 56), (PHONE, 130)])
def test_rows_are_low(width: int, most: int) -> None:
    """A row is half as high as when each told everything at once: 105 pixels on a desk, 256 on a phone."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(width, dark=False)
        await tab.open(site.address)
        heights = await tab.evaluate(ROW_HEIGHTS)
        assert len(heights) == 40
        assert max(heights) <= most

    looking(crowd(40), visit)


@pytest.mark.parametrize("script", [True, False])
def test_streams_come_first_on_a_phone(script: bool) -> None:
    """The filter is folded, with and without JavaScript, so the first streams are on the first screen."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.do("Emulation.setScriptExecutionDisabled", value=not script)
        await tab.look(PHONE, dark=False, height=844)
        await tab.open(site.address)
        assert not await tab.evaluate(FIELDS_SHOWN)
        assert await tab.evaluate(FIRST_ROW) < 600
        await tab.evaluate("document.querySelector('#fold summary').click()")
        await tab.until(FIELDS_SHOWN)
        assert await tab.evaluate("document.documentElement.scrollWidth") == PHONE
        await tab.look(DESK, dark=False)
        await tab.open(site.address)
        assert await tab.evaluate(FIELDS_SHOWN)
        assert tab.complaints == []

    looking(troubled(), visit)


@pytest.mark.parametrize("make", [troubled, hostile, viewed, World, lambda: crowd(70_000)])
def test_nothing_is_cut_off_or_too_small_to_press(make: Any) -> None:
    """Even unfolded, with 256 characters in a name and five digits in a tile, all fits; targets are 44 pixels high."""

    async def visit(site: Site, tab: Tab) -> None:
        for width in (PHONE, 900, 1101, DESK):
            await tab.look(width, dark=False)
            await tab.open(f"{site.address}?limit=100&asked=zego/room-01")
            await tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
            assert await tab.evaluate(SMALL.replace("LEAST", "44" if width == PHONE else "0")) == ""
            tiles = "[...document.querySelectorAll('.tile')].filter((one) => one.scrollWidth > one.clientWidth).length"
            assert await tab.evaluate(tiles) == 0
            heights = await tab.evaluate("[...document.querySelectorAll('.tile')].map((one) => one.offsetHeight)")
            assert len(set(heights)) == 1
        assert tab.complaints == []

    looking(make(), visit)


def test_what_a_reader_has_unfolded_stays_so() -> None:
    """A refresh folds nothing, moves nothing, and keeps the focus even in a row that moves to another place."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(PHONE, dark=False)
        await tab.open(site.address)
        await tab.evaluate("""
            document.getElementById('fold').open = true;
            window.before = document.getElementById('s-zego/room-08');
            before.querySelector('details').open = true;
            before.querySelector('button').focus({preventScroll: true});
            window.scrollTo(0, 900);
        """)
        record = site.world.board.get(("zego", "room-08"))
        assert record is not None
        site.world.answer(record, State.INACTIVE, 5, code="41006")
        await tab.until("document.querySelector('h1').textContent.startsWith('3 down')")
        assert await tab.evaluate("document.querySelector('#streams-live tbody tr') === before")
        assert await tab.evaluate("before.querySelector('details').open && document.getElementById('fold').open")
        assert await tab.evaluate("document.activeElement === before.querySelector('button')")
        assert await tab.evaluate("window.scrollY") == 900

    looking(troubled(), visit)


def test_announcements_are_few() -> None:
    """A headline that changes with every refresh is read out twice a minute at most."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        await tab.evaluate("""
            window.heard = [];
            new MutationObserver(() => heard.push(document.getElementById('announce').textContent))
              .observe(document.getElementById('announce'), {childList: true});
        """)
        for number, record in enumerate(list(site.world.board)[:4]):
            site.world.answer(record, State.NOT_FOUND, 5)
            await tab.until(f"document.querySelector('h1').textContent.includes('{number + 1} not found')")
        assert len(await tab.evaluate("heard")) == 1

    looking(crowd(12), visit)


def test_times_are_told_in_the_readers_zone_too() -> None:
    """Beside UTC stands the browser's time, with its day where that differs; where both agree it stands once."""

    async def visit(site: Site, tab: Tab) -> None:
        shown = {}
        for name in ("Asia/Shanghai", "America/Los_Angeles", "Etc/UTC"):
            await zone(tab, name)
            await tab.open(site.address)
            since = (
                "document.querySelector('[id=\"s-alibaba/keynote\"] .when').textContent.replace(/\\s+/g, ' ').trim()"
            )
            shown[name] = await tab.evaluate(since)
            now = await tab.evaluate("document.getElementById('as-of').textContent")
            site.changes["now"] = earlier(-60)
            await tab.until("document.getElementById('as-of').textContent.includes('08:01:00')")
            site.changes["now"] = NOW
            if name == "Asia/Shanghai":
                assert now == "2027-01-15 08:00:00 UTC/ 16:00:00 local"
                assert await tab.evaluate("document.getElementById('as-of').querySelectorAll('.local').length") == 1
        assert shown == {
            "Asia/Shanghai": "3 min 07:56:50 UTC/ 15:56:50",
            "America/Los_Angeles": "3 min 07:56:50 UTC/ 2027-01-14 23:56:50",
            "Etc/UTC": "3 min 07:56:50 UTC",
        }
        await tab.do("Emulation.setScriptExecutionDisabled", value=True)
        await zone(tab, "Asia/Shanghai")
        await tab.open(site.address)
        assert await tab.evaluate("document.getElementById('as-of').textContent") == "2027-01-15 08:00:00 UTC"

    looking(troubled(), visit)


@pytest.mark.parametrize("dark", [False, True])
def test_off_air_and_degraded_in_a_browser(dark: bool) -> None:
    """Off air is grey and degraded orange; the next time is told in the reader's zone, without seconds, once."""
    world = mixed()
    world.board.expectations = Expectations((ALWAYS, SOON), {("tencent", "off-inactive"): 1})
    flowing(world, "frozen", Figures(stalled=True))

    async def visit(site: Site, tab: Tab) -> None:
        await zone(tab, "Asia/Shanghai")
        await tab.look(PHONE, dark)
        await tab.open(site.address)
        row = "document.getElementById('s-tencent/off-inactive')"
        text = f"{row}.querySelector('.brief').textContent.replace(/\\s+/g, ' ').trim()"
        told = "Next expected Fri 22:00 UTC/ 2027-01-16 06:00, in 14 h 0 min. Maintenance: new <encoders>"
        assert await tab.evaluate(text) == told
        site.changes["now"] = earlier(-60)
        await tab.until("document.getElementById('as-of').textContent.includes('08:01:00')")
        assert await tab.evaluate(text) == told.replace("14 h 0", "13 h 59")
        colour = "getComputedStyle(document.querySelector('.r-STANDING .badge')).color.match(/[0-9]+/g).map(Number)"
        red, green, blue = await tab.evaluate(colour.replace("STANDING", "off_air"))
        assert max(red, green, blue) - min(red, green, blue) < 32
        red, green, blue = await tab.evaluate(colour.replace("STANDING", "degraded"))
        assert red > green > blue
        assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert tab.complaints == []

    looking(world, visit)


def test_a_tile_of_what_is_off_air_filters() -> None:
    """Ticking the tile shows what is off air, and the headline goes on to speak of all streams."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(DESK, dark=False)
        await tab.open(site.address)
        headline = await tab.evaluate("document.querySelector('h1').textContent")
        await tab.evaluate("document.querySelector('[value=off_air]').click()")
        await tab.until("document.querySelectorAll('#streams-live tbody tr').length === 3")
        assert await tab.evaluate("location.search") == "?state=off_air"
        assert await tab.evaluate("document.querySelector('h1').textContent") == headline
        assert tab.complaints == []

    looking(mixed(), visit)


def test_ask_now_stays_on_the_page() -> None:
    """The answer comes into sight where the reader is; filter, order, place, focus and what is unfolded stay."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(DESK, dark=False, height=500)
        await tab.open(f"{site.address}?provider=alibaba&provider=tencent&sort=name")
        await tab.evaluate("""
            window.same = true;
            window.before = document.getElementById('s-alibaba/keynote');
            before.querySelector('details').open = true;
            before.querySelector('button').focus();
            window.scrollTo(0, 200);
            before.querySelector('button').click();
        """)
        await tab.until("document.querySelector('.asked') !== null")
        assert await tab.evaluate("same && window.scrollY === 200 && before.isConnected")
        assert await tab.evaluate("document.activeElement === before.querySelector('button')")
        assert await tab.evaluate("before.querySelector('details').open")
        assert await tab.evaluate("before.querySelector('.badge').textContent.trim()") == "Live"
        wanted = "?provider=alibaba&provider=tencent&sort=name"
        assert await tab.evaluate("location.search") == f"{wanted}&asked=alibaba%2Fkeynote"
        box = await tab.evaluate("JSON.stringify(document.querySelector('.asked').getBoundingClientRect())")
        assert '"bottom":4' in box
        assert "Live keynote" in await tab.evaluate("document.getElementById('announce').textContent")
        await tab.evaluate("document.getElementById('dismiss').click()")
        await tab.until("document.querySelector('.asked') === null")
        assert await tab.evaluate("location.search") == wanted
        assert tab.complaints == []

    looking(troubled(), visit)


def test_news_do_not_interrupt_a_question() -> None:
    """A question that takes long is answered although the server tells of changes meanwhile; they are shown, too."""

    async def visit(site: Site, tab: Tab) -> None:
        site.changes["events"], site.slow = True, asyncio.Event()
        await tab.look(DESK, dark=False)
        await tab.open(site.address)
        await tab.until("pending.size === 1 && told")
        await tab.evaluate("document.getElementById('s-alibaba/keynote').querySelector('button').click()")
        await tab.until("document.querySelector('[aria-busy]') !== null")
        loads = len(site.loads)
        site.tell()
        await tab.until("changed")
        assert await tab.evaluate("[...pending.values()].every((wait) => wait > 100000)")
        assert len(site.loads) == loads
        site.slow.set()
        await tab.until("document.querySelector('.asked') !== null")
        await tab.until("!changed && document.querySelector('[aria-busy]') === null")
        # The answer, and the news.
        await eventually(lambda: len(site.loads) == loads + 2, PATIENCE)
        assert tab.complaints == []

    looking(troubled(), visit)


def test_ask_now_without_javascript() -> None:
    """The browser comes back to the same filter and order, at the stream's row, and sees the answer."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.do("Emulation.setScriptExecutionDisabled", value=True)
        await tab.look(DESK, dark=False, height=500)
        await tab.open(f"{site.address}?state=unknown&sort=-name")
        await tab.evaluate("document.getElementById('s-alibaba/keynote').querySelector('button').click()")
        await tab.until("document.querySelector('.asked') !== null && document.readyState === 'complete'")
        address = await tab.evaluate("location.search + location.hash")
        assert address == "?state=unknown&sort=-name&asked=alibaba%2Fkeynote#s-alibaba/keynote"
        assert "Live keynote" in await tab.evaluate("document.querySelector('.asked').innerText.replace(/\\s+/g, ' ')")
        assert site.loads[-1] == "state=unknown&sort=-name&asked=alibaba/keynote"

    looking(troubled(), visit)


def test_a_question_that_is_not_answered_is_told() -> None:
    """Where the exporter refuses, the page says that what it shows is old."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(DESK, dark=False)
        await tab.open(site.address)
        site.broken = True
        await tab.evaluate("document.querySelector('#streams-live button').click()")
        await tab.until("document.getElementById('live').className.includes('stale')")
        assert await tab.evaluate("document.querySelector('[aria-busy]') === null")

    looking(troubled(), visit)


def test_sort_and_pages_without_javascript() -> None:
    """Links lead from page to page and from order to order, and back to the head of the table."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.do("Emulation.setScriptExecutionDisabled", value=True)
        await tab.open(f"{site.address}?limit=100&state=active")
        for link, loaded in (
            ("Next", "state=active&limit=100&page=2"),
            ("Name", "state=active&limit=100&sort=name"),
            ("Last", "state=active&limit=100&sort=name&page=3"),
        ):
            find = f"[...document.querySelectorAll('.bar a')].find((one) => one.textContent.trim() === '{link}')"
            await tab.evaluate(f"{find}.click()")
            await tab.until(f"location.search === '?{loaded}' && document.readyState === 'complete'")
            assert site.loads[-1] == loaded
        assert await tab.evaluate("location.hash") == "#streams"
        assert await tab.evaluate("document.querySelectorAll('#streams-live tbody tr').length") == 51

    looking(crowd(500), visit)


def test_filtering_keeps_the_order_and_leaves_the_page() -> None:
    """A filter typed on the third page of rows, sorted by name, shows the first page of what it finds, by name."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(DESK, dark=False)
        await tab.open(f"{site.address}?limit=100&sort=-name&page=3")
        await tab.evaluate("document.querySelector('[name=q]').focus()")
        await tab.do("Input.insertText", text="stream-000")
        await tab.until("document.querySelectorAll('#streams-live tbody tr').length === 100")
        await tab.until("location.search.includes('q=')")
        assert await tab.evaluate("location.search") == "?sort=-name&q=stream-000&limit=100"
        await tab.until("document.querySelector('#streams-live tbody tr').id === 's-tencent/stream-00099'")

    looking(crowd(500), visit)
