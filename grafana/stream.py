"""The Stream dashboard: the history of one stream, and what may explain it."""

from grafana import look
from grafana.look import Column, Query, curves, number, rows, timeline, words
from grafana.promql import ONE, age, code, increased, last_time, times

UID = "stream-exporter-stream"

ITS_ACCOUNT = f"and on (provider, account) stream_info{{{ONE}}}"
ERRORS = 'stream_probe_errors_total{job=~"$job", provider="$provider"}'
OUTCOME = words({1: ("definite answer", look.GREEN), 0: ("failed", look.RED)})
PUBLISHING = words({1: ("publishing", look.GREEN), 0: ("not publishing", look.RED)})
PRESENT = words({1: ("yes", look.BLUE)})
NOT_TOLD = "this provider does not tell"


def one(metric: str, *labels: str, how: str = "max") -> str:
    """Return a value of the stream that is looked at, by more labels if any."""
    return f"{how} by ({', '.join(['provider', 'stream', *labels])}) ({metric}{{{ONE}}})"


def _now() -> list[look.Panel]:
    return [
        number(
            "State now",
            "What the provider said last. Unknown: nobody can tell now; the stream may well be live.",
            [Query(code(ONE), "state")],
            unit="none",
            size=(4, 4),
            mappings=look.STATES,
        ),
        number(
            "Last attempt",
            "Whether the last finished attempt to ask about this stream got a definite answer.",
            [Query(one("stream_probe_success"), "attempt")],
            unit="none",
            size=(4, 4),
            mappings=OUTCOME,
        ),
        number(
            "Last definite answer",
            "How long ago the last definite answer came. It is kept across failures.",
            [Query(age(one("stream_last_success_timestamp_seconds")), "age")],
            unit="dtdurations",
            steps=[(120, look.ORANGE), (300, look.RED)],
            base=look.GREEN,
            empty="none yet",
        ),
        number(
            "Live share",
            "Part of the time range in which the stream was known to be live; unknown time does not count as live.",
            [Query(f'max(avg_over_time(stream_state{{{ONE}, state="active"}}[$__range]))', "share")],
            unit="percentunit",
            steps=[(0.9, look.ORANGE), (0.99, look.GREEN)],
            base=look.RED,
            size=(4, 4),
            decimals=2,
        ),
        number(
            "Changes of state",
            "Changes between definite states within the time range, as Prometheus extrapolates them.",
            [Query(f"max(increase(stream_state_changes_total{{{ONE}}}[$__range]))", "changes")],
            steps=[(1, look.ORANGE)],
            base=look.GREEN,
            size=(4, 4),
            decimals=0,
        ),
        number(
            "Present push began",
            "How long ago the push that is live now began. Zego tells it, and the lists of online streams do.",
            [Query(f"time() - {one('stream_start_timestamp_seconds')}", "since")],
            unit="dtdurations",
            size=(4, 4),
            empty=NOT_TOLD,
        ),
        rows(
            "About",
            "The stream's account and the labels from the configuration, one row per exporter that watches it.",
            [Query(f"stream_info{{{ONE}}}", "Value")],
            [look.ACCOUNT_CELL],
            size=(24, 3),
            empty="This stream is not watched",
            hidden=["__name__", "Value"],
        ),
    ]


def _history() -> list[look.Panel]:
    return [
        timeline(
            "State over time",
            "The stream's state over time. Gap: the exporter itself was not seen.",
            [Query(code(ONE), "state")],
            mappings=look.STATES,
            size=(24, 4),
        ),
        timeline(
            "Probe outcomes",
            "Whether the last finished attempt got a definite answer. Where attempts fail the state is unknown.",
            [Query(one("stream_probe_success"), "attempt")],
            mappings=OUTCOME,
            size=(24, 4),
        ),
        timeline(
            "Media",
            "Per kind of media whether it is being published (Volcengine). The stream is live while any of them is.",
            [Query(one("stream_media_active", "media"), "{{media}}")],
            mappings=PUBLISHING,
            size=(12, 6),
            empty=NOT_TOLD,
        ),
        timeline(
            "Primary input",
            "Which input serves as master: push domain, application, and whether it is pushed or pulled (Tencent). "
            "A change of lane is a switch to the backup.",
            [Query(one("stream_primary_input_info", "domain", "app", "source"), "{{source}} {{domain}}/{{app}}")],
            mappings=PRESENT,
            size=(12, 6),
            empty=NOT_TOLD,
        ),
        curves(
            "Inputs",
            "Inputs that are being pushed (Tencent), and how many the configuration expects.",
            [Query(one("stream_inputs"), "pushed"), Query(one("stream_inputs_expected"), "expected")],
            unit="short",
            size=(12, 6),
            stepped=True,
            colors={"pushed": look.BLUE, "expected": look.ORANGE},
            empty=NOT_TOLD,
        ),
        timeline(
            "Ingest",
            "Whether the stream is pushed to the provider or pulled by it (Alibaba).",
            [Query(one("stream_ingest_info", "type"), "{{type}}")],
            mappings=PRESENT,
            size=(12, 6),
            empty=NOT_TOLD,
        ),
    ]


def _answers() -> list[look.Panel]:
    by_code = "provider, account, code, reason"
    return [
        curves(
            "Age of the last definite answer",
            "Rises while attempts fail or no turn comes. Beyond `max_age` a stream without a turn is unknown.",
            [Query(age(one("stream_last_success_timestamp_seconds")), "age")],
            unit="s",
            steps=[(120, look.ORANGE)],
        ),
        curves(
            "Failed attempts of this stream's account by code",
            "The metrics count failures per account, not per stream, to keep their number small. What failed for this "
            "very stream stands on the exporter's status page and in /api/v1/streams.",
            [
                Query(
                    f"sum by (provider, account, code) (rate({ERRORS}[$__rate_interval])) {ITS_ACCOUNT}",
                    "{{code}}",
                )
            ],
            unit="reqps",
            calcs=("lastNotNull", "max"),
            empty="no attempt failed",
        ),
        rows(
            "Last error by code",
            "Every code with which attempts of this stream's account failed within the time range, when it last did, "
            "and how often. `stream-exporter explain PROVIDER CODE` says what it means and what to do.",
            [
                Query(f"{last_time(increased(ERRORS), by_code)} * 1000 {ITS_ACCOUNT}", "Last"),
                Query(
                    f"({times(ERRORS, by_code)}) {ITS_ACCOUNT}",
                    "Times",
                ),
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
        curves(
            "Pushes ended, by reason",
            "Ends of pushes that verified callbacks of the provider told, per minute.",
            [
                Query(
                    "60 * sum by (provider, stream, reason) "
                    f"(rate(stream_pushes_ended_total{{{ONE}}}[$__rate_interval]))",
                    "{{reason}}",
                )
            ],
            unit="cpm",
            size=(8, 8),
            empty="no callbacks",
        ),
        number(
            "Last callback",
            "How long ago the provider last called back about this stream. A callback changes no state; it makes the "
            "exporter ask at once.",
            [Query(age(one("stream_last_callback_timestamp_seconds")), "age")],
            unit="dtdurations",
            size=(4, 8),
            empty="no callbacks",
        ),
    ]


def dashboard() -> look.Board:
    """Make the Stream dashboard."""
    board = look.board(UID, "Stream", "One live stream: its states over time, and what may explain them.")
    for variable in look.variables(several=False):
        board = board.with_variable(variable)
    return look.filled(board, [("Now", _now()), ("Over time", _history()), ("Answers and errors", _answers())])
