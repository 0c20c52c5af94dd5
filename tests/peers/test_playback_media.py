"""What viewers get of real media: ffmpeg encodes, nginx and small origins serve, and then things go wrong."""

from __future__ import annotations

import json
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from exporter.commands.serve import DRAIN_SECONDS
from testbed.certificates import Authority
from testbed.processes import Server, exporter, free_port, until
from testbed.web import fetch

from . import media, origins
from .media import Studio, Watch
from .origins import Origins

INTERVAL, TIMEOUT = 5.0, 3.0
LATE = 1.5 * INTERVAL  # seconds between two checks at most
SLACK = 6.0  # seconds, for a machine that is busy
CANARY = "canary0that0nobody0may0see"
TOKEN, STALE = f"{CANARY}0good", f"{CANARY}0stale"
KEYS = {"tencent": f"{CANARY}0tencent", "alibaba": f"{CANARY}0alibaba"}
HOLES = [f"hole-{number}" for number in range(10)]
PROVIDER = "nginx_rtmp"


@dataclass(slots=True)
class Stage:
    """The studio, other origins, and the exporter that watches what viewers get of them.

    Attributes:
        token: A file with an address whose token has expired.
    """

    studio: Studio
    origins: Origins
    exporter: Server
    watch: Watch
    token: Path

    def until(self, true: Callable[[], object], what: str, seconds: float = 40.0) -> None:
        """Wait until scrapes show something."""
        until(true, f"{what}; seen {json.dumps(self.seen())}", seconds)

    def seen(self) -> dict[str, Any]:
        """Return what every stream shows."""
        streams = sorted({stream for _, stream, _ in self.watch.looks[-1].samples})
        return {name: self.watch.up(name) for name in streams}

    def plays(self, *streams: str) -> None:
        """Wait until viewers get all of these."""
        self.until(lambda: all(self.watch.up(name) == 1 for name in streams), f"{streams} play")

    def falls(self, *streams: str) -> None:
        """Wait until all of these are down."""
        self.until(lambda: all(self.watch.up(name) == 0 for name in streams), f"{streams} are down")

    def fails(self, stream: str, reason: str) -> None:
        """Wait until a check has failed for a reason; nothing is known of the stream then."""
        self.until(lambda: reason in self.watch.reasons(stream), f"{stream} fails: {reason}")
        assert [up for _, up in self.watch.history(stream)] == [None]

    def transcript(self, stream: str) -> str:
        """Return a check as it goes, in words."""
        return fetch(f"{self.exporter.url}/probe?target={PROVIDER}/{quote(stream)}&debug=true")


def addresses(studio: Studio, more: Origins, token: Path) -> dict[str, Any]:
    """Return an address for each stream."""
    own = {name: f"{studio.url}/{name}/index.m3u8" for name in (*media.STEADY, "ending", "deleted")}
    own |= {name: f"{studio.url}/pushed/{name}.m3u8" for name in ("stalling", "killed")}
    own |= {name: f"{studio.url}/{name}/master.m3u8?token={TOKEN}" for name in ("variants", "sound")}
    own |= {name: f"{studio.url}/{name}/index.m3u8?token={TOKEN}" for name in ("locked", "as-text", "as-page")}
    own |= {name: f"{studio.url}/{name}/index.m3u8?token={TOKEN}" for name in ("as-octets", "moved")}
    own |= {name: f"{more.url}/{name}/index.m3u8?token={TOKEN}" for name in ("page", "drip", "endless", "elsewhere")}
    own |= {"long": f"{more.url}/long/index.m3u8?token={TOKEN}"}
    own |= {"picture": f"{more.url}/flv/picture.flv?token={TOKEN}", "tone": f"{more.url}/flv/tone?token={TOKEN}"}
    own |= {name: f"{more.hole}/{name}.m3u8?token={TOKEN}" for name in HOLES}
    own |= dict.fromkeys(("trusted", "untrusted"), f"{studio.tls}/dated/index.m3u8")
    own |= {"refused": f"http://127.0.0.1:{free_port()}/index.m3u8", "stale": f"{own['locked'][: -len(TOKEN)]}{STALE}"}
    signed = {
        name: {"url": f"{more.url}/{name}/arena.m3u8", f"{name}_key": key, "name": "signed"}
        for name, key in KEYS.items()
    }
    forged = {"forged": {**signed["tencent"], "tencent_key": f"{CANARY}0wrong"}}
    return {**own, **signed, **forged, "renewed": {"url_file": str(token)}}


