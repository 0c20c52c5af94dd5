"""Reload: all or nothing, whatever asks for it; what stays in the configuration keeps what is known of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter import config, files, providers
from exporter.credentials.keyring import Keyring
from exporter.model import Account, Reason, Reply, Request, State
from exporter.providers.interface import TransportError
from exporter.rounds.shared import Clock
from exporter.serving.reload import STOPPING, FileSignatures, Reloader
from exporter.serving.service import Service
from exporter.state.board import address
from testbed.network import Plain
from tests.virtual import EPOCH, run, tencent_state

ACCOUNT = {"name": "main", "provider": "tencent", "secret_id": "an-id", "secret_key": "a-secret", "plan": "single",
           "figures": False,
           "quota": {"DescribeLiveStreamState": 1000}}  # fmt: skip


def document(*names: str, account: dict[str, Any] | None = None, **more: Any) -> str:
    """Return a configuration of Tencent streams; a name `a:blue` is stream a with label team=blue."""
    streams = []
    for name, _, team in (name.partition(":") for name in names):
        streams.append(
            {"name": name, "account": "main", "domain": "d.example", **({"labels": {"team": team}} if team else {})}
        )
    return json.dumps({"accounts": [{**ACCOUNT, **(account or {})}], "streams": streams, **more})


class Quiet(Service):
    """The running parts on a provider that says of every stream that it is live, after a moment."""

    calls = 0
    latency = 0.01
    refuses = False

    def __init__(self, loaded: config.Config, clock: Clock) -> None:
        super().__init__(loaded, providers.all_providers(), clock, Keyring({}), connect=self._connected)

    async def _connected(self, _provider: str, _account: Account, _gap: float, _new: bool) -> Plain:
        return Plain(self._send)

    async def _send(self, _request: Request, _timeout: float, _largest: int) -> Reply:
        self.calls += 1
        await asyncio.sleep(self.latency)
        if self.refuses:
            raise TransportError(Reason.CONNECTION, "refused")
        return tencent_state("active")


class Stage:
    """A configuration in a directory, and the running parts on it."""

    def __init__(self, home: Path, text: str) -> None:
        self.path = home / "config.yml"
        self.write(text)
        loop = asyncio.get_running_loop()
        clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
        self.service = Quiet(self.load(), clock)
        self.reloader = Reloader(self.service, self.load)

    def write(self, text: str) -> None:
        """Write the configuration, at once as an editor does."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)

    def load(self) -> config.Config:
        """Read the configuration."""
        return config.load(self.path, providers.all_providers(), {})

    async def scrape(self) -> str:
        """Scrape once."""
        await self.service.refresh(self.service.clock.mono() + 9.5)
        return (await self.service.document(openmetrics=False, compressed=False)).decode()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch the files while the block runs."""
        task = asyncio.create_task(self.reloader.watch())
        try:
            yield
        finally:
            task.cancel()

    def names(self) -> list[str]:
        """Return the names of the watched streams."""
        return [record.key[1] for record in self.service.board]


def sample(text: str, name: str) -> float:
    """Return the value of a metric without labels."""
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_a_good_configuration_is_taken_whole(tmp_path: Path, said: io.StringIO) -> None:
    """Streams that are gone vanish, new ones come, and the log and a metric say so."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a", "b"))
        before = sample(await stage.scrape(), "stream_exporter_config_last_reload_success_timestamp_seconds")
        await asyncio.sleep(60)
        stage.write(document("b", "c"))
        assert await stage.reloader.reload() == []
        text = await stage.scrape()
        assert stage.names() == ["b", "c"]
        assert 'stream="a"' not in text
        assert sample(text, "stream_exporter_config_last_reload_success_timestamp_seconds") == pytest.approx(
            before + 60, abs=1
        )
        assert "configuration reloaded" in said.getvalue()

    run(main())


