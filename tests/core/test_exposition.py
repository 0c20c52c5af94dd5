"""The exposition: one table of metrics, and what is known as a document that both parsers take."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.addresses import PlaybackAddress
from exporter.exposition import FAMILIES, Compressor, Exposition, Scope, Source, negotiate
from exporter.exposition.accounts import SMALL_FAMILIES, _exporter_samples, _samples, small_slices
from exporter.exposition.streams import SLICE, escape
from exporter.fields import Secret
from exporter.model import Answer, Fault, Figures, Input, Reason, State, Stream
from exporter.providers import all_providers
from exporter.rounds.health import Health
from exporter.schedule import ALWAYS, NEVER, Expectations
from exporter.state.board import Board
from exporter.state.counters import BUCKETS, Counters
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Instant, Record, Row

# The table of metrics of the public face: name, type, labels. P is provider and stream, A is provider and account.
CONTRACT = """
stream_active | gauge | P
stream_state | gauge | P, state
stream_probe_success | gauge | P
stream_last_success_timestamp_seconds | gauge | P
stream_state_changes_total | counter | P
stream_info | gauge | P, account
stream_expected | gauge | P
stream_media_active | gauge | P, media
stream_media_expected | gauge | P, media
stream_inputs | gauge | P
stream_inputs_expected | gauge | P
stream_primary_input_info | gauge | P, domain, app, source
stream_start_timestamp_seconds | gauge | P
stream_ingest_info | gauge | P, type
stream_ingest_bits_per_second | gauge | P, media
stream_ingest_frames_per_second | gauge | P
stream_ingest_width_pixels | gauge | P
stream_ingest_height_pixels | gauge | P
stream_ingest_stalled | gauge | P
stream_probe_errors_total | counter | A, code, reason
stream_provider_responses_total | counter | A, action, code
stream_provider_request_duration_seconds | histogram | A, action
stream_provider_up | gauge | A
stream_provider_quota_per_second | gauge | A, action
stream_provider_clock_skew_seconds | gauge | A
stream_provider_breaker_open | gauge | A
stream_streams | gauge | A
stream_provider_listed_streams | gauge | A, scope
stream_round_duration_seconds | gauge | A
stream_round_unprobed | gauge | A, why
stream_callbacks_total | counter | A, event, outcome
stream_last_callback_timestamp_seconds | gauge | P
stream_pushes_ended_total | counter | P, reason
stream_playback_up | gauge | P, playback
stream_playback_segment_age_seconds | gauge | P, playback
stream_playback_first_byte_seconds | gauge | P, playback
stream_playback_errors_total | counter | P, playback, reason
stream_playback_bytes_total | counter | A
stream_hop_disagreement | gauge | P
stream_exporter_build_info | gauge | version, python
stream_exporter_config_last_reload_successful | gauge |
stream_exporter_config_last_reload_success_timestamp_seconds | gauge |
stream_exporter_log_lines_dropped_total | counter |
stream_exporter_store_up | gauge |
stream_exporter_replicas | gauge |
"""
KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
SHORT = {"P": ["provider", "stream"], "A": ["provider", "account"]}
EPOCH = 1_800_000_000.0
OFF_AIR = ("tencent", "forbidden")
LIVE = Expectations().at(0.0).of(("any", "stream"))
AWKWARD = 'q"uo\\te\\n\nline 直播😀 مباشر {a="b"}\\'


def contract() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return type and labels of each metric of the table."""
    rows = ([cell.strip() for cell in line.split("|")] for line in CONTRACT.strip().splitlines())
    return {
        name: (kind, tuple(label for word in labels.split(", ") if word for label in SHORT.get(word, [word])))
        for name, kind, labels in rows
    }


@dataclass
class AccountOf:
    """What the exposition reads of an account."""

    names: tuple[str, str]
    health: Health = field(default_factory=lambda: Health(up=True, round_seconds=0.25, unprobed={"quota": 1}))
    streams: tuple[None, ...] = (None,) * 3

    def allowed_rates(self) -> dict[str, float]:
        """Return the rates."""
        return {"Action": 12.5}

    def listed_rows(self) -> dict[str, int]:
        """Return the rows of the last lists."""
        return {AWKWARD: 7}


