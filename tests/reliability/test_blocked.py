"""Files, disks and readers of the log that hang: nothing waits for them but what needs them, and that not for long."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from testbed.hanging import can_hang, hanging
from testbed.processes import ANY_PORT, EXPORTER_SAYS, free_port, running, serve, until, written
from testbed.provider import NOWHERE, tencent
from testbed.web import answers, opened

LIMIT = 5.0
"""Seconds that a file may take; what waits for it ends within some more."""


def fetch(url: str, method: str = "GET") -> tuple[int, str]:
    """Return status and text of an answer."""
    try:
        with opened(Request(url, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def command(config: Path, *flags: str, listen: str = ANY_PORT) -> list[str]:
    """Return the command line of `serve`."""
    return serve(config, "--web.enable-lifecycle", *flags, listen=listen)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process by SIGTERM: with exit code 0, and without waiting for what hangs."""
    process.terminate()
    assert process.wait(30) == 0


def with_secret(file: Path | str, streams: int = 2) -> dict[str, Any]:
    """Return a configuration whose secret is in a file."""
    document = tencent(NOWHERE, streams)
    del document["accounts"][0]["secret_key"]
    document["accounts"][0]["secret_key_file"] = str(file)
    return document


# --- no files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["configuration", "secret", "streams", "web", "certificate", "key"])
def test_a_pipe_in_place_of_a_file_is_refused_at_the_start(which: str, tmp_path: Path) -> None:
    """Nobody waits for the pipe's other end: exit code 1, and the pipe and the place that names it are told."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "nothing.pem").write_text("")
    config = pipe
    flags: list[str] = []
    if which == "secret":
        config = written(tmp_path, with_secret(pipe))
    elif which == "streams":
        config = written(tmp_path, {**tencent(NOWHERE, 1), "stream_files": ["pip*"]})
    elif which != "configuration":
        config = written(tmp_path, tencent(NOWHERE, 1))
        tls = {"certificate": "cert_file", "key": "key_file"}.get(which, "cert_file")
        web = {"cert_file": "nothing.pem", "key_file": "nothing.pem", tls: "pipe"}
        (tmp_path / "web.yml").write_text(json.dumps({"tls_server_config": web}))
        flags = ["--web.config.file", str(pipe if which == "web" else tmp_path / "web.yml")]
    done = subprocess.run(command(config, *flags), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    place = {"secret": "accounts[0].secret_key_file", "certificate": "cert_file", "key": "key_file"}.get(which, "pipe")
    assert place in done.stderr
    assert "it is a pipe, not a regular file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reload_that_finds_a_pipe_is_refused_and_the_next_one_works(tmp_path: Path) -> None:
    """The one before stays in force, the error names file and field, and nothing is wedged."""
    secret = tmp_path / "secret"
    secret.write_text("made-up-secret")
    config = written(tmp_path, with_secret(secret))
    with running(command(config), tmp_path, EXPORTER_SAYS) as server:
        secret.unlink()
        os.mkfifo(secret)
        status, text = fetch(f"{server.url}/-/reload", "POST")
        assert status == 500
        assert f"accounts[0].secret_key_file: names the file {secret}, which cannot be read: it is a pipe" in text
        assert fetch(f"{server.url}/metrics")[1].count("stream_probe_success{") == 2
        secret.unlink()
        secret.write_text("made-up-secret")
        written(tmp_path, with_secret(secret, 3))
        assert fetch(f"{server.url}/-/reload", "POST")[0] == 200
        assert fetch(f"{server.url}/metrics")[1].count("stream_probe_success{") == 3
        stop(server.process)


# --- a mount that hangs ----------------------------------------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """Return a directory that hangs for what is run by `hanging`."""
    directory = tmp_path / "mount"
    directory.mkdir()
    if not can_hang(directory):
        pytest.skip("this machine lets nobody mount a FUSE file system")
    return directory


def test_a_mount_that_hangs_ends_a_reload_and_holds_nothing_else(tmp_path: Path, mount: Path) -> None:
    """Each reload ends with an error that names file and field; scrapes are as fast as ever, and so is the end."""
    config = written(tmp_path, tencent(NOWHERE, 2))
    with running(hanging(mount, command(config)), tmp_path, EXPORTER_SAYS) as server:
        written(tmp_path, with_secret(mount / "secret"))
        status, text = fetch(f"{server.url}/-/reload", "POST")
        assert status == 500
        assert f"secret_key_file: names the file {mount}/secret, which could not be read in {LIMIT:g} s" in text
        written(tmp_path, {**tencent(NOWHERE, 2), "stream_files": [f"{mount}/*.yml"]})
        server.signal(signal.SIGHUP)
        scrapes = 0
        while "stream_files[0]" not in server.log():
            assert fetch(f"{server.url}/metrics")[1].count("stream_probe_success{") == 2
            scrapes += 1
            time.sleep(0.05)
        assert scrapes >= 3, "scrapes wait for the reload"
        written(tmp_path, tencent(NOWHERE, 3))
        assert fetch(f"{server.url}/-/reload", "POST")[0] == 200
        stop(server.process)


def test_the_end_does_not_wait_for_a_reload_that_hangs(tmp_path: Path, mount: Path) -> None:
    """SIGTERM in the middle of a read that never ends is exit code 0 within seconds."""
    config = written(tmp_path, tencent(NOWHERE, 2))
    with running(hanging(mount, command(config)), tmp_path, EXPORTER_SAYS) as server:
        written(tmp_path, with_secret(mount / "secret"))
        with socket.create_connection((server.host, server.port)) as waiting:
            waiting.sendall(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.5)
            assert fetch(f"{server.url}/-/healthy")[0] == 200
            stop(server.process)
            assert b"the exporter is stopping" in waiting.makefile("rb").read()


def test_a_start_with_a_mount_that_hangs_fails_in_words(tmp_path: Path, mount: Path) -> None:
    """Whatever file it is that hangs, the start ends with exit code 1 and says which."""
    web, plain = tmp_path / "web.yml", written(tmp_path, tencent(NOWHERE, 1))
    web.write_text(f"tls_server_config: {{cert_file: {mount}/c.pem, key_file: {mount}/k.pem}}")
    secret, streams = tmp_path / "secret.yml", tmp_path / "streams.yml"
    secret.write_text(json.dumps(with_secret(mount / "secret")))
    streams.write_text(json.dumps({**tencent(NOWHERE, 1), "stream_files": [f"{mount}/*.yml"]}))
    cases = {
        f"{mount}/config.yml:1:1": command(mount / "config.yml"),
        "accounts[0].secret_key_file": command(secret),
        "stream_files[0]": command(streams),
        f"{mount}/web.yml:1:1": command(plain, "--web.config.file", str(mount / "web.yml")),
        "tls_server_config.cert_file": command(plain, "--web.config.file", str(web)),
    }
    children = {
        place: subprocess.Popen(hanging(mount, arguments), stderr=subprocess.PIPE, text=True)
        for place, arguments in cases.items()
    }
    for place, child in children.items():
        _, said = child.communicate(timeout=60)
        assert child.returncode == 1
        assert place in said
        assert f"could not be read in {LIMIT:g} s" in said
        assert "Traceback" not in said


def test_a_home_that_hangs_costs_its_account_its_keys_and_no_more(tmp_path: Path, mount: Path) -> None:
    """An account without keys may have a profile file there: the exporter starts, answers in time, and stops."""
    document = tencent(NOWHERE, 1)
    del document["accounts"][0]["secret_id"], document["accounts"][0]["secret_key"]
    arguments = hanging(mount, command(written(tmp_path, document)))
    with running(arguments, tmp_path, EXPORTER_SAYS, environ={"HOME": str(mount)}) as server:
        began = time.monotonic()
        assert fetch(f"{server.url}/metrics")[1].count("stream_probe_success{") == 1
        assert time.monotonic() - began < 10  # Prometheus's own limit
        assert fetch(f"{server.url}/-/healthy")[0] == 200
        stop(server.process)


def test_an_interrupt_while_a_file_hangs(tmp_path: Path, mount: Path) -> None:
    """Ctrl-C ends `check` with 130 and without a traceback, though the file is still being read."""
    arguments = hanging(mount, [sys.executable, "-m", "exporter", "check", "--config.file", str(mount / "c.yml")])
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while not reading(child.pid):
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (130, "", "")


def reading(pid: int) -> bool:
    """Say whether a process has a thread that reads a file."""
    names = [name.read_text() for name in Path(f"/proc/{pid}/task").glob("*/comm")]
    return len(names) > 1


# --- a log that nobody reads -----------------------------------------------------------------------------------------


def test_a_log_that_nobody_reads_freezes_nothing(tmp_path: Path) -> None:
    """Scrapes, reloads and the end go on, and a metric says how many lines were dropped."""
    document = tencent(NOWHERE, 2)
    # Each reload warns of each of these: more than a pipe takes.
    document["streams"] += [
        {"name": f"n{number}", "account": "main", "domain": "d", "labels": {"job": "x"}} for number in range(900)
    ]
    config = written(tmp_path, document)
    address = f"127.0.0.1:{free_port()}"
    arguments, url = command(config, "--log.level", "debug", listen=address), f"http://{address}"
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        child = stack.enter_context(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=writing))
        stack.callback(child.kill)
        until(lambda: answers(f"{url}/-/ready"), "it is ready")
        dropped, end = 0.0, time.monotonic() + 30
        while dropped < 1:
            assert time.monotonic() < end
            assert fetch(f"{url}/-/reload", "POST")[0] == 200
            text = fetch(f"{url}/metrics")[1]
            assert text.count("stream_probe_success{") == 902
            dropped = float(re.findall(r"^stream_exporter_log_lines_dropped_total (\S+)$", text, re.MULTILINE)[0])
        stop(child)


def test_five_hundred_signals_are_a_reload_or_two(tmp_path: Path) -> None:
    """A burst of SIGHUP costs no more than one; what was written before it is in force afterwards."""
    config = written(tmp_path, tencent(NOWHERE, 2))
    with running(command(config), tmp_path, EXPORTER_SAYS) as server:
        written(tmp_path, tencent(NOWHERE, 5))
        for _ in range(500):
            server.signal(signal.SIGHUP)
        until(lambda: fetch(f"{server.url}/metrics")[1].count("stream_probe_success{") == 5, "it is in force", 20)
        assert fetch(f"{server.url}/-/reload", "POST")[0] == 200
        stop(server.process)
    # The one that was asked for by hand is among them.
    assert 2 <= server.log().count('msg="configuration reloaded"') <= 3
