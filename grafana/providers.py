"""The Providers and quota dashboard: whether the clouds answer, how fast, and what the quota leaves room for."""

from grafana import look
from grafana.look import Column, Query, curves, number, rows, timeline, words
from grafana.promql import (
    ACCOUNT,
    ACCOUNTS,
    JOB,
    STREAMS,
    age,
    increased,
    known,
    last_time,
    quantile,
    rate,
    times,
    watched,
    with_account,
)

UID = "stream-exporter-providers"

ERRORS = f"stream_probe_errors_total{{{ACCOUNT}}}"
THROTTLED = f'stream_probe_errors_total{{{ACCOUNT}, reason="throttled"}}'
SECONDS = "stream_provider_request_duration_seconds"
API = "provider, account, action"
CALLS = rate(f"{SECONDS}_count{{{ACCOUNT}}}", API)
KEPT = f"sum by ({API}) (stream_provider_quota_per_second{{{ACCOUNT}}})"
UNPROBED = f"max by (provider, account, why) (stream_round_unprobed{{{ACCOUNT}}})"
CHANGES = f"max by (provider, stream) (increase(stream_state_changes_total{{{STREAMS}}}[1h]))"
USED_STEPS = [(0.8, look.ORANGE), (1.0, look.RED)]
ANSWERING = words({1: ("answers", look.GREEN), 0: ("no answer", look.RED)})
HELD = words({0: ("closed", look.GREEN), 1: ("open: calls held back", look.RED)})


def account(metric: str, how: str = "max") -> str:
    """Return a gauge as one series per account, whatever number of exporters probes it."""
    return f"{how} by (provider, account) ({metric}{{{ACCOUNT}}})"


def throttled() -> str:
    """Return throttled answers per minute; 0 where an account never had one."""
    return f"60 * {rate(THROTTLED, 'provider, account')} or 0 * {ACCOUNTS}"


def _now() -> list[look.Panel]:
    skew = f"abs(stream_provider_clock_skew_seconds{{{ACCOUNT}}})"
    return [
        number(
            "Accounts answering now",
            "Accounts whose last round got at least one definite answer, and all accounts that watch streams.",
            [Query(f"sum({account('stream_provider_up')})", "answer"), Query(f"count({ACCOUNTS})", "accounts")],
            size=(5, 4),
        ),
        number(
            "Breakers open",
            "Accounts to which no calls go now, because several in a row failed. One call is let through from time to "
            "time; the breaker closes when it succeeds.",
            [Query(f"sum({account('stream_provider_breaker_open')})", "open")],
            size=(3, 4),
            steps=[(1, look.RED)],
            base=look.GREEN,
        ),
        number(
            "Throttled answers now",
            "Answers by which providers refuse calls as too many. The exporter then halves its rate for that API.",
            [Query(f"sum({throttled()})", "throttled")],
            unit="cpm",
            size=(4, 4),
            steps=[(0.001, look.ORANGE)],
            base=look.GREEN,
            spark=True,
        ),
        number(
            "Not probed",
            "Streams whose turn did not come in the last round. They keep their last answer until `max_age`.",
            [Query(f"sum({UNPROBED})", "streams")],
            size=(4, 4),
            steps=[(1, look.ORANGE)],
            base=look.GREEN,
            spark=True,
        ),
        number(
            "Longest round",
            "The longest last round of any account. It must stay below the scrape timeout.",
            [Query(f"max(stream_round_duration_seconds{{{ACCOUNT}}})", "round")],
            unit="s",
            size=(4, 4),
            steps=[(5, look.ORANGE), (9, look.RED)],
            base=look.GREEN,
            spark=True,
        ),
        number(
            "Largest clock skew",
            "The greatest difference between a provider's clock and the exporter's, either way. Signed calls are "
            "refused beyond five to fifteen minutes, depending on the provider.",
            [Query(f"max({skew})", "skew")],
            unit="s",
            size=(4, 4),
            steps=[(30, look.ORANGE), (240, look.RED)],
            base=look.GREEN,
        ),
    ]


