"""What ffmpeg makes of a small picture and a tone, what nginx serves of it, and what an exporter says meanwhile."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request

from testbed.processes import Server, free_port
from testbed.web import opened

from . import nginx as peers
from .nginx import Nginx

INPUTS = (*peers.PICTURE, *peers.SOUND)
BOTH = ("-map", "0:v", "-map", "1:a")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-c:a", "aac", "-threads", "1")
KEPT = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "5")
TREE = (*BOTH, *CODED, *KEPT, "-master_pl_name", "master.m3u8", "-var_stream_map")

Kinds = dict[str, tuple[str, ...]]
STEADY: Kinds = {
    "dated": ("-hls_flags", "program_date_time+delete_segments"),
    "event": ("-hls_playlist_type", "event"),
    "boxes": ("-hls_segment_type", "fmp4", "-hls_flags", "delete_segments"),
    "single": ("-hls_flags", "single_file"),
    "sealed": ("-hls_key_info_file", "{made}/key.info"),
}
"""Media playlists that go on all the time, and how ffmpeg writes each."""


def written(kinds: Kinds, made: Path) -> list[str]:
    """Return ffmpeg's arguments for playlists, each in a folder of its own."""
    outputs = [[*BOTH, *CODED, *KEPT, *how, f"{{made}}/{name}/index.m3u8"] for name, how in kinds.items()]
    return [*INPUTS, *(argument.format(made=made) for output in outputs for argument in output)]


def trees(made: Path) -> list[str]:
    """Return ffmpeg's arguments for two master playlists: one of two variants, one whose sound stands alone."""
    variants = ["-map", "0:v", "-map", "1:a", *TREE, "v:0,a:0 v:1,a:1", f"{made}/variants/%v/index.m3u8"]
    return [*INPUTS, *variants, *TREE, "v:0,agroup:sound a:0,agroup:sound", f"{made}/sound/%v/index.m3u8"]


def pushed(address: str) -> list[str]:
    """Return ffmpeg's arguments for a push of RTMP."""
    return [*INPUTS, *peers.CODED, address]


def relayed(port: int, *, picture: bool = True) -> list[str]:
    """Return ffmpeg's arguments for FLV to a relay: H.264 and AAC, or the tone alone."""
    return [*(INPUTS if picture else peers.SOUND), *peers.CODED, f"tcp://127.0.0.1:{port}"]


SERVED = """
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
    root {www}; types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 mp4 m4s; }}
    location = /locked/index.m3u8 {{ if ($arg_token != "{token}") {{ return 403; }} alias {made}/dated/index.m3u8; }}
    location /locked/ {{ alias {made}/dated/; }}
    location /as-text/ {{ types {{ }} default_type text/plain; alias {made}/dated/; }}
    location /as-page/ {{ types {{ }} default_type text/html; alias {made}/dated/; }}
    location /as-octets/ {{ types {{ }} default_type application/octet-stream; alias {made}/dated/; }}
    location /moved/ {{ return 302 /dated/index.m3u8?token=$arg_token; }}
  }}
"""
PUSHED = "application hls {{ live on; hls on; hls_path {made}/pushed; hls_fragment 1s; hls_playlist_length 30s; }}"


@dataclass(slots=True)
class Studio:
    """Encoders, and the nginx that takes their pushes and serves what they write.

    Attributes:
        folder: All that is written.
        server: nginx.
        url: Where it serves media.
        tls: The same by HTTPS.
    """

    folder: Path
    server: Nginx
    url: str
    tls: str
    _stack: ExitStack
    _encoders: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _started: int = 0

    @property
    def made(self) -> Path:
        """The folder that encoders write to."""
        return self.folder / "made"

    @property
    def www(self) -> Path:
        """The folder of what is public: links to what encoders write."""
        return self.folder / "www"

    def encode(self, name: str, arguments: list[str]) -> None:
        """Start an encoder."""
        self._started += 1
        folder = self.folder / "encoders" / f"{self._started}-{name}"
        self._encoders[name] = self._stack.enter_context(peers.ffmpeg(folder, *arguments))

    def encoder(self, name: str) -> subprocess.Popen[bytes]:
        """Return an encoder that was started."""
        return self._encoders[name]

    def publish(self, name: str, source: str) -> None:
        """Let viewers have what an encoder writes."""
        (self.www / name).symlink_to(self.made / source)

    def changed(self, playlist: str) -> float:
        """Return when a playlist was written last, in Unix seconds."""
        return (self.made / playlist).stat().st_mtime


