"""The Fleet dashboard: how many streams are live of those expected, what is down and since when."""

from grafana import alerts, availability, look
from grafana.board import Board, board, grouping
from grafana.look import Column, curves, number, rows, timeline
from grafana.promql import (
    ACTIVE,
    CODE,
    CODES,
    INFO,
    JOB,
    STREAMS,
    UNKNOWN,
    age,
    counted,
    grouped,
    known,
    last_time,
    share,
    total,
    watched,
    with_account,
)

DOWN = f"({ACTIVE} == 0)"
BLIND = f"({UNKNOWN} == 1)"
LAST_LIVE = last_time(f"stream_active{{{STREAMS}}} == 1", "provider, stream")
LAST_ANSWER = known("stream_last_success_timestamp_seconds")
CHANGES = watched(f"max by (provider, stream) (increase(stream_state_changes_total{{{STREAMS}}}[$__range]))")
INPUTS, EXPECTED = known("stream_inputs"), known("stream_inputs_expected")
LIVE_SHARE = f'avg_over_time(stream_state{{{STREAMS}, state="active"}}[$__range:$__interval] @ end())'
LEAST_LIVE = f"bottomk(30, {watched(f'max by (provider, stream) ({LIVE_SHARE})')} < 1)"

KIND = Column("State", unit="none", mappings=look.STATES, width=110)
AGE = Column("Age of the last answer", unit="dtdurations", steps=[(120, look.ORANGE), (300, look.RED)])
COUNTS = [
    Column("Live", steps=[(0, look.GREEN)]),
    Column("Down", steps=[(1, look.RED)]),
    Column("Unknown", steps=[(1, look.GREY)]),
    Column("Live share", unit="percentunit", steps=[(0, look.RED), (0.9, look.ORANGE), (0.99, look.GREEN)]),
]


def in_state(state: str) -> str:
    """Count the streams in a state."""
    return counted(f"{CODE} == bool {CODES[state]}")


NOW: list[look.Panel] = [
    number(
        "Live of watched",
        "Streams that a provider says are live, and all streams in the exporter's configuration.",
        {"live": counted(ACTIVE), "watched": total()},
        size=(6, 4),
    ),
    number(
        "Live share",
        "Live streams per watched stream. A stream nobody knows about does not count as live.",
        {"share": share()},
        unit="percentunit",
        steps=[(0.9, look.ORANGE), (0.99, look.GREEN)],
        base=look.RED,
        decimals=1,
        spark=True,
    ),
    number(
        "Down",
        "Streams that a provider says are not live: inactive, forbidden or not found. Unknown ones are not in it.",
        {"down": counted(f"{ACTIVE} == bool 0")},
        steps=[(1, look.RED)],
        spark=True,
    ),
    number(
        "Unknown",
        "Streams nobody knows about: the last attempt failed, or no attempt was made for longer than `max_age`. "
        "They may well be live: look at Providers and quota first.",
        {"unknown": counted(UNKNOWN)},
        steps=[(1, look.GREY)],
        spark=True,
    ),
    number(
        "Changes of state",
        "Changes between definite states of all streams within the time range. "
        "Prometheus extrapolates, so small figures are rounded.",
        {"changes": counted(CHANGES)},
        size=(3, 4),
        decimals=0,
    ),
    alerts.count(alerts.CHOSEN),
]


TROUBLES: list[look.Panel] = [
    rows(
        "Down now, and since when",
        "Streams that are definitely not live. They went down after the moment in Last seen live, as exact as the "
        "step of the panel (the time range in 500 parts, at least 15 s). Empty there: not live within the "
        "whole time range; choose a longer one. Click a stream for its history.",
        {
            "State": with_account(f"({CODE} and on (provider, stream) {DOWN})"),
            "Last seen live": f"{LAST_LIVE} * 1000 and on (provider, stream) {DOWN}",
            "Down for at most": f"time() - {LAST_LIVE} and on (provider, stream) {DOWN}",
        },
        [
            look.STREAM_CELL,
            look.ACCOUNT_CELL,
            KIND,
            Column("Last seen live", unit="dateTimeAsIso", width=170, empty="not in this range"),
            Column("Down for at most", unit="dtdurations", empty="beyond this range"),
        ],
        size=(14, 9),
        sort=("Down for at most", False),
        empty="No stream is down",
    ),
    rows(
        "Unknown now",
        "Streams about which no exporter has an answer young enough, and the age of the last definite one. Empty "
        "there: no definite answer since the exporter started. An account that fails shows in Providers and quota.",
        {
            "Unknown": with_account(BLIND),
            "Age of the last answer": f"{age(LAST_ANSWER)} and on (provider, stream) {BLIND}",
        },
        [look.STREAM_CELL, look.ACCOUNT_CELL, Column(AGE.name, unit=AGE.unit, steps=AGE.steps, empty="none yet")],
        size=(10, 9),
        sort=("Age of the last answer", True),
        empty="Something definite is known of every stream",
        hidden=["Value #A"],
    ),
]


