"""Checks as people see them: what was asked, what came, how it was judged, and never a query or a secret."""

from __future__ import annotations

import json

import pytest

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.model import Reason
from exporter.playback.steps import HIDDEN, MOST_SHOWN, PlaybackTranscript, Step, ends_of, excerpt
from exporter.playback.urls import shown_of
from exporter.playback.verdict import Verdict, looks_like_a_page, status_says, worst
from exporter.state.playback import PlaybackCheck

CANARY = "canary-0123456789"


def address(shown: str = "https://play.example/live/a.m3u8") -> PlaybackAddress:
    """Return an address whose query holds a secret."""
    return PlaybackAddress(
        "main", Secret(f"https://play.example/live/a.m3u8?t={CANARY}"), shown, ("https://play.example",)
    )


def test_an_excerpt_has_no_queries() -> None:
    """Queries of rows, of attributes and of variables are left out of a playlist that is shown; the paths stay."""
    text = (
        f'#EXTM3U\n#EXT-X-MAP:URI="init.mp4?t={CANARY}"\n#EXT-X-KEY:METHOD=AES-128,URI="https://k.example/key?{CANARY}"\n'
        f"#EXTINF:2,\nseg-1.ts?token={CANARY}&x=1\nseg-2.ts\n"
    )
    shown = excerpt(ends_of(text.encode()), addresses=True)
    assert CANARY not in shown
    assert "seg-1.ts?<redacted>" in shown
    assert "seg-2.ts" in shown
    assert "init.mp4?<redacted>" in shown


def test_an_excerpt_of_a_hidden_address_has_no_paths() -> None:
    """Where the address comes from a file or a variable, its playlist is shown without any address or key of it."""
    text = (
        f'#EXTM3U\n#EXT-X-MAP:URI="{CANARY}/init.mp4"\n#EXT-X-DEFINE:NAME="t",VALUE="{CANARY}"\n'
        f'#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="{CANARY}"\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{CANARY}/seg-1.ts\n'
        f'#EXT-X-MEDIA:TYPE=AUDIO,URI="{CANARY}'
    )
    shown = excerpt(ends_of(text.encode()), addresses=False)
    assert CANARY not in shown
    assert "#EXT-X-TARGETDURATION:2" in shown


def test_lines_end_where_players_end_them() -> None:
    """What else Python takes for the end of a line, a blank or a quote shows nothing of an address behind it."""
    for sign in "\x0b\x0c\x1c\x85\u2028 '<\"":
        row = f"seg.ts?token={sign}{CANARY}"
        shown = excerpt(ends_of(f"#EXTM3U\r\n{row}\r#EXTINF:2,\n  {row}".encode()), addresses=True)
        assert shown.count("seg.ts?<redacted>") == 2
        for text in (row, f"  {row}", f"#EXTM3U\r{row}\r", f"#EXTM3U\n\t{row}"):
            assert CANARY not in excerpt(ends_of(text.encode()), addresses=True)
            assert "seg" not in excerpt(ends_of(text.encode()), addresses=False)


def test_an_excerpt_does_not_repeat_a_query() -> None:
    """A server may write a token that it was sent anywhere into what it answers; queries look as ever."""
    lines = [f"seg-{CANARY}.ts", f"#EXT-X-{CANARY.upper()}:1", f"{CANARY}/1.ts", "#EXT-X-BYTERANGE:123456789@0"]
    text = "\n".join(["#EXTM3U", *lines, f"seg.ts?t={CANARY}"])
    shown = excerpt(ends_of(text.encode()), addresses=True, secrets=(CANARY.lower(), "123456789@0"))
    assert shown.split("\n") == ["#EXTM3U", *[HIDDEN] * 4, "seg.ts?<redacted>"]


def test_an_excerpt_of_a_long_playlist_has_its_end() -> None:
    """The newest rows stand at the end; what is cut off shows nothing of a query, wherever it is cut."""
    rows = [f"#EXTINF:2,\nseg-{number}.ts?token={CANARY}\n" for number in range(1000)]
    for more in range(60):
        shown = excerpt(ends_of(f"#EXTM3U\n{'x' * more}\n{''.join(rows)}".encode()), addresses=True)
        assert CANARY[:6] not in shown
        assert "seg-0.ts?<redacted>" in shown
        assert "seg-999.ts?<redacted>" in shown
        assert len(shown) < 2 * MOST_SHOWN
    assert excerpt(ends_of(f"#EXTM3U\n{CANARY * 1000}".encode()), addresses=False).endswith("…")


