"""The Providers and quota dashboard: whether the clouds answer, how fast, and what the quota leaves room for."""

from grafana import alerts, look, own, playback
from grafana.board import Board, board
from grafana.look import Column, curves, number, rows, timeline, words
from grafana.promql import (
    ACCOUNT,
    ACCOUNTS,
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

ERRORS = f"stream_probe_errors_total{{{ACCOUNT}}}"
THROTTLED = f'stream_probe_errors_total{{{ACCOUNT}, reason="throttled"}}'
SECONDS = "stream_provider_request_duration_seconds"
API = "provider, account, action"
CALLS = rate(f"{SECONDS}_count{{{ACCOUNT}}}", API)
KEPT = f"sum by ({API}) (stream_provider_quota_per_second{{{ACCOUNT}}})"
UNPROBED = f"max by (provider, account, why) (stream_round_unprobed{{{ACCOUNT}}})"
SKEW = f"stream_provider_clock_skew_seconds{{{ACCOUNT}}}"
ACCEPTED = f'increase(stream_callbacks_total{{{ACCOUNT}, outcome="accepted"}}[1h])'
CHANGES = f"max by (provider, stream) (increase(stream_state_changes_total{{{STREAMS}}}[1h]))"
USED = [(0, look.GREEN), (0.8, look.ORANGE), (1.0, look.RED)]
CALL_COLUMNS = [
    look.ACCOUNT_CELL,
    Column("Calls", unit="reqps"),
    Column("Limit kept", unit="reqps"),
    Column("Used", unit="percentunit", steps=USED),
]
ANSWERING = words({1: ("answers", look.GREEN), 0: ("no answer", look.RED)})
HELD = words({0: ("closed", look.GREEN), 1: ("open: calls held back", look.RED)})


def account(metric: str) -> str:
    """Return a gauge as one series per account, whatever number of exporters probes it."""
    return f"max by (provider, account) ({metric}{{{ACCOUNT}}})"


def throttled() -> str:
    """Return throttled answers per minute; 0 where an account never had one."""
    return f"60 * {rate(THROTTLED, 'provider, account')} or 0 * {ACCOUNTS}"


NOW: list[look.Panel] = [
    number(
        "Accounts answering now",
        "Accounts whose last round got at least one definite answer, and all accounts that watch streams.",
        {"answer": f"sum({account('stream_provider_up')})", "accounts": f"count({ACCOUNTS})"},
        size=(5, 4),
    ),
    number(
        "Breakers open",
        "Accounts to which no calls go now, because several in a row failed. One call is let through from time to "
        "time; the breaker closes when it succeeds.",
        {"open": f"sum({account('stream_provider_breaker_open')})"},
        size=(3, 4),
        steps=[(1, look.RED)],
    ),
    number(
        "Throttled answers now",
        "Answers by which providers refuse calls as too many. The exporter then halves its rate for that API.",
        {"throttled": f"sum({throttled()})"},
        unit="cpm",
        steps=[(0.001, look.ORANGE)],
        spark=True,
    ),
    number(
        "Not probed",
        "Streams whose turn did not come in the last round. They keep their last answer until `max_age`.",
        {"streams": f"sum({UNPROBED})"},
        steps=[(1, look.ORANGE)],
        spark=True,
    ),
    number(
        "Longest round",
        "The longest last round of any account. It must stay below the scrape timeout.",
        {"round": f"max(stream_round_duration_seconds{{{ACCOUNT}}})"},
        unit="s",
        steps=[(5, look.ORANGE), (9, look.RED)],
        spark=True,
    ),
    number(
        "Largest clock skew",
        "The greatest difference between a provider's clock and the exporter's, either way. Signed calls are "
        "refused beyond five to fifteen minutes, depending on the provider.",
        {"skew": f"max(abs({SKEW}))"},
        unit="s",
        steps=[(30, look.ORANGE), (240, look.RED)],
    ),
]


ANSWERS: list[look.Panel] = [
    timeline(
        "Accounts that answer",
        "Per account whether its last round got a definite answer. No answer: all its streams are unknown.",
        {"{{provider}}/{{account}}": account("stream_provider_up")},
        mappings=ANSWERING,
    ),
    timeline(
        "Breaker",
        "Per account whether calls are held back after repeated failures.",
        {"{{provider}}/{{account}}": account("stream_provider_breaker_open")},
        mappings=HELD,
    ),
    curves(
        "Answers by code",
        "Every answer by the provider's own code; `ok` where the provider has none for success.",
        {
            "{{provider}} {{action}} {{code}}": rate(
                f"stream_provider_responses_total{{{ACCOUNT}}}", "provider, action, code"
            )
        },
        unit="reqps",
        size=(12, 9),
        calcs=("lastNotNull", "max"),
    ),
    curves(
        "Attempts with a definite answer",
        "Part of the streams whose last attempt got a definite answer. One stream that fails is that stream's "
        "affair; a whole provider that falls is the provider, the credentials or the network.",
        {"{{provider}}": f"avg by (provider) {known('stream_probe_success')}"},
        unit="percentunit",
        size=(12, 9),
        bounds=(0, 1),
        calcs=("lastNotNull", "min"),
    ),
    curves(
        "Failed attempts by reason",
        "Failed attempts by the exporter's own closed set of reasons.",
        {"{{provider}} {{reason}}": rate(ERRORS, "provider, reason")},
        unit="reqps",
        calcs=("lastNotNull", "max"),
        empty="no attempt failed",
    ),
    rows(
        "Failed attempts by code",
        "Every code of the time range with how often and when it last came. "
        "`stream-exporter explain PROVIDER CODE` says what it means and what to do.",
        {
            "Last": f"{last_time(increased(ERRORS), 'provider, account, code, reason')} * 1000",
            "Times": times(ERRORS, "provider, account, code, reason"),
        },
        look.ERROR_COLUMNS,
        sort=("Last", True),
        empty="No attempt failed within the time range",
    ),
    curves(
        "Streams listed",
        "Rows of the last whole list of a domain, room, application or account, by this scope: all that the provider "
        "lists, watched or not.",
        {"{{account}} {{scope}}": f"max by (provider, account, scope) (stream_provider_listed_streams{{{ACCOUNT}}})"},
        unit="none",
        size=(24, 8),
        stepped=True,
        calcs=("lastNotNull", "max"),
        empty="no list was read",
    ),
]


LATENCY: list[look.Panel] = [
    curves(
        f"Call latency, {name}",
        f"{about} by API, with failures and timeouts among them. Interpolated within the buckets.",
        {"{{provider}} {{action}}": quantile(part, f"{SECONDS}_bucket{{{ACCOUNT}}}", "provider, action")},
        unit="s",
        size=(8, 8),
    )
    for part, name, about in [
        (0.5, "median", "Half of all calls were faster than this,"),
        (0.95, "95th percentile", "19 of 20 calls were faster than this,"),
        (0.99, "99th percentile", "99 of 100 calls were faster than this,"),
    ]
]


QUOTA: list[look.Panel] = [
    curves(
        "Quota used",
        "Calls per second against the limit that the exporter keeps, which is its share of the provider's. An "
        "average over the rate interval: a burst within one round is shorter than that.",
        {"{{account}} {{action}}": f"{CALLS} / on ({API}) {KEPT}"},
        unit="percentunit",
        steps=[(1.0, look.RED)],
        calcs=("lastNotNull", "max"),
    ),
    rows(
        "Calls against the limit kept",
        "Per API: calls per second now, the limit kept now, and what part of it is used.",
        {"Calls": CALLS, "Limit kept": KEPT, "Used": f"{CALLS} / on ({API}) {KEPT}"},
        CALL_COLUMNS,
        sort=("Used", True),
        empty="No calls were made",
    ),
    curves(
        "Limit kept, of its highest",
        "The calls per second that the exporter allows itself, as a part of the most within the time range. A fall "
        "to half is its answer to throttling; it then recovers step by step.",
        {"{{account}} {{action}}": f"{KEPT} / max_over_time({KEPT}[$__range:$__interval] @ end())"},
        unit="percentunit",
        bounds=(0, 1),
        stepped=True,
        calcs=("lastNotNull", "min"),
    ),
    curves(
        "Throttled answers by account",
        "Refusals as too many calls, per minute. The limit is the account's: other software that calls the same "
        "API uses it up too.",
        {"{{provider}}/{{account}}": throttled()},
        unit="cpm",
        calcs=("max",),
    ),
]


ROUNDS: list[look.Panel] = [
    curves(
        "Round time",
        "How long the last round of each account took. The dashed line is Prometheus's usual scrape timeout.",
        {"{{provider}}/{{account}}": account("stream_round_duration_seconds")},
        unit="s",
        size=(8, 8),
        steps=[(10, look.RED)],
        calcs=("lastNotNull", "max"),
    ),
    curves(
        "Not probed in the last round",
        "Streams whose turn did not come, by provider and cause: quota, deadline or breaker. "
        "`stream-exporter check` tells how often each stream can be asked.",
        {"{{provider}} {{why}}": f"sum by (provider, why) ({UNPROBED})"},
        unit="short",
        size=(8, 8),
        stacked=True,
        stepped=True,
    ),
    curves(
        "Clock skew",
        "The provider's clock minus the exporter's, from the Date header of its answers.",
        {"{{provider}}/{{account}}": f"max by (provider, account, instance) ({SKEW})"},
        unit="s",
        size=(8, 8),
        bounds=(None, None),
        steps=[(30, look.ORANGE), (240, look.RED)],
        calcs=("lastNotNull",),
    ),
    rows(
        "Oldest answers",
        "The 20 streams whose last definite answer is oldest: whom the quota or the failures leave behind.",
        {"Age": f"topk(20, {with_account(age(known('stream_last_success_timestamp_seconds')))})"},
        [look.STREAM_CELL, look.ACCOUNT_CELL, Column("Age", unit="dtdurations", steps=[(120, look.ORANGE)])],
        size=(24, 8),
        sort=("Age", True),
        empty="No definite answer yet",
    ),
]


CALLBACKS: list[look.Panel] = [
    curves(
        "Callbacks by outcome",
        "Callbacks of the providers, per minute. Forged ones fail the signature: a wrong secret, or a stranger.",
        {
            "{{provider}} {{event}} {{outcome}}": "60 * "
            + rate(f"stream_callbacks_total{{{ACCOUNT}}}", "provider, event, outcome")
        },
        unit="cpm",
        calcs=("lastNotNull", "max"),
        empty="no callbacks",
    ),
    curves(
        "Changes and callbacks",
        "Changes of state that answers showed, and callbacks accepted, in an hour. Changes without callbacks: "
        "the providers do not reach the exporter any more.",
        {
            "{{provider}} changes": f"sum by (provider) ({watched(CHANGES)})",
            "{{provider}} callbacks": f"sum by (provider) ({ACCEPTED})",
        },
        unit="none",
        calcs=("lastNotNull", "max"),
        empty="no changes",
    ),
]


def dashboard() -> Board:
    """Make the Providers and quota dashboard."""
    return board(
        "stream-exporter-providers",
        "Providers and quota",
        "Whether the clouds answer, how fast, and what the quota allows.",
        {
            "Now": [*NOW, alerts.table(alerts.CHOSEN)],
            "Answers": ANSWERS,
            "Latency": LATENCY,
            "Quota": QUOTA,
            "Rounds and clocks": ROUNDS,
            "The exporter itself": own.PANELS,
        },
        {look.PLAYBACK: playback.OF_ACCOUNTS, look.CALLBACKS: CALLBACKS},
    )
