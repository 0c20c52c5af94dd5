"""The alerts about single streams."""

from __future__ import annotations

from typing import Final

from exporter.rules.model import StreamAlert
from exporter.rules.records import BEGUN, EXPECTED

# Two answers "not live", none "live" for 75 s, and "not live" the last that was heard: true across gaps.
NOT_LIVE: Final = """\
min without ($replica) (last_over_time(stream_active[3m])) == 0
unless
max without ($replica) (max_over_time(stream_active[75s])) == 1
and
sum without ($replica) (count_over_time(stream_active[3m]) - sum_over_time(stream_active[3m])) >= 2"""
LIVE: Final = "max without ($replica) (last_over_time(stream_active[3m])) == 1"
# What has not begun since it is expected is late, not down; what is not expected has not begun.
STREAM_DOWN: Final = StreamAlert(
    name="StreamDown",
    severity="critical",
    keep="2m",
    expected="",
    expr=f"""\
{NOT_LIVE}
unless
{BEGUN} == 0""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} is not live",
    description="{{ $labels.provider }} said at least twice that {{ $labels.stream }} is not live, "
    "and nobody has seen it live for more than a minute.",
)
STREAM_LATE: Final = StreamAlert(
    name="StreamLate",
    severity="critical",
    keep="2m",
    expr=f"""\
{NOT_LIVE}
and
{BEGUN} == 0""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} has not begun",
    description="{{ $labels.stream }} has been expected for more than three minutes, and {{ $labels.provider }} has "
    "not once said that it is live.",
)
# Runs of lost probes do not start the ten minutes again.
STREAM_UNEXPECTED: Final = StreamAlert(
    name="StreamUnexpected",
    severity="info",
    pending="10m",
    keep="2m",
    expected="",
    expr=f"""\
{LIVE}
and
{EXPECTED} == 0""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} is live though it is not expected",
    description="{{ $labels.stream }} has been live for ten minutes outside of the time in which it is expected.",
)
STREAM_FORBIDDEN: Final = StreamAlert(
    name="StreamForbidden",
    severity="critical",
    keep="2m",
    expr="""\
max without ($replica, state) (sum_over_time(stream_state{state="forbidden"}[3m])) >= 2
unless
max without ($replica) (max_over_time(stream_active[75s])) == 1""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} is forbidden",
    description="{{ $labels.provider }} refuses pushes of {{ $labels.stream }}. It will not come back by itself: "
    "somebody has to lift the ban.",
)
STREAM_BLIND: Final = StreamAlert(
    name="StreamBlind",
    severity="warning",
    pending="3m",
    expr="""\
max without ($replica) (present_over_time(stream_probe_success[1m]))
unless
max without ($replica) (present_over_time(stream_active[2m]))""",
    exempt="""\
unless ignoring (stream$more)
provider_account:stream_probe_success:avg3m < 0.1""",
    summary="Nobody knows whether {{ $labels.provider }}/{{ $labels.stream }} is live",
    description="For five minutes no probe of {{ $labels.stream }} has got a definite answer, while "
    "{{ $labels.provider }} answers for other streams{{ with $labels.account }} of {{ . }}{{ end }}.",
)
STREAM_FLAPPING: Final = StreamAlert(
    name="StreamFlapping",
    severity="warning",
    keep="5m",
    expected="901s",
    expr="""\
max without ($replica) (increase(stream_state_changes_total[15m])) >= 6
or
max without ($replica) (changes(stream_active[15m])) >= 6""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} comes and goes",
    description='{{ $labels.stream }} has changed its state {{ $value | printf "%.0f" }} times in 15 minutes.',
)
REDUNDANCY_LOST: Final = StreamAlert(
    name="StreamRedundancyLost",
    severity="warning",
    pending="1m",
    keep="2m",
    expr="""\
max without ($replica) (max_over_time(stream_inputs[2m]))
<
max without ($replica) (last_over_time(stream_inputs_expected[2m]))""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} has lost an input",
    description="Only {{ $value }} input(s) of {{ $labels.stream }} are being pushed, fewer than configured. "
    "The next loss may take it off the air.",
)
MEDIA_AWAY: Final = f"""\
min without ($replica) (last_over_time(stream_media_active[3m])) == 0
unless
max without ($replica) (max_over_time(stream_media_active[75s])) == 1
and
sum without ($replica) (count_over_time(stream_media_active[3m]) - sum_over_time(stream_media_active[3m])) >= 2
and ignoring (media)
{LIVE}"""
MEDIA_EXPECTED: Final = "max without ($replica) (last_over_time(stream_media_expected[3m])) == 1"
MEDIA_MISSING: Final = StreamAlert(
    name="StreamMediaMissing",
    severity="warning",
    keep="2m",
    expr=f"""\
{MEDIA_AWAY}
and
{MEDIA_EXPECTED}""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} is without its {{ $labels.media }}",
    description="{{ $labels.stream }} is live, but nobody has seen its {{ $labels.media }} for more than a minute. "
    "The configuration expects it.",
)
# Where nobody says what is expected, a screen that is no longer shared is nothing lost; nor is a type that nobody has
# sent for an hour.
MEDIA_LOST: Final = StreamAlert(
    name="StreamMediaLost",
    severity="warning",
    keep="2m",
    expr=f"""\
{MEDIA_AWAY}
and
max without ($replica) (max_over_time(stream_media_active{{media!~"screen.*"}}[1h])) == 1
unless ignoring (media)
{MEDIA_EXPECTED}""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} has lost its {{ $labels.media }}",
    description="{{ $labels.stream }} is live, but nobody has seen its {{ $labels.media }} for more than a minute. "
    "It was there within the last hour.",
)
STALLED: Final = StreamAlert(
    name="StreamStalled",
    severity="warning",
    pending="1m",
    keep="2m",
    expr=f"""\
min without ($replica) (last_over_time(stream_ingest_stalled[3m])) == 1
and
sum without ($replica) (sum_over_time(stream_ingest_stalled[3m])) >= 2
and
{LIVE}""",
    summary="Stream {{ $labels.provider }}/{{ $labels.stream }} is live, but nothing arrives",
    description="{{ $labels.provider }} calls {{ $labels.stream }} live, but for a minute or more has received neither "
    "frames nor bits of it.",
)
# Three answers "not playable", the last of them not old, and none "playable" for a minute: 45 s without, and 30 s more.
# As long it has to be live: what has just begun has no media yet.
NOT_PLAYABLE: Final = StreamAlert(
    name="StreamNotPlayable",
    severity="critical",
    pending="30s",
    keep="2m",
    expr=f"""\
max without ($replica) (last_over_time(stream_playback_up[75s])) == 0
unless
max without ($replica) (max_over_time(stream_playback_up[45s])) == 1
and
sum without ($replica) (count_over_time(stream_playback_up[3m]) - sum_over_time(stream_playback_up[3m])) >= 3
and ignoring (playback)
{LIVE}
unless ignoring (playback)
max without ($replica) (min_over_time(stream_active[45s])) == 0""",
    summary="Viewers cannot play {{ $labels.provider }}/{{ $labels.stream }} at address {{ $labels.playback }}",
    description="{{ $labels.provider }} says that {{ $labels.stream }} is live, but for a minute or more its address "
    "{{ $labels.playback }} has had no fresh media: it is gone, has ended or stands still. Who watches there sees an "
    "error or a frozen picture.",
)
# A token that has expired is the usual reason: nothing else would tell of it, and no StreamNotPlayable can come.
PLAYBACK_BLIND: Final = StreamAlert(
    name="StreamPlaybackBlind",
    severity="warning",
    pending="3m",
    expr=f"""\
sum without ($replica, reason) (increase(stream_playback_errors_total[5m])) > 0
unless
max without ($replica) (present_over_time(stream_playback_up[2m]))
and ignoring (playback)
{LIVE}""",
    summary="Nobody knows whether viewers can play {{ $labels.provider }}/{{ $labels.stream }} at "
    "address {{ $labels.playback }}",
    description="For five minutes no check of address {{ $labels.playback }} of {{ $labels.stream }} has come to a "
    "result, though the stream is live. Often the server refuses the token in the address, or too many checks share "
    "one host; the status page says why.",
)
