"""The status page in a real browser: how it looks at every width, that nothing is refused, and how it stays fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from exporter.model import State
from exporter.rounds.health import Health
from tests import browser
from tests.browser import Tab, chromium
from tests.status_site import Site, serving
from tests.status_world import HOSTILE, World, crowd, earlier, hostile, troubled, viewed
from tests.test_status_expected import SOON, expect

pytestmark = pytest.mark.skipif(browser.BINARY is None, reason="Chromium is not installed: nobody LOOKED at the page")

# Makes the page's own clock run fast, and tells which timers it has set.
FAST = """
window.pending = new Map();
const real = [window.setTimeout.bind(window), window.clearTimeout.bind(window)];
window.setTimeout = (act, wait) => {
  const id = real[0](() => { pending.delete(id); act(); }, wait / 20);
  pending.set(id, wait);
  return id;
};
window.clearTimeout = (id) => { pending.delete(id); real[1](id); };
"""
DOWN = "document.querySelector('h1').textContent.startsWith('3 down')"


def looking(world: World, visit: Callable[[Site, Tab], Awaitable[None]]) -> None:
    """Let a browser visit a world."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(serving(world))
            tabs = await stack.enter_async_context(chromium())
            tab = await stack.enter_async_context(tabs())
            await tab.do("Page.addScriptToEvaluateOnNewDocument", source=FAST)
            await visit(site, tab)

    asyncio.run(main())


def break_one(world: World) -> None:
    """Let a stream of the troubled world go down."""
    record = world.board.get(("zego", "room-08"))
    assert record is not None
    world.answer(record, State.INACTIVE, 5, code="41006")


@pytest.mark.parametrize("make", [troubled, hostile, viewed, World])
def test_page_is_whole_at_every_width_and_in_both_schemes(make: Callable[[], World]) -> None:
    """Nothing is refused or logged, nothing is cut off sideways, and the style is really there, dark and light."""

    async def visit(site: Site, tab: Tab) -> None:
        grounds = set()
        for width in (1280, 768, 400, 320):
            for dark in (False, True):
                await tab.look(width, dark)
                await tab.open(site.address)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width
                grounds.add((dark, await tab.evaluate("getComputedStyle(document.body).backgroundColor")))
                assert (await tab.screenshot()).startswith(b"\x89PNG")
        assert len(grounds) == 2
        assert tab.complaints == []

    looking(make(), visit)


def test_complaints_are_heard() -> None:
    """The check above is one that can fail: the policy stops an inline script, and the browser says so."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        add = "const s = document.createElement('script'); s.textContent = 'window.bad = 1'; document.body.append(s)"
        await tab.evaluate(add)
        await tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.bad = 2\">')")
        assert await tab.evaluate("typeof window.bad") == "undefined"
        await tab.evaluate("console.error('oh')")
        assert len(tab.complaints) >= 2
        assert any("Content Security Policy" in one for one in tab.complaints)

    looking(troubled(), visit)


def test_hostile_names_are_text_in_a_browser() -> None:
    """A browser, too, reads hostile names as text, before and after a refresh, and as links that find them."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        for _ in range(2):
            text = await tab.evaluate("document.body.textContent")
            assert all(name in text for name in HOSTILE if name.isprintable())
            assert await tab.evaluate("document.images.length + document.scripts.length") == 1
            loads = len(site.loads)
            break_now = site.world.board.get(("zego", HOSTILE[0]))
            assert break_now is not None
            site.world.answer(break_now, State.INACTIVE, 1)
            await tab.until("document.querySelector('h1').textContent.startsWith('1 down')")
            assert len(site.loads) > loads or loads > 1
        assert tab.complaints == []

    looking(hostile(), visit)


