"""One table of all metrics; what is known → the text that Prometheus reads.

Families with a sample per stream are joined from strings, because the client library's path costs too much for
thousands of streams. Everything small goes through prometheus_client, and both go out as one document.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from zlib_ng import zlib_ng

from exporter import __version__
from exporter.model import Answer, State, Stream
from exporter.providers import told
from exporter.providers.reading import printable
from exporter.state.board import Board, Key
from exporter.state.counters import Tally

P: Final = ("provider", "stream")
A: Final = ("provider", "account")
SLICE: Final = 1000  # streams rendered before the event loop gets its turn
GZIP_LEVEL: Final = 2  # of zlib-ng: a thirtieth of gzip -9's time at a fifth more bytes


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of the public face."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


class Row(NamedTuple):
    """What one stream shows in one scrape, read at one moment; `labels` is `provider="…",stream="…"`, escaped."""

    labels: str
    state: State
    answer: Answer | None
    succeeded: bool
    answered: float
    changes: int
    stream: Stream
    key: Key


Lines = Iterator[str]
Render = Callable[[str, Sequence[Row]], Lines]
_STATES: Final = tuple(State)


def _active(name: str, rows: Sequence[Row]) -> Lines:
    live, unknown = State.ACTIVE, State.UNKNOWN
    return (
        f"{name}{{{row.labels}}} {'1.0' if row.state is live else '0.0'}\n" for row in rows if row.state is not unknown
    )


def _state(name: str, rows: Sequence[Row]) -> Lines:
    for row in rows:
        head, shown = f"{name}{{{row.labels},state=", row.state
        yield "".join([f'{head}"{state}"}} {"1.0" if state is shown else "0.0"}\n' for state in _STATES])


def _success(name: str, rows: Sequence[Row]) -> Lines:
    return (f"{name}{{{row.labels}}} {'1.0' if row.succeeded else '0.0'}\n" for row in rows)


def _last_success(name: str, rows: Sequence[Row]) -> Lines:
    return (f"{name}{{{row.labels}}} {row.answered!r}\n" for row in rows if row.answer is not None)


def _changes(name: str, rows: Sequence[Row]) -> Lines:
    return (f"{name}{{{row.labels}}} {row.changes}.0\n" for row in rows)


def _known(rows: Sequence[Row]) -> Iterator[tuple[Row, Answer]]:
    """Return the rows whose answer stands."""
    return ((row, row.answer) for row in rows if row.answer is not None and row.state is not State.UNKNOWN)


def _media(name: str, rows: Sequence[Row]) -> Lines:
    for row, answer in _known(rows):
        for media, on in answer.media:
            yield f'{name}{{{row.labels},media="{escape(media)}"}} {"1.0" if on else "0.0"}\n'


def _inputs(name: str, rows: Sequence[Row]) -> Lines:
    for row, answer in _known(rows):
        if answer.inputs is not None:
            yield f"{name}{{{row.labels}}} {len(answer.inputs)}.0\n"


def _expected(name: str, rows: Sequence[Row]) -> Lines:
    for row in rows:
        expected = row.stream.expected_inputs
        if expected is not None:
            yield f"{name}{{{row.labels}}} {expected}.0\n"


def _primary(name: str, rows: Sequence[Row]) -> Lines:
    for row, answer in _known(rows):
        primaries = {
            f'domain="{escape(printable(one.domain))}",app="{escape(printable(one.app))}",source="{one.source}"'
            for one in answer.inputs or ()
            if one.primary
        }
        for primary in sorted(primaries):
            yield f"{name}{{{row.labels},{primary}}} 1.0\n"


def _started(name: str, rows: Sequence[Row]) -> Lines:
    for row, answer in _known(rows):
        if answer.started is not None and row.state is State.ACTIVE:
            yield f"{name}{{{row.labels}}} {answer.started!r}\n"


def _ingest(name: str, rows: Sequence[Row]) -> Lines:
    for row, answer in _known(rows):
        if answer.ingest is not None:
            yield f'{name}{{{row.labels},type="{answer.ingest}"}} 1.0\n'


INFO: Final = Family("stream_info", "gauge", (*P, "account"), "1 for each watched stream, with its configured labels.")

STREAM_FAMILIES: Final[tuple[tuple[Family, Render], ...]] = (
    (
        Family(
            "stream_active",
            "gauge",
            P,
            "1 live, 0 definitely not live; absent while nobody knows "
            f"({told('stream_state')}, or a list of streams online).",
        ),
        _active,
    ),
    (
        Family(
            "stream_state",
            "gauge",
            (*P, "state"),
            f"1 for the state of the stream, 0 for the other four ({told('stream_state')}).",
        ),
        _state,
    ),
    (
        Family(
            "stream_probe_success",
            "gauge",
            P,
            "1 if the last finished attempt got a definite answer from the provider's API, else 0.",
        ),
        _success,
    ),
    (
        Family(
            "stream_last_success_timestamp_seconds",
            "gauge",
            P,
            "When the last definite answer of the provider's API came, in Unix time.",
        ),
        _last_success,
    ),
    (
        Family(
            "stream_state_changes_total",
            "counter",
            P,
            "Changes between definite states that the provider's API told since the exporter started.",
        ),
        _changes,
    ),
    (
        Family(
            "stream_media_active",
            "gauge",
            (*P, "media"),
            f"1 for each media type being published ({told('stream_media_active')}).",
        ),
        _media,
    ),
    (
        Family("stream_inputs", "gauge", P, f"Inputs being pushed ({told('stream_inputs')})."),
        _inputs,
    ),
    (
        Family("stream_inputs_expected", "gauge", P, "Inputs that the configuration expects."),
        _expected,
    ),
    (
        Family(
            "stream_primary_input_info",
            "gauge",
            (*P, "domain", "app", "source"),
            f"1 for the input that serves as master ({told('stream_primary_input_info')}).",
        ),
        _primary,
    ),
    (
        Family(
            "stream_start_timestamp_seconds",
            "gauge",
            P,
            f"When the present push began, in Unix time ({told('stream_start_timestamp_seconds')}).",
        ),
        _started,
    ),
    (
        Family(
            "stream_ingest_info",
            "gauge",
            (*P, "type"),
            f"1 for the way the stream comes in, push or pull ({told('stream_ingest_info')}).",
        ),
        _ingest,
    ),
)

CALLBACK_FAMILIES: Final = (
    Family("stream_last_callback_timestamp_seconds", "gauge", P, "When the last callback was accepted, in Unix time."),
    Family("stream_pushes_ended_total", "counter", (*P, "reason"), "Ends of pushes that callbacks told, by reason."),
)

ACCOUNT_FAMILIES: Final = (
    Family(
        "stream_probe_errors_total",
        "counter",
        (*A, "code", "reason"),
        "Failed attempts by the provider's error code; local failures have their reason as code.",
    ),
    Family(
        "stream_provider_responses_total",
        "counter",
        (*A, "action", "code"),
        "Answers of the provider by API action and code, definite ones too.",
    ),
    Family(
        "stream_provider_request_duration_seconds",
        "histogram",
        (*A, "action"),
        "How long calls of the API action took that were answered or failed.",
    ),
    Family(
        "stream_provider_up",
        "gauge",
        A,
        "1 if the last round got at least one definite answer from the account, 0 if it tried and got none.",
    ),
    Family(
        "stream_provider_quota_per_second",
        "gauge",
        (*A, "action"),
        "Calls per second that the exporter allows itself for the API action; less after throttling.",
    ),
    Family(
        "stream_provider_clock_skew_seconds",
        "gauge",
        A,
        "The provider's Date header minus the exporter's clock.",
    ),
    Family("stream_provider_breaker_open", "gauge", A, "1 while calls are held back after repeated failures, else 0."),
    Family("stream_streams", "gauge", A, "Watched streams."),
    Family("stream_round_duration_seconds", "gauge", A, "How long the account's last round took."),
    Family(
        "stream_round_unprobed",
        "gauge",
        (*A, "why"),
        "Streams whose turn did not come in the last round: quota, deadline or breaker.",
    ),
    Family(
        "stream_callbacks_total",
        "counter",
        (*A, "event", "outcome"),
        "Callbacks received, by event and what became of them.",
    ),
)

EXPORTER_FAMILIES: Final = (
    Family("stream_exporter_build_info", "gauge", ("version", "python"), "1, with the exporter's version."),
    Family(
        "stream_exporter_config_last_reload_successful",
        "gauge",
        (),
        "1 if the configuration in force is the one last read, 0 if that one was refused.",
    ),
    Family(
        "stream_exporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "When the configuration in force was read, in Unix time.",
    ),
    Family(
        "stream_exporter_log_lines_dropped_total",
        "counter",
        (),
        "Lines of the log that were dropped because nobody reads it, or because it cannot be written.",
    ),
)

FAMILIES: Final = (
    *(family for family, _ in STREAM_FAMILIES[:5]),
    INFO,
    *(family for family, _ in STREAM_FAMILIES[5:]),
    *CALLBACK_FAMILIES,
    *ACCOUNT_FAMILIES,
    *EXPORTER_FAMILIES,
)

_BY_NAME: Final = {family.name: family for family in FAMILIES}


class AccountFigures(Protocol):
    """What is shown of every account, on the page as in the exposition."""

    @property
    def up(self) -> bool | None:
        """Whether the last round got a definite answer; None before the first."""
        ...

    @property
    def round_seconds(self) -> float | None:
        """How long the last round took."""
        ...

    @property
    def unprobed(self) -> Mapping[str, int]:
        """Streams whose turn did not come in the last round, by why."""
        ...

    @property
    def held_back(self) -> bool:
        """Whether the breaker is open."""
        ...

    def kept(self) -> dict[str, float]:
        """Return the calls per second allowed now, by action."""
        ...


class AccountView(AccountFigures, Protocol):
    """What the exposition reads of an account."""

    @property
    def names(self) -> tuple[str, str]:
        """Provider and account."""
        ...

    @property
    def size(self) -> int:
        """How many streams are watched."""
        ...


@dataclass(slots=True)
class Source:
    """Where samples come from.

    Attributes:
        board: What is known of each stream.
        tally: Counters.
        accounts: The accounts.
        label_names: Keys of the labels configured on streams.
        reload_ok: Whether the configuration last read is in force.
        reloaded: Unix seconds at which the configuration in force was read.
        dropped: Returns how many lines of the log were dropped.
    """

    board: Board
    tally: Tally
    accounts: Callable[[], Iterable[AccountView]]
    label_names: tuple[str, ...] = ()
    reload_ok: bool = True
    reloaded: float = 0.0
    dropped: Callable[[], int] = int


class Scope(NamedTuple):
    """A part of what is watched: (provider, account) and keys of streams."""

    account: tuple[str, str]
    streams: frozenset[Key]


class Exposition:
    """Renders what a source knows; label sets are rendered once per configuration."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._labels: dict[Key, str] = {}
        self._info: dict[Key, str] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Small(source, None))

    def forget(self) -> None:
        """Drop rendered label sets: the configuration has changed."""
        self._labels.clear()
        self._info.clear()

    def render(self, mono: float, openmetrics: bool, only: Scope | None = None) -> Iterator[bytes]:
        """Yield the document in slices, so that the event loop may run between them.

        What is known is read before the first slice, so that all of them tell of one moment.

        Args:
            mono: Monotonic seconds, by which answers are too old or not.
            openmetrics: OpenMetrics, else Prometheus's text format.
            only: One account and the streams to show; None for everything.
        """
        rows = self._rows(mono, only)
        callbacks = self._callbacks(rows)
        for family, render in STREAM_FAMILIES:
            yield from _family(family, render, rows, openmetrics)
            if family.name == "stream_state_changes_total":
                yield from _family(INFO, self._info_lines, rows, openmetrics)
        yield callbacks(openmetrics)
        yield self._rest(openmetrics, only)

    def expires(self) -> float:
        """Return the monotonic seconds at which the first answer shown grows too old."""
        answered = (record.answered_mono for record in self.source.board if record.shown is not State.UNKNOWN)
        return min(answered, default=float("inf")) + self.source.board.max_age

    def _rest(self, openmetrics: bool, only: Scope | None) -> bytes:
        registry = self._registry
        if only is not None:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Small(self.source, only.account))
        encode, _ = choose_encoder(OPENMETRICS if openmetrics else TEXT)
        return encode(registry)

    def _rows(self, mono: float, only: Scope | None) -> list[Row]:
        max_age, labels = self.source.board.max_age, self._labels
        rows: list[Row] = []
        for record in self.source.board:
            if only is not None and record.key not in only.streams:
                continue
            text = labels.get(record.key)
            if text is None:
                provider, stream = record.key
                text = labels[record.key] = f'provider="{escape(provider)}",stream="{escape(stream)}"'
            state = record.state(mono, max_age)
            rows.append(
                Row(
                    text,
                    state,
                    record.answer,
                    record.succeeded,
                    record.answered,
                    record.changes,
                    record.stream,
                    record.key,
                )
            )
        return rows

    def _info_lines(self, name: str, rows: Sequence[Row]) -> Lines:
        for row in rows:
            extra = self._info.get(row.key)
            if extra is None:
                pairs = [("account", row.stream.account)]
                pairs += [(label, row.stream.labels.get(label, "")) for label in self.source.label_names]
                extra = self._info[row.key] = ",".join(f'{label}="{escape(value)}"' for label, value in pairs)
            yield f"{name}{{{row.labels},{extra}}} 1.0\n"

    def _callbacks(self, rows: Sequence[Row]) -> Callable[[bool], bytes]:
        """Return the families that only streams with callbacks have."""
        tally = self.source.tally
        shown = {row.key: row.labels for row in rows} if tally.last_callback or tally.ended else {}

        def render(openmetrics: bool) -> bytes:
            last, ended = CALLBACK_FAMILIES
            lines = [_head(last, openmetrics)]
            lines += [
                f"{last.name}{{{shown[key]}}} {when!r}\n" for key, when in tally.last_callback.items() if key in shown
            ]
            lines.append(_head(ended, openmetrics))
            lines += [
                f'{ended.name}{{{shown[provider, stream]},reason="{reason}"}} {count}.0\n'
                for (provider, stream, reason), count in tally.ended.items()
                if (provider, stream) in shown
            ]
            return "".join(lines).encode()

        return render


