"""Makes docs/metrics.md out of the table of metrics: prints the page, or writes it with `--write`."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from exporter.exposition.families import (
    ACCOUNT_FAMILIES,
    CALLBACK_FAMILIES,
    EXPORTER_FAMILIES,
    STREAM_FAMILIES,
    Family,
)
from exporter.model import Reason, State
from exporter.providers import found
from exporter.providers.interface import END_REASONS, AnyProvider
from exporter.state.callbacks import ACCEPTED, EXPIRED, FORGED, REPLAYED, UNKNOWN_STREAM

PAGE = Path(__file__).with_name("metrics.md")

SINGLE = "the single-stream API of each cloud, or a list that names the stream; absent while nobody knows"
CALLS = "every call that is made"
ROUND = "the account's last round"
ALWAYS = "always there for every watched stream"

COMES: Mapping[str, str] = {
    "stream_active": SINGLE,
    "stream_state": f"as `stream_active`; all five states are {ALWAYS}",
    "stream_probe_success": f"the last finished attempt; {ALWAYS}",
    "stream_last_success_timestamp_seconds": "the last definite answer, kept across failures; absent before the first",
    "stream_state_changes_total": f"definite answers, compared; {ALWAYS}",
    "stream_info": f"the configuration; {ALWAYS}",
    "stream_media_active": "volcengine: all four media types, whichever of them count",
    "stream_inputs": "tencent with `region`: of the stream's own group and domain; 0 if it has none or is not live",
    "stream_inputs_expected": "tencent: `inputs` of the configuration",
    "stream_primary_input_info": "tencent with `region`: `MasterFlag`, `SourceFrom`",
    "stream_start_timestamp_seconds": "zego, and lists of tencent and alibaba; there while the stream is live",
    "stream_ingest_info": "alibaba: `Type`, where the answer has it",
    "stream_last_callback_timestamp_seconds": "accepted callbacks; absent before the first",
    "stream_pushes_ended_total": "callbacks that tell of an end; absent before the first",
    "stream_probe_errors_total": "failed attempts; a series is born with its first error",
    "stream_provider_responses_total": f"{CALLS} and gets an answer",
    "stream_provider_request_duration_seconds": CALLS,
    "stream_provider_up": f"{ROUND} that made a call",
    "stream_provider_quota_per_second": "`quota_share` or `quota`, lowered after throttling",
    "stream_provider_clock_skew_seconds": "the `Date` header of answers",
    "stream_provider_breaker_open": "rounds without any answer, counted",
    "stream_streams": "the configuration",
    "stream_round_duration_seconds": ROUND,
    "stream_round_unprobed": ROUND,
    "stream_callbacks_total": "requests to `/callbacks/ACCOUNT`",
    "stream_exporter_build_info": "the program",
    "stream_exporter_config_last_reload_successful": "the last attempt to read the configuration",
    "stream_exporter_config_last_reload_success_timestamp_seconds": "the last attempt that succeeded",
    "stream_exporter_log_lines_dropped_total": "the exporter's own log, on standard error",
}

INTRODUCTION = """\
# Metrics

<!-- Written by docs/generate_metrics.py; do not edit. -->

Everything that `GET /metrics` shows. The column *meaning* is the metric's `# HELP`; *comes from* says which answer it
is read from, and when there is no sample.

**Unknown is not zero.** `stream_active` is 1 or 0 only if the cloud said so and the answer still counts. Otherwise the
sample is absent, and `stream_state{state="unknown"}` is 1. How an alert bears that gap: [alerting.md](alerting.md)."""

SERIES = """\
## How many series

Ten for each stream (five of them are `stream_state`), and up to four more where the cloud tells more. For each account
some thirty to sixty, most of them buckets of the histogram. No message, RequestId or other text without bounds ever is
a label. A code that the catalogue does not list becomes `other`."""

QUERIES = """\
## Queries to begin with

Streams that are down now, with the team that the configuration gave them:

```promql
(stream_active == 0) * on (provider, stream) group_left (team) stream_info
```

Streams about which nothing is known:

```promql
stream_state{state="unknown"} == 1
```

Seconds since a stream was last answered for:

```promql
time() - stream_last_success_timestamp_seconds
```

Failed attempts by reason over five minutes:

```promql
sum by (provider, account, reason, code) (increase(stream_probe_errors_total[5m]))
```

Calls as a share of what the exporter allows itself:

```promql
sum by (provider, account, action) (rate(stream_provider_request_duration_seconds_count[1m]))
  / sum by (provider, account, action) (stream_provider_quota_per_second)
```

The first query fails for all streams as soon as one has two `stream_info` series, as with two replicas of the exporter;
the shipped rules have a form that does not."""

OTHERS = """\
Beside these there are `process_*` and `python_*` of the Python client library: CPU, memory, descriptors, garbage
collection."""

HEADER = "| metric | type | labels | meaning | comes from |\n|---|---|---|---|---|"


def render() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        "## Streams",
        _table(STREAM_FAMILIES),
        "## Callbacks",
        _table([*CALLBACK_FAMILIES, *(one for one in ACCOUNT_FAMILIES if "callbacks" in one.name)]),
        "## Accounts",
        _table(one for one in ACCOUNT_FAMILIES if "callbacks" not in one.name),
        "## The exporter",
        _table(EXPORTER_FAMILIES),
        OTHERS,
        "## Values of labels",
        _values(found()),
        SERIES,
        QUERIES,
    ]
    return "\n\n".join(parts) + "\n"


def _table(families: Iterable[Family]) -> str:
    return "\n".join([HEADER, *map(_row, families)])


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    if family.name == "stream_info":
        labels += ", and those of `labels:`"
    meaning = family.help.replace("_", "\\_")
    return f"| `{family.name}` | {family.kind} | {labels} | {meaning} | {COMES[family.name]} |"


def _values(providers: Mapping[str, AnyProvider]) -> str:
    events = {event for one in providers.values() if one.callbacks for event in one.callbacks.events}
    rows: Mapping[str, Iterable[str]] = {
        "provider": providers,
        "state": State,
        "action": sorted({action for one in providers.values() for action in one.apis()}),
        "reason` of `stream_probe_errors_total": Reason,
        "reason` of `stream_pushes_ended_total": END_REASONS,
        "why": ("quota", "deadline", "breaker"),
        "event": [*sorted(events), "unknown"],
        "outcome": (ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM),
    }
    lines = [f"| `{label}` | {', '.join(f'`{value}`' for value in values)} |" for label, values in rows.items()]
    codes = "| `code` | a code of [codes.md](codes.md), `ok`, `other`, or for failures on this side the reason |"
    return "\n".join(["| label | values |\n|---|---|", *lines, codes])


def main(write: bool) -> int:
    """Writes the page to its place, or prints it."""
    if write:
        PAGE.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
