"""The status page as text: what it says, in which order, of whom, and that nothing from outside becomes markup."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter import status
from exporter.model import Answer, Fault, Input, Reason, State
from exporter.rounds.account import AccountProber
from exporter.rounds.health import Health
from exporter.state.board import MOST_FAILURES, Board
from exporter.status.filter import MOST_ROWS
from exporter.status.page import CONTENT_SECURITY_POLICY
from exporter.status.rendering import visible
from exporter.status.standing import Standing
from exporter.status.wording import ago, utc
from tests.cost import Calls
from tests.status_reader import Reader, card, row, rows, shown, told
from tests.status_world import HOSTILE, MAX_AGE, NOW, SECRETS, World, crowd, earlier, hostile, troubled, whole_page
from tests.virtual import Network, account, prober, run, streams, tencent_error

# --- nothing from outside becomes markup -----------------------------------------------------------------------------


def test_hostile_names_stay_text() -> None:
    """Names, labels, messages and RequestIds that hold markup are shown, and never become elements or attributes."""
    reader = Reader(shown(hostile()))
    assert [script.keys() for script in reader.all("script")] == [{"src", "defer"}]
    assert not reader.all("img")
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    words = reader.words()
    assert all(visible(name) in words for name in HOSTILE)


def test_hostile_filter_stays_text() -> None:
    """What somebody puts into a link to the page comes back as the filter's values only."""
    for name in HOSTILE:
        world = hostile()
        wanted = status.Filter(name, providers=frozenset({name}), accounts=frozenset({name}), labels=((name, name),))
        reader = Reader(whole_page(world.snapshot(), wanted))
        assert len(reader.all("script")) == 1
        assert not reader.all("img")
        assert name in [one.get("value") for one in reader.all("input")]
    assert 'value="a&#13;b\nc"' in whole_page(World().snapshot(), status.Filter("a\rb\nc"))


def test_templates_escape_everything_but_our_own_icons() -> None:
    """No template says that a value is markup already, or turns escaping off, except for the shapes of the icons."""
    folder = Path(status.__file__).parent / "templates"
    exempt = [line.strip() for file in folder.iterdir() for line in file.read_text().splitlines() if "safe" in line]
    assert exempt == ['<symbol id="i-{{ state }}" viewBox="0 0 16 16">{{ shapes[state] | safe }}</symbol>']
    assert not [file.name for file in folder.iterdir() if "autoescape" in file.read_text()]


def test_hidden_and_reordering_signs_are_spelled_out() -> None:
    """No control character and no override of direction reaches the page, outside of a form's own values."""
    page = re.sub(r' value="[^"]*"', "", shown(hostile()))
    hidden = {sign for sign in page if unicodedata.category(sign) in ("Cc", "Cf")} - {"\n", "\u200d"}
    assert not hidden
    assert "⟨U+202E⟩" in page
    assert "⟨U+001B⟩" in page


def test_names_are_set_apart_from_the_direction_around() -> None:
    """Right-to-left names cannot turn the words beside them around: each stands in a bdi element."""
    reader = Reader(shown(hostile()))
    for stack, text in reader.texts:
        if "ردهة" in text:
            assert {"bdi", "code", "option"} & set(stack), text


def test_lone_surrogates_do_not_break_the_page() -> None:
    """A provider's message with half a character is shown, and the page is valid UTF-8."""
    world = World()
    view = world.account("main", "tencent")
    (record,) = world.watch(view, "a")
    world.fail(record, Fault(Reason.MALFORMED, "malformed", "half \ud83d"), 1)
    assert "half ⟨U+D83D⟩" in shown(world).encode().decode()
    assert shown(world, "q=%ED%A0%BD").encode()


def test_policy_allows_nothing_inline_and_the_page_needs_nothing_inline() -> None:
    """The policy is strict, and no style, script or picture stands in the page itself or comes from elsewhere."""
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
    reader = Reader(shown(troubled()))
    assert not reader.all("style")
    assert not [attributes for _, attributes in reader.elements if "style" in attributes]
    assert not reader.words("script").strip()
    loaded = [str(one["src"]) for one in reader.all("script")] + [str(one["href"]) for one in reader.all("link")]
    assert [address.removeprefix("static/") in status.ASSETS for address in loaded] == [True] * 3


