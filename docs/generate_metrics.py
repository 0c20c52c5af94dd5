"""Makes docs/metrics.md out of the table of metrics."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from exporter.exposition.families import (
    ACCOUNT_FAMILIES,
    CALLBACK_FAMILIES,
    EXPORTER_FAMILIES,
    PLAYBACK_FAMILIES,
    STREAM_FAMILIES,
    Family,
)
from exporter.model import Reason, State
from exporter.providers import all_providers
from exporter.providers.interface import END_REASONS, AnyProvider
from exporter.state.callbacks import ACCEPTED, EXPIRED, FORGED, REPLAYED, UNKNOWN_STREAM

PAGE = Path(__file__).with_name("metrics.md")

COMES: Mapping[str, str] = {
    "stream_active": "",
    "stream_state": "all five are always there",
    "stream_probe_success": "always there",
    "stream_last_success_timestamp_seconds": "kept across failures; absent before the first",
    "stream_state_changes_total": "always there",
    "stream_info": "always there",
    "stream_expected": "[`expected` and `maintenance`](configuration.md#when-streams-are-expected); always there",
    "stream_media_active": "volcengine: all four media types, whichever count",
    "stream_media_expected": "volcengine: `media_expected`",
    "stream_inputs": "tencent with `region`: the stream's own group and domain; 0 if it has none or is not live",
    "stream_inputs_expected": "tencent: `inputs`",
    "stream_primary_input_info": "tencent with `region`: `MasterFlag`, `SourceFrom`",
    "stream_start_timestamp_seconds": "zego, huawei, and lists of tencent and alibaba; while the stream is live",
    "stream_ingest_info": "alibaba: `Type`, where given",
    "stream_ingest_bits_per_second": "tencent: video and audio; alibaba: all",
    "stream_ingest_frames_per_second": "",
    "stream_ingest_width_pixels": "",
    "stream_ingest_height_pixels": "",
    "stream_ingest_stalled": "no frames and no bits, but for the first ten seconds of a push",
    "stream_playback_up": "streams with `playback`; 401 and 403 are unknown, too",
    "stream_playback_segment_age_seconds": "by PROGRAM-DATE-TIME, else since the playlist moved; with HTTP-FLV, a tag",
    "stream_playback_first_byte_seconds": "",
    "stream_hop_disagreement": "once both sides were asked anew since it began; not without `playback` or a group",
    "stream_playback_errors_total": "absent before the first",
    "stream_last_callback_timestamp_seconds": "absent before the first",
    "stream_pushes_ended_total": "absent before the first",
    "stream_probe_errors_total": "absent before the first",
    "stream_provider_responses_total": "",
    "stream_provider_request_duration_seconds": "",
    "stream_provider_up": "the last round that made a call",
    "stream_provider_quota_per_second": "`quota_share` or `quota`",
    "stream_provider_clock_skew_seconds": "",
    "stream_provider_breaker_open": "",
    "stream_streams": "",
    "stream_provider_listed_streams": "a list that was read to its end within ten minutes; absent once it fails",
    "stream_round_duration_seconds": "",
    "stream_round_unprobed": "",
    "stream_playback_bytes_total": "",
    "stream_callbacks_total": "requests to `/callbacks/ACCOUNT`",
    "stream_exporter_build_info": "",
    "stream_exporter_config_last_reload_successful": "",
    "stream_exporter_config_last_reload_success_timestamp_seconds": "",
    "stream_exporter_log_lines_dropped_total": "",
    "stream_exporter_store_up": "",
    "stream_exporter_replicas": "",
}
"""Where each metric is read from, and when it is absent; empty where its meaning says so."""

INTRODUCTION = """\
# Metrics

<!-- Written by docs/generate_metrics.py; do not edit. -->

Everything on `/metrics`: name, type, meaning (the metric's `# HELP`), and *what else to know*. `process_*` and
`python_*` come with the Python client library.

**Unknown is not zero.** While nobody knows, `stream_active` is absent and `stream_state{state="unknown"}` is 1. Queries
must [bear the gaps](alerting.md#unknown-is-not-down)."""

SERIES = """\
## How many series

Eleven for each stream (`stream_state` alone has five), and up to ten more where the cloud tells more; three for each
address of viewers. Thirty to eighty for each account, mostly buckets. No message, RequestId or other unbounded text
is ever a label."""

QUERIES = """\
## Queries to begin with

```promql
# Down now, with the configured team (with two replicas, use the form of the shipped rules)
(stream_active == 0) * on (provider, stream) group_left (team) stream_info

# Unknown now
stream_state{state="unknown"} == 1

# Seconds since the last definite answer
time() - stream_last_success_timestamp_seconds

# Failed attempts in five minutes
sum by (provider, account, reason, code) (increase(stream_probe_errors_total[5m]))

# Calls as a share of the allowed rate
sum by (provider, account, action) (rate(stream_provider_request_duration_seconds_count[1m]))
  / sum by (provider, account, action) (stream_provider_quota_per_second)
```"""


def render() -> str:
    """Return the whole page."""
    callbacks = [family for family in ACCOUNT_FAMILIES if "callbacks" in family.name]
    by_account = [family for family in ACCOUNT_FAMILIES if family not in callbacks]
    parts = [
        INTRODUCTION,
        *_section("Streams", ("provider", "stream"), [*STREAM_FAMILIES, *PLAYBACK_FAMILIES, *CALLBACK_FAMILIES]),
        *_section("Accounts", ("provider", "account"), [*by_account, *callbacks]),
        *_section("The exporter", (), EXPORTER_FAMILIES),
        "## Values of labels",
        _values(all_providers()),
        SERIES,
        QUERIES,
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, common: tuple[str, ...], families: Iterable[Family]) -> Iterator[str]:
    yield f"## {title}"
    if common:
        yield f"Labels of all: {_code(common)}. Others are named in brackets."
    yield "\n".join(_line(family, common) for family in families)


def _line(family: Family, common: tuple[str, ...]) -> str:
    labels = _code(label for label in family.labels if label not in common)
    if family.name == "stream_info":
        labels += ", those of `labels:`"
    meaning = family.help.replace("_", "\\_")
    source = f" *{COMES[family.name]}*" if COMES[family.name] else ""
    return f"- `{family.name}` ({', '.join(filter(None, (family.kind, labels)))}): {meaning}{source}"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _values(providers: Mapping[str, AnyProvider]) -> str:
    events = {event for one in providers.values() if one.callbacks for event in one.callbacks.events}
    rows: Mapping[str, Iterable[str]] = {
        "state": State,
        "reason` of `stream_probe_errors_total` and `stream_playback_errors_total": Reason,
        "reason` of `stream_pushes_ended_total": END_REASONS,
        "why": ("quota", "deadline", "breaker"),
        "event": [*sorted(events), "unknown"],
        "outcome": (ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM),
    }
    lines = [f"- `{label}`: {_code(values)}" for label, values in rows.items()]
    return "\n".join(
        [
            "- `provider`, `action`: see [the clouds](configuration.md#clouds)",
            *lines,
            "- `code`: one of [codes.md](codes.md), `ok`, `other`, or a failure's reason on this side",
        ]
    )
