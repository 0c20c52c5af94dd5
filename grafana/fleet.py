"""The Fleet dashboard: how many streams are live of those expected, what is down and since when."""

from grafana import alerts, availability, degraded, look, playback
from grafana.board import Board, board, grouping
from grafana.degraded import INPUTS, INPUTS_EXPECTED
from grafana.look import Column, curves, number, rows, timeline
from grafana.promql import (
    ACTIVE,
    CODES,
    DOWN,
    INFO,
    JOB,
    LIVE,
    OFF_AIR,
    STANDING,
    STREAMS,
    UNKNOWN,
    WATCHED,
    age,
    counted,
    expected,
    grouped,
    known,
    last_time,
    live_share,
    share,
    total,
    unexpected,
    watched,
    with_account,
)

BLIND = f"({UNKNOWN} == 1)"
LAST_LIVE = last_time(f"stream_active{{{STREAMS}}} == 1", "provider, stream")
LAST_ANSWER = known("stream_last_success_timestamp_seconds")
CHANGES = watched(f"max by (provider, stream) (increase(stream_state_changes_total{{{STREAMS}}}[$__range]))")
LEAST_LIVE = f"bottomk(30, {watched(live_share(STREAMS))} < 1)"

KIND = Column("State", unit="none", mappings=look.STATES, width=110)
AGE = Column("Age of the last answer", unit="dtdurations", steps=[(120, look.ORANGE), (300, look.RED)])
COUNTS = [
    Column("Live", steps=[(0, look.GREEN)]),
    Column("Down", steps=[(1, look.RED)]),
    Column("Off air", steps=[(0, look.CALM)]),
    Column("Unknown", steps=[(1, look.GREY)]),
    Column("Live share", unit="percentunit", steps=[(0, look.RED), (0.9, look.ORANGE), (0.99, look.GREEN)]),
]


NUMBERS = {**CODES, "off_air": OFF_AIR}


def in_state(state: str) -> str:
    """Count the streams in a state."""
    return counted(f"{STANDING} == bool {NUMBERS[state]}")


NOW: list[look.Panel] = [
    number(
        "Live of expected",
        "Streams that a provider says are live, of those that are expected to be, and all streams in the exporter's "
        "configuration.",
        {"live": counted(LIVE), "expected": counted(expected(WATCHED)), "watched": total()},
        size=(8, 4),
    ),
    number(
        "Live share",
        "Live streams per stream that is expected now. A stream nobody knows about does not count as live.",
        {"share": share()},
        unit="percentunit",
        steps=[(0.9, look.ORANGE), (0.99, look.GREEN)],
        base=look.RED,
        decimals=1,
        spark=True,
    ),
    number(
        "Down",
        "Streams that are expected, but a provider says that they are not live: inactive, forbidden or not found. "
        "Neither unknown ones are in it nor those off air.",
        {"down": counted(f"{LIVE} == bool 0")},
        steps=[(1, look.RED)],
        spark=True,
    ),
    playback.COUNT,
    number(
        "Unknown",
        "Streams nobody knows about: the last attempt failed, or no attempt was made for longer than `max_age`. "
        "They may well be live: look at Providers and quota first. Those not expected now are in it too.",
        {"unknown": counted(UNKNOWN)},
        steps=[(1, look.GREY)],
        spark=True,
    ),
    *degraded.COUNTS,
    number(
        "Off air",
        "Streams that are not live and not expected to be now, by their schedule or for maintenance: all is well.",
        {"off air": counted(f"{unexpected(ACTIVE)} == bool 0")},
        base=look.CALM,
    ),
    number(
        "Live, not expected",
        "Streams that are live although they are not expected to be now. Worth knowing, and no reason to get up.",
        {"streams": counted(unexpected(ACTIVE))},
        steps=[(1, look.SKY)],
    ),
    number(
        "Changes of state",
        "Changes between definite states of all streams within the time range. "
        "Prometheus extrapolates, so small figures are rounded.",
        {"changes": counted(CHANGES)},
        decimals=0,
    ),
    alerts.count(alerts.CHOSEN),
]


TROUBLES: list[look.Panel] = [
    rows(
        "Down now, and since when",
        "Expected streams that are definitely not live. They went down after the moment in Last seen live, as exact "
        "as the step of the panel (the time range in 500 parts, at least 15 s). Empty there: not live within the "
        "whole time range; choose a longer one. Click a stream for its history.",
        {
            "State": with_account(f"({STANDING} and on (provider, stream) {DOWN})"),
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
        empty="No expected stream is down",
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
    *playback.TABLES,
    *degraded.TABLES,
]


KINDS = {
    "live": "active",
    **{name.replace("_", " "): name for name in ("inactive", "forbidden", "not_found", "off_air", "unknown")},
}
HISTORY: list[look.Panel] = [
    timeline(
        "States of the streams that were live least",
        "Up to 30 streams that were live for the smallest part of their expected time within the time range; one that "
        "was live for all of it is not shown. Gaps: the exporter itself was not seen. Click a lane for its history.",
        {"{{provider}}/{{stream}}": f"{STANDING} and on (provider, stream) {LEAST_LIVE}"},
        mappings=look.STATES,
        size=(24, 12),
        empty="Every stream was live whenever it was expected",
        link=look.LANE_TO_STREAM,
    ),
    curves(
        "Streams by state",
        "All watched streams, stacked by state. Inactive, forbidden and not found are all down; off air is not live, "
        "and not expected.",
        {name: in_state(state) for name, state in KINDS.items()},
        unit="short",
        stacked=True,
        stepped=True,
        colors=look.STATE_COLORS,
    ),
    curves(
        "Live share by provider",
        "Live streams per expected stream of each provider. One that falls alone points at the provider, not at the "
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
        "How many streams of each provider are live of those expected, down, off air and unknown.",
        {
            "Watched": total("provider"),
            "Expected": counted(expected(WATCHED), "provider"),
            "Live": counted(LIVE, "provider"),
            "Down": counted(f"{LIVE} == bool 0", "provider"),
            "Off air": counted(f"{unexpected(ACTIVE)} == bool 0", "provider"),
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
            "Expected": f"{grouped(expected(WATCHED))} or 0 * count by ($label) ({INFO})",
            "Live": f"{grouped(LIVE)} or 0 * count by ($label) ({INFO})",
            "Down": f"{grouped(f'({LIVE} == bool 0)')} or 0 * count by ($label) ({INFO})",
            "Off air": f"{grouped(f'({unexpected(ACTIVE)} == bool 0)')} or 0 * count by ($label) ({INFO})",
            "Unknown": grouped(UNKNOWN),
            "Live share": f"({grouped(LIVE)} or 0 * count by ($label) ({INFO})) / {grouped(expected(WATCHED))}",
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
        {"streams": counted(f"{INPUTS} < bool on (provider, stream) {INPUTS_EXPECTED}")},
        size=(6, 8),
        steps=[(1, look.ORANGE)],
    ),
    rows(
        "Inputs against expected",
        "Streams whose configuration expects a number of inputs (primary and backup), and how many are pushed now. "
        "Empty: the provider did not tell.",
        {
            "Expected": with_account(INPUTS_EXPECTED),
            "Pushed": f"{INPUTS} and on (provider, stream) {INPUTS_EXPECTED}",
            "Missing": f"{INPUTS_EXPECTED} - on (provider, stream) {INPUTS}",
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