def test_assets_are_named_by_their_content() -> None:
    """An asset's name changes with its content, so it may be cached for ever; types are what browsers demand."""
    kinds = {name.rpartition(".")[2]: asset.content_type for name, asset in status.ASSETS.items()}
    assert kinds == {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert all(re.fullmatch(r"[a-z_]+-[0-9a-f]{12}\.(css|js|svg)", name) for name in status.ASSETS)
    assert all(asset.body for asset in status.ASSETS.values())


def test_no_secret_is_on_the_page() -> None:
    """The page reads accounts, and shows none of their secrets."""
    page = shown(troubled())
    assert str(SECRETS["zego"]["server_secret"].value) not in page
    assert SECRETS["zego"]["server_secret"].value.reveal() not in page


# --- what it says ----------------------------------------------------------------------------------------------------


def test_worst_first_then_the_latest_change() -> None:
    """Down, unknown, forbidden, not found, degraded, live; in each the latest change on top; never asked at the end."""
    assert rows(shown(troubled())) == [
        "closing-room", "arena-1", "backstage", "keynote", "stage-b", "late-show", "host-42", "host-43", "studio-9",
        "old-room", "cup-final", "room-01", "room-02", "room-03", "room-04", "room-05", "room-06", "room-07", "room-08",
    ]  # fmt: skip


def test_counts_and_verdict() -> None:
    """The heading, the title and the tiles count what stands in the table."""
    page = shown(troubled())
    reader = Reader(page)
    assert reader.words("h1") == "2 down, 6 unknown, 1 forbidden, 1 not found, 1 degraded"
    assert (
        reader.words("title")
        == "2 down, 6 unknown, 1 forbidden, 1 not found, 1 degraded · production · stream-exporter"
    )
    tiles = dict(re.findall(r'<b id="n-(\w+)" data-live>([\d,]+)</b>', page))
    assert tiles == {
        "inactive": "2", "unknown": "6", "forbidden": "1", "not_found": "1", "degraded": "1", "active": "8",
        "off_air": "0",
    }  # fmt: skip
    assert "9 of 19 streams live · last asked 1 s ago" in reader.words("main")


@pytest.mark.parametrize(
    ("live", "verdict"), [(0, "No streams"), (1, "The stream is live"), (3, "All 3 streams are live")]
)
def test_good_news(live: int, verdict: str) -> None:
    """When nothing is wrong the heading says so."""
    world = World()
    view = world.account("main", "tencent")
    for record in world.watch(view, *(f"s{n}" for n in range(live))):
        world.answer(record, State.ACTIVE, 60)
    assert Reader(shown(world)).words("h1") == verdict


def test_a_failed_stream_says_why_and_what_to_do() -> None:
    """Since when, meaning and advice, the code, the provider's own words, the RequestId, the last answer."""
    said = row(shown(troubled()), "keynote")
    assert "team=events" in said
    for part in (
        "3 min 07:56:50 UTC", "Alibaba Cloud does not know this AccessKey ID.", "Look it up under RAM console",
        "InvalidAccessKeyId.NotFound", "reason auth", "failed 3 s ago", "“Specified access key is not found.”",
        "RequestId 3F1C-77AB-90D2", "live, 4 s ago", "Calls of this account are held back",
    ):  # fmt: skip
        assert part in said


def test_a_definite_state_is_explained() -> None:
    """Down, forbidden and not found say what the provider's word means and what to do; live says only what is."""
    page = shown(troubled())
    assert "stream_provider_request_duration_seconds" in Reader(page).words("code")
    assert "`" not in page
    assert "Nobody pushes this stream." in row(page, "arena-1")
    assert "check the encoder and its network" in row(page, "arena-1")
    assert "Lift the ban under CSS console" in row(page, "studio-9")
    assert "ZEGO knows no such stream" in row(page, "old-room")
    assert "The stream exists but is closed." in row(page, "closing-room")
    live = row(page, "cup-final")
    assert "pushed for 1 h 30 min · only 1 of 2 inputs · primary by push at 5000.livepush.example/live" in live
    assert "Nothing to do" not in page


def test_a_live_stream_tells_how_it_is_pushed() -> None:
    """By which way, which media and how many inputs a stream comes in stands beside the API that said so."""
    world = World()
    (record,) = world.watch(world.account("main", "volcengine"), "a")
    inputs = (Input("a.example", "live", "push", primary=False),)
    world.answer(record, State.ACTIVE, 60, ingest="pull", media=(("audio", True), ("video", False)), inputs=inputs)
    assert "comes in by pull · audio on · video off · 1 input · by DescribeLiveStreamState" in row(shown(world), "a")


def test_a_stream_whose_turn_has_not_come() -> None:
    """An answer that is too old and one that never came are told apart from a failure."""
    page = shown(troubled())
    assert "The last answer (live) is older than 2m; its turn has not come since." in row(page, "late-show")
    assert "6 min ago" in row(page, "late-show")
    assert "never asked" in row(page, "host-42")
    assert "Its turn has not come yet." in row(page, "host-42")


def test_accounts_show_quota_breaker_and_last_failure() -> None:
    """An account's card tells what is kept, what is left unasked, and how its last call failed; trouble first."""
    page = shown(troubled())
    cards = re.findall(r'<h3 id="[^"]*"><bdi>(.*?)</bdi>', page)
    assert cards == ["alibaba-eu", "tencent-main", "volc-rtc", "zego-main"]
    dead, slow = card(page, "alibaba-eu"), card(page, "tencent-main")
    assert "open: one trial call per round" in dead
    assert "the provider's is 94 s behind" in dead
    assert "InvalidAccessKeyId.NotFound 6" in dead
    assert "RequestId 3F1C-77AB-90D2" in dead
    assert "DescribeLiveStreamState 75/s slowed after throttling, from 150/s" in slow
    assert "12: the quota had no calls left" in slow
    assert "5 watched: 1 down, 2 unknown, 1 forbidden, 1 degraded" in slow
    assert "Not asked yet" in card(page, "volc-rtc")


def test_many_accounts_stay_bounded() -> None:
    """Of many accounts, dead accounts and codes of failure the first are shown and the others counted."""
    world = World()
    for number in range(203):
        world.account(f"a{number:03}", "zego", health=Health(up=number >= 7))
    world.counters.errors.update({("zego", "a000", f"code-{number}", "auth"): 9 - number for number in range(7)})
    page = shown(world)
    assert page.count("<article") == 200
    words = Reader(page).words("main")
    assert words.count("answers nothing: 0 of 0 streams unknown.") == 5
    assert "2 more accounts without answers" in words
    assert "3 more accounts hidden: those without trouble." in words
    assert "code-0 9, code-1 8, code-2 7, code-3 6, code-4 5, 2 more codes" in card(page, "a000")


def test_recent_failures_hold_what_a_ticket_needs() -> None:
    """Failures of one kind are one row with their number, span, last stream, message and RequestId."""
    section = shown(troubled()).partition('id="failures"')[2]
    words = told("<section " + section.partition("</section>")[0])
    assert "InvalidAccessKeyId.NotFound auth 3 s ago 07:59:57 UTC 6 since 07:56:50 UTC alibaba-eu last stage-b" in words
    assert "“Specified access key is not found.” · RequestId 3F1C-77AB-90D2" in words


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({"ready": False}, "not ready to probe"),
        ({"reload_ok": False}, "The configuration last read was refused"),
        ({"now": earlier(-900)}, "Nothing was asked for 15 min"),
        ({}, "alibaba-eu answers nothing: 2 of 2 streams unknown. Alibaba Cloud does not know this AccessKey ID."),
    ],
)
def test_notices(changes: dict[str, Any], notice: str) -> None:
    """Trouble of the exporter as a whole stands on top."""
    words = Reader(shown(troubled(), **changes)).words("main")
    assert notice in words.partition("States to show")[0]