def _answers() -> list[look.Panel]:
    return [
        timeline(
            "Accounts that answer",
            "Per account whether its last round got a definite answer. No answer: all its streams are unknown.",
            [Query(account("stream_provider_up"), "{{provider}}/{{account}}")],
            mappings=ANSWERING,
            size=(12, 6),
        ),
        timeline(
            "Breaker",
            "Per account whether calls are held back after repeated failures.",
            [Query(account("stream_provider_breaker_open"), "{{provider}}/{{account}}")],
            mappings=HELD,
            size=(12, 6),
        ),
        curves(
            "Answers by code",
            "Every answer by the provider's own code; `ok` where the provider has none for success.",
            [
                Query(
                    rate(f"stream_provider_responses_total{{{ACCOUNT}}}", "provider, action, code"),
                    "{{provider}} {{action}} {{code}}",
                )
            ],
            unit="reqps",
            size=(12, 9),
            calcs=("lastNotNull", "max"),
        ),
        curves(
            "Attempts with a definite answer",
            "Part of the streams whose last attempt got a definite answer. One stream that fails is that stream's "
            "affair; a whole provider that falls is the provider, the credentials or the network.",
            [Query(f"avg by (provider) {known('stream_probe_success')}", "{{provider}}")],
            unit="percentunit",
            size=(12, 9),
            bounds=(0, 1),
            calcs=("lastNotNull", "min"),
        ),
        curves(
            "Failed attempts by reason",
            "Failed attempts by the exporter's own closed set of reasons.",
            [Query(rate(ERRORS, "provider, reason"), "{{provider}} {{reason}}")],
            unit="reqps",
            calcs=("lastNotNull", "max"),
            empty="no attempt failed",
        ),
        rows(
            "Failed attempts by code",
            "Every code of the time range with how often and when it last came. "
            "`stream-exporter explain PROVIDER CODE` says what it means and what to do.",
            [
                Query(f"{last_time(increased(ERRORS), 'provider, account, code, reason')} * 1000", "Last"),
                Query(times(ERRORS, "provider, account, code, reason"), "Times"),
            ],
            [
                look.ACCOUNT_CELL,
                Column("code", unit="none", link=(look.RUNBOOK, "Runbook")),
                Column("Last", unit="dateTimeAsIso", width=170),
                Column("Times", decimals=0),
            ],
            size=(12, 8),
            sort=("Last", True),
            empty="No attempt failed within the time range",
        ),
    ]


def _latency() -> list[look.Panel]:
    return [
        curves(
            f"Call latency, {name}",
            f"{about} by API, with failures and timeouts among them. Interpolated within the buckets.",
            [Query(quantile(part, f"{SECONDS}_bucket{{{ACCOUNT}}}", "provider, action"), "{{provider}} {{action}}")],
            unit="s",
            size=(8, 8),
        )
        for part, name, about in [
            (0.5, "median", "Half of all calls were faster than this,"),
            (0.95, "95th percentile", "19 of 20 calls were faster than this,"),
            (0.99, "99th percentile", "99 of 100 calls were faster than this,"),
        ]
    ]


def _quota() -> list[look.Panel]:
    return [
        curves(
            "Quota used",
            "Calls per second against the limit that the exporter keeps, which is its share of the provider's. An "
            "average over the rate interval: a burst within one round is shorter than that.",
            [Query(f"{CALLS} / on ({API}) {KEPT}", "{{account}} {{action}}")],
            unit="percentunit",
            steps=[(1.0, look.RED)],
            calcs=("lastNotNull", "max"),
        ),
        rows(
            "Calls against the limit kept",
            "Per API: calls per second now, the limit kept now, and what part of it is used.",
            [
                Query(CALLS, "Calls"),
                Query(KEPT, "Limit kept"),
                Query(f"{CALLS} / on ({API}) {KEPT}", "Used"),
            ],
            [
                look.ACCOUNT_CELL,
                Column("Calls", unit="reqps"),
                Column("Limit kept", unit="reqps"),
                Column("Used", unit="percentunit", steps=[(0, look.GREEN), *USED_STEPS]),
            ],
            size=(12, 8),
            sort=("Used", True),
            empty="No calls were made",
        ),
        curves(
            "Limit kept, of its highest",
            "The calls per second that the exporter allows itself, as a part of the most within the time range. A fall "
            "to half is its answer to throttling; it then recovers step by step.",
            [Query(f"{KEPT} / max_over_time({KEPT}[$__range:$__interval] @ end())", "{{account}} {{action}}")],
            unit="percentunit",
            bounds=(0, 1),
            stepped=True,
            calcs=("lastNotNull", "min"),
        ),
        curves(
            "Throttled answers by account",
            "Refusals as too many calls, per minute. The limit is the account's: other software that calls the same "
            "API uses it up too.",
            [Query(throttled(), "{{provider}}/{{account}}")],
            unit="cpm",
            calcs=("max",),
        ),
    ]