@pytest.mark.parametrize("bad", ["accounts: [", "", "accounts: []\nstreams: [{name: x, account: nobody}]", None])
def test_a_bad_configuration_changes_nothing_but_says_so(tmp_path: Path, said: io.StringIO, bad: str | None) -> None:
    """Errors are returned, logged and shown as a metric; all goes on as before, and a good one makes up for it."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a", "b"))
        first = await stage.scrape()
        if bad is None:
            stage.path.unlink()
        else:
            stage.write(bad)
        problems = await stage.reloader.reload()
        text = await stage.scrape()
        assert problems
        assert all("config.yml" in line for line in problems)
        assert stage.names() == ["a", "b"]
        assert sample(text, "stream_exporter_config_last_reload_successful") == 0
        when = "stream_exporter_config_last_reload_success_timestamp_seconds"
        assert sample(text, when) == sample(first, when)
        assert "level=error" in said.getvalue()
        stage.write(document("a"))
        assert await stage.reloader.reload() == []
        assert sample(await stage.scrape(), "stream_exporter_config_last_reload_successful") == 1

    run(main())


def test_a_loader_that_breaks_is_a_refusal_too(tmp_path: Path, said: io.StringIO) -> None:
    """An error of our own while reading neither ends the watching nor shows its text."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))

        def broken() -> config.Config:
            raise ZeroDivisionError("a-text-that-might-hold-anything")

        (problem,) = await Reloader(stage.service, broken).reload()
        assert "ZeroDivisionError" in problem
        assert "might-hold" not in problem + said.getvalue()
        assert stage.names() == ["a"]

    run(main())


def test_a_reload_keeps_answers_counters_quota_breaker_and_sequence(tmp_path: Path) -> None:
    """What stays in the configuration goes on as if nothing had happened."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a", "b"))
        await stage.scrape()
        service = stage.service
        before = service.prober.accounts["main"]
        service.refuses = True
        for _ in range(3):
            await asyncio.sleep(6)
            await stage.scrape()
        before.paces["DescribeLiveStreamState"].throttled(service.clock.mono())
        assert before.health.breaker.open
        number = service.prober.shared.sequence.next(service.clock.unix())
        stage.write(document("b:blue", "c:red", account={"timeout": "2s"}))
        await stage.reloader.reload()
        kept = service.prober.accounts["main"]
        assert kept.account.timeout == 2.0
        assert kept.health.breaker.open
        assert kept.allowed_rates()["DescribeLiveStreamState"] == 500.0
        assert sum(service.counters.responses.values()) == 2
        assert sum(service.counters.errors.values()) == 6
        assert service.prober.shared.sequence.next(service.clock.unix()) > number
        record = service.board.get(("tencent", "b"))
        assert record is not None
        assert record.answer is not None
        assert record.answer.state is State.ACTIVE
        assert record.fault is not None

    run(main())


def test_an_answer_under_way_survives_a_reload(tmp_path: Path) -> None:
    """A call that was sent under the old configuration counts under the new one, and the round asks the others too."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a", "b", "c", account={"concurrency": 1}))
        stage.service.latency = 1.0
        scrape = asyncio.create_task(stage.scrape())
        await asyncio.sleep(0.5)
        stage.write(document("a", "b", "c:red", account={"concurrency": 1}))
        await stage.reloader.reload()
        text = await scrape
        assert text.count("stream_active{") == 3
        assert stage.service.calls == 3

    run(main())


def test_a_stream_added_within_a_round_is_asked_by_the_next_scrape(tmp_path: Path) -> None:
    """However long answers are reused, a round that began before a reload does not stand for what came with it."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a", scrape={"reuse": "1h"}))
        stage.service.latency = 1.0
        scrape = asyncio.create_task(stage.scrape())
        await asyncio.sleep(0.5)
        stage.write(document("a", "b", scrape={"reuse": "1h"}))
        await stage.reloader.reload()
        await scrape
        await asyncio.sleep(10)
        assert 'stream_active{provider="tencent",stream="b"} 1' in await stage.scrape()
        assert stage.service.calls == 2

    run(main())


def test_another_address_is_another_stream(tmp_path: Path) -> None:
    """What was known of a name's old address is not told of its new one."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        await stage.scrape()
        stage.write(document("a").replace("d.example", "other.example"))
        await stage.reloader.reload()
        record = stage.service.board.get(("tencent", "a"))
        assert record is not None
        assert record.answer is None
        assert address(record.stream)["domain"] == "other.example"

    run(main())