@contextmanager
def studio(folder: Path, pem: Path, token: str) -> Iterator[Studio]:
    """Run nginx; `/locked/` wants a token, and HTTPS has the certificate and the key of a file."""
    made, www, port, tls = folder / "made", folder / "www", free_port(), free_port()
    for name in ("pushed", "variants/0", "variants/1", "sound/0", "sound/1", *STEADY, "ending"):
        (made / name).mkdir(parents=True)
    www.mkdir()
    (made / "key").write_bytes(bytes(range(16)))
    (made / "key.info").write_text(f"key?token={token}\n{made}/key\n", encoding="utf-8")
    text = SERVED.format(port=port, tls=tls, pem=pem, www=www, made=made, token=token)
    with ExitStack() as stack:
        server = stack.enter_context(peers.nginx(folder / "nginx", applications=PUSHED.format(made=made), servers=text))
        yield Studio(folder, server, f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls}", stack)


class Look(NamedTuple):
    """What a scrape showed: when it ended in Unix seconds, how long it took, and samples by name and labels."""

    at: float
    seconds: float
    samples: dict[tuple[str, str, str], float]


_SAMPLE = re.compile(r'^(stream_(?:playback|hop)_\w+)\{.*?stream="([^"]*)"(.*)\} (\S+)$', re.MULTILINE)
_REASON = re.compile(r'reason="(\w+)"')


class Watch:
    """Scrapes an exporter all the time, in a thread, while its block runs.

    Attributes:
        looks: What each scrape showed.
        said: The last scrape, and any before it that held a text that may not be there.
        largest: The most memory that the exporter had, in bytes.
    """

    PAUSE = 0.4

    def __init__(self, server: Server, *forbidden: str) -> None:
        self.looks: list[Look] = []
        self.said: list[str] = []
        self.largest = 0
        self._server = server
        self._forbidden = forbidden
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Scrape no more."""
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Scrape once."""
        began = time.monotonic()
        asked = Request(f"{self._server.url}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "10"})
        with opened(asked, timeout=60) as answer:
            text: str = answer.read().decode()
        if any(one in text for one in self._forbidden):
            self.said.append(text)
        samples = {
            (name, stream, (_REASON.search(labels) or ["", ""])[1]): float(value)
            for name, stream, labels, value in _SAMPLE.findall(text)
        }
        self.looks.append(Look(time.time(), time.monotonic() - began, samples))
        self.largest = max(self.largest, self._server.rss())

    def _run(self) -> None:
        while not self._over.wait(self.PAUSE):
            self.look()

    def value(self, metric: str, stream: str, reason: str = "") -> float | None:
        """Return what the last scrape says of a stream; metrics are named without `stream_`."""
        return self.looks[-1].samples.get((f"stream_{metric}", stream, reason))

    def up(self, stream: str) -> float | None:
        """Return whether the last scrape says that viewers get media."""
        return self.value("playback_up", stream)

    def reasons(self, stream: str) -> set[str]:
        """Return the reasons for which checks have failed."""
        return {
            reason
            for name, of, reason in self.looks[-1].samples
            if name == "stream_playback_errors_total" and of == stream
        }

    def history(self, stream: str, since: float = 0.0) -> list[tuple[float, float | None]]:
        """Return when a stream came to be up, down or unknown, as scrapes saw it."""
        found: list[tuple[float, float | None]] = []
        for one in list(self.looks):
            now = one.samples.get(("stream_playback_up", stream, ""))
            if one.at >= since and (not found or found[-1][1] != now):
                found.append((one.at, now))
        return found