def at(mono: float) -> Instant:
    """Return a time on both clocks."""
    return Instant(EPOCH + mono, mono)


def volcengine(name: str = "user") -> Stream:
    """Return a stream of Volcengine's."""
    fields = {"room_id": "r", "labels": {"team": "x"}, "media_expected": ["video", "audio"]}
    made: Stream = all_providers()["volcengine"].stream(name=name, account="vol", **fields)
    return made


def tencent(name: str, **fields: Any) -> Stream:
    """Return a stream of Tencent's."""
    made: Stream = all_providers()["tencent"].stream(**{"name": name, "account": AWKWARD, "domain": "d", **fields})
    return made


INPUTS = (Input("push.example", 'a"pp', "push", primary=True), Input("spare.example", "live", "pull", primary=False))

FIGURES = Figures((("video", 2.5e6), ('a"udio', 64000.5)), frames=25.0, stalled=False)
PICTURE = Figures(width=1280, height=720, stalled=True)

ADDRESSES = tuple(
    PlaybackAddress(name, Secret(f"https://play.example/{number}?token=t"), "https://play.example", ())
    for number, name in enumerate((AWKWARD, "cdn-b", "new"))
)


def full() -> Source:
    """Return a source in which every family has samples, and one of each state of knowledge."""
    board, counters = Board(60), Counters()
    board.expectations = Expectations((ALWAYS, NEVER), {OFF_AIR: 1})
    watched = [
        ("tencent", tencent(AWKWARD, inputs=2, labels={"team": AWKWARD}, playback=ADDRESSES)),
        ("tencent", tencent("forbidden")),
        ("tencent", tencent("failed")),
        ("tencent", tencent("old")),
        ("tencent", tencent("new")),
        ("volcengine", volcengine()),
        ("alibaba", all_providers()["alibaba"].stream(name="pulled", account="ali", domain="d", app="a")),
    ]
    board.watch(watched, 60)
    one = dict(zip(("live", "forbidden", "failed", "old", "new", "user", "pulled"), board, strict=True))
    board.answered(one["live"], Answer(State.INACTIVE), "Action", at(80))
    board.answered(one["live"], Answer(State.ACTIVE, started=1530298800.5, inputs=INPUTS), "Action", at(90))
    board.answered(one["forbidden"], Answer(State.FORBIDDEN, started=5.0), "Action", at(91))
    board.answered(one["failed"], Answer(State.ACTIVE, started=5.0, inputs=INPUTS), "Action", at(92))
    board.failed(one["failed"], Fault(Reason.TIMEOUT, "timeout"), at(93))
    board.answered(one["old"], Answer(State.ACTIVE), "Action", at(1))
    board.answered(one["user"], Answer(State.INACTIVE, media=(("audio", False), ("video", True))), "Action", at(94))
    board.answered(one["pulled"], Answer(State.ACTIVE, ingest="pull", figures=PICTURE), "Action", at(95))
    board.figured(one["live"], FIGURES, at(97), 101.0)
    board.figured(one["pulled"], FIGURES._replace(stalled=None), at(97), 101.0)
    board.played(one["live"], ADDRESSES[0], PlaybackCheck(False, "it stands still", None, 3.25, 0.125), at(80))
    board.played(one["live"], ADDRESSES[1], PlaybackCheck(None, "no answer", Reason.TIMEOUT), at(80))
    counters.playback_errors["tencent", AWKWARD, "cdn-b", "timeout"] = 5
    counters.playback_bytes["tencent", AWKWARD] = 4096
    counters.errors["tencent", AWKWARD, "timeout", "timeout"] = 3
    counters.responses["tencent", AWKWARD, "Action", "ok"] = 12345678901234567890
    for seconds in (0.001, 0.005, 0.3, 99.0):
        counters.durations["tencent", AWKWARD, "Action"].observe(seconds)
    counters.skew["tencent", AWKWARD] = -0.75
    counters.callbacks["tencent", AWKWARD, "push_begin", "accepted"] = 2
    counters.last_callback["tencent", AWKWARD] = EPOCH + 0.123456
    counters.push_ends["tencent", AWKWARD, "network"] = 4
    accounts: list[Any] = [AccountOf(("tencent", AWKWARD)), AccountOf(("volcengine", "vol"), Health())]
    return Source(board, counters, lambda: accounts, ("team",), reloaded=EPOCH, store=lambda: (True, 2, ""))


