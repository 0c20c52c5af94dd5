"""Loads the configuration: files to typed values, or every error at once. No provider is known here by name."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from exporter import files
from exporter.addresses import USUAL_PLAYBACK
from exporter.config.accounts import Accounts, keys_of
from exporter.config.document import Document, Format, read_document
from exporter.config.findings import Findings
from exporter.config.http import KEYS, TLS_KEYS, HttpSettings
from exporter.config.playback import ADDRESS_KEYS, PlaybackReader, PlaybackShape
from exporter.config.problems import ConfigErrors, Place, Problem, path_of
from exporter.config.schedules import Schedules
from exporter.config.secret_values import Choose, Read, read_file
from exporter.config.shards import WHOLE, Shards, ShardShape
from exporter.config.sources import Sources
from exporter.config.store import KEYS as STORE_KEYS
from exporter.config.store import StoreReader, StoreSettings
from exporter.config.streams import SCRAPE_LABELS, TAKEN_LABELS, Streams
from exporter.config.table import Columns, Table
from exporter.config.time_shapes import IntervalShape, NamedShape, TimesShape, WindowShape
from exporter.config.values import Config, Scrape, ScrapeShape
from exporter.config.warnings import variables
from exporter.config.wording import Keys, wrong_type
from exporter.config.zones import zone
from exporter.model import Stream
from exporter.providers.interface import AnyProvider
from exporter.schedule import Expectations
from exporter.spelling import did_you_mean


def load(
    path: Path,
    providers: Mapping[str, AnyProvider],
    environ: Mapping[str, str],
    read: Read = read_file,
    choose: Choose = lambda _provider, _given: None,
    now: float = 0.0,
    host: str = "",
    *,
    whole: bool = False,
) -> Config:
    """Read a configuration and everything it refers to.

    Args:
        path: The main file; what it refers to is relative to its directory.
        providers: The clouds there are, by configuration word.
        environ: The environment variables.
        read: Returns a file's bytes, or raises OSError.
        choose: Returns the source of an account's keys, if it has one; see `exporter.credentials.chooser`.
        now: Unix seconds, for warnings about what is over; without them there are none.
        host: The name of this machine, which may say which shard this is.
        whole: Keep the streams of all shards, not only of this one.

    Raises:
        ConfigErrors: With every error there is.
    """
    with _without_gc():
        return _Loading(path, providers, environ, read, choose, now, host, whole=whole).config()


@contextmanager
def _without_gc() -> Iterator[None]:
    """Pause the garbage collector, which finds nothing while values are built and takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


TOP = Keys(
    (
        "scrape",
        "store",
        "shard",
        "http",
        "playback",
        "accounts",
        "streams",
        "stream_files",
        "expected",
        "time_intervals",
        "maintenance",
    )
)
TIMES = (NamedShape, IntervalShape, TimesShape, WindowShape)


def _words(providers: Mapping[str, AnyProvider]) -> frozenset[str]:
    """Return every key that a configuration may have."""
    words = {
        *TOP.own,
        *KEYS.own,
        *KEYS.retired,
        *TLS_KEYS.own,
        *STORE_KEYS.own,
        *ADDRESS_KEYS.own,
        *PlaybackShape.model_fields,
        *ScrapeShape.model_fields,
        *ShardShape.model_fields,
        *TAKEN_LABELS,
        *SCRAPE_LABELS,
        "names",
    }
    words.update(*(shape.model_fields for shape in TIMES))
    for provider in providers.values():
        words |= {*keys_of(provider), *provider.stream.model_fields, *provider.apis()}
    return frozenset(words)