def configuration(studio: Studio, more: Origins, token: Path, authority: Path) -> dict[str, Any]:
    """Return the exporter's."""
    account = {"name": "plain", "provider": PROVIDER, "endpoint": studio.server.url}
    trusting = {**account, "name": "trusting", "http": {"tls_config": {"ca_file": str(authority)}}}
    streams = [
        {"name": name, "account": "trusting" if name == "trusted" else "plain", "app": "hls", "playback": [address]}
        for name, address in addresses(studio, more, token).items()
    ]
    return {
        "scrape": {"reuse": "1s"},
        "playback": {"interval": f"{INTERVAL:g}s", "timeout": f"{TIMEOUT:g}s"},
        "accounts": [account, trusting],
        "streams": streams,
    }


def start(studio: Studio, more: Origins) -> None:
    """Start all encoders, and wait until there is something to play."""
    for name in ("stalling", "killed"):
        studio.encode(name, media.pushed(f"{studio.server.rtmp}/hls/{name}"))
    studio.encode("steady", media.written(media.STEADY, studio.made))
    studio.encode("ending", media.written({"ending": ()}, studio.made))
    studio.encode("trees", media.trees(studio.made))
    for name, relay in more.relays.items():
        studio.encode(name, media.relayed(relay.port, picture=name == "picture"))
    for name in (*media.STEADY, "ending", "pushed", "sound"):
        studio.publish(name, name)
    studio.publish("deleted", "dated")
    (studio.www / "variants").mkdir()
    for name in ("0", "1", "master.m3u8"):
        studio.publish(f"variants/{name}", f"variants/{name}")
    lists = [
        f"{name}/index.m3u8" for name in (*media.STEADY, "ending", "variants/0", "variants/1", "sound/0", "sound/1")
    ]
    lists += ["pushed/stalling.m3u8", "pushed/killed.m3u8", "variants/master.m3u8", "sound/master.m3u8"]
    until(lambda: all((studio.made / one).exists() for one in lists), "all is made")
    until(lambda: all(relay.live for relay in more.relays.values()), "FLV comes")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything runs, and everything that can be played is made."""
    folder = tmp_path_factory.mktemp("media")
    authority, token = Authority(folder), folder / "token"
    with ExitStack() as stack:
        studio = stack.enter_context(media.studio(folder, authority.issue("127.0.0.1"), TOKEN))
        more = stack.enter_context(origins.origins(studio.made / "dated", KEYS, "picture", "tone"))
        token.write_text(f"{studio.url}/locked/index.m3u8?token={STALE}\n", encoding="utf-8")
        start(studio, more)
        document = configuration(studio, more, token, authority.file)
        running = stack.enter_context(exporter(document, "--log.level", "debug", folder=folder / "exporter"))
        watch = stack.enter_context(Watch(running, CANARY))
        yield Stage(studio, more, running, watch, token)


PLAY = (*media.STEADY, "ending", "deleted", "stalling", "killed", "variants", "sound", "locked", "as-text", "as-page",
        "as-octets", "moved", "long", "picture", "tone", "tencent", "alibaba", "trusted")  # fmt: skip
FAILS = {
    "stale": "auth", "forged": "auth", "page": "malformed", "drip": "timeout", "endless": "http",
    "refused": "connection", "untrusted": "tls",
}  # fmt: skip


def test_all_that_plays_is_up(stage: Stage) -> None:
    """Pushed media and written media, of every kind, and FLV: up, and none of it was down before."""
    stage.plays(*PLAY)
    for name in PLAY:
        assert [up for _, up in stage.watch.history(name)][-1:] == [1]
        assert 0 not in [up for _, up in stage.watch.history(name)]


def test_what_is_told_of_it_is_plausible(stage: Stage) -> None:
    """The age goes by the date where there is one, else by the last move; the first byte of a segment took a moment."""
    stage.plays(*PLAY)
    for name in PLAY:
        first, age = (stage.watch.value(f"playback_{what}_seconds", name) for what in ("first_byte", "segment_age"))
        assert first is not None
        assert age is not None
        assert 0 < first < TIMEOUT
        assert 0 <= age < 3 * LATE
    newest = re.findall("TIME:(.*)", (stage.studio.made / "dated/index.m3u8").read_text(encoding="utf-8"))[-1]
    right = time.time() - datetime.fromisoformat(newest).timestamp() - 1  # a segment lasts a second
    assert abs(right - (stage.watch.value("playback_segment_age_seconds", "dated") or 0)) < SLACK
    assert "EXT-X-MEDIA-SEQUENCE:0" in (stage.studio.made / "event/index.m3u8").read_text(encoding="utf-8")
    assert stage.watch.value("hop_disagreement", "stalling") == 0


def test_each_failure_has_its_reason(stage: Stage) -> None:
    """What is no answer says nothing of what viewers get: it is never up or down, and each has its own reason."""
    for stream, reason in FAILS.items():
        stage.fails(stream, reason)


def test_who_is_not_listed_is_never_asked(stage: Stage) -> None:
    """A redirect to another host is not followed; the message names the host, and not what else the redirect says."""
    stage.fails("elsewhere", "http")
    assert f"leads to {stage.origins.other}, which is not asked" in stage.transcript("elsewhere")
    assert stage.origins.asked == []


def test_signatures_are_made_for_each_check(stage: Stage) -> None:
    """Another verifier, written from the vendors' pages, lets both in, again and again."""
    stage.plays("tencent", "alibaba")
    assert len(stage.origins.signatures) > 3


