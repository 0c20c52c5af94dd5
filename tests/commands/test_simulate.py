"""`simulate` and `demo` as processes: what they print, that it works, and how they end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from exporter.commands.demo import reached, scrape_on, shown
from exporter.commands.simulate import reachable
from exporter.simulator import demo_configuration
from testbed import virtual
from tests.commands.running import lines_until, process, run, stop

WORLD = """\
accounts:
- {name: main, provider: tencent, secret_id: an-id, secret_key: a-key}
streams:
- {name: up, account: main, domain: push.example, app: live}
- {name: down, account: main, domain: push.example, app: live, state: inactive}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulate_a_world(number: signal.Signals, tmp_path: Path) -> None:
    """The simulator prints its accounts and streams at once, serves them, and ends with 0 on a signal."""
    file = tmp_path / "world.yml"
    file.write_text(WORLD)
    with process("simulate", "--listen", "127.0.0.1:0", "--world", str(file)) as child:
        lines = lines_until(child, "stream=tencent/down")
        assert lines[0].startswith(
            "account=main provider=tencent secret_id=an-id secret_key=a-key endpoint=http://127."
        )
        assert lines[1].startswith("stream=tencent/up state=active account=main domain=push.example")
        url = lines[0].rpartition("=")[2]
        config = tmp_path / "c.yml"
        config.write_text(
            f"accounts: [{{name: main, provider: tencent, secret_id: an-id, secret_key: a-key, endpoint: '{url}'}}]\n"
            "streams: [{names: [up, down], account: main, domain: push.example}]\n"
        )
        assert run("probe", "--config.file", str(config)).code == 0
        assert stop(child, number) == (0, "")


def test_simulate_the_demo_world(tmp_path: Path) -> None:
    """Without a world it is the demo's, and the demo's configuration gets answers from it."""
    with process("simulate", "--listen", ":0") as child:
        lines = lines_until(child, "stream=volcengine/nobody")
        url = lines[0].rpartition("=")[2]
        assert url.startswith("http://127.0.0.1:")
        config = tmp_path / "c.yml"
        config.write_text(demo_configuration(url))
        done = run("probe", "--config.file", str(config), "zego/lobby-host", "--output", "json")
        assert [row["state"] for row in json.loads(done.out)] == ["active"]
        assert stop(child, signal.SIGTERM) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accounts: [{name: main, provider: nobody}]\nstreams: []\n", "world.yml:1: accounts[0]: "),
        ("accounts: [\n", "world.yml:2: is not YAML"),
        (None, "world.yml: cannot be read: FileNotFoundError"),
    ],
)
def test_a_wrong_world(text: str | None, said: str, tmp_path: Path) -> None:
    """A world that is wrong exits with 2 and says where, without a traceback."""
    file = tmp_path / "world.yml"
    if text is not None:
        file.write_text(text)
    done = run("simulate", "--world", str(file), "--listen", "127.0.0.1:0")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_port_in_use() -> None:
    """An address that is taken exits with 1 and names the flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("simulate", "--listen", address)
    assert done.code == 1
    assert done.err.startswith(f"cannot listen on {address}: ")
    assert "choose another --listen" in done.err


def test_addresses_that_stand_for_all() -> None:
    """An address that no client can connect to is told as the loopback one."""
    assert reachable("http://0.0.0.0:1") == "http://127.0.0.1:1"
    assert reachable("http://[::]:1") == "http://[::1]:1"
    assert reachable("http://10.0.0.1:1") == "http://10.0.0.1:1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo(number: signal.Signals) -> None:
    """The demo tells its addresses once its page shows life, answers at each, and ends with 0, its files gone."""
    with process("demo", "--web.listen-address", "127.0.0.1:0", "--log.level", "error") as child:
        lines = lines_until(child, "One account has a wrong key")
        said = {line[:16].strip(): line[16:].split()[0] for line in lines if line.startswith("  ")}
        with urllib.request.urlopen(said["as JSON"], timeout=30) as reply:
            states = Counter(row["state"] for row in json.load(reply))
        assert states["active"] > 10
        assert states["unknown"] < states.total() / 2
        with urllib.request.urlopen(said["metrics"], timeout=30) as reply:
            text = reply.read().decode()
        for provider in ("zego", "tencent", "alibaba", "volcengine"):
            assert f'stream_active{{provider="{provider}"' in text
        for page in ("status page", "as JSON", "discovery", "one stream"):
            with urllib.request.urlopen(said[page], timeout=30) as reply:
                assert reply.status == 200
        configuration = Path(said["configuration"])
        assert configuration.stat().st_mode & 0o077 == 0
        assert stop(child, number) == (0, "")
    assert not configuration.parent.exists()


def test_demo_on_a_port_in_use() -> None:
    """A demo whose address is taken ends with 1 and says which flag to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("demo", "--web.listen-address", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (done.code, done.out) == (1, "")
    assert "choose another --web.listen-address" in done.err
    assert "make demo PORT=" in done.err


def test_the_demo_scrapes_itself() -> None:
    """It asks every five seconds, and tells its addresses once, after the first answer."""
    events: list[tuple[float, str]] = []

    async def demo() -> None:
        loop = asyncio.get_running_loop()

        async def scrape() -> None:
            events.append((round(loop.time() - 1000), "scrape"))

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(scrape_on(scrape, lambda: events.append((0, "greeting"))), 11)

    virtual.run(demo())
    assert events == [(0, "scrape"), (0, "greeting"), (5, "scrape"), (10, "scrape")]


@pytest.mark.parametrize("urls", [["http://127.0.0.1:7", "http://[::1]:7"], ["http://[::1]:7", "http://127.0.0.1:7"]])
def test_the_demo_tells_one_address(urls: list[str]) -> None:
    """Whichever family happens to come first, the address is that of the documents."""
    assert shown(reached(urls)) == "http://localhost:7"
    assert shown(reached(["http://[::1]:7"])) == "http://[::1]:7"


def test_simulate_calls_back(tmp_path: Path) -> None:
    """With `--callbacks` a change by script is told there; an address that is none is refused."""
    file = tmp_path / "world.yml"
    cycle = "{cycle: [active, inactive], every: 200ms}"
    keys = "secret_id: an-id, secret_key: a-key, callback_key: another-key"
    file.write_text(
        f"accounts:\n- {{name: main, provider: tencent, {keys}}}\n"
        f"streams:\n- {{name: up, account: main, domain: push.example, state: {cycle}}}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/callbacks"
        with process("simulate", "--listen", "127.0.0.1:0", "--world", str(file), "--callbacks", url) as child:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                assert connection.recv(65536).startswith(b"POST /callbacks/main HTTP/1.1\r\n")
            assert stop(child, signal.SIGTERM)[0] == 0
    done = run("simulate", "--callbacks", "here")
    assert done.code == 2
    assert "is not an address like" in done.err
