"""The sentences in PromQL that the dashboards share.

Rules that all of them keep:

- A stream nobody knows about has no `stream_active`: it is neither live nor down.
- A stream that is not live is down only while it is expected, else off air. Where nobody says, as exporters before
  `stream_expected`, it is expected; where several differ, what expects it counts.
- Several exporters may watch the same stream. What any of them knows counts, so a stream is one series again after
  `max by (provider, stream)`, and it is unknown only where it is unknown to all.
- What the rules record has no label `instance`; of alerts, some lack the account, the stream or even the job.
- A count that is empty because there is nothing to count is 0; it stays empty while no exporter is seen at all.
"""

SITE = 'cluster=~"$cluster", job=~"$job"'
JOB = f'{SITE}, instance=~"$instance"'
ACCOUNT = f'{JOB}, provider=~"$provider", account=~"$account"'
RECORDED = f'{SITE}, provider=~"$provider", stream=~"$stream"'
STREAMS = f'{JOB}, provider=~"$provider", stream=~"$stream"'
ONE = f'{JOB}, provider="$provider", stream="$stream"'
ONE_RECORDED = f'{SITE}, provider="$provider", stream="$stream"'

INFO = f'stream_info{{{ACCOUNT}, stream=~"$stream"}}'
WATCHED = f"group by (provider, stream) ({INFO})"
ACCOUNTS = f"group by (provider, account) (stream_streams{{{ACCOUNT}}})"

# The number that stands for a state: the greatest is what counts where two exporters disagree.
CODES = {"unknown": 0, "not_found": 1, "inactive": 2, "forbidden": 3, "active": 4}
OFF_AIR = 5  # stands for every state that is neither live nor unknown, while the stream is not expected


def watched(expr: str) -> str:
    """Keep the streams of the chosen accounts: only `stream_info` tells the account of a stream."""
    return f"({expr} and on (provider, stream) {INFO})"


def known(metric: str, more: str = "") -> str:
    """Return a per-stream gauge as one series per stream, whatever number of exporters watches it."""
    return watched(f"max by (provider, stream) ({metric}{{{STREAMS}{more}}})")


def code(selector: str) -> str:
    """Return the state of each stream as the number that `CODES` gives it."""
    kinds = " or ".join(
        f'{number} * stream_state{{{selector}, state="{state}"}}'
        for state, number in sorted(CODES.items(), key=lambda item: -item[1])
        if number
    )
    return f"max by (provider, stream) ({kinds})"


ACTIVE = known("stream_active")
UNKNOWN = watched(f'min by (provider, stream) (stream_state{{{STREAMS}, state="unknown"}})')
UNEXPECTED = f"({known('stream_expected')} == 0)"


def expected(expr: str) -> str:
    """Keep the streams that are expected to be live."""
    return f"({expr} unless on (provider, stream) {UNEXPECTED})"


def unexpected(expr: str) -> str:
    """Keep the streams that are not expected to be live."""
    return f"({expr} and on (provider, stream) {UNEXPECTED})"


def standing(states: str, not_expected: str) -> str:
    """Return the state of each stream as its number, but `OFF_AIR` for what is not expected and not live."""
    silent = f"({states} > {CODES['unknown']} < {CODES['active']} and on (provider, stream) {not_expected})"
    return f"(0 * {silent} + {OFF_AIR} or {states})"


STANDING = standing(watched(code(STREAMS)), UNEXPECTED)
LIVE = expected(ACTIVE)
DOWN = f"({LIVE} == 0)"


def live_share(selector: str) -> str:
    """Return the live part of the expected time within the time range; unknown time does not count as live."""
    live = f'stream_state{{{selector}, state="active"}} unless ignoring (state) stream_expected{{{selector}}} == 0'
    return f"max by (provider, stream) (avg_over_time(({live})[$__range:$__interval] @ end()))"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def counted(expr: str, labels: str = "") -> str:
    """Sum ones and zeros per stream; 0 rather than nothing wherever streams are watched."""
    return f"sum{_by(labels)} ({expr}) or 0 * count{_by(labels)} ({WATCHED})"


def total(labels: str = "") -> str:
    """Return how many streams are watched."""
    return f"count{_by(labels)} ({WATCHED})"


def share(labels: str = "") -> str:
    """Return live streams per expected stream, if any; a stream nobody knows about does not count as live."""
    return f"({counted(LIVE, labels)}) / count{_by(labels)} ({expected(WATCHED)})"


def grouped(expr: str) -> str:
    """Sum a per-stream value by the label chosen in `$label`, which only `stream_info` carries."""
    return (
        f"sum by ($label) (group by (provider, stream, $label) ({INFO}) * on (provider, stream) group_left () {expr})"
    )


def with_account(expr: str) -> str:
    """Add the label account to a per-stream value."""
    return f"group by (provider, stream, account) ({INFO}) * on (provider, stream) group_left () {expr}"


def age(moment: str) -> str:
    """Return the seconds since a time; 0 for an answer that came during a scrape, which is dated by its beginning."""
    return f"clamp_min(time() - {moment}, 0)"


def last_time(condition: str, labels: str) -> str:
    """Return when a condition last held within the time range, in Unix seconds, to the step of the panel."""
    return f"max by ({labels}) (max_over_time(timestamp({condition})[$__range:$__interval]))"


def increased(counter: str) -> str:
    """Keep counters that grew within a step or appeared: a new label value begins with its first event."""
    return f"{counter} > {counter} offset $__interval or {counter} unless {counter} offset $__interval"


def times(counter: str, labels: str) -> str:
    """Return how often a counter counted within the time range, its first event too if that made it appear."""
    appeared = f"max_over_time({counter}[$__range]) unless {counter} offset $__range"
    return f"sum by ({labels}) ({appeared} or increase({counter}[$__range])) > 0"


def rate(counter: str, labels: str) -> str:
    """Return a counter's growth per second; exporters make calls of their own, so theirs add up."""
    return f"sum by ({labels}) (rate({counter}[$__rate_interval]))"


def quantile(share: float, histogram: str, labels: str) -> str:
    """Return a quantile of a classic histogram over the rate interval."""
    return f"histogram_quantile({share}, {rate(histogram, f'le, {labels}')})"
