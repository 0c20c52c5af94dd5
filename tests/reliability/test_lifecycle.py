"""The life of a real process: starting, reloading under load, stopping, and what stands in its way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.commands.serve import DRAIN_SECONDS
from testbed import provider
from testbed.processes import exporter, free_port, serve, start, until, written
from testbed.provider import NOWHERE, black_hole, tencent
from testbed.web import answers, exchange, fetch, request, status, whole

AT_ONCE = DRAIN_SECONDS - 10  # seconds, however slow the machine: who waits for scrapes or connections takes longer
FOUR_SECONDS = "X-Prometheus-Scrape-Timeout-Seconds: 4"
COUNTER = re.compile(r"^(\w+_total(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


def get(url: str, path: str = "/metrics") -> str:
    """Return a page."""
    return fetch(url + path)


def counters(text: str) -> dict[str, float]:
    """Return every counter of an exposition."""
    return {name: float(value) for name, value in COUNTER.findall(text)}


def test_sigterm_finishes_fifty_scrapes_in_flight() -> None:
    """Every scrape under way gets its whole body before the process ends, with exit code 0."""

    async def main() -> tuple[list[bytes], int]:
        async with black_hole() as endpoint:
            with exporter(tencent(endpoint, 20)) as server:
                scrapes = [asyncio.create_task(exchange(server, request("/metrics", FOUR_SECONDS))) for _ in range(50)]
                await asyncio.sleep(1.5)
                server.signal(signal.SIGTERM)
                answers = await asyncio.gather(*scrapes)
                return answers, await asyncio.to_thread(server.process.wait, 20)

    answers, code = asyncio.run(main())
    assert sum(map(whole, answers)) == 50
    assert all(answer.count(b"stream_probe_success{") == 20 for answer in answers)
    assert code == 0


def test_a_second_sigterm_does_not_wait() -> None:
    """Whoever asks twice means it: the process ends at once, though scrapes wait."""

    async def main() -> int:
        async with black_hole() as endpoint:
            with exporter(tencent(endpoint, 3)) as server:
                scrape = asyncio.create_task(exchange(server, request("/metrics", FOUR_SECONDS.replace("4", "60"))))
                await asyncio.sleep(1)
                server.signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
                server.signal(signal.SIGTERM)
                code = await asyncio.to_thread(server.process.wait, AT_ONCE)
                await scrape
                return code

    assert asyncio.run(main()) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_process_stops_at_once(number: signal.Signals) -> None:
    """With nothing under way but a kept-alive connection and a follower of events, there is nothing to wait for."""
    with exporter(tencent(NOWHERE, 3)) as server:
        idle = socket.create_connection((server.host, server.port))
        idle.sendall(request("/-/healthy", close=False))
        follower = socket.create_connection((server.host, server.port))
        follower.sendall(request("/api/v1/events", close=False))
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        assert follower.recv(100).startswith(b"HTTP/1.1 200")
        server.signal(number)
        assert server.process.wait(AT_ONCE) == 0
        idle.close()
        follower.close()


def test_it_is_ready_once_it_answers() -> None:
    """Nothing listens before the configuration is in force; from then on it is alive, ready, and probes."""
    with provider.running() as endpoint, exporter(tencent(endpoint, 3)) as server:
        assert "ready" in get(server.url, "/-/ready")
        assert "healthy" in get(server.url, "/-/healthy")
        assert get(server.url).count('stream_active{provider="tencent"') == 3


def test_a_restart_begins_counting_at_zero() -> None:
    """A restarted process is a counter reset as Prometheus knows it: nothing negative, and a later start time."""
    texts = []
    with provider.running() as endpoint:
        for scrapes in (3, 1):
            with exporter(tencent(endpoint, 5)) as server:
                texts.append([get(server.url) for _ in range(scrapes)][-1])
    first, second = map(counters, texts)
    name = (
        'stream_provider_responses_total{account="main",action="DescribeLiveStreamState",code="ok",provider="tencent"}'
    )
    assert (first[name], second[name]) == (15, 5)
    assert min(second.values()) >= 0
    starts = [float(re.findall(r"^process_start_time_seconds (\S+)", text, re.MULTILINE)[0]) for text in texts]
    assert starts[1] > starts[0]


def test_a_taken_port_is_said_in_words(tmp_path: Path) -> None:
    """Exit code 1 and one line that says what to do, no traceback."""
    with exporter(tencent(NOWHERE, 1)) as server:
        config = written(tmp_path, tencent(NOWHERE, 1))
        second = start(serve(config, listen=f"127.0.0.1:{server.port}"), tmp_path)
        assert second.wait(30) == 1
    said = (tmp_path / "log").read_text()
    assert "cannot listen" in said
    assert "--web.listen-address" in said
    assert "Traceback" not in said


def test_it_listens_on_ipv6_and_on_several_addresses() -> None:
    """`[::1]:PORT` is an address as any other, and the flag may be repeated."""
    with exporter(tencent(NOWHERE, 2), "--web.listen-address", "[::1]:0") as server:
        addresses = re.findall(r"http://[^ \"]+", server.log())
        assert [address.rpartition(":")[0] for address in addresses] == ["http://127.0.0.1", "http://[::1]"]
        for address in addresses:
            assert "stream_probe_success" in get(address)


@pytest.mark.parametrize("broken", ["full", "closed"])
def test_a_log_that_cannot_be_written_costs_nothing_else(tmp_path: Path, broken: str) -> None:
    """With a full disk or a closed standard error, scrapes, reloads and the end go on as ever."""
    address = f"127.0.0.1:{free_port()}"
    config = written(tmp_path, tencent(NOWHERE, 2))
    serve = f"exec {sys.executable} -m exporter serve --config.file {config} --web.listen-address {address}"
    where = {"full": "2>/dev/full", "closed": "2>&- >&- <&-"}[broken]
    child = subprocess.Popen(["/bin/sh", "-c", f"{serve} --log.level debug {where}"])
    try:
        url = f"http://{address}"
        until(lambda: answers(f"{url}/-/ready"), "it is ready", 30)
        assert get(url).count("stream_probe_success{") == 2
        written(tmp_path, tencent(NOWHERE, 5))
        child.send_signal(signal.SIGHUP)
        until(lambda: get(url).count("stream_probe_success{") == 5, "the streams are taken", 20)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()


def test_an_outage_of_a_thousand_streams_is_a_few_lines_of_log() -> None:
    """Fifty scrapes of a dead provider say once that it is dead, not a thousand times, nor fifty times."""
    with exporter(tencent(NOWHERE, 1000), "--log.level", "debug") as server:
        before = len(server.log().splitlines())
        for _ in range(50):
            assert "stream_active{" not in get(server.url)
        lines = server.log().splitlines()[before:]
    print(f"{len(lines)} lines")
    assert 1 <= len(lines) <= 5
    assert "connection" in lines[0]


def test_what_is_said_stays_on_its_line() -> None:
    """Each line of the log is one event in logfmt; JSON, where asked for, is one object a line."""
    with exporter(tencent(NOWHERE, 2)) as server:
        get(server.url)
        server.stop()
        lines = server.log().splitlines()
    assert lines
    assert all(re.match(r"ts=\S+ level=\w+ ", line) for line in lines)


def test_no_secret_stands_in_the_process_arguments() -> None:
    """The command line shows the way to the configuration and nothing of what is in it."""
    with exporter(tencent(NOWHERE, 1)) as server:
        arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().split(b"\0")
        assert not [one for one in arguments if b"secret" in one]
        assert os.fsencode(server.config) in arguments


def test_a_signal_to_reload_is_taken_while_scrapes_wait() -> None:
    """SIGHUP neither ends the process nor the scrapes under way."""

    async def main() -> list[bytes]:
        async with black_hole() as endpoint:
            with exporter(tencent(endpoint, 3)) as server:
                scrapes = [asyncio.create_task(exchange(server, request("/metrics", FOUR_SECONDS))) for _ in range(5)]
                await asyncio.sleep(1)
                written(server.folder, tencent(endpoint, 4))
                server.signal(signal.SIGHUP)
                return await asyncio.gather(*scrapes)

    answers = asyncio.run(main())
    assert [status(answer) for answer in answers] == [200] * 5
    assert all(answer.count(b"stream_probe_success{") == 4 for answer in answers)
