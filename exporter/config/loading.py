"""The configuration: files to typed values, or every error at once. Providers come in; none is known by name."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field

from exporter import files
from exporter.config.accounts import Accounts, keys_of
from exporter.config.checking import Keys, strangers, validated, wrong_type
from exporter.config.document import Document, read_document
from exporter.config.doubts import variables
from exporter.config.findings import Findings
from exporter.config.problems import ConfigErrors, Place, Problem, suggestion
from exporter.config.secret_values import Choose, Read, read_file
from exporter.config.streams import SCRAPE_LABELS, TAKEN_LABELS, Streams
from exporter.fields import Shape, duration
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider


class ScrapeShape(Shape):
    """When streams are probed, and how long their answers count."""

    timeout: duration(0.05, 120) = Field(  # type: ignore[valid-type]
        10.0, description="budget of a round where Prometheus sends no X-Prometheus-Scrape-Timeout-Seconds"
    )
    reuse: duration(0, 3600) = Field(  # type: ignore[valid-type]
        5.0, description="answers younger than this serve the next scrape too, so an HA pair costs one round"
    )
    max_age: duration(1, 86400) = Field(  # type: ignore[valid-type]
        120.0, description="a stream whose turn has not come keeps its last answer this long, then it is unknown"
    )


@dataclass(frozen=True, slots=True)
class Scrape:
    """When streams are probed, and how long their answers count; all in seconds."""

    timeout: float = 10.0
    reuse: float = 5.0
    max_age: float = 120.0


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without errors.

    Attributes:
        scrape: When streams are probed.
        accounts: Instances of their provider's account type, in the order of the file.
        streams: Instances of their provider's stream type, the short form written out, in the order of the files.
        label_names: Every key of the streams' labels, sorted.
        warnings: What is allowed and likely not meant.
        files: Every file that was read, secrets' files too, for watching.
        patterns: The patterns of `stream_files`, from the file system's root or the working directory, for watching.
        accounts_by_name: The accounts again.
    """

    scrape: Scrape = Scrape()
    accounts: tuple[Account, ...] = ()
    streams: tuple[Stream, ...] = ()
    label_names: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()
    patterns: tuple[str, ...] = ()
    accounts_by_name: Mapping[str, Account] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = MappingProxyType({account.name: account for account in self.accounts})
        object.__setattr__(self, "accounts_by_name", by_name)

    def provider_of(self, stream: Stream) -> str:
        """Return the name of the provider of a stream's account."""
        return self.accounts_by_name[stream.account].provider


def load(
    path: Path,
    providers: Mapping[str, AnyProvider],
    environ: Mapping[str, str],
    read: Read = read_file,
    choose: Choose = lambda _provider, _given: None,
) -> Config:
    """Read a configuration and everything it refers to.

    Args:
        path: The main file; what it refers to is relative to its directory.
        providers: The clouds there are, by configuration word.
        environ: The environment variables.
        read: Returns a file's bytes, or raises OSError.
        choose: Returns the source of an account's keys, if it has one; see `exporter.credentials.chooser`.

    Raises:
        ConfigErrors: With every error there is.
    """
    with _without_gc():
        return _Loading(path, providers, environ, read, choose).config()