def test_poll_keeps_what_the_reader_does() -> None:
    """A refresh shows what is new and keeps nodes, focus, scrolling, typed text and the address's filter."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(1280, dark=False, height=500)
        await tab.open(f"{site.address}?provider=zego")
        await tab.evaluate("""
            window.before = document.getElementById('s-zego/room-01');
            before.querySelector('a').focus({preventScroll: true});
            window.scrollTo(0, 300);
            document.querySelector('[name=q]').value = 'half a wo';
        """)
        break_one(site.world)
        await tab.until(DOWN)
        assert site.loads[-1] == "provider=zego"
        assert await tab.evaluate("before.isConnected && document.activeElement === before.querySelector('a')")
        assert await tab.evaluate("window.scrollY") == 300
        assert await tab.evaluate("document.querySelector('[name=q]').value") == "half a wo"
        told = "3 down, 6 unknown, 1 forbidden, 1 not found, 1 degraded"
        assert await tab.evaluate("document.querySelector('#announce').textContent") == told
        assert (await tab.evaluate("document.title")).startswith(told)
        assert await tab.evaluate("document.querySelector('#streams-live tbody tr').id") == "s-zego/room-08"
        assert tab.complaints == []

    looking(troubled(), visit)


def test_refreshed_page_equals_a_fresh_one() -> None:
    """Whatever changes, swapping only the differences ends where loading anew would."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(f"{site.address}?limit=60")
        for number, record in enumerate(list(site.world.board)):
            states = (State.ACTIVE, State.INACTIVE, State.FORBIDDEN, State.NOT_FOUND)
            site.world.answer(record, states[number * 7 % 4], number * 37 % 101)
        lane = site.world.account("another", "zego", health=Health(up=False))
        site.world.watch(lane, "new-one")
        expect(site.world, SOON, *list(site.world.board)[:40])
        site.changes["now"] = earlier(-30)
        await tab.until("document.getElementById('as-of').textContent.includes('08:00:30')")
        html = "[...document.querySelectorAll('[data-live]')].map((one) => one.outerHTML).join()"
        swapped = await tab.evaluate(html)
        await tab.open(f"{site.address}?limit=60&")
        assert await tab.evaluate(html) == swapped

    looking(crowd(120), visit)


def test_events_bring_changes_at_once() -> None:
    """Where the server tells of changes, a change is on the page without waiting for the next poll."""

    async def visit(site: Site, tab: Tab) -> None:
        site.changes["events"] = True
        await tab.open(site.address)
        await tab.until("pending.size === 1 && typeof told !== 'undefined' && told")
        loads = len(site.loads)
        break_one(site.world)
        site.tell()
        site.tell()
        await tab.until(DOWN)
        # Both are one, unless the machine is so busy that they come far apart.
        assert loads < len(site.loads) <= loads + 2
        assert await tab.evaluate("Math.max(...pending.values())") >= 15000
        assert tab.complaints == []

    looking(troubled(), visit)


def test_silence_is_told() -> None:
    """When the exporter stops answering, the page says from when it is, and recovers by itself."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        site.broken = True
        await tab.until("document.getElementById('live').className.includes('stale')")
        told = await tab.evaluate("document.getElementById('live-text').textContent")
        assert told == "No answer from the exporter; this is from 2027-01-15 08:00:00 UTC"
        assert await tab.evaluate("document.querySelectorAll('#streams-live tbody tr').length") == 19
        site.broken = False
        await tab.until("document.getElementById('live-text').textContent === 'Up to date'")

    looking(troubled(), visit)


def test_nothing_is_asked_while_paused_or_hidden() -> None:
    """A paused page and one that nobody sees set no timer and ask for nothing; both go on when wanted."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        await tab.evaluate("document.getElementById('pause').click()")
        assert await tab.evaluate("pending.size") == 0
        assert "Paused" in await tab.evaluate("document.getElementById('live').textContent")
        break_one(site.world)
        await tab.evaluate("document.getElementById('pause').click()")
        await tab.until(DOWN)
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        hide += "document.dispatchEvent(new Event('visibilitychange'))"
        await tab.evaluate(hide % "true")
        assert await tab.evaluate("pending.size") == 0
        site.changes["now"] = earlier(-77)
        await tab.evaluate(hide % "false")
        await tab.until("document.getElementById('as-of').textContent.includes('08:01:17')")

    looking(troubled(), visit)


