"""The recording rules."""

from __future__ import annotations

from typing import Final

from exporter.rules.model import Group, Record

STREAM_LABELS: Final = "provider_account_stream:stream_info:last15m"
"""One series of the value 1 for each stream, with its account and the chosen labels."""

# Who is heard now outweighs any number of replicas that were heard before: a reload shows at once.
VOTES: Final = Record(
    name="provider_account_stream:stream_info:count15m",
    expr="""\
1000 * count by ($keys, account$more) (stream_info)
or
count by ($keys, account$more) (last_over_time(stream_info[15m]))""",
)
# The last three find streams with a configured label of that name, which no other metric has.
LABELS: Final = Record(
    name=STREAM_LABELS,
    expr="""\
topk by ($keys) (1,
  provider_account_stream:stream_info:count15m
  or
  0.0001 * sum without (cluster) (provider_account_stream:stream_info:count15m)
  or
  0.0001 * sum without (environment) (provider_account_stream:stream_info:count15m)
  or
  0.0001 * sum without (namespace) (provider_account_stream:stream_info:count15m)
) > bool 0""",
)
COVERAGE: Final = Record(
    name="provider_account:stream_probe_success:avg3m",
    expr="""\
avg without (stream) (
  max without ($replica, account) (avg_over_time(stream_probe_success[3m]))
  * on ($keys) group_left (account)
  $info
  or
  max without ($replica) (avg_over_time(stream_probe_success[3m]))
  unless on ($keys)
  $info
)""",
)
PROVIDER_COVERAGE: Final = Record(
    name="provider:stream_probe_success:avg3m",
    expr="avg without (stream) (max without ($replica) (avg_over_time(stream_probe_success[3m])))",
)
# A counter is born with its first error, which increase() does not see: for its first five minutes it counts whole.
RECENT_ERRORS: Final = Record(
    name="provider_account_reason:stream_probe_errors_total:increase5m",
    expr="""\
sum without ($replica, code) (
  (stream_probe_errors_total unless stream_probe_errors_total offset 5m)
  or
  increase(stream_probe_errors_total[5m])
)""",
)
RECORDS: Final = (VOTES, LABELS, COVERAGE, PROVIDER_COVERAGE, RECENT_ERRORS)
"""What the alerts look at; in the order in which they need each other."""


def availability_over(window: str) -> Record:
    """Return the rule for the live share of the known time in `window`, 0 to 1, absent where nothing is known."""
    return Record(
        name=f"provider_stream:stream_active:avg{window}",
        expr=f"""\
sum without ($replica) (sum_over_time(stream_active[{window}]))
/
sum without ($replica) (count_over_time(stream_active[{window}]))""",
    )


AVAILABILITY: Final = Group(
    name="stream-exporter-availability",
    interval="1m",
    rules=(
        availability_over("5m"),
        availability_over("1h"),
        # Hourly sums keep a month cheap; until the first of them is there, the last hour stands in.
        Record(
            name="provider_stream:stream_active:avg30d",
            expr="""\
sum_over_time(provider_stream:stream_active:sum1h[30d])
/
sum_over_time(provider_stream:stream_active:count1h[30d])
or
provider_stream:stream_active:avg1h""",
        ),
        Record(
            name="provider:stream_probe_success:avg1h",
            expr="avg without (stream) (max without ($replica) (avg_over_time(stream_probe_success[1h])))",
        ),
    ),
)
HOURLY: Final = Group(
    name="stream-exporter-hourly",
    interval="1h",
    rules=(
        Record(
            name="provider_stream:stream_active:sum1h",
            expr="sum without ($replica) (sum_over_time(stream_active[1h]))",
        ),
        Record(
            name="provider_stream:stream_active:count1h",
            expr="sum without ($replica) (count_over_time(stream_active[1h]))",
        ),
        Record(
            name="provider_stream_state:stream_state:avg1h",
            expr='min without ($replica) (avg_over_time(stream_state{state="unknown"}[1h]))',
        ),
    ),
)