@contextmanager
def _without_gc() -> Iterator[None]:
    """Hold the collector back: it finds nothing in a tree that only grows, and takes half of the time for it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


TOP = Keys(("scrape", "accounts", "streams", "stream_files"))


def _words(providers: Mapping[str, AnyProvider]) -> frozenset[str]:
    """Return every key that a configuration may have."""
    words = {*TOP.own, *ScrapeShape.model_fields, *TAKEN_LABELS, *SCRAPE_LABELS, "names"}
    for provider in providers.values():
        words |= {*keys_of(provider), *provider.stream.model_fields, *provider.apis()}
    return frozenset(words)


class _Loading:
    """One loading under way."""

    def __init__(
        self, path: Path, providers: Mapping[str, AnyProvider], environ: Mapping[str, str], read: Read, choose: Choose
    ) -> None:
        self.path = path
        self.contents: dict[Path, bytes] = {}
        self.patterns: list[str] = []
        self.hung = ""
        self._read = read
        self._words = _words(providers)
        self.findings = Findings(self.open(path))
        self.scrape = Scrape()
        self.accounts = Accounts(self.findings, providers, path.parent, environ, self.read, choose)
        self.streams = Streams(self.findings, providers, self.accounts)

    def config(self) -> Config:
        main = self.findings.document
        if main.readable:
            self.top(main.value)
        for document in self.findings.documents:
            self.findings.hint(document, variables(document, self.accounts.secret_keys()))
        if errors := self.findings.errors():
            raise ConfigErrors(errors)
        return Config(
            scrape=self.scrape,
            accounts=tuple(self.accounts.valid.values()),
            streams=tuple(self.streams.valid),
            label_names=self.streams.label_names(),
            warnings=tuple(self.findings.warnings()),
            files=tuple(self.contents),
            patterns=tuple(self.patterns),
        )

    def read(self, path: Path) -> bytes:
        """Read a file once, and remember that it was read."""
        if path not in self.contents:
            if self.hung:
                # One wait is enough: there may be a thousand files on a mount that hangs.
                raise TimeoutError(errno.ETIMEDOUT, f"was not read, because {self.hung} could not be read in time")
            try:
                self.contents[path] = self._read(path)
            except TimeoutError:
                self.hung = str(path)
                raise
        return self.contents[path]

    def open(self, path: Path) -> Document:
        try:
            return read_document(str(path), self.read(path), words=self._words)
        except (OSError, ValueError) as error:
            return Document(str(path), problems=[Problem(str(path), 1, 1, "document", files.problem(error))])

    def top(self, raw: Any) -> None:
        if not isinstance(raw, dict):
            self.findings.wrong((), wrong_type(raw, "a mapping"))
            return
        strangers(raw, (), self.findings.report, TOP)
        self.read_scrape(raw.get("scrape", {}))
        self.accounts.read(raw, self.scrape.max_age)
        self.streams.read(self.findings.list_of(raw.get("streams", []), ("streams",)), ("streams",))
        self.read_stream_files(self.findings.list_of(raw.get("stream_files", []), ("stream_files",)))
        self.notice_idle()
        self.notice_doubts()

    def read_scrape(self, raw: Any) -> None:
        if not isinstance(raw, dict):
            self.findings.wrong(("scrape",), wrong_type(raw, "a mapping"))
        elif (scrape := validated(ScrapeShape, raw, ("scrape",), self.findings.report)) is not None:
            self.scrape = Scrape(**scrape.model_dump())

    def read_stream_files(self, patterns: list[Any]) -> None:
        main = self.findings.document
        opened = {self.path}
        for index, pattern in enumerate(patterns):
            self.findings.document = main
            place = ("stream_files", index)
            if not isinstance(pattern, str):
                self.findings.wrong(place, wrong_type(pattern, "text"))
                continue
            for path in self.matches(pattern, place):
                if path == self.path:
                    self.findings.wrong(place, "the pattern matches the configuration itself")
                elif path not in opened:
                    opened.add(path)
                    self.read_stream_file(path)
        self.findings.document = main

    def matches(self, pattern: str, place: Place) -> list[Path]:
        directory = self.path.parent
        self.patterns.append(str(directory / pattern))
        try:
            found = [] if self.hung else files.matches(pattern, directory)
        except TimeoutError as error:
            self.hung = str(directory / pattern)
            self.findings.wrong(place, files.problem(error))
            return []
        except (OSError, ValueError):
            self.findings.wrong(place, "is not a pattern of file names")
            return []
        if not found:
            self.findings.warn(place, "the pattern matches no file")
        return [directory / name for name in found]

    def read_stream_file(self, path: Path) -> None:
        self.findings.enter(self.open(path))
        if self.findings.document.readable:
            self.streams.read(self.findings.list_of(self.findings.document.value, ()), ())

    def notice_doubts(self) -> None:
        """Pass on the providers' warnings; only accounts and streams without errors are looked at."""
        streams: dict[str, list[Stream]] = {}
        for stream in self.streams.valid:
            streams.setdefault(stream.account, []).append(stream)
        for name, account in self.accounts.valid.items():
            provider, place = self.accounts.owners[name]
            if provider is not None:
                for doubt in provider.doubts(account, streams.get(name, [])):
                    hint = suggestion(getattr(account, doubt.field), doubt.options)
                    self.findings.warn((*place, doubt.field), doubt.message + hint)

    def notice_idle(self) -> None:
        used = {stream.account for stream in self.streams.valid}
        if not self.streams.valid:
            self.findings.warn((), "no stream is watched")
            return
        for name, (_, place) in self.accounts.owners.items():
            if name not in used:
                self.findings.warn((*place, "name"), "no stream is watched through this account")