def test_before_the_first_scrape() -> None:
    """A fresh exporter says that nothing was asked yet, and an empty one how to watch streams."""
    world = World()
    assert "No streams are watched: list them under streams" in Reader(shown(world)).words()
    world.watch(world.account("main", "zego"), "a")
    assert "Nothing was asked yet" in Reader(shown(world)).words()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"),
     (172_799, "47 h 59 min"), (172_800, "2 d 0 h"), (8_640_000, "100 d 0 h")],
)  # fmt: skip
def test_lengths_of_time(seconds: float, text: str) -> None:
    """Lengths of time are told in units that people use."""
    assert ago(seconds) == text


def test_times_name_their_day_unless_it_is_today() -> None:
    """An absolute time is never ambiguous: without a date it is today's, in UTC."""
    assert utc(NOW.unix, NOW.unix + 60) == "08:00:00 UTC"
    assert utc(NOW.unix, NOW.unix + 86_400) == "2027-01-15 08:00:00 UTC"


# --- the filter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=ROOM-0&limit=2", ["room-01", "room-02"]),
        ("state=inactive", ["closing-room", "arena-1"]),
        ("state=not_found&state=forbidden", ["studio-9", "old-room"]),
        ("provider=volcengine", ["host-42", "host-43"]),
        ("provider=volcengine&provider=alibaba", ["keynote", "stage-b", "host-42", "host-43"]),
        ("account=alibaba-eu", ["keynote", "stage-b"]),
        ("label=team%3Desports&label=tier%3Dsilver", ["backstage", "late-show"]),
        ("label=team&state=degraded", ["cup-final"]),
        ("label=team%3Dnobody", []),
        ("q=&state=&provider=&account=&label=&limit=&state=inactive&nonsense=1", ["closing-room", "arena-1"]),
        ("state=nonsense&state=forbidden", ["studio-9"]),
    ],
)
def test_filter(query: str, names: list[str]) -> None:
    """The page's address chooses streams; empty and unknown parts of it choose nothing away."""
    assert rows(shown(troubled(), query)) == names