@pytest.mark.parametrize("addresses", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        "seg.ts?t=a bHUSH", "seg.ts?t='HUSH", "seg.ts?<HUSH", "seg.ts?\x0bHUSH", "a;t=HUSH/seg.ts", "seg.ts#HUSH",
        "https://u:HUSH@h/a.ts", "hdnts%3DHUSH/seg.ts", "# HUSH", "#HUSH:1", "#EXTINF:2,HUSH", "#EXTINF:HUSH",
        "#EXT-X-HUSH:1", '#EXT-X-DEFINE:NAME="t",VALUE="HUSH"', '#EXT-X-SESSION-DATA:DATA-ID="HUSH',
        "#EXT-X-KEY:METHOD=AES-128,IV=HUSH", '#EXT-X-KEY:METHOD=HUSH,URI="k?t=it\'s HUSH"', "#EXT-X-DATERANGE:X-T=HUSH",
        "#EXT-X-MAP:URI=a?HUSH", '#EXT-X-MEDIA:TYPE=AUDIO,URI="a?HUSH', '#EXT-X-PART:URI="a",HUSH',
        "#EXT-X-TARGETDURATION:HUSH",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n  "])
def test_no_line_of_an_excerpt_gives_a_secret_away(line: str, end: str, addresses: bool) -> None:
    """Whatever ends the lines, and wherever an origin puts a token: only what is known to be harmless is shown."""
    line = line.replace("HUSH", CANARY)
    shown = excerpt(ends_of(f"#EXTM3U{end}{line}{end}#EXT-X-VERSION:3".encode()), addresses=addresses)
    assert CANARY not in shown
    assert shown.endswith("#EXT-X-VERSION:3")


def test_an_excerpt_is_short_and_printable() -> None:
    """A long playlist is cut, a secret at the cut is not half shown, and nothing in it steers a terminal."""
    text = "#EXTM3U\n\x1b[31m" + "#" * (MOST_SHOWN - 30) + f"\nseg.ts?{CANARY}" * 20
    shown = excerpt(ends_of(text.encode()), addresses=True)
    assert len(shown) < 2 * MOST_SHOWN
    assert "\x1b" not in shown
    assert CANARY[:6] not in shown
    assert "\n…\n" in shown


def test_a_check_as_text_and_as_json() -> None:
    """Both say what was asked, what came, how each step was judged, and what all came to."""
    url = f"https://play.example/live/a.m3u8?token={CANARY}"
    step = Step(url, address(), (), 0.0234, "HTTP 200, 412 bytes", "a media playlist", "#EXTM3U")
    outcome = PlaybackCheck(None, "HTTP 500", Reason.HTTP, until=float("inf"))
    check = PlaybackTranscript("arena\x1b", "main", "https://play.example/live/a.m3u8", [step], outcome)
    text = "\n".join(check.lines())
    for part in ("main of arena", "1. https://play.example/live/a.m3u8", "after 23 ms: HTTP 200, 412 bytes", "#EXTM3U",
                 "judged a media playlist", "unknown (reason http): HTTP 500"):  # fmt: skip
        assert part in text
    assert "\x1b" not in text
    told = json.loads(json.dumps(check.as_object(), allow_nan=False))
    assert (told["name"], told["judged"]) == ("main", "unknown (reason http): HTTP 500")
    assert told["steps"][0]["came"] == "HTTP 200, 412 bytes"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://play.example/live/v.m3u8?t={CANARY}#f", "https://play.example/live/v.m3u8"),
        (f"https://play.example:8443/a?{CANARY}", "https://play.example:8443/a"),
    ],
)
def test_what_is_asked_is_shown_without_its_query(url: str, shown: str) -> None:
    """Neither query nor fragment of an address is shown, and of a hidden address not even the path."""
    assert shown_of(url, address()) == shown
    assert shown_of(url, address("https://play.example")) == shown.rpartition("/")[0].replace("/live", "")
    assert CANARY not in shown_of(f"https://{CANARY}@play.example/a", address())


PLAYS = Verdict(True, "it plays", age=2.0, first_byte=0.1)
SLOWER = Verdict(True, "it plays", age=5.0, first_byte=0.3, again=4.0)
DOWN = Verdict(False, "it has ended")
FAILED = Verdict(None, "HTTP 500", Reason.HTTP)
EARLY = Verdict(None, "too early", again=2.0)


@pytest.mark.parametrize(
    ("verdicts", "up", "reason", "names"),
    [
        ([PLAYS, SLOWER], True, None, ""),
        ([PLAYS, DOWN, FAILED, EARLY], False, None, "/1"),
        ([EARLY, FAILED, PLAYS], None, Reason.HTTP, "/1"),
        ([PLAYS, EARLY], None, None, "/1"),
    ],
)
def test_all_variants_have_to_play(verdicts: list[Verdict], up: bool | None, reason: Reason | None, names: str) -> None:
    """One that is down makes the whole down, else one that failed unknown; the message names it."""
    found = worst([(f"https://play.example/{i}", one) for i, one in enumerate(verdicts)])
    assert (found.up, found.reason) == (up, reason)
    assert names in found.message
    assert found.again == min(one.again for one in verdicts)


def test_the_worst_figures_of_all_variants_count() -> None:
    """Age and time to the first byte are the largest of all; the next check comes when the first variant wants it."""
    found = worst([("https://play.example/0", PLAYS), ("https://play.example/1", SLOWER)])
    assert (found.age, found.first_byte, found.again) == (5.0, 0.3, 4.0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, Reason.AUTH), (403, Reason.AUTH), (429, Reason.THROTTLED), (500, Reason.HTTP), (204, Reason.HTTP)],
)
def test_statuses_that_tell_nothing(status: int, reason: Reason) -> None:
    """A token that is refused says nothing of the stream, nor does an error of the server."""
    assert status_says(status)[0] is reason
    assert str(status) in status_says(status)[1]


def test_a_page_is_no_media() -> None:
    """A page or another text that comes with status 200 is known by its bytes; media, even encrypted, are not."""
    assert looks_like_a_page(b"\r\n <!doctype html>")
    assert looks_like_a_page("<HTML><title>页面不存在".encode())
    assert looks_like_a_page(b"Bad gateway: no origin answers")
    assert not looks_like_a_page(b"\x47\x40\x00\x10")
    assert not looks_like_a_page(bytes(range(256)))
    assert not looks_like_a_page(b"<" + bytes(range(255, 0, -1)))