def render(source: Source, openmetrics: bool = False, only: Scope | None = None, mono: float = 100.0) -> str:
    """Return a document."""
    return b"".join(Exposition(source).render(at(mono), openmetrics, only)).decode()


def families(document: str, openmetrics: bool = False) -> list[Metric]:
    """Parse a document, but for what tells of the process itself."""
    parsed = (parse_openmetrics if openmetrics else parse_text)(document)
    return [family for family in parsed if not family.name.startswith(("process_", "python_"))]


def samples(metrics: Iterable[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return each sample's value, without the time stamps at which counters were made."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


EVERY = pytest.mark.parametrize("openmetrics", [False, True])


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_is_that_of_the_public_face() -> None:
    """Every metric of the contract is there once with its type and labels, and no other is."""
    assert {family.name: (family.kind, family.labels) for family in FAMILIES} == contract()
    assert len(FAMILIES) == len(contract())
    assert all(family.help and "\n" not in family.help and "\\" not in family.help for family in FAMILIES)


@EVERY
def test_the_document_has_the_families_of_the_table_with_their_labels(openmetrics: bool) -> None:
    """Where everything is known, each family has samples, under its own type and labels."""
    shown = families(render(full(), openmetrics), openmetrics)
    told = {family.name + "_total" * (family.type == "counter"): family for family in shown}
    assert set(told) == set(contract())
    for name, (kind, labels) in contract().items():
        assert told[name].type == kind
        assert told[name].samples, name
        extra = {"team"} if name == "stream_info" else {"le"} if kind == "histogram" else set()
        assert all(set(sample.labels) - extra == set(labels) for sample in told[name].samples)


@EVERY
def test_each_family_stands_once_with_help_and_type(openmetrics: bool) -> None:
    """No family is begun twice, and each sample stands under its own."""
    lines = render(full(), openmetrics).splitlines()
    begun = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(begun)) == len(begun)
    assert begun == [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert ("# EOF" in lines) is openmetrics
    present = ""
    for line in lines:
        present = line.split()[2] if line.startswith("# TYPE") else present
        assert line.startswith(("#", present))


def test_the_document_ends_as_the_format_wants() -> None:
    """A last line is a whole line, and OpenMetrics says that it is the last."""
    assert render(full()).endswith("\n")
    assert render(full(), openmetrics=True).endswith("# EOF\n")


# --- equality with the client library ---------------------------------------------------------------------------------


class Twin:
    """The same stream families, made by the client library from the same board."""

    def __init__(self, source: Source, mono: float) -> None:
        self.source, self.mono = source, mono

    def collect(self) -> Iterator[Metric]:
        """Yield the families that the exposition joins from strings."""
        made = {family.name: _metric(family.name, family.kind, family.help, family.labels) for family in FAMILIES}
        made["stream_info"] = _metric(
            "stream_info", "gauge", "", (*made["stream_info"].labels, *self.source.label_names)
        )
        for record in self.source.board:
            for name, extra, value in self._samples(record):
                made[name].add([*record.key, *extra], value)
        yield from (one.metric for one in made.values() if one.metric.samples)

    def _samples(self, record: Record) -> Iterator[tuple[str, tuple[str, ...], float]]:
        state, answer = record.state(self.mono, self.source.board.max_age), record.answer
        yield "stream_probe_success", (), float(record.succeeded)
        yield "stream_expected", (), float(record.key != OFF_AIR)
        yield "stream_state_changes_total", (), record.changes
        labels = tuple(record.stream.labels.get(name, "") for name in self.source.label_names)
        yield "stream_info", (record.stream.account, *labels), 1
        yield from (("stream_state", (str(each),), float(each is state)) for each in State)
        if expected := getattr(record.stream, "inputs", None):
            yield "stream_inputs_expected", (), expected
        yield from (("stream_media_expected", (media,), 1) for media in getattr(record.stream, "media_expected", ()))
        yield from _viewed(next(self.source.board.rows(at(self.mono), [record.key])))
        if (told := record.row(self.mono, self.source.board.max_age, LIVE).figures) is not None:
            yield from _figures(told)
        if answer is not None:
            yield "stream_last_success_timestamp_seconds", (), record.answered
            if state is not State.UNKNOWN:
                yield "stream_active", (), float(state is State.ACTIVE)
                yield from _details(answer, state)
        if (when := self.source.counters.last_callback.get(record.key)) is not None:
            yield "stream_last_callback_timestamp_seconds", (), when
        for (provider, stream, reason), count in self.source.counters.push_ends.items():
            if (provider, stream) == record.key:
                yield "stream_pushes_ended_total", (reason,), count
        for (*key, name, reason), count in self.source.counters.playback_errors.items():
            if tuple(key) == record.key:
                yield "stream_playback_errors_total", (name, reason), count


def _viewed(row: Row) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for name, check, *_ in row.playback:
        told = () if check is None else (check.up, check.age, check.first_byte)
        for what, value in zip(("up", "segment_age_seconds", "first_byte_seconds"), told, strict=False):
            if value is not None:
                yield f"stream_playback_{what}", (name,), float(value)
    if row.hop_disagreement is not None:
        yield "stream_hop_disagreement", (), float(row.hop_disagreement)


def _details(answer: Answer, state: State) -> Iterator[tuple[str, tuple[str, ...], float]]:
    yield from (("stream_media_active", (media,), float(on)) for media, on in answer.media)
    if answer.inputs is not None:
        yield "stream_inputs", (), len(answer.inputs)
        for one in answer.inputs:
            if one.primary:
                yield "stream_primary_input_info", (one.domain, one.app, one.source), 1
    if answer.started is not None and state is State.ACTIVE:
        yield "stream_start_timestamp_seconds", (), answer.started
    if answer.ingest:
        yield "stream_ingest_info", (answer.ingest,), 1


def _figures(told: Figures) -> Iterator[tuple[str, tuple[str, ...], float]]:
    yield from (("stream_ingest_bits_per_second", (media,), rate) for media, rate in told.bits)
    plain = {"frames_per_second": told.frames, "width_pixels": told.width, "height_pixels": told.height}
    shown = {**plain, "stalled": told.stalled}
    yield from ((f"stream_ingest_{name}", (), float(value)) for name, value in shown.items() if value is not None)


@dataclass
class _Made:
    metric: CounterMetricFamily | GaugeMetricFamily
    labels: tuple[str, ...]

    def add(self, labels: list[str], value: float) -> None:
        self.metric.add_metric(labels, value)


def _metric(name: str, kind: str, text: str, labels: tuple[str, ...]) -> _Made:
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    return _Made(make(name, text, labels=labels), labels)


JOINED = [name for name, (_, labels) in contract().items() if "stream" in labels]


@EVERY
def test_joined_strings_are_what_the_client_library_writes(openmetrics: bool) -> None:
    """Our fast path and the client library's slow one give the same samples."""
    source = full()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Twin(source, 100.0))
    generate = generate_openmetrics if openmetrics else generate_latest
    theirs, ours = generate(registry).decode(), render(source, openmetrics)
    wanted = {key: value for key, value in samples(families(theirs, openmetrics)).items() if key[0] in JOINED}
    shown = {key: value for key, value in samples(families(ours, openmetrics)).items() if key[0] in JOINED}
    assert shown == wanted
    assert len(shown) > 60


class SmallTwin:
    """The families of callbacks, accounts and the exporter, made by the client library from the same counters."""

    def __init__(self, source: Source) -> None:
        self.samples = {**_samples(source), **_exporter_samples(source)}

    def collect(self) -> Iterator[Metric]:
        """Yield the families, those without samples too."""
        for family in SMALL_FAMILIES:
            made: Any = KINDS[family.kind](family.name, family.help, labels=family.labels)
            for labels, value in self.samples[family.name]:
                made.add_metric(
                    labels, *((value.cumulative(), value.total) if family.kind == "histogram" else (value,))
                )
            yield made


@EVERY
def test_small_families_are_what_the_client_library_writes(openmetrics: bool) -> None:
    """Line by line the same: heads, names, escapes, numbers but for how they are written, and an account's labels."""
    source = full()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SmallTwin(source))
    theirs = (generate_openmetrics if openmetrics else generate_latest)(registry).decode().splitlines()
    ours = b"".join(small_slices(source, openmetrics, None, None)).decode().splitlines()
    assert len(ours) > 60
    for mine, other in zip(ours, [line for line in theirs if line != "# EOF"], strict=True):
        (name, number), (their_name, their_number) = mine.rsplit(" ", 1), other.rsplit(" ", 1)
        assert name == their_name or (
            name.startswith(("stream_pushes_ended", "stream_playback_errors")) and sorted(name) == sorted(their_name)
        )
        assert number == their_number or float(number) == float(their_number)