class _Loading:
    """One loading under way."""

    def __init__(
        self,
        path: Path,
        providers: Mapping[str, AnyProvider],
        environ: Mapping[str, str],
        read: Read,
        choose: Choose,
        now: float,
        host: str,
        *,
        whole: bool,
    ) -> None:
        self.path = path
        self.contents: dict[Path, bytes | None] = {}
        self.patterns: list[str] = []
        self.hung = ""
        self._read = read
        self._format = Format(path=partial(path_of, words=_words(providers)))
        self.findings = Findings(self.open(path, self._format), lambda file: read(Path(file)))
        self.scrape = Scrape()
        self.shard = WHOLE
        self.whole = whole
        self._shards = Shards(self.findings, environ, host, whole=whole)
        sources = Sources(self.findings, path.parent, environ, self.read)
        self.store: StoreSettings | None = None
        self.stores = StoreReader(self.findings, path.parent, sources)
        self.http = HttpSettings(self.findings, path.parent, environ, self.read, sources)
        self.accounts = Accounts(self.findings, providers, environ, sources, self.http, choose)
        options = {"provider": providers, "account": self.accounts.owners}
        self.schedules = Schedules(self.findings, partial(zone, environ=environ, read=self.read), options, now)
        self.playback = USUAL_PLAYBACK
        self.playbacks = PlaybackReader(self.findings, sources)
        self.streams = Streams(self.findings, providers, self.accounts, self.schedules, self.playbacks)
        table = Table(Columns.of(providers.values()), self.streams.elsewhere)
        self._table = replace(self._format, fill=table.fill, locate=table.locate)
        self.expectations = Expectations()

    def config(self) -> Config:
        main = self.findings.document
        if main.readable:
            self.top(main.value)
        self.hint(main)
        if errors := self.findings.errors():
            raise ConfigErrors(errors)
        return Config(
            scrape=self.scrape,
            store=self.store,
            http=self.http.top,
            playback=self.playback,
            plain_addresses=self.playbacks.told(),
            accounts=tuple(self.accounts.valid.values()),
            streams=tuple(self.streams.valid),
            label_names=self.streams.label_names(),
            expectations=self.expectations,
            schedules=self.schedules.raw,
            warnings=tuple(self.findings.warnings()),
            files=tuple(self.contents),
            patterns=tuple(self.patterns),
            shard=self.shard,
        )

    def hint(self, document: Document) -> None:
        """Say of each value of a document that looks like a variable that it is not filled in."""
        self.findings.hint(document, variables(document, self.accounts.secret_keys()))

    def read(self, path: Path) -> bytes:
        """Read a file once, and remember that it was read."""
        if (known := self.contents.get(path)) is None:
            if self.hung:
                # One wait is enough: there may be a thousand files on a mount that hangs.
                raise TimeoutError(errno.ETIMEDOUT, f"was not read, because {self.hung} could not be read in time")
            try:
                known = self.contents[path] = self._read(path)
            except TimeoutError:
                self.hung = str(path)
                raise
        return known

    def open(self, path: Path, form: Format) -> Document:
        try:
            return read_document(str(path), self.read(path), form)
        except (OSError, ValueError) as error:
            return Document(str(path), problems=[Problem(str(path), 1, 1, "document", files.problem(error))])

    def top(self, raw: Any) -> None:
        if not isinstance(raw, dict):
            self.findings.wrong((), wrong_type(raw, "a mapping"))
            return
        self.findings.unknown(raw, (), TOP)
        scrape = self.findings.validated(ScrapeShape, raw.get("scrape", {}), ("scrape",))
        if scrape is not None:
            self.scrape = Scrape(**scrape.model_dump())
        self.store = self.stores.read(raw)
        self.http.read(raw)
        self.playback = self.playbacks.settings(raw)
        self.shard = self._shards.read(raw)
        self.streams.shard = WHOLE if self.whole else self.shard
        self.accounts.read(raw, self.scrape.max_age, self.shard.count)
        self.schedules.read(raw)
        self.streams.read(self.findings.list_of(raw.get("streams", []), ("streams",)), ("streams",))
        self.read_stream_files(self.findings.list_of(raw.get("stream_files", []), ("stream_files",)))
        owners = {name: owner.name for name, (owner, _) in self.accounts.owners.items() if owner is not None}
        watched = ((owners[each.account], each) for each in self.streams.valid)
        self.expectations = self.schedules.expectations(watched, complete=self.streams.shard.count == 1)
        self.notice_idle()
        self.notice_doubts()

    def read_stream_files(self, patterns: list[Any]) -> None:
        main = self.findings.document
        opened = {self.path}
        for index, pattern in enumerate(patterns):
            place = ("stream_files", index)
            if not isinstance(pattern, str):
                self.findings.wrong(place, wrong_type(pattern, "text"))
                continue
            for path in self.matches(pattern, place):
                if path == self.path:
                    self.findings.wrong(place, "the pattern matches the configuration itself")
                elif path not in opened:
                    opened.add(path)
                    self.findings.enter(self.open(path, self._table if path.suffix.lower() == ".csv" else self._format))
                    if self.findings.document.readable:
                        self.streams.read(self.findings.list_of(self.findings.document.value, ()), ())
                    self.hint(self.findings.document)
                    self.findings.leave(main)
                    self.contents[path] = None

    def matches(self, pattern: str, place: Place) -> list[Path]:
        directory = self.path.parent
        self.patterns.append(str(directory / pattern))
        try:
            found = [] if self.hung else files.matches(pattern, directory)
        except TimeoutError as error:
            self.hung = str(directory / pattern)
            self.findings.wrong(place, files.problem(error))
        except (OSError, ValueError):
            self.findings.wrong(place, "is not a pattern of file names")
        else:
            if not found:
                self.findings.warn(place, f"the pattern matches no file; it starts at {os.path.abspath(directory)}")
            return [directory / name for name in found]
        return []

    def notice_doubts(self) -> None:
        """Pass on the providers' warnings; only accounts and streams without errors are looked at."""
        streams: dict[str, list[Stream]] = {}
        for stream in self.streams.valid:
            streams.setdefault(stream.account, []).append(stream)
        for name, account in self.accounts.valid.items():
            provider, place = self.accounts.owners[name]
            if provider is not None:
                for doubt in provider.warnings(account, streams.get(name, [])):
                    hint = did_you_mean(getattr(account, doubt.field), doubt.options)
                    self.findings.warn((*place, doubt.field), doubt.message + hint)

    def notice_idle(self) -> None:
        if not self.streams.valid:
            shard = self.streams.shard
            self.findings.warn((), "no stream is watched" + (f" by shard {shard.words}" if shard.words else ""))
            return
        for name, (_, place) in self.accounts.owners.items():
            if name not in self.streams.used:
                self.findings.warn((*place, "name"), "no stream is watched through this account")