@dataclass(slots=True)
class Turn:
    """What has happened to the media since it played: when, in Unix seconds, each stream lost its source."""

    at: dict[str, float]


@pytest.fixture(scope="module")
def turn(stage: Stage) -> Turn:
    """End everything at once, each in its own way."""
    stage.plays(*PLAY)
    studio, at = stage.studio, {}

    def after(stream: str, act: Callable[[], object]) -> None:
        act()
        at[stream] = time.time()

    after("picture", lambda: studio.encoder("picture").send_signal(signal.SIGSTOP))
    after("stalling", lambda: studio.encoder("stalling").send_signal(signal.SIGSTOP))
    after("killed", lambda: studio.encoder("killed").kill())
    after("tone", lambda: studio.encoder("tone").kill())
    after("ending", lambda: studio.encoder("ending").send_signal(signal.SIGINT))
    after("variants", lambda: (studio.www / "variants/1").unlink())
    after("deleted", lambda: (studio.www / "deleted").unlink())
    after("single", lambda: (studio.made / "single/index.ts").unlink())
    stage.token.write_text(stage.token.read_text(encoding="utf-8").replace(STALE, TOKEN), encoding="utf-8")
    return Turn(at)


def test_what_stands_still_is_down_in_time_and_not_before(stage: Stage, turn: Turn) -> None:
    """An encoder that hangs, and one that has died: their playlists stand still, and are down once they may not.

    Until then viewers have what was left; the cloud still says of the one that hangs that it is live.
    """
    stage.falls("stalling", "killed")
    for name in ("stalling", "killed"):
        playlist = f"pushed/{name}.m3u8"
        target = float(re.findall("TARGETDURATION:(.*)", (stage.studio.made / playlist).read_text(encoding="utf-8"))[0])
        limit, changed = max(6.0, 3 * target), stage.studio.changed(playlist)
        fell = next(at for at, up in stage.watch.history(name) if up == 0)
        assert turn.at[name] < fell
        assert changed + limit <= fell <= changed + limit + LATE + SLACK
    stage.until(lambda: stage.watch.value("hop_disagreement", "stalling") == 1, "the hops disagree")


def test_what_is_gone_or_has_ended_is_down_at_the_next_check(stage: Stage, turn: Turn) -> None:
    """A playlist, a variant or the file of all segments was deleted; an encoder ended its list; FLV has no source."""
    gone = ("deleted", "variants", "single", "ending", "tone")
    stage.falls(*gone)
    for name in gone:
        fell = next(at for at, up in stage.watch.history(name) if up == 0)
        assert turn.at[name] <= fell <= turn.at[name] + LATE + SLACK
    stage.plays("sound", "dated")
    assert "it has ended: the playlist says EXT-X-ENDLIST" in stage.transcript("ending")
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "probe", "--config.file", stage.exporter.config, f"{PROVIDER}/variants"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert f"down: {stage.studio.url}/variants/1/index.m3u8: it is not there: HTTP 404" in done.stdout
    stage.watch.said += [text for text in (done.stdout, done.stderr) if CANARY in text]


