"""Signals to a real process, from its first instruction to its last, and what it tells systemd meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.commands.serve import DRAIN_SECONDS
from testbed.processes import EXPORTER_SAYS, exporter, serve, start, until, written
from testbed.provider import NOWHERE, black_hole, tencent
from testbed.web import exchange, request, whole

MODULE = [sys.executable, "-m", "exporter"]
SIX_SECONDS = "X-Prometheus-Scrape-Timeout-Seconds: 6"


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal by now."""
    assert process.poll() is None
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(masks and masks[0] >> number - 1 & 1)


def reads_nothing_yet(folder: Path) -> bool:
    """Whether the process in a folder has not logged a word."""
    return not (folder / "log").read_bytes()


@pytest.mark.parametrize("command", ["serve", "demo", "simulate", "(none)"])
def test_sigterm_during_the_first_imports_is_a_regular_end(command: str, tmp_path: Path) -> None:
    """As soon as Python runs our first line, SIGTERM has a handler, and ends a server with exit code 0."""
    process = start([*MODULE, *([] if command == "(none)" else [command])], tmp_path)
    until(lambda: catches(process, signal.SIGTERM), "SIGTERM has a handler")
    assert reads_nothing_yet(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert reads_nothing_yet(tmp_path)


# SIGTERM comes while a callback runs, as of the locks of imports, once the first import of ours begins.
WITHIN_A_CALLBACK = """
import os, signal, sys, weakref

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "exporter.cli":
            one = type("One", (), {})()
            self.kept = weakref.ref(one, stop)

def stop(_one):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

sys.meta_path.insert(0, Finder())
from exporter.__main__ import run
run()
"""


@pytest.mark.parametrize(("command", "code"), [("demo", 0), ("serve", 0), ("check", 128 + signal.SIGTERM)])
def test_sigterm_is_not_dropped_where_exceptions_are(command: str, code: int, tmp_path: Path) -> None:
    """Python ignores what is raised in some places, our end included: one stop in 600 never came."""
    process = start([sys.executable, "-c", WITHIN_A_CALLBACK, command], tmp_path)
    assert process.wait(20) == code
    assert reads_nothing_yet(tmp_path)


def test_a_command_that_is_cut_short_does_not_succeed(tmp_path: Path) -> None:
    """`probe` that got SIGTERM has not asked for every stream: its exit code says so."""
    process = start([*MODULE, "probe", "--config.file", written(tmp_path, tencent(NOWHERE, 1))], tmp_path)
    until(lambda: catches(process, signal.SIGTERM), "SIGTERM has a handler")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM


def test_hanging_up_never_ends_the_process(tmp_path: Path) -> None:
    """SIGHUP from the first instruction on, every few milliseconds until the end, leaves start, drain and exit code."""
    process = start(serve(written(tmp_path, tencent(NOWHERE, 2))), tmp_path)
    until(lambda: catches(process, signal.SIGHUP), "SIGHUP has a handler")

    def hang_up() -> bool:
        process.send_signal(signal.SIGHUP)
        return process.poll() is not None

    until(lambda: hang_up() or "configuration reloaded" in (tmp_path / "log").read_text(), "it starts")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 20
    while not hang_up():
        assert time.monotonic() < end
        time.sleep(0.001)
    assert process.returncode == 0


def test_hanging_up_while_scrapes_are_finished() -> None:
    """After SIGTERM a SIGHUP takes nothing from the scrapes in flight, nor from the exit code."""

    async def main() -> tuple[list[bytes], int]:
        async with black_hole() as endpoint:
            with exporter(tencent(endpoint, 3)) as server:
                scrapes = [asyncio.create_task(exchange(server, request("/metrics", SIX_SECONDS))) for _ in range(5)]
                await asyncio.sleep(1)
                server.signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                for _ in range(5):
                    server.signal(signal.SIGHUP)
                    await asyncio.sleep(0.05)
                assert not any(scrape.done() for scrape in scrapes)
                return await asyncio.gather(*scrapes), await asyncio.to_thread(server.process.wait, 20)

    answers, code = asyncio.run(main())
    assert [whole(answer) for answer in answers] == [True] * 5
    assert code == 0


# --- as the first process of a container -----------------------------------------------------------------------------

ALONE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]


def alone(command: Sequence[str | Path], folder: Path) -> subprocess.Popen[bytes]:
    """Start a command as PID 1 of its own; skips, loudly, where this machine does not allow that."""
    allowed = shutil.which("unshare") and subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    if not allowed or allowed.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("unshare cannot make a name space of processes, and CI may skip nothing")
        pytest.skip("SKIPPED LOUDLY: unshare cannot make a name space of processes; nothing here runs as PID 1")
    return start([*ALONE, *command], folder)


def child(process: subprocess.Popen[bytes]) -> int:
    """Return the process that `unshare` runs, as seen from here; 0 before it is there."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text(encoding="utf-8")
            except OSError:
                continue
            if f"\nPPid:\t{process.pid}\n" in status:
                return int(entry.name)
    return 0


@pytest.mark.parametrize("times", [1, 2])
def test_the_first_process_of_a_container_can_be_stopped(times: int, tmp_path: Path) -> None:
    """As PID 1, which has no default actions, it ends on SIGTERM, and at once on a second one while scrapes wait."""

    async def main() -> int:
        async with black_hole() as endpoint:
            process = alone(serve(written(tmp_path, tencent(endpoint, 3))), tmp_path)
            try:
                said = tmp_path / "log"
                await asyncio.to_thread(until, lambda: EXPORTER_SAYS.search(said.read_text()), "it listens")
                found = EXPORTER_SAYS.search(said.read_text())
                assert found
                host, _, port = found[1].removeprefix("http://").rpartition(":")
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 60") if times == 2 else b"")
                await asyncio.sleep(1)
                for _ in range(times):
                    os.kill(child(process), signal.SIGTERM)
                    await asyncio.sleep(0.5)
                code = await asyncio.to_thread(process.wait, DRAIN_SECONDS - 10)
                writer.close()
                return code
            finally:
                process.kill()
                process.wait()

    code = asyncio.run(main())
    assert (code == 0) == (times == 1)


# --- systemd ---------------------------------------------------------------------------------------------------------


def test_systemd_is_told(tmp_path: Path) -> None:
    """READY once it listens, RELOADING with the time and READY again around a reload, STOPPING before the drain."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(30)

        def told() -> list[str]:
            return systemd.recv(4096).decode().split("\n")

        with exporter(tencent(NOWHERE, 1), environ={"NOTIFY_SOCKET": str(address)}) as server:
            assert told() == ["READY=1"]
            before = time.monotonic_ns() // 1000
            server.signal(signal.SIGHUP)
            reloading, moment = told()
            assert reloading == "RELOADING=1"
            assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
            assert told() == ["READY=1"]
            server.signal(signal.SIGTERM)
            assert told() == ["STOPPING=1"]
            assert server.process.wait(20) == 0
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(1)


def test_nobody_to_tell_is_no_trouble() -> None:
    """A notification that cannot be sent is a line of the log, and no more."""
    with exporter(tencent(NOWHERE, 1), environ={"NOTIFY_SOCKET": "/nowhere/notify"}) as server:
        until(lambda: "systemd was not told" in server.log(), "it says so")
        assert server.stop() == 0