@EVERY
def test_both_formats_say_the_same(openmetrics: bool) -> None:
    """Whoever asks in another format gets the same values."""
    source = full()
    assert samples(families(render(source, openmetrics), openmetrics)) == samples(families(render(source)))


def test_the_small_families_show_the_counters() -> None:
    """Counters, histogram and gauges of the accounts are what was counted; what is not known has no sample."""
    shown = samples(families(render(full())))
    account = {("provider", "tencent"), ("account", AWKWARD)}
    other = {("provider", "volcengine"), ("account", "vol")}
    assert shown["stream_probe_errors_total", frozenset(account | {("code", "timeout"), ("reason", "timeout")})] == 3
    duration = "stream_provider_request_duration_seconds"
    action = account | {("action", "Action")}
    assert shown[f"{duration}_count", frozenset(action)] == 4
    assert shown[f"{duration}_sum", frozenset(action)] == pytest.approx(99.306)
    buckets = [shown[f"{duration}_bucket", frozenset(action | {("le", str(bound))})] for bound in (*BUCKETS, "+Inf")]
    assert buckets == [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4]
    assert shown["stream_provider_clock_skew_seconds", frozenset(account)] == -0.75
    assert shown["stream_provider_up", frozenset(account)] == 1
    assert ("stream_provider_up", frozenset(other)) not in shown
    assert ("stream_round_duration_seconds", frozenset(other)) not in shown
    assert shown["stream_provider_quota_per_second", frozenset(action)] == 12.5
    assert shown["stream_round_unprobed", frozenset(account | {("why", "quota")})] == 1