def test_no_document_shows_some_of_each_configuration(tmp_path: Path) -> None:
    """Rendering many streams takes turns; a reload in any of them leads to one configuration or the other, whole."""

    async def main() -> None:
        many = [f"s{number:04d}" for number in range(2500)]
        stage = Stage(tmp_path, document(*(f"{name}:blue" for name in many)))
        old = stage.service.config
        stage.write(document(*(f"{name}:red" for name in many[500:])).replace('"team"', '"tribe"'))
        new = stage.load()
        seen, seen_after = set(), set()
        for turns in range(0, 60, 3):
            stage.service.configure(old)
            rendering = asyncio.create_task(stage.service.document(openmetrics=False, compressed=False))
            for _ in range(turns):
                await asyncio.sleep(0)
            stage.service.configure(new)
            seen.add(coloured((await rendering).decode()))
            seen_after.add(coloured((await stage.service.document(openmetrics=True, compressed=False)).decode()))
        assert seen == {(2500, 0, 2500.0), (0, 2000, 2000.0)}
        assert seen_after == {(0, 2000, 2000.0)}

    run(main())


def coloured(text: str) -> tuple[int, int, float]:
    """Return how many streams show the old label, how many the new one, and how many are said to be watched."""
    return text.count(',team="blue"'), text.count(',tribe="red"'), sample_of(text, "stream_streams")


def sample_of(text: str, name: str) -> float:
    """Return the value of a metric that has one sample."""
    (value,) = re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    return float(value)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Within a few seconds, without a signal; and once only."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        async with stage.watched():
            await asyncio.sleep(10)
            loaded = stage.service.config
            assert loaded.streams[0].name == "a"
            stage.write(document("a", "b"))
            await asyncio.sleep(5)
            assert stage.names() == ["a", "b"]
            taken = stage.service.config
            await asyncio.sleep(30)
            assert stage.service.config is taken

    run(main())


@pytest.mark.parametrize("broken", [True, False], ids=["cut anywhere", "whole after each step"])
def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path, broken: bool) -> None:
    """A configuration that changes from one look to the next is read once it has kept still, and not before."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        last = document("a", "b")
        steps = [last[: 10 * size] if broken else document("a", *"xyz"[:size]) for size in range(1, 4)] * 3
        written, read, before = [*steps, last], list[str](), stage.names()

        def load() -> config.Config:
            read.append(stage.path.read_text(encoding="utf-8"))
            return stage.load()

        async def sleep(seconds: float) -> None:
            # The file changes between any two looks, until it is whole.
            if written:
                stage.path.write_text(written.pop(0), encoding="utf-8")
                assert stage.names() == before
            await asyncio.sleep(seconds)

        task = asyncio.create_task(Reloader(stage.service, load).watch(sleep))
        await asyncio.sleep(60)
        task.cancel()
        assert read == [last]
        assert stage.names() == ["a", "b"]
        assert stage.service.source.reload_ok

    run(main())


def test_a_swap_of_a_configmaps_link_is_seen(tmp_path: Path) -> None:
    """Kubernetes changes a mounted ConfigMap by pointing the link `..data` at another directory."""

    async def main() -> None:
        for version, names in (("one", ("a",)), ("two", ("a", "b"))):
            (tmp_path / f"..{version}").mkdir()
            (tmp_path / f"..{version}" / "config.yml").write_text(document(*names), encoding="utf-8")
        (tmp_path / "..data").symlink_to("..one")
        (tmp_path / "mounted").mkdir()
        stage = Stage(tmp_path / "mounted", document("a"))
        stage.path.unlink()
        stage.path.symlink_to("../..data/config.yml")
        await stage.reloader.reload()
        async with stage.watched():
            await asyncio.sleep(5)
            assert stage.names() == ["a"]
            (tmp_path / "..new").symlink_to("..two")
            (tmp_path / "..new").replace(tmp_path / "..data")
            await asyncio.sleep(5)
            assert stage.names() == ["a", "b"]

    run(main())


def test_files_of_streams_come_and_go(tmp_path: Path) -> None:
    """A file that is added where a pattern points, changed, or taken away is a change of the configuration."""

    async def main() -> None:
        (tmp_path / "streams.d").mkdir()
        added = tmp_path / "streams.d" / "one.yml"
        stage = Stage(tmp_path, document("a", stream_files=["streams.d/*.yml"]))
        async with stage.watched():
            await asyncio.sleep(5)
            added.write_text("[{name: b, account: main, domain: d.example}]", encoding="utf-8")
            await asyncio.sleep(5)
            assert stage.names() == ["a", "b"]
            added.write_text("[{name: other, account: main, domain: d.example}]", encoding="utf-8")
            await asyncio.sleep(5)
            assert stage.names() == ["a", "other"]
            added.unlink()
            await asyncio.sleep(5)
            assert stage.names() == ["a"]

    run(main())


def test_a_bad_file_is_refused_once_and_left_alone_until_it_changes(tmp_path: Path, said: io.StringIO) -> None:
    """Watching does not log the same refusal every two seconds."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        async with stage.watched():
            stage.write("accounts: [")
            await asyncio.sleep(60)
            assert said.getvalue().count("configuration refused") == 1
            stage.write(document("a", "b"))
            await asyncio.sleep(5)
            assert stage.names() == ["a", "b"]

    run(main())


