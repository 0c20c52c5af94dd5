"""A real nginx with the RTMP module, and real pushes: each state that its page can tell, and what it cannot."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from subprocess import Popen
from typing import Any

import pytest

from testbed.processes import Server, exporter, until
from testbed.web import fetch

from . import nginx as peers
from .nginx import Nginx

ODD = 'm<a>in&"é"'
KEPT = [f"kept-{number}" for number in range(4)]
WORKERS = 8


@dataclass(slots=True)
class Studio:
    """Three servers: a plain one, one with several workers, one to reload; all are watched by one exporter.

    Attributes:
        pushes: ffmpeg by the stream that it pushes.
        seen: The states that each stream has shown, by name, in order.
    """

    watching: Server
    plain: Nginx
    many: Nginx
    renewed: Nginx
    pushes: dict[str, Popen[bytes]]
    seen: dict[str, list[str]] = field(default_factory=dict)
    streams: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: str = ""

    def look(self) -> None:
        """Scrape, and note what every stream shows."""
        self.metrics = fetch(f"{self.watching.url}/metrics")
        self.streams = {one["stream"]: one for one in json.loads(fetch(f"{self.watching.url}/api/v1/streams"))}
        for name, one in self.streams.items():
            states = self.seen.setdefault(name, [])
            if states[-1:] != [one["state"]]:
                states.append(one["state"])

    def until(self, true: Callable[[], object], what: str) -> None:
        """Scrape until something holds."""

        def looked() -> object:
            self.look()
            return true()

        until(looked, what, 30.0)

    def states(self, names: Iterable[str]) -> dict[str, str]:
        """Return what streams show."""
        return {name: self.streams[name]["state"] for name in names}

    def check(self, **states: str) -> None:
        """Check what streams show; names have `_` for `-`."""
        wanted = {name.replace("_", "-"): state for name, state in states.items()}
        assert self.states(wanted) == wanted

    def value(self, metric: str, stream: str, **labels: str) -> float | None:
        """Return a sample of a stream."""
        parts = [f'{name}="{value}"' for name, value in {"stream": stream, **labels}.items()]
        for line in self.metrics.splitlines():
            if line.startswith(f"{metric}{{") and all(part in line for part in parts):
                return float(line.rpartition(" ")[2])
        return None

    def error(self, stream: str) -> tuple[str, str]:
        """Return reason and code of a stream's failure."""
        error = self.streams[stream]["error"]
        return error["reason"], error["code"]