def test_flv_whose_encoder_hangs_is_down_after_ten_seconds(stage: Stage, turn: Turn) -> None:
    """No tag comes for ten seconds: down, and never before."""
    stage.falls("picture")
    fell = next(at for at, up in stage.watch.history("picture") if up == 0)
    assert turn.at["picture"] + 10 <= fell <= turn.at["picture"] + 10 + LATE + SLACK


def test_a_new_token_counts_as_soon_as_its_file_has_it(stage: Stage, turn: Turn) -> None:
    """The file with the address is read again when it has changed, and the same stream is up."""
    assert turn.at
    stage.plays("renewed")
    assert 0 not in [up for _, up in stage.watch.history("renewed")]
    assert stage.watch.reasons("renewed") >= {"auth"}


def test_what_is_back_is_up_again(stage: Stage, turn: Turn) -> None:
    """Encoders that go on or begin anew, and lists that are published again: up, without a restart of the exporter."""
    ended = [name for name in turn.at if name != "single"]  # its encoder goes on writing where nobody sees it
    stage.falls(*ended)
    studio, relays = stage.studio, stage.origins.relays
    for name in ("picture", "stalling"):
        studio.encoder(name).send_signal(signal.SIGCONT)
    studio.encode("killed", media.pushed(f"{studio.server.rtmp}/hls/killed"))
    studio.encode("tone", media.relayed(relays["tone"].port, picture=False))
    studio.encode("ending", media.written({"ending": ()}, studio.made))
    studio.publish("variants/1", "variants/1")
    studio.publish("deleted", "dated")
    stage.plays(*ended)
    for name in ended:
        seen = [up for _, up in stage.watch.history(name) if up is not None]
        assert (seen[0], seen[-1], 0 in seen) == (1, 1, True)
    stage.until(lambda: stage.watch.value("hop_disagreement", "stalling") == 0, "both hops agree")
    stage.until(lambda: not any(relay.viewers for relay in relays.values()), "no check stays when it has seen enough")


def test_no_scrape_was_later_because_an_origin_hangs(stage: Stage, turn: Turn) -> None:
    """Ten addresses got no answer all the time, one list had 20,000 lines, one no end: scrapes were as quick as ever,
    and the exporter stayed small.
    """
    assert turn.at
    for name in HOLES:
        stage.fails(name, "timeout")
    assert stage.origins.most_held >= len(HOLES)
    took = [look.seconds for look in stage.watch.looks]
    assert len(took) > 20
    # One that waited for an origin would take its timeout; nine of ten, as a busy machine may be late with any.
    assert statistics.quantiles(took, n=10)[-1] < TIMEOUT / 2
    assert stage.watch.largest < 160 << 20


def test_others_were_up_all_the_time(stage: Stage, turn: Turn) -> None:
    """What nobody touched was never down, whatever happened beside it."""
    for name in set(PLAY) - set(turn.at):
        assert 0 not in [up for _, up in stage.watch.history(name)]


def test_no_token_and_no_key_was_shown(stage: Stage, turn: Turn) -> None:
    """Neither what is configured nor what was signed is on a page, in the log, or in a check as it went."""
    assert turn.at
    pages = [fetch(f"{stage.exporter.url}{path}") for path in ("/", "/metrics", "/api/v1/streams", "/config", "/sd")]
    pages += [stage.transcript(name) for name in ("locked", "long", "renewed", "stale", "tencent", "forged", "tone")]
    pages += [stage.exporter.log(), *stage.watch.said]
    secrets = (CANARY, "txSecret=", "auth_key=", *stage.origins.signatures)
    assert [secret for secret in secrets for page in pages if secret in page] == []


def test_the_exporter_ends_whatever_an_origin_holds(stage: Stage) -> None:
    """Checks that hang are broken off: no exit waits for them."""
    stage.watch.stop()
    assert stage.exporter.stop(DRAIN_SECONDS - 10) == 0
