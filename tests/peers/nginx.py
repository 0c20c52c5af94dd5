"""A real nginx with the RTMP module on loopback, and what ffmpeg pushes to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from grp import getgrgid
from pathlib import Path
from pwd import getpwuid

from testbed.processes import free_port, start, until
from testbed.web import fetch
from tests.deploy.tools import missing, program

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
CONFIG = """
load_module {module};
user {user}; daemon off; worker_processes {workers}; pid {folder}/pid; error_log {folder}/errors warn;
events {{ worker_connections 128; }}
rtmp {{
  access_log off;
  server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} application other {{ live on; }} {applications} }}
}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{http}{shared};
    location = /stat {{ rtmp_stat all; }}
    location = /global {{ rtmp_stat global; }}
    location = /locked {{ rtmp_stat all; auth_basic stat; auth_basic_user_file {folder}/users; }}
  }}
  {servers}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx: where its pages are, where it takes pushes, and its master process."""

    url: str
    rtmp: str
    master: subprocess.Popen[bytes]

    def reload(self) -> None:
        """Replace the worker, and wait until the old one answers no more."""
        before = self.worker()
        self.master.send_signal(signal.SIGHUP)
        until(lambda: before not in {self.worker() for _ in range(5)}, "another worker answers")

    def worker(self) -> str:
        """Return the process that answers."""
        found = re.search("<pid>([0-9]+)</pid>", fetch(f"{self.url}/stat"))
        assert found is not None
        return found[1]


@contextmanager
def nginx(folder: Path, workers: int = 1, *, applications: str = "", servers: str = "") -> Iterator[Nginx]:
    """Run nginx while the block runs; its workers get equal parts of what asks for pages.

    `/locked` lets the user `watcher` with the password `opensesame` in. More applications of RTMP and more servers of
    HTTP are given in nginx's own words.
    """
    server = program("nginx", "apt-get install nginx libnginx-mod-rtmp")
    if not MODULE.exists():
        missing("nginx's RTMP module", "apt-get install libnginx-mod-rtmp")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "users").write_text("watcher:{PLAIN}opensesame\n", encoding="utf-8")
    http, rtmp = free_port(), free_port()
    config = folder / "nginx.conf"
    text = CONFIG.format(
        module=MODULE, folder=folder, user=f"{getpwuid(os.getuid()).pw_name} {getgrgid(os.getgid()).gr_name}",
        http=http, rtmp=rtmp, workers=workers, shared=" reuseport" if workers > 1 else "",
        applications=applications, servers=servers,
    )  # fmt: skip
    config.write_text(text, encoding="utf-8")
    master = start([server, "-c", config, "-e", folder / "errors"], folder)
    try:
        one = Nginx(f"http://127.0.0.1:{http}", f"rtmp://127.0.0.1:{rtmp}", master)
        until(lambda: _answers(one), "nginx answers")
        yield one
    finally:
        master.terminate()
        try:
            master.wait(10)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()


def _answers(one: Nginx) -> bool:
    assert one.master.poll() is None, "nginx has ended"
    try:
        return bool(one.worker())
    except OSError:
        return False


@contextmanager
def ffmpeg(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ffmpeg, a push or a player, while the block runs."""
    folder.mkdir(parents=True)
    process = start([program("ffmpeg", "apt-get install ffmpeg"), "-nostdin", "-loglevel", "error", *arguments], folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


PICTURE = ("-re", "-f", "lavfi", "-i", "testsrc=size=160x96:rate=5")
SOUND = ("-re", "-f", "lavfi", "-i", "sine=sample_rate=44100")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "aac", "-threads", "1", "-f", "flv")


def push(folder: Path, address: str, *, sound: bool = False) -> list[str]:
    """Return ffmpeg's arguments for a push of a small picture."""
    return [*PICTURE, *(SOUND if sound else ()), *CODED, address]


def play(address: str) -> list[str]:
    """Return ffmpeg's arguments for a player."""
    return ["-i", address, "-f", "null", "-"]
