"""Where redirects lead, paths hold tokens, as of servers that repeat them: neither a message nor a check shows one."""

from __future__ import annotations

import asyncio
import json

from exporter.playback.steps import PlaybackTranscript
from testbed.virtual import run
from tests.playback.rig import ORIGIN, A, Answer, Page, address, media, rig, watched

CANARY = "canary-that-nobody-may-see"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n/live/w.m3u8\n"


def checked(pages: dict[str, Answer]) -> PlaybackTranscript:
    """Return a check of the address, once it is known what viewers get."""

    async def settled() -> PlaybackTranscript:
        one = rig(watched(address(A)))
        one.web.pages = pages
        async with one.checks:
            (made,) = await one.checks.settle(one.record(), asyncio.get_running_loop().time() + 60)
        return made

    made = run(settled())
    assert CANARY not in json.dumps(made.as_object())
    assert CANARY not in "".join(made.lines())
    return made


def test_no_path_is_shown_of_what_a_redirected_playlist_leads_to() -> None:
    """Variants and segments have its path: of those only the origin is shown."""
    made = checked({
        A: lambda _: Page(MASTER, moved=f"/{CANARY}/a.m3u8"),
        f"/{CANARY}/v.m3u8": lambda now: Page(media(10 + int(now / 2))),
    })  # fmt: skip
    assert made.outcome.message == f"{ORIGIN}: it is not there: HTTP 404"
    assert {step.asked for step in made.steps} == {ORIGIN}
    assert "v.m3u8" not in made.steps[0].body


def test_a_redirected_variant_hides_no_other() -> None:
    """Its segments are not shown; the variant beside it, which is down, is named."""
    made = checked({
        A: lambda _: Page(MASTER),
        "/live/v.m3u8": lambda now: Page(media(10 + int(now / 2)), moved=f"/{CANARY}/v.m3u8"),
    })  # fmt: skip
    assert made.outcome.message == f"{ORIGIN}/live/w.m3u8: it is not there: HTTP 404"
    assert {step.asked for step in made.steps} == {ORIGIN, f"{ORIGIN}{A}", f"{ORIGIN}/live/w.m3u8"}


def test_a_token_of_a_variant_is_shown_in_no_path() -> None:
    """A server gives each variant a token and repeats it in paths: of those only the origin is shown, even before."""
    master = MASTER.replace("v.m3u8", f"v.m3u8?token={CANARY}").replace("/live/w.m3u8", f"/{CANARY}/w.m3u8")
    rows = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{{}}\n#EXTINF:2,\n/{CANARY}/1.ts\n"
    made = checked({
        A: lambda _: Page(master),
        "/live/v.m3u8": lambda now: Page(rows.format(10 + int(now / 2))),
    })  # fmt: skip
    assert made.outcome.message == f"{ORIGIN}: it is not there: HTTP 404"
    assert {step.asked for step in made.steps} == {ORIGIN, f"{ORIGIN}{A}", f"{ORIGIN}/live/v.m3u8"}
    assert "<redacted>" in made.steps[0].body