# --- what is shown when -----------------------------------------------------------------------------------------------


def test_what_nobody_knows_is_absent_and_never_zero() -> None:
    """Failed, outdated and new streams have their rows of state and success, and no value at all."""
    shown = samples(families(render(full())))
    for name, ever in (("failed", True), ("old", True), ("new", False)):
        key = frozenset({("provider", "tencent"), ("stream", name)})
        of_it = {metric for metric, labels in shown if ("stream", name) in labels}
        always = {
            "stream_expected",
            "stream_state",
            "stream_probe_success",
            "stream_state_changes_total",
            "stream_info",
        }
        assert of_it == always | ({"stream_last_success_timestamp_seconds"} if ever else set())
        assert shown["stream_state", key | {("state", "unknown")}] == 1
        assert shown["stream_probe_success", key] == (name == "old")


def test_an_answer_leaves_the_document_when_it_grows_too_old() -> None:
    """The same board shows an answer at `max_age` and not a moment later; `expires` tells when that is."""
    source = full()
    assert source.board.expires() == 61
    key = ("stream_active", frozenset({("provider", "tencent"), ("stream", "old")}))
    assert samples(families(render(source, mono=61.0)))[key] == 1
    assert key not in samples(families(render(source, mono=61.001)))


def test_a_part_shows_one_account_and_its_streams_and_nothing_else() -> None:
    """A probe's document has the families of one account, none of others, and none of the process."""
    only = Scope(("volcengine", "vol"), (("volcengine", "user"),))
    document = render(full(), only=only)
    shown = samples(families(document))
    assert {dict(labels).get("stream", "user") for _, labels in shown} == {"user"}
    assert {dict(labels)["provider"] for _, labels in shown} == {"volcengine"}
    assert "process_" not in document
    assert "stream_exporter_" not in document


