"""The panels about streams that are live, but not whole, and about those that are live without being expected."""

from grafana import look
from grafana.look import Column, number, rows, words
from grafana.playback import NOT_PLAYABLE
from grafana.promql import ACTIVE, LIVE, STREAMS, counted, known, unexpected, watched, with_account

INPUTS, INPUTS_EXPECTED = known("stream_inputs"), known("stream_inputs_expected")
SHOULD_BE_WHOLE = f"and on (provider, stream) ({LIVE} == 1)"
FEWER = f"({INPUTS_EXPECTED} - on (provider, stream) {INPUTS} > 0 {SHOULD_BE_WHOLE})"
_SILENT = (
    f"max by (provider, stream, media) (stream_media_active{{{STREAMS}}}) == 0 "
    f"and on (provider, stream, media) stream_media_expected{{{STREAMS}}} == 1"
)
SILENT = f"({watched(f'count by (provider, stream) ({_SILENT})')} {SHOULD_BE_WHOLE})"
# Where exporters differ, one that saw something arrive is right.
STALLED = f"({watched(f'min by (provider, stream) (stream_ingest_stalled{{{STREAMS}}})')} == 1 {SHOULD_BE_WHOLE})"
UNPLAYABLE = f"count by (provider, stream) ({NOT_PLAYABLE})"


COUNTS: list[look.Panel] = [
    number(
        "Degraded",
        "Streams that are live as expected, but not whole: fewer inputs than `inputs:`, without a type of "
        "`media_expected:`, stalled, or with an address that viewers cannot play.",
        {"degraded": counted(f"group by (provider, stream) ({FEWER} or {SILENT} or {STALLED} or {UNPLAYABLE})")},
        steps=[(1, look.ORANGE)],
    ),
    number(
        "Stalled",
        "Streams that are live as expected, but nothing arrives: no frames, no bits. "
        f"Told by: {look.told_by('stream_ingest_stalled')}.",
        {"stalled": counted(STALLED)},
        steps=[(1, look.ORANGE)],
    ),
]
TABLES: list[look.Panel] = [
    rows(
        "Degraded now",
        "Streams that are live as expected, but not whole, and what is missing. Click a stream for its history.",
        {
            "Inputs missing": with_account(FEWER),
            "Media missing": with_account(SILENT),
            "Stalled": with_account(STALLED),
            "Not playable": with_account(f"({UNPLAYABLE})"),
        },
        [look.STREAM_CELL, look.ACCOUNT_CELL, Column("Stalled", mappings=words({1: ("stalled", look.ORANGE)}))],
        size=(14, 7),
        sort=("stream", False),
        empty="Every live stream is whole",
    ),
    rows(
        "Live, not expected now",
        "Streams that are live although they are not expected to be now: a schedule that is out of date, or somebody "
        "who forgot to stop.",
        {"Live": with_account(f"({unexpected(ACTIVE)} == 1)")},
        [look.STREAM_CELL, look.ACCOUNT_CELL],
        size=(10, 7),
        sort=("stream", False),
        empty="Nothing is live that is not expected",
        hidden=["Value"],
    ),
]