def test_filter_works_while_typing() -> None:
    """With JavaScript the filter takes effect at once, and stands in the address so that it can be shared."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.look(1280, dark=False)
        await tab.open(site.address)
        await tab.evaluate("window.same = true; document.querySelector('[name=q]').focus()")
        await tab.do("Input.insertText", text="room")
        await tab.until("document.querySelectorAll('#streams-live tbody tr').length === 10")
        await tab.evaluate("document.querySelector('[name=state][value=inactive]').click()")
        await tab.until("document.querySelectorAll('#streams-live tbody tr').length === 1")
        assert await tab.evaluate("location.search") == "?state=inactive&q=room"
        assert await tab.evaluate("window.same") is True
        await tab.open(f"{site.address}?q=room&state=inactive")
        assert await tab.evaluate("document.querySelectorAll('#streams-live tbody tr').length") == 1
        assert tab.complaints == []

    looking(troubled(), visit)


def test_without_javascript() -> None:
    """Everything is there, the filter is a plain form, and the page asks to be loaded again now and then."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.do("Emulation.setScriptExecutionDisabled", value=True)
        await tab.open(site.address)
        assert await tab.evaluate("document.querySelectorAll('#streams-live tbody tr').length") == 19
        assert await tab.evaluate("document.querySelector('meta[http-equiv=refresh]').content") == "15"
        assert await tab.evaluate("getComputedStyle(document.getElementById('live')).display") == "none"
        await tab.evaluate("document.querySelector('[name=q]').value = 'arena'; document.forms[0].requestSubmit()")
        await tab.until("document.querySelectorAll('#streams-live tbody tr').length === 1")
        assert "q=arena" in site.loads[-1]
        assert tab.complaints == []

    looking(troubled(), visit)


def test_what_a_screen_reader_is_told() -> None:
    """Landmarks, tables with captions and ticks with counts have names; tables stay tables on a phone."""

    async def visit(site: Site, tab: Tab) -> None:
        for width in (1280, 400):
            await tab.look(width, dark=False)
            await tab.open(site.address)
            await tab.evaluate(
                "document.querySelectorAll('#fold, .streams details').forEach((one) => { one.open = true; })"
            )
            nodes = (await tab.do("Accessibility.getFullAXTree"))["nodes"]
            told = [
                (n.get("role", {}).get("value"), n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]
            ]
            assert ("navigation", "Other views") in told
            assert ("search", "Filter streams") in told
            assert ("checkbox", "2 Down") in told
            assert ("table", "19 streams; the worst first, then the latest change") in told
            assert ("button", "Ask the provider about arena-1 now") in told
            assert len([role for role, _ in told if role == "row"]) == 1 + 19 + 1 + 2
            assert len([role for role, _ in told if role == "rowheader"]) == 19 + 2
            fields = ("checkbox", "searchbox", "combobox", "textbox", "button", "link")
            assert not [role for role, name in told if role in fields and not name]

    looking(troubled(), visit)


def test_keyboard_reaches_the_streams() -> None:
    """The first Tab offers to skip to the streams, and what has the focus is outlined."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        for kind in ("rawKeyDown", "keyUp"):
            await tab.do("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        assert await tab.evaluate("document.activeElement.className") == "skip"
        assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert await tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0

    looking(troubled(), visit)


def test_many_streams_stay_usable() -> None:
    """With 10,000 streams the page shows the most urgent 500, and a refresh takes about as long as to load it."""

    async def visit(site: Site, tab: Tab) -> None:
        await tab.open(site.address)
        assert await tab.evaluate("document.querySelectorAll('#streams-live tbody tr').length") == 500
        assert "Page 1 of 20" in await tab.evaluate("document.body.textContent")
        site.changes["now"] = earlier(-60)
        took = await tab.evaluate(
            "(async () => {const t = performance.now(); await refresh(); return performance.now() - t})()"
        )
        await tab.until("document.getElementById('as-of').textContent.includes('08:01:00')")
        loaded = await tab.evaluate("performance.getEntriesByType('navigation')[0].duration")
        print(f"500 rows out of 10,000 streams: refreshed in {took:.0f} ms, loaded in {loaded:.0f} ms")
        assert took < 3 * loaded

    looking(crowd(10_000), visit)