def test_configured_labels_are_shown_with_every_stream() -> None:
    """One fixed set of keys; a stream without one of them has it empty, and Prometheus takes that for absent."""
    rows = [
        sample.labels
        for family in families(render(full()))
        if family.name == "stream_info"
        for sample in family.samples
    ]
    assert [row["team"] for row in rows] == [AWKWARD, "", "", "", "", "x", ""]


def test_a_reload_takes_new_labels_after_forget() -> None:
    """Rendered label sets are kept for a configuration and dropped with it."""
    source = full()
    shown = Exposition(source)
    assert b'team="x"' in b"".join(shown.render(at(100), False))
    board = source.board
    board.watch([("volcengine", volcengine().model_copy(update={"labels": {"team": "y"}}))], 60)
    shown.forget()
    assert b'team="y"' in b"".join(shown.render(at(100), False))


def test_the_reload_that_was_refused_is_told() -> None:
    """The gauges say whether the configuration in force is the one last read, and since when it is in force."""
    source = full()
    source.reload_ok = False
    shown = samples(families(render(source)))
    assert shown["stream_exporter_config_last_reload_successful", frozenset()] == 0
    assert shown["stream_exporter_config_last_reload_success_timestamp_seconds", frozenset()] == EPOCH


# --- texts ------------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
FOREIGN = st.text(st.characters(), max_size=200)


@settings(max_examples=100, deadline=None)
@given(text=NAMES)
def test_an_escaped_label_comes_back(text: str) -> None:
    """Any text of the configuration is the same text again after either parser has read it."""
    line = f'# TYPE stream_x gauge\nstream_x{{a="{escape(text)}",b="1"}} 1.0\n'
    for document, parse in ((line, parse_text), (line + "# EOF\n", parse_openmetrics)):
        (family,) = parse(document)
        assert family.samples[0].labels == {"a": text, "b": "1"}


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES,
    label=NAMES | st.just(""),
    domain=FOREIGN,
    app=FOREIGN,
    started=st.floats(),
)
def test_no_text_from_anywhere_breaks_the_document(
    name: str, label: str, domain: str, app: str, started: float
) -> None:
    """Names of the configuration come back whole; texts of a cloud are short and clean; both parsers take it all."""
    board = Board(60)
    board.watch([("tencent", tencent(name, labels={"team": label}))], 60)
    (one,) = board
    board.answered(one, Answer(State.ACTIVE, started=started, inputs=(Input(domain, app, "push", True),)), "A", at(99))
    the_account: list[Any] = [AccountOf(("tencent", name))]
    source = Source(board, Counters(), lambda: the_account, ("team",))
    for openmetrics in (False, True):
        shown = families(render(source, openmetrics), openmetrics)
        rows = [sample for family in shown for sample in family.samples if "stream" in sample.labels]
        assert {row.labels["stream"] for row in rows} == {name}
        (primary,) = [row for row in rows if row.name == "stream_primary_input_info"]
        assert all(
            len(primary.labels[part]) <= 128 and primary.labels[part].isprintable() for part in ("domain", "app")
        )
        (began,) = [row.value for row in rows if row.name == "stream_start_timestamp_seconds"]
        assert began == started or (math.isnan(began) and math.isnan(started))