def _rounds() -> list[look.Panel]:
    answer = known("stream_last_success_timestamp_seconds")
    return [
        curves(
            "Round time",
            "How long the last round of each account took. The dashed line is Prometheus's usual scrape timeout.",
            [Query(account("stream_round_duration_seconds"), "{{provider}}/{{account}}")],
            unit="s",
            size=(8, 8),
            steps=[(10, look.RED)],
            calcs=("lastNotNull", "max"),
        ),
        curves(
            "Not probed in the last round",
            "Streams whose turn did not come, by provider and cause: quota, deadline or breaker. "
            "`stream-exporter check` tells how often each stream can be asked.",
            [Query(f"sum by (provider, why) ({UNPROBED})", "{{provider}} {{why}}")],
            unit="short",
            size=(8, 8),
            stacked=True,
            stepped=True,
        ),
        curves(
            "Clock skew",
            "The provider's clock minus the exporter's, from the Date header of its answers.",
            [
                Query(
                    f"max by (provider, account, instance) (stream_provider_clock_skew_seconds{{{ACCOUNT}}})",
                    "{{provider}}/{{account}}",
                )
            ],
            unit="s",
            size=(8, 8),
            bounds=(None, None),
            steps=[(30, look.ORANGE), (240, look.RED)],
            calcs=("lastNotNull",),
        ),
        rows(
            "Oldest answers",
            "The 20 streams whose last definite answer is oldest: whom the quota or the failures leave behind.",
            [Query(f"topk(20, {with_account(age(answer))})", "Age")],
            [look.STREAM_CELL, look.ACCOUNT_CELL, Column("Age", unit="dtdurations", steps=[(120, look.ORANGE)])],
            size=(12, 8),
            sort=("Age", True),
            empty="No definite answer yet",
        ),
        curves(
            "Callbacks by outcome",
            "Callbacks of the providers, per minute. Forged ones fail the signature: a wrong secret, or a stranger.",
            [
                Query(
                    "60 * " + rate(f"stream_callbacks_total{{{ACCOUNT}}}", "provider, event, outcome"),
                    "{{provider}} {{event}} {{outcome}}",
                )
            ],
            unit="cpm",
            calcs=("lastNotNull", "max"),
            empty="no callbacks",
            size=(6, 8),
        ),
        curves(
            "Changes and callbacks",
            "Changes of state that answers showed, and callbacks accepted, in an hour. Changes without callbacks: "
            "the providers do not reach the exporter any more.",
            [
                Query(
                    f"sum by (provider) ({watched(CHANGES)})",
                    "{{provider}} changes",
                ),
                Query(
                    f'sum by (provider) (increase(stream_callbacks_total{{{ACCOUNT}, outcome="accepted"}}[1h]))',
                    "{{provider}} callbacks",
                ),
            ],
            unit="none",
            calcs=("lastNotNull", "max"),
            empty="no changes",
            size=(6, 8),
        ),
    ]


def _exporter() -> list[look.Panel]:
    memory, cpu = "process_resident_memory_bytes", "process_cpu_seconds_total"
    return [
        number(
            "Configuration",
            "Whether the last reload of the configuration succeeded. If not, the one before it is still in force.",
            [Query(f"min(stream_exporter_config_last_reload_successful{{{JOB}}})", "reload")],
            unit="none",
            mappings=words({1: ("loaded", look.GREEN), 0: ("last reload failed", look.RED)}),
        ),
        number(
            "Configuration loaded",
            "How long ago the configuration in force was loaded.",
            [Query(f"time() - max(stream_exporter_config_last_reload_success_timestamp_seconds{{{JOB}}})", "age")],
            unit="dtdurations",
        ),
        number(
            "Log lines lost",
            "Lines of the log in the last hour that were dropped because nobody reads it.",
            [Query(f"sum(increase(stream_exporter_log_lines_dropped_total{{{JOB}}}[1h]))", "lines")],
            unit="none",
            steps=[(1, look.RED)],
            base=look.GREEN,
            decimals=0,
        ),
        rows(
            "Exporters",
            "The exporters that are seen, with version, Python and time since start.",
            [
                Query(f"max by (instance, version, python) (stream_exporter_build_info{{{JOB}}})", "Build"),
                Query(
                    f"time() - max by (instance) (process_start_time_seconds{{{JOB}}} "
                    f"and on (instance) stream_exporter_build_info{{{JOB}}})",
                    "Running for",
                ),
            ],
            [Column("Running for", unit="dtdurations")],
            size=(12, 4),
            empty="No exporter is seen",
            hidden=["Value #A"],
        ),
        curves(
            "Memory",
            "Memory of the exporter's process.",
            [Query(f"{memory}{{{JOB}}} and on (job, instance) stream_exporter_build_info", "{{instance}}")],
            unit="bytes",
            size=(12, 6),
        ),
        curves(
            "Processor time",
            "Processor time of the exporter's process per second; 100 % is one core.",
            [
                Query(
                    f"rate({cpu}{{{JOB}}}[$__rate_interval]) and on (job, instance) stream_exporter_build_info",
                    "{{instance}}",
                )
            ],
            unit="percentunit",
            size=(12, 6),
        ),
    ]


def dashboard() -> look.Board:
    """Make the Providers and quota dashboard."""
    board = look.board(UID, "Providers and quota", "Whether the clouds answer, how fast, and what the quota allows.")
    for variable in look.variables(several=True):
        board = board.with_variable(variable)
    parts = [
        ("Now", _now()),
        ("Answers", _answers()),
        ("Latency", _latency()),
        ("Quota", _quota()),
        ("Rounds, clocks, callbacks", _rounds()),
        ("The exporter itself", _exporter()),
    ]
    return look.filled(board, parts)
