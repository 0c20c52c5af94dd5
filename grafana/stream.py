"""The Stream dashboard: the history of one stream, and what may explain it."""

from grafana import alerts, availability, look, playback
from grafana.board import Board, board
from grafana.look import curves, number, rows, timeline, words
from grafana.promql import JOB, ONE, age, code, increased, last_time, live_share, standing, times

ITS_ACCOUNT = f"and on (provider, account) stream_info{{{ONE}}}"
ERRORS = f'stream_probe_errors_total{{{JOB}, provider="$provider"}}'
OUTCOME = words({1: ("definite answer", look.GREEN), 0: ("failed", look.RED)})
TOLD = words({1: ("yes", look.GREEN), 0: ("no", look.RED)})
STALLED = words({1: ("nothing arrives", look.ORANGE), 0: ("it moves", look.GREEN)})
NOT_TOLD = "this provider does not tell"


def one(metric: str, *labels: str, how: str = "max") -> str:
    """Return a value of the stream that is looked at, by more labels if any."""
    return f"{how} by ({', '.join(['provider', 'stream', *labels])}) ({metric}{{{ONE}}})"


STANDING = standing(code(ONE), f"({one('stream_expected')} == 0)")
NOW: list[look.Panel] = [
    number(
        "State now",
        "What the provider said last. Unknown: nobody can tell now; the stream may well be live. Off air: neither "
        "live nor expected to be.",
        {"state": STANDING},
        unit="none",
        mappings=look.STATES,
    ),
    number(
        "Last attempt",
        "Whether the last finished attempt to ask about this stream got a definite answer.",
        {"attempt": one("stream_probe_success")},
        unit="none",
        mappings=OUTCOME,
    ),
    number(
        "Last definite answer",
        "How long ago the last definite answer came. It is kept across failures.",
        {"age": age(one("stream_last_success_timestamp_seconds"))},
        unit="dtdurations",
        steps=[(120, look.ORANGE), (300, look.RED)],
        empty="none yet",
    ),
    number(
        "Live share",
        "Part of the expected time within the time range in which the stream was known to be live; unknown time does "
        "not count as live.",
        {"share": live_share(ONE)},
        unit="percentunit",
        steps=[(0.9, look.ORANGE), (0.99, look.GREEN)],
        base=look.RED,
        decimals=2,
        empty="not expected",
    ),
    number(
        "Changes of state",
        "Changes between definite states within the time range, as Prometheus extrapolates them.",
        {"changes": f"max(increase(stream_state_changes_total{{{ONE}}}[$__range]))"},
        steps=[(1, look.ORANGE)],
        decimals=0,
    ),
    number(
        "Present push began",
        "How long ago the push that is live now began. Zego tells it, and the lists of online streams do.",
        {"since": f"time() - {one('stream_start_timestamp_seconds')}"},
        unit="dtdurations",
        empty=NOT_TOLD,
    ),
    rows(
        "About",
        "The stream's account and the labels from the configuration, one row per exporter that watches it.",
        {"Value": f"stream_info{{{ONE}}}"},
        [look.ACCOUNT_CELL],
        size=(24, 3),
        empty="This stream is not watched",
        hidden=["__name__", "Value"],
    ),
]


HISTORY: list[look.Panel] = [
    timeline(
        "State over time",
        "The stream's state over time, and whether it was expected to be live. Gap: the exporter itself was not seen.",
        {"state": STANDING, "expected": one("stream_expected")},
        mappings=look.STATES,
        size=(24, 5),
        others={"expected": look.EXPECTED},
    ),
    playback.LANES,
    timeline(
        "Probe outcomes",
        "Whether the last finished attempt got a definite answer. Where attempts fail the state is unknown.",
        {"attempt": one("stream_probe_success")},
        mappings=OUTCOME,
        size=(24, 4),
    ),
]