def _family(family: Family, render: Render, rows: Sequence[Row], openmetrics: bool) -> Iterator[bytes]:
    yield _head(family, openmetrics).encode()
    for start in range(0, len(rows), SLICE):
        yield "".join(render(family.name, rows[start : start + SLICE])).encode()


def _head(family: Family, openmetrics: bool) -> str:
    name = family.name.removesuffix("_total") if openmetrics and family.kind == "counter" else family.name
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"


def escape(value: str) -> str:
    """Escape a label value for both text formats."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
TEXT: Final = "text/plain; version=0.0.4"


def negotiate(accept: str) -> tuple[bool, str]:
    """Choose the format by an Accept header: (OpenMetrics or not, Content-Type). Odd headers get plain text."""
    try:
        _, content_type = choose_encoder(accept)
    except Exception:
        content_type = ""
    if content_type.startswith("application/openmetrics-text"):
        return True, choose_encoder(OPENMETRICS)[1]
    return False, choose_encoder(TEXT)[1]


class Compressor:
    """Compresses a document slice by slice, in the gzip format."""

    def __init__(self) -> None:
        self._deflate = zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, 31)

    def add(self, part: bytes) -> bytes:
        """Take a slice; return what is ready."""
        return self._deflate.compress(part)

    def end(self) -> bytes:
        """Return the remainder."""
        return self._deflate.flush()


class _Small(Collector):
    """The families with a sample per account or fewer, of all accounts or of one."""

    def __init__(self, source: Source, account: tuple[str, str] | None) -> None:
        self._source = source
        self._account = account

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        tally = self._source.tally
        yield self._counter("stream_probe_errors_total", tally.errors)
        yield self._counter("stream_provider_responses_total", tally.responses)
        yield self._durations()
        yield from self._of_accounts()
        yield self._gauge("stream_provider_clock_skew_seconds", tally.skew.items())
        yield self._counter("stream_callbacks_total", tally.callbacks)
        if self._account is None:
            yield from self._exporter()

    def _durations(self) -> Metric:
        family = _BY_NAME["stream_provider_request_duration_seconds"]
        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for key, histogram in self._source.tally.durations.items():
            if self._shown(key):
                metric.add_metric(list(key), histogram.cumulative(), histogram.total)
        return metric

    def _of_accounts(self) -> Iterator[Metric]:
        accounts = list(self._source.accounts())
        gauge = self._gauge
        yield gauge("stream_provider_up", ((one.names, float(one.up)) for one in accounts if one.up is not None))
        yield gauge(
            "stream_provider_quota_per_second",
            (((*one.names, action), rate) for one in accounts for action, rate in one.kept().items()),
        )
        yield gauge("stream_provider_breaker_open", ((one.names, float(one.held_back)) for one in accounts))
        yield gauge("stream_streams", ((one.names, float(one.size)) for one in accounts))
        yield gauge(
            "stream_round_duration_seconds",
            ((one.names, one.round_seconds) for one in accounts if one.round_seconds is not None),
        )
        yield gauge(
            "stream_round_unprobed",
            (((*one.names, why), float(count)) for one in accounts for why, count in one.unprobed.items()),
        )

    def _exporter(self) -> Iterator[Metric]:
        source = self._source
        version = (__version__, platform.python_version())
        yield self._gauge("stream_exporter_build_info", [(version, 1.0)])
        yield self._gauge("stream_exporter_config_last_reload_successful", [((), float(source.reload_ok))])
        yield self._gauge("stream_exporter_config_last_reload_success_timestamp_seconds", [((), source.reloaded)])
        yield self._counter("stream_exporter_log_lines_dropped_total", {(): source.dropped()})

    def _shown(self, labels: tuple[str, ...]) -> bool:
        return self._account is None or labels[:2] == self._account

    def _gauge(self, name: str, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        family = _BY_NAME[name]
        metric = GaugeMetricFamily(name, family.help, labels=family.labels)
        for labels, value in samples:
            if self._shown(labels):
                metric.add_metric(labels, value)
        return metric

    def _counter(self, name: str, counts: Mapping[Any, int]) -> Metric:
        family = _BY_NAME[name]
        metric = CounterMetricFamily(name, family.help, labels=family.labels)
        for labels, count in counts.items():
            if self._shown(labels):
                metric.add_metric(labels, count)
        return metric