def test_counts_follow_the_filter_but_for_states() -> None:
    """Tiles count what each state would show, so choosing one does not empty the others."""
    page = shown(troubled(), "provider=zego&state=inactive")
    tiles = dict(re.findall(r'<b id="n-(\w+)" data-live>([\d,]+)</b>', page))
    found = {standing: count for standing, count in tiles.items() if count != "0"}
    assert (found, len(tiles)) == ({"inactive": "1", "not_found": "1", "active": "8"}, 7)
    assert "1 stream matching the filter" in Reader(page).words("caption")
    assert "Filter: 1 of 19 streams" in Reader(page).words()


def test_the_form_holds_the_filter() -> None:
    """Sending the form unchanged asks for the same again, so an address can be shared and refined."""
    query = "q=a&state=unknown&state=active&provider=tencent&account=tencent-main&label=team%3Desports&limit=100"
    wanted = status.Filter.read(parse_qsl(query))
    assert status.Filter.read(_sent(Reader(shown(troubled(), query)))) == wanted


def test_filter_finds_hostile_names() -> None:
    """A label from a link on the page finds exactly the streams that have it."""
    page = shown(hostile())
    links = [str(one["href"]) for one in Reader(page).all("a") if str(one.get("href")).startswith("?label=")]
    assert len(links) == 2 * len(HOSTILE)
    for link in links:
        assert len(rows(shown(hostile(), urlsplit(link).query))) == 2


def _sent(reader: Reader) -> list[tuple[str, str]]:
    """Return what a browser sends for the form as it stands."""
    pairs = []
    field = ""
    for tag, attributes in reader.elements:
        if tag == "select":
            field = str(attributes["name"])
        chosen = tag == "option" and "selected" in attributes
        ticked = attributes.get("type") != "checkbox" or "checked" in attributes
        if chosen or (tag == "input" and ticked):
            pairs.append((str(attributes.get("name", field)), str(attributes["value"])))
    return pairs


@pytest.mark.parametrize(
    ("limit", "count"), [("", 500), ("7", 7), ("0", 1), ("999999999", 600), ("-1", 500), ("x", 500)]
)
def test_rows_are_limited(limit: str, count: int) -> None:
    """However many streams there are, a page stays small, and says how many there are."""
    page = shown(crowd(600), f"limit={limit}")
    assert len(rows(page)) == count
    assert (f"1 to {count} of 600 streams" in Reader(page).words("caption")) == (count < 600)


def test_ten_thousand_streams_do_not_block() -> None:
    """No slice of the page takes two calls for each stream, with all rows that one may ask for."""
    known = crowd(10_000).snapshot()
    wanted = status.Filter(limit=MOST_ROWS)
    whole_page(known, wanted)
    with Calls() as counted:
        ends = [0, *(counted.count for _ in status.slices(known, wanted))]
    longest = max(after - before for before, after in pairwise(ends))
    print(f"longest slice of the page with 10,000 streams: {longest:,} calls")
    assert longest < 20_000


def test_slices_tell_of_one_moment() -> None:
    """A board that changes while the page goes out does not change the rows that follow."""
    still, moving = crowd(300), crowd(300)
    expected = shown(still)
    parts = []
    for part in status.slices(moving.snapshot(), status.Filter()):
        parts.append(part)
        for record in moving.board:
            moving.board.answered(record, Answer(State.NOT_FOUND), "DescribeLiveStreamState", NOW)
    assert "".join(parts) == expected