KINDS = {
    "live": "active",
    **{name.replace("_", " "): name for name in ("inactive", "forbidden", "not_found", "unknown")},
}
HISTORY: list[look.Panel] = [
    timeline(
        "States of the streams that were live least",
        "Up to 30 streams that were live for the smallest part of the time range; a stream that was live all the "
        "time is not in it. Gaps: the exporter itself was not seen. Click a lane for the stream's history.",
        {"{{provider}}/{{stream}}": f"{CODE} and on (provider, stream) {LEAST_LIVE}"},
        mappings=look.STATES,
        size=(24, 12),
        empty="Every stream was live for the whole time range",
        link=look.LANE_TO_STREAM,
    ),
    curves(
        "Streams by state",
        "All watched streams, stacked by state. Inactive, forbidden and not found are all down.",
        {name: in_state(state) for name, state in KINDS.items()},
        unit="short",
        stacked=True,
        stepped=True,
        colors=look.STATE_COLORS,
    ),
    curves(
        "Live share by provider",
        "Live streams per watched stream of each provider. One that falls alone points at the provider, not at the "
        "streams.",
        {"{{provider}}": share("provider")},
        unit="percentunit",
        bounds=(0, 1),
        calcs=("lastNotNull", "min"),
    ),
]

GROUPS: list[look.Panel] = [
    rows(
        "By provider",
        "How many streams of each provider are live, down and unknown.",
        {
            "Watched": total("provider"),
            "Live": counted(ACTIVE, "provider"),
            "Down": counted(f"{ACTIVE} == bool 0", "provider"),
            "Unknown": counted(UNKNOWN, "provider"),
            "Live share": share("provider"),
        },
        COUNTS,
        sort=("Live share", False),
        empty="No exporter is seen",
    ),
    rows(
        "By $label",
        "The same by a label of your configuration: choose it as Group by. Only labels of `stream_info` can be "
        "chosen, which are the account and the `labels:` of the streams.",
        {
            "Watched": f"count by ($label) (group by (provider, stream, $label) ({INFO}))",
            "Live": f"{grouped(ACTIVE)} or 0 * count by ($label) ({INFO})",
            "Down": f"{grouped(f'({ACTIVE} == bool 0)')} or 0 * count by ($label) ({INFO})",
            "Unknown": grouped(UNKNOWN),
            "Live share": f"({grouped(ACTIVE)} or 0 * count by ($label) ({INFO})) "
            f"/ count by ($label) (group by (provider, stream, $label) ({INFO}))",
        },
        COUNTS,
        sort=("Live share", False),
        empty="No exporter is seen",
    ),
]


STEADINESS: list[look.Panel] = [
    look.bars(
        "Streams that changed most",
        "Changes between definite states within the time range, the 15 greatest. "
        "A stream that flaps has an encoder or an uplink in trouble.",
        {"{{provider}}/{{stream}}": f"topk(15, {CHANGES} > 0.5)"},
        unit="short",
        size=(12, 9),
        color=look.ORANGE,
        empty="No stream changed its state",
    ),
    curves(
        "Changes of state by provider",
        "Changes between definite states per minute. Many at once at one provider are rarely the streams' fault.",
        {
            "{{provider}}": "60 * sum by (provider) "
            + watched(f"max by (provider, stream) (rate(stream_state_changes_total{{{STREAMS}}}[$__rate_interval]))")
        },
        unit="cpm",
        size=(12, 9),
        calcs=("max",),
    ),
]


INPUTS_TOLD: list[look.Panel] = [
    number(
        "Inputs missing",
        "Streams with fewer inputs than `inputs:` of the configuration expects: redundancy is lost.",
        {"streams": counted(f"{INPUTS} < bool on (provider, stream) {EXPECTED}")},
        size=(6, 8),
        steps=[(1, look.ORANGE)],
    ),
    rows(
        "Inputs against expected",
        "Streams whose configuration expects a number of inputs (primary and backup), and how many are pushed now. "
        "Empty: the provider did not tell.",
        {
            "Expected": with_account(EXPECTED),
            "Pushed": f"{INPUTS} and on (provider, stream) {EXPECTED}",
            "Missing": f"{EXPECTED} - on (provider, stream) {INPUTS}",
        },
        [look.STREAM_CELL, look.ACCOUNT_CELL, Column("Missing", steps=[(1, look.RED)])],
        size=(18, 8),
        sort=("Missing", True),
        empty="No stream has `inputs:` in its configuration",
    ),
]


def dashboard() -> Board:
    """Make the Fleet dashboard."""
    return board(
        "stream-exporter-fleet",
        "Fleet",
        "Which live streams are up, on all clouds at once.",
        {
            "Now": [*NOW, alerts.table(alerts.CHOSEN), *TROUBLES],
            "Over time": HISTORY,
            "Availability": availability.OF_FLEET,
            "By provider and label": GROUPS,
            "Steadiness": STEADINESS,
        },
        {f"Inputs ({look.told_by('stream_inputs')} only)": INPUTS_TOLD},
        more=[grouping(f'label_names(stream_info{{{JOB}, provider=~"$provider"}})')],
    )