def test_a_file_that_cannot_be_looked_at_has_a_signature_too(tmp_path: Path) -> None:
    """Files that are gone, names that cannot be, and odd patterns are no errors."""
    gone = tmp_path / "gone"
    assert FileSignatures()([gone, Path("\0")], ["[", "**/\0"]) == (None, None, (), ())
    os.mkfifo(gone)
    assert FileSignatures()([gone]) != (None,)


# --- many at a time, and files that hang -----------------------------------------------------------------------------


def test_five_hundred_requests_are_two_reloads(tmp_path: Path) -> None:
    """One reload is under way and one waits, however many ask; each gets the outcome of one that began after it."""

    async def main() -> None:
        stage, loads, others = Stage(tmp_path, document("a")), list[int](), list[asyncio.Task[list[str]]]()

        def load() -> config.Config:
            loads.append(1)
            found = stage.load()
            if len(loads) == 1:
                # What is asked for while a reload is under way came too late for it.
                stage.write("accounts: [")
                others.extend(asyncio.create_task(reloader.reload()) for _ in range(500))
            return found

        reloader = Reloader(stage.service, load)
        assert await reloader.reload() == []
        outcomes = await asyncio.gather(*others)
        assert len(outcomes) == 500
        assert all(outcomes)
        assert len(loads) == 2
        stage.write(document("a", "b"))
        assert await reloader.reload() == []
        assert stage.names() == ["a", "b"]

    run(main())


def test_one_who_asks_and_leaves_stops_nobody(tmp_path: Path) -> None:
    """A client that hangs up after POST /-/reload takes the reload away from no other."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        stage.write(document("a", "b"))
        leaving, staying = (asyncio.create_task(stage.reloader.reload()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == []
        assert leaving.cancelled()
        assert stage.names() == ["a", "b"]

    run(main())


def test_a_stop_waits_for_no_reload(tmp_path: Path) -> None:
    """While a file hangs and the exporter stops, who waits for the reload is told so at once."""

    async def main() -> None:
        stage = Stage(tmp_path, document("a"))
        end = threading.Event()

        def hanging() -> config.Config:
            end.wait(60)
            return stage.load()

        reloader = Reloader(stage.service, hanging)
        waiting = [asyncio.create_task(reloader.reload()) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(reloader.reload()))
        await asyncio.sleep(0.05)
        reloader.stop()
        assert await asyncio.wait_for(asyncio.gather(*waiting), 10) == [[STOPPING]] * 4
        end.set()

    asyncio.run(main())


def test_what_cannot_be_seen_in_time_has_not_changed(tmp_path: Path) -> None:
    """A disk that hangs neither causes a reload nor hides that other files change."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    paths = [tmp_path / "a", tmp_path / "b"]
    look = FileSignatures(10)
    before = look(paths)
    end = threading.Event()
    with pytest.raises(TimeoutError):
        files.within(0.001, ("look", tmp_path / "a"), end.wait, 60)
    (tmp_path / "a").write_text("another")
    assert look(paths) == before
    (tmp_path / "b").write_text("another")
    assert look(paths) != before
    end.set()


def test_only_the_first_of_many_that_hang_is_waited_for(tmp_path: Path) -> None:
    """A thousand files on one dead mount cost one wait, and the error says which was tried."""
    named = [f"f{number:04d}" for number in range(1000)]
    for name in named:
        (tmp_path / f"{name}.yml").write_text("[]")
    tried: list[Path] = []

    def read(path: Path) -> bytes:
        if path.suffix == ".yml" and path.name != "config.yml":
            tried.append(path)
            raise TimeoutError(110, "could not be read in 5 s")
        return path.read_bytes()

    (tmp_path / "config.yml").write_text(document("a", stream_files=["f*.yml"]))
    with pytest.raises(config.ConfigErrors) as caught:
        config.load(tmp_path / "config.yml", providers.all_providers(), {}, read)
    assert len(tried) == 1
    assert "f0000.yml:1:1: document: could not be read in 5 s" in str(caught.value)
    assert str(caught.value).count("was not read, because ") == 999