# --- for everyone ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [troubled, hostile, World])
def test_structure_for_assistive_technology(make: Any) -> None:
    """Language, title, landmarks, one h1, captions, header cells with scope, labelled fields, unique ids."""
    reader = Reader(shown(make()))
    assert reader.all("html") == [{"lang": "en"}]
    assert reader.words("title")
    assert [len(reader.all(tag)) for tag in ("main", "h1")] == [1, 1]
    assert all("aria-label" in one for one in reader.all("nav"))
    assert len(reader.all("caption")) == len(reader.all("table"))
    assert all("scope" in cell for cell in reader.all("th"))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for (tag, attributes), parents in zip(reader.elements, reader.parents, strict=True):
        assert tag not in ("input", "select") or "label" in parents or attributes.get("type") == "hidden"
    named = {str(one["aria-labelledby"]) for _, one in reader.elements if "aria-labelledby" in one}
    assert named <= set(ids)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    """Every text reaches WCAG's AA contrast of 4.5 on the grounds it stands on, in both colour schemes."""
    colours = _colours(scheme)
    pairs = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("ground", "card")]
    for state in Standing:
        pairs += [(state, "card"), (state, f"{state}-ground"), ("ink", f"{state}-ground")]
    pairs += [("card", "accent"), ("inactive", "ground"), ("soft", "not_found-ground"), ("accent", "not_found-ground")]
    poor = {pair: ratio for pair in pairs if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5}
    assert not poor


def _colours(scheme: str) -> dict[str, str]:
    (style,) = [asset.body.decode() for name, asset in status.ASSETS.items() if name.endswith(".css")]
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", light if scheme == "light" else dark))


def _contrast(one: str, other: str) -> float:
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["--version", "check --config.file c.yml"])
def test_only_the_server_pays_for_templates(tmp_path: Path, command: str) -> None:
    """Commands that show no page do their work without loading Jinja2."""
    account = f"{{name: main, provider: zego, app_id: 1, server_secret: {'s' * 32}}}"
    (tmp_path / "c.yml").write_text(f"accounts: [{account}]\nstreams: [{{name: a, account: main}}]\n")
    program = [sys.executable, "-X", "importtime", "-m", "exporter", *command.split()]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "exporter.cli" in done.stderr
    assert "jinja2" not in done.stderr


# --- where it comes from ---------------------------------------------------------------------------------------------


def test_failures_of_one_kind_are_one() -> None:
    """An outage of a thousand streams leaves room for the failures of others, and memory stays bounded."""
    world = World()
    view = world.account("main", "tencent")
    records = world.watch(view, *(f"s{n}" for n in range(1000)))
    for record in records:
        world.fail(record, Fault(Reason.TIMEOUT, "timeout"), 10)
    (one,) = world.board.failures.values()
    assert (one.count, one.stream, one.first) == (1000, "s999", NOW.unix - 10)
    for number in range(MOST_FAILURES):
        world.fail(records[0], Fault(Reason.AUTH, f"code-{number}"), 5)
    assert len(world.board.failures) == MOST_FAILURES
    assert "timeout" not in {code for _, _, code, _ in world.board.failures}


def test_failures_leave_with_their_stream() -> None:
    """A stream that is no longer watched is not named by an old failure either."""
    world = troubled()
    world.board.watch([pair for pair in world.streams if pair[0] != "alibaba"], MAX_AGE)
    assert {one.provider for one in world.board.failures.values()} == {"tencent"}


def test_real_account_probers_are_shown() -> None:
    """What the prober knows of an account after a failed round is what the page says."""

    async def main() -> str:
        made = prober(Network(_refusing), [account()], streams(3))
        loop = asyncio.get_running_loop()
        await made.refresh(loop.time() + 5, loop.time())
        accounts: list[AccountProber] = list(made.accounts.values())
        shared = made.shared
        return whole_page(status.Snapshot(shared.board, shared.counters, accounts, shared.clock.now()), status.Filter())

    page = run(main())
    assert "main answers nothing: 3 of 3 streams unknown." in Reader(page).words()
    assert "AuthFailure.SignatureFailure 3" in card(page, "main")
    assert "RequestId r-1" in row(page, "s00000")


async def _refusing(_provider: str, _request: object) -> Any:
    return tencent_error("AuthFailure.SignatureFailure")


def test_empty_board_needs_no_account() -> None:
    """A page can be made before anything is configured."""
    known = status.Snapshot(Board(MAX_AGE), troubled().counters, [], NOW)
    assert "No streams" in whole_page(known, status.Filter())