def configuration(plain: Nginx, many: Nginx, renewed: Nginx) -> dict[str, Any]:
    """Return the exporter's: an account for each page, and its streams."""
    pages: dict[str, dict[str, Any]] = {
        "plain": {"endpoint": plain.url},
        "keyed": {"endpoint": plain.url, "path": "/locked", "username": "watcher", "password": "opensesame"},
        "locked": {"endpoint": plain.url, "path": "/locked"},
        "partial": {"endpoint": plain.url, "path": "/global"},
        "lost": {"endpoint": plain.url, "path": "/nowhere"},
        "many": {"endpoint": many.url},
        "renewed": {"endpoint": renewed.url},
    }
    streams: list[dict[str, Any]] = [
        {"account": "plain", "names": ["live", "stalling", "ending", "waiting", "nobody"]},
        {"account": "plain", "name": "odd", "stream": ODD},
        {"account": "plain", "name": "elsewhere", "stream": "live", "app": "other"},
        {"account": "plain", "name": "no-app", "stream": "live", "app": "none"},
        *({"account": name, "name": name, "stream": "live"} for name in ("keyed", "locked", "partial", "lost")),
        {"account": "many", "names": [*KEPT, "many-nobody"]},
        {"account": "renewed", "names": ["renewed-kept", "renewed-nobody"]},
    ]
    accounts = [{"name": name, "provider": "nginx_rtmp", **fields} for name, fields in pages.items()]
    return {"scrape": {"reuse": "0s"}, "accounts": accounts, "streams": streams}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Everything runs, and what is pushed is live."""
    folder = tmp_path_factory.mktemp("studio")
    with ExitStack() as stack:
        plain, renewed = (stack.enter_context(peers.nginx(folder / name)) for name in ("plain", "renewed"))
        many = stack.enter_context(peers.nginx(folder / "many", WORKERS))
        wanted = {name: f"{plain.rtmp}/live/{name}" for name in ("stalling", "ending")}
        wanted |= {"odd": f"{plain.rtmp}/live/{ODD}?token=abc", "renewed-kept": f"{renewed.rtmp}/live/renewed-kept"}
        wanted |= {name: f"{many.rtmp}/live/{name}" for name in KEPT}
        pushes = {
            name: stack.enter_context(peers.ffmpeg(folder / name, *peers.push(folder, address)))
            for name, address in wanted.items()
        }
        sound = peers.push(folder, f"{plain.rtmp}/live/live", sound=True)
        pushes["live"] = stack.enter_context(peers.ffmpeg(folder / "live", *sound))
        stack.enter_context(peers.ffmpeg(folder / "waiting", *peers.play(f"{plain.rtmp}/live/waiting")))
        page = f"{plain.url}/stat"
        until(lambda: fetch(page).count("<publishing/>") == 8 and "waiting" in fetch(page), "all is pushed")
        watching = stack.enter_context(exporter(configuration(plain, many, renewed), folder=folder / "exporter"))
        one = Studio(watching, plain, many, renewed, pushes)
        one.look()
        yield one


def test_each_state_is_told(studio: Studio) -> None:
    """Live by name and application, odd names too; nobody's and players' are inactive; what is unknown is no zero."""
    studio.until(lambda: studio.streams["live"]["state"] == "active", "a push is live")
    studio.check(live="active", stalling="active", ending="active", odd="active", keyed="active")
    studio.check(waiting="inactive", nobody="inactive", elsewhere="inactive", no_app="not_found")
    studio.check(renewed_kept="active", renewed_nobody="inactive")
    assert studio.error("locked") == ("auth", "401")
    assert studio.error("lost") == ("http", "http")
    assert studio.error("partial") == ("malformed", "malformed")
    for name in ("locked", "lost", "partial"):
        assert studio.value("stream_active", name) is None


def test_several_workers_prove_no_absence(studio: Studio) -> None:
    """A stream is live once its worker has answered; nobody is down while the other workers may have the stream."""
    studio.until(lambda: studio.seen["many-nobody"][-1] == "unknown", "two workers have answered")
    for _ in range(5):
        studio.look()
        studio.check(many_nobody="unknown")
    assert studio.error("many-nobody") == ("provider_error", "other_worker")
    for name in KEPT:
        assert {"active", "unknown"} >= set(studio.seen[name])


def test_after_a_reload_the_old_workers_stream_is_not_down(studio: Studio) -> None:
    """The push goes on at a worker that answers no more: nobody knows; a new push is live at once."""
    studio.renewed.reload()
    for _ in range(5):
        studio.look()
        studio.check(renewed_kept="unknown", renewed_nobody="unknown")
    assert studio.error("renewed-kept") == ("provider_error", "other_worker")
    assert studio.pushes["renewed-kept"].poll() is None
    folder = studio.watching.folder.parent / "again"
    with peers.ffmpeg(folder, *peers.push(folder, f"{studio.renewed.rtmp}/live/renewed-nobody")):
        studio.until(lambda: studio.streams["renewed-nobody"]["state"] == "active", "the new worker has a push")


def test_a_push_that_ends_is_down_and_one_that_hangs_is_stalled(studio: Studio) -> None:
    """The encoder that was stopped keeps its connection: live, and stalled; the other one's stream is inactive."""
    studio.pushes["stalling"].send_signal(signal.SIGSTOP)
    studio.pushes["ending"].terminate()
    studio.until(lambda: studio.streams["ending"]["state"] == "inactive", "the end is seen")
    studio.until(lambda: studio.value("stream_ingest_stalled", "stalling") == 1, "the stall is seen")
    studio.check(stalling="active", live="active")
    assert studio.value("stream_ingest_stalled", "live") == 0


def test_figures_are_those_of_the_push(studio: Studio) -> None:
    """Size and frame rate at once, bit rates as soon as nginx has an average, and since when it is pushed."""
    bits = "stream_ingest_bits_per_second"
    studio.until(lambda: studio.value(bits, "live", media="video"), "nginx has an average")
    for media in ("video", "audio"):
        assert 1_000 < (studio.value(bits, "live", media=media) or 0) < 1_000_000
    assert studio.value("stream_ingest_frames_per_second", "live") == 5
    assert studio.value("stream_ingest_width_pixels", "live") == 160
    assert 80 <= (studio.value("stream_ingest_height_pixels", "live") or 0) <= 96
    started = studio.value("stream_start_timestamp_seconds", "live")
    answered = studio.value("stream_last_success_timestamp_seconds", "live")
    assert started is not None
    assert answered is not None
    assert 5 < answered - started < 300
    studio.look()
    assert studio.value("stream_start_timestamp_seconds", "live") == started


def test_what_another_program_may_read_is_what_we_read(studio: Studio) -> None:
    """The page names the odd stream as we match it: escaped, and each byte beyond ASCII a space."""
    names = re.findall("<name>(.*?)</name>", fetch(f"{studio.plain.url}/stat"))
    assert "m&lt;a&gt;in&amp;&quot;  &quot;" in names
