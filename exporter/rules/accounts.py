"""The alerts about exporters, providers and accounts."""

from __future__ import annotations

from typing import Final

from exporter.rules.model import Alert
from exporter.rules.records import EXPECTED

EXPORTER_DOWN: Final = Alert(
    name="StreamExporterDown",
    severity="critical",
    pending="1m",
    expr="""\
max without ($replica) (up{job=~$job}) == 0
or
absent(up{job=~$job})""",
    summary="The stream exporter is gone: no stream is being watched",
    description="Prometheus has had no answer from any replica of the exporter{{ with $labels.job }} (job {{ . }})"
    "{{ end }} for one minute, or has no such target any more. Until it is back, nobody will tell you about a stream.",
)
REPLICA_DOWN: Final = Alert(
    name="StreamExporterDown",
    severity="warning",
    pending="5m",
    expr="""\
up{job=~$job} == 0
and ignoring ($replica)
max without ($replica) (up{job=~$job}) == 1""",
    summary="One replica of the stream exporter is down",
    description="{{ $labels.instance }} has not answered for five minutes. Other replicas still watch the streams; "
    "if it is a shard, nobody watches its own.",
)
# Streams that a reload takes away go without an exporter being lost.
UNWATCHED: Final = Alert(
    name="StreamUnwatched",
    severity="critical",
    pending="2m",
    expr=f"""\
count without (stream) (
  {EXPECTED} == 1
  unless on ($keys)
  stream_expected
)
and ignoring (provider)
count without ($replica) (up{{job=~$job}} == 1) < count without ($replica) (up{{job=~$job}} offset 15m == 1)""",
    summary="Streams at {{ $labels.provider }} are not watched any more: {{ $value }}",
    description="An exporter of {{ $labels.job }} is gone, and no other has watched these streams for two minutes: it "
    "was a shard. Until it is back, nobody will tell you about them. This alert ends after 15 minutes all the same.",
)
PROVIDER_BLIND: Final = Alert(
    name="StreamProviderBlind",
    severity="critical",
    pending="1m",
    expr="provider_account:stream_probe_success:avg3m < 0.1",
    summary="{{ $labels.provider }} does not tell the state of its streams"
    "{{ with $labels.account }} to account {{ . }}{{ end }}",
    description="Only {{ $value | humanizePercentage }} of the probes at {{ $labels.provider }}"
    "{{ with $labels.account }} for account {{ . }}{{ end }} got an answer in the last three minutes. "
    "Its streams may be well or not: nobody knows, so nothing is said about single ones.",
)
THROTTLED: Final = Alert(
    name="StreamQuotaExhausted",
    severity="warning",
    pending="6m",
    expr="""\
sum without (reason) (
  provider_account_reason:stream_probe_errors_total:increase5m{reason="throttled"}
) > 0""",
    summary="{{ $labels.provider }} throttles account {{ $labels.account }}",
    description="{{ $labels.provider }} has refused calls of {{ $labels.account }} for their number for more than five "
    "minutes. Others may be using the same limit; the exporter slows down, and streams are refreshed less often.",
)
UNPROBED: Final = Alert(
    name="StreamQuotaExhausted",
    severity="info",
    pending="10m",
    # A shard may have no stream of the account.
    expr="""\
min without ($replica, why) (
  min_over_time(stream_round_unprobed{why="quota"}[2m])
  unless ignoring (why)
  stream_streams == 0
) > 0""",
    summary="The quota of {{ $labels.account }} does not reach all its streams in a round",
    description="In every round {{ $value }} or more streams of {{ $labels.account }} at {{ $labels.provider }} wait "
    "for a later one. Changes are noticed later, and streams older than max_age become unknown.",
)
# A refusal that concerns one stream only leaves the account up; an outage counts more than a tenth of other errors.
CREDENTIALS_REJECTED: Final = Alert(
    name="StreamCredentialsRejected",
    severity="critical",
    pending="1m",
    expr="""\
sum without (reason) (
  provider_account_reason:stream_probe_errors_total:increase5m{reason=~"auth|account"}
)
>
0.9 * sum without (reason) (provider_account_reason:stream_probe_errors_total:increase5m)
unless
max without ($replica) (max_over_time(stream_provider_up[1m])) == 1""",
    summary="{{ $labels.provider }} rejects the credentials of {{ $labels.account }}",
    description="No call of {{ $labels.account }} at {{ $labels.provider }} has been answered for two minutes: "
    "the key is wrong, lacks a permission or has expired, or the account is suspended.",
)
# What one of several exporters watches counts: each shard has its part of the streams.
WATCHES_NOTHING: Final = Alert(
    name="StreamAccountWatchesNothing",
    severity="warning",
    pending="10m",
    expr="max without ($replica) (max_over_time(stream_streams[5m])) == 0",
    summary="Account {{ $labels.account }} at {{ $labels.provider }} watches no stream",
    description="{{ $labels.account }} is configured, but has had no stream for ten minutes. "
    "If there should be some, nobody will tell you about them.",
)
RELOAD_FAILED: Final = Alert(
    name="StreamConfigReloadFailed",
    severity="warning",
    pending="1m",
    expr="max_over_time(stream_exporter_config_last_reload_successful[1m]) == 0",
    summary="The stream exporter refused its new configuration",
    description="{{ $labels.instance }} still runs the configuration from before the failed reload. "
    "A restart would find no valid one.",
)
STORE_DOWN: Final = Alert(
    name="StreamExporterStoreDown",
    severity="warning",
    pending="2m",
    expr="max_over_time(stream_exporter_store_up[1m]) == 0",
    summary="The stream exporter has lost the store that it shares",
    description="{{ $labels.instance }} has not reached the store for two minutes. It keeps its own part of each "
    "quota, in whole calls a second: of a quota lower than there are exporters nothing is left.",
)
CLOCK_SKEW: Final = Alert(
    name="StreamClockSkew",
    severity="warning",
    pending="2m",
    expr="""\
min_over_time(stream_provider_clock_skew_seconds[5m]) > 30
or
max_over_time(stream_provider_clock_skew_seconds[5m]) < -30
or
sum without (code, reason) (increase(stream_probe_errors_total{reason="clock"}[5m])) > 0""",
    summary="The clocks of {{ $labels.instance }} and {{ $labels.provider }} disagree",
    description="They differ by more than 30 s, or {{ $labels.provider }} rejects requests as expired. "
    "Signed requests fail altogether once the difference reaches a few minutes.",
)
# An account that listens has its counters from 0 on; one whose callbacks are not set up has none and is left alone.
CALLBACKS_STOPPED: Final = Alert(
    name="StreamCallbacksStopped",
    severity="warning",
    pending="30m",
    expr="""\
sum without (stream) (
  max without ($replica, account) (increase(stream_state_changes_total[1h]))
  * on ($keys) group_left (account)
  $info
) >= 4
and
sum without ($replica, event, outcome) (increase(stream_callbacks_total{outcome="accepted"}[1h])) == 0""",
    summary="No callback of {{ $labels.provider }} has come for {{ $labels.account }}, and its streams change",
    description='Streams of {{ $labels.account }} have changed their state {{ $value | printf "%.0f" }} times in an '
    "hour, and no callback that told of it was accepted. Changes are noticed at the next scrape only.",
)
WATCHDOG: Final = Alert(
    name="StreamWatchdog",
    severity="none",
    expr="vector(1)",
    summary="Alerts reach you",
    description="This alert always fires: a dead-man's switch. Have a service outside tell you when it stops coming: "
    "then Prometheus or Alertmanager is down, or what they send does not arrive.",
)
