"""The panels about what viewers get at the addresses that they use."""

from grafana import look
from grafana.look import Column, curves, number, rows, timeline, words
from grafana.promql import ACCOUNT, LIVE, ONE, STREAMS, code, counted, last_time, rate, watched

ADDRESS = "provider, stream, playback"
UP = f"stream_playback_up{{{STREAMS}}}"
ERRORS = f"stream_playback_errors_total{{{STREAMS}}}"
FRESH = words({1: ("fresh media", look.GREEN), 0: ("not playable", look.RED)})
ARRIVES = words({1: ("it moves", look.GREEN), 0: ("nothing arrives", look.ORANGE)})
AGREED = words({1: ("disagree", look.ORANGE), 0: ("agree", look.GREEN)})
# Where exporters differ, one that can play an address is right.
PLAYABLE = watched(f"max by ({ADDRESS}) ({UP})")
NOT_PLAYABLE = f"({PLAYABLE} == 0 and on (provider, stream) ({LIVE} == 1))"
# Of what failed lately and has no outcome now, the failures by reason.
FAILING = f"(sum by ({ADDRESS}, reason) (increase({ERRORS}[$__rate_interval])) > 0 unless on ({ADDRESS}) {UP})"
NOT_CHECKED = "no address is checked"
ADDRESS_CELL = Column("playback", unit="none")


def _one(metric: str, labels: str = "playback", how: str = "max") -> str:
    """Return a value of each address of the stream that is looked at."""
    return f"{how} by (provider, stream, {labels}) ({metric}{{{ONE}}})"


COUNT = number(
    "Not playable",
    "Streams that are live as expected, but at one or more of their addresses viewers get nothing fresh. Where nobody "
    "knows, a stream is not in it.",
    {"not playable": counted(f"group by (provider, stream) ({NOT_PLAYABLE})")},
    steps=[(1, look.RED)],
    spark=True,
)
TABLES: list[look.Panel] = [
    rows(
        "Not playable now, and since when",
        "Addresses of live, expected streams at which viewers get nothing fresh, and when they last did, as exact as "
        "the step of the panel. Click a stream for its history.",
        {
            "Playable": NOT_PLAYABLE,
            "Last seen playable": f"{last_time(f'{UP} == 1', ADDRESS)} * 1000 and on ({ADDRESS}) {NOT_PLAYABLE}",
        },
        [
            look.STREAM_CELL,
            ADDRESS_CELL,
            Column("Playable", mappings=FRESH, width=110),
            Column("Last seen playable", unit="dateTimeAsIso", width=170, empty="not in this range"),
        ],
        size=(14, 7),
        sort=("Last seen playable", False),
        empty="Viewers can play every address of a live stream that is checked",
    ),
    rows(
        "Checks without a result",
        "Addresses of which nobody knows what viewers get, and how often checks failed within the rate interval. An "
        "expired token is the usual reason for auth.",
        {"Failed": watched(FAILING)},
        [look.STREAM_CELL, ADDRESS_CELL, Column("Failed", decimals=0)],
        size=(10, 7),
        sort=("stream", False),
        empty="No check fails",
    ),
]
LANES = timeline(
    "Source, cloud, viewers",
    "One stream hop by hop: whether anything arrives, what the cloud says, what viewers get at each address. The hops "
    "disagree where the cloud says live and an address is down, or clouds differ about streams of one group. Gaps: "
    "nobody knows.",
    {
        "source": f"1 - min by (provider, stream) (stream_ingest_stalled{{{ONE}}})",
        "cloud": code(ONE),
        "{{playback}}": _one("stream_playback_up"),
        "hops": f"max by (provider, stream) (stream_hop_disagreement{{{ONE}}})",
    },
    mappings=FRESH,
    size=(24, 6),
    others={"source": ARRIVES, "cloud": look.STATES, "hops": AGREED},
)
OF_ONE: list[look.Panel] = [
    curves(
        "Age of the newest media",
        "How old the newest media is when it is checked: the delay of viewers, without their player's buffer. A line "
        "that climbs is a picture that stands still.",
        {"{{playback}}": _one("stream_playback_segment_age_seconds", how="min")},
        unit="s",
        size=(8, 8),
        calcs=("lastNotNull", "max"),
        empty=NOT_CHECKED,
    ),
    curves(
        "Time to the first byte",
        "From the request of the newest media to its first byte.",
        {"{{playback}}": _one("stream_playback_first_byte_seconds")},
        unit="s",
        size=(8, 8),
        calcs=("lastNotNull", "max"),
        empty=NOT_CHECKED,
    ),
    curves(
        "Failed checks by reason",
        "Checks of an address that left unknown what viewers get, per minute.",
        {
            "{{playback}} {{reason}}": "60 * "
            + rate(f"stream_playback_errors_total{{{ONE}}}", "provider, stream, playback, reason")
        },
        unit="cpm",
        size=(8, 8),
        calcs=("lastNotNull", "max"),
        empty="no check failed",
    ),
]
OF_ACCOUNTS: list[look.Panel] = [
    curves(
        "Bytes received by checks",
        "What checks of viewers' addresses fetch, by the account of the stream. CDNs bill it as they bill viewers.",
        {"{{provider}}/{{account}}": rate(f"stream_playback_bytes_total{{{ACCOUNT}}}", "provider, account")},
        unit="Bps",
        calcs=("lastNotNull", "mean", "max"),
        empty=NOT_CHECKED,
    ),
    curves(
        "Failed checks of addresses",
        "Checks that left unknown what viewers get, per minute, by provider and reason. Many at once are rarely the "
        "streams' fault.",
        {"{{provider}} {{reason}}": f"60 * sum by (provider, reason) {watched(f'rate({ERRORS}[$__rate_interval])')}"},
        unit="cpm",
        calcs=("lastNotNull", "max"),
        empty="no check failed",
    ),
]