def test_a_document_is_made_in_slices() -> None:
    """Many streams are rendered a thousand at a time, all as they were when the document was begun."""
    board = Board(60)
    board.watch([("volcengine", volcengine(f"u{number}")) for number in range(2500)], 60)
    parts = Exposition(Source(board, Counters(), list)).render(at(0.0), False)
    begun = [next(parts)]
    for one in board:
        board.answered(one, Answer(State.ACTIVE), "Action", at(0))
    begun += parts
    document = b"".join(begun)
    assert max(part.count(b"\n") for part in begun) <= 5000
    assert b"stream_active{" not in document
    assert document.count(b"stream_probe_success{") == 2500


def test_many_accounts_and_callbacks_are_rendered_in_slices_too() -> None:
    """However many accounts or called back streams there are, no slice has more lines than one of streams."""
    counters = Counters()
    accounts: list[Any] = [AccountOf(("tencent", f"account-{number}")) for number in range(1500)]
    for one in accounts:
        counters.durations[(*one.names, "Action")].observe(0.1)
        counters.errors[(*one.names, "timeout", "timeout")] += 1
        counters.last_callback[one.names] = EPOCH
    parts = list(small_slices(Source(Board(60), counters, lambda: accounts), False, None, None))
    assert max(part.count(b"\n") for part in parts) <= SLICE + len(SMALL_FAMILIES)
    assert b"".join(parts).count(b"_bucket{") == 1500 * (len(BUCKETS) + 1)


def test_an_account_that_fails_for_the_first_time_meanwhile_breaks_no_document() -> None:
    """Counters that grow between two slices show in the next document."""
    source = full()
    for number in range(2000):
        source.counters.errors["tencent", f"a{number}", "timeout", "timeout"] = 1
    parts = small_slices(source, False, None, None)
    begun = next(parts)
    source.counters.errors["tencent", "late", "timeout", "timeout"] = 1
    source.counters.durations["tencent", "late", "Action"].observe(1.0)
    assert b'"late"' not in begun + b"".join(parts)
    assert "late" in render(source)


def test_a_compressed_document_is_the_document() -> None:
    """The gzip format, slice by slice, unpacks to the same bytes."""
    compressor = Compressor()
    packed = b"".join(compressor.add(part) for part in (b"one", b"", b"two" * 5000)) + compressor.end()
    assert zlib.decompress(packed, 31) == b"one" + b"two" * 5000


# --- Accept -----------------------------------------------------------------------------------------------------------

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
# Prometheus 3 that is to keep native histograms.
NATIVE = (
    f"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,{PROMETHEUS}"
)
ACCEPTS = {
    "": False,
    "*/*": False,
    "text/plain": False,
    "text/html,application/xhtml+xml": False,
    "application/openmetrics-text": True,
    "application/openmetrics-text; version=1.0.0": True,
    PROMETHEUS: True,
    NATIVE: True,
    "application/openmetrics-text;version=": True,
    "application/openmetrics-text;version=99.0.0": True,
    "application/openmetrics-text;version=x.y": False,
    "application/openmetrics-text;escaping=": True,
    "application/openmetrics-text;q": True,
    "application/json": False,
    ";;;": False,
    ",": False,
    "text/plain;version=;escaping=;q=": False,
    "\x00\xff": False,
    "a" * 10_000: False,
}


@pytest.mark.parametrize("accept", ACCEPTS)
def test_any_accept_header_gets_one_of_two_formats(accept: str) -> None:
    """Who asks for OpenMetrics properly gets it; all others get the text format, however odd the header."""
    openmetrics, content_type = negotiate(accept)
    assert openmetrics is ACCEPTS[accept]
    kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
    assert content_type.startswith(kind)
    assert "charset=utf-8" in content_type


@settings(max_examples=200)
@given(accept=st.text(st.characters(), max_size=80) | st.lists(st.sampled_from(list(ACCEPTS))).map(",".join))
def test_no_accept_header_is_too_odd(accept: str) -> None:
    """Any header at all gets a format and a content type that fit each other."""
    openmetrics, content_type = negotiate(accept)
    assert content_type.startswith("application/openmetrics-text" if openmetrics else "text/plain")