ARRIVING: list[look.Panel] = [
    timeline(
        "Media, inputs, push or pull",
        "What some clouds tell besides the state. "
        f"Media being published, any of which keeps the stream live, and which are expected: "
        f"{look.told_by('stream_media_active')}. "
        f"Inputs being pushed, how many are expected, and which one serves: {look.told_by('stream_inputs')}. "
        f"Whether the stream is pushed or pulled: {look.told_by('stream_ingest_info')}. "
        f"Stalled, live but nothing arrives: {look.told_by('stream_ingest_stalled')}.",
        {
            "media {{media}}": one("stream_media_active", "media"),
            "media {{media}} expected": one("stream_media_expected", "media"),
            "stalled": one("stream_ingest_stalled", how="min"),
            "inputs pushed": one("stream_inputs"),
            "inputs expected": one("stream_inputs_expected"),
            "serves: {{source}} {{domain}}/{{app}}": one("stream_primary_input_info", "domain", "app", "source"),
            "ingest: {{type}}": one("stream_ingest_info", "type"),
        },
        mappings=TOLD,
        size=(24, 8),
        counts=("inputs pushed", "inputs expected"),
        others={"stalled": STALLED},
        empty="this provider tells the state only",
    ),
    curves(
        "Bits arriving",
        f"What arrives at the provider, by media. Told by: {look.told_by('stream_ingest_bits_per_second')}.",
        {"{{media}}": one("stream_ingest_bits_per_second", "media")},
        unit="bps",
        size=(8, 7),
        empty=NOT_TOLD,
    ),
    curves(
        "Frames arriving",
        f"Frames of video per second. Told by: {look.told_by('stream_ingest_frames_per_second')}.",
        {"frames": one("stream_ingest_frames_per_second")},
        unit="suffix: fps",
        size=(8, 7),
        empty=NOT_TOLD,
    ),
    curves(
        "Size of the picture",
        f"Its width and height. Told by: {look.told_by('stream_ingest_width_pixels')}.",
        {"width": one("stream_ingest_width_pixels"), "height": one("stream_ingest_height_pixels")},
        unit="suffix: px",
        size=(8, 7),
        stepped=True,
        empty=NOT_TOLD,
    ),
]


BY_CODE = "provider, account, code, reason"
ANSWERS: list[look.Panel] = [
    curves(
        "Age of the last definite answer",
        "Rises while attempts fail or no turn comes. Beyond `max_age` a stream without a turn is unknown.",
        {"age": age(one("stream_last_success_timestamp_seconds"))},
        unit="s",
        steps=[(120, look.ORANGE)],
    ),
    curves(
        "Failed attempts of this stream's account by code",
        "The metrics count failures per account, not per stream, to keep their number small. What failed for this "
        "very stream stands on the exporter's status page and in /api/v1/streams.",
        {"{{code}}": f"sum by (provider, account, code) (rate({ERRORS}[$__rate_interval])) {ITS_ACCOUNT}"},
        unit="reqps",
        calcs=("lastNotNull", "max"),
        empty="no attempt failed",
    ),
    rows(
        "Last error by code",
        "Every code with which attempts of this stream's account failed within the time range, when it last did, "
        "and how often. `stream-exporter explain PROVIDER CODE` says what it means and what to do.",
        {
            "Last": f"{last_time(increased(ERRORS), BY_CODE)} * 1000 {ITS_ACCOUNT}",
            "Times": f"({times(ERRORS, BY_CODE)}) {ITS_ACCOUNT}",
        },
        look.ERROR_COLUMNS,
        size=(24, 8),
        sort=("Last", True),
        empty="No attempt failed within the time range",
    ),
]


CALLBACKS: list[look.Panel] = [
    curves(
        "Pushes ended, by reason",
        "Ends of pushes that verified callbacks of the provider told, per minute.",
        {
            "{{reason}}": "60 * sum by (provider, stream, reason) "
            f"(rate(stream_pushes_ended_total{{{ONE}}}[$__rate_interval]))"
        },
        unit="cpm",
        size=(18, 8),
        empty="no callbacks",
    ),
    number(
        "Last callback",
        "How long ago the provider last called back about this stream. A callback changes no state; it makes the "
        "exporter ask at once.",
        {"age": age(one("stream_last_callback_timestamp_seconds"))},
        unit="dtdurations",
        size=(6, 8),
        empty="no callbacks",
    ),
]


def dashboard() -> Board:
    """Make the Stream dashboard."""
    return board(
        "stream-exporter-stream",
        "Stream",
        "One live stream: its states over time, and what may explain them.",
        {
            "Now": [*NOW, alerts.table(alerts.OF_ONE)],
            "Over time": HISTORY,
            "Media, inputs and ingest": ARRIVING,
            "Availability": availability.OF_ONE,
            "Answers and errors": ANSWERS,
        },
        {look.PLAYBACK: playback.OF_ONE, look.CALLBACKS: CALLBACKS},
        several=False,
        page="?provider=${provider:percentencode}&q=${stream:percentencode}",
    )
