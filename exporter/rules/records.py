"""The recording rules."""

from __future__ import annotations

from typing import Final

from exporter.rules.model import Group, Record

STREAM_LABELS: Final = "provider_account_stream:stream_info:last15m"
"""One series of the value 1 for each stream, with its account and the chosen labels."""
EXPECTED: Final = "provider_stream:stream_expected:last15m"
"""Whether each stream is expected, as far as was heard within 15 minutes: 0 or 1, absent where nobody ever says."""
BEGUN: Final = "provider_stream:stream_active:max_expected"
"""Whether each stream has been live since it is expected: 0 or 1, 0 too while it is not expected."""
COUNTED: Final = "instance_provider_stream:stream_active:expected"
"""`stream_active` of each replica while the stream is expected, or nobody says whether it is."""

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
# Replicas change hands: who is heard now counts, and of those that differ the one that expects the stream.
EXPECTATION: Final = Record(
    name=EXPECTED,
    expr="""\
max without ($replica) (stream_expected)
or
max without ($replica) (last_over_time(stream_expected[15m]))""",
)
# Remembers itself across gaps, for as long as it is known what is expected.
BEGINNING: Final = Record(
    name=BEGUN,
    expr=f"""\
0 * ({EXPECTED} == 0)
or
max without ($replica) (stream_active) == 1
or
last_over_time({BEGUN}[15m])
and
{EXPECTED}""",
)
COUNTED_TIME: Final = Record(name=COUNTED, expr="stream_active unless stream_expected == 0")
RECORDS: Final = (VOTES, LABELS, COVERAGE, PROVIDER_COVERAGE, RECENT_ERRORS, EXPECTATION, BEGINNING, COUNTED_TIME)
"""What the alerts look at; in the order in which they need each other."""


def _live_share(samples: str, window: str) -> str:
    return f"""\
sum without ($replica) (sum_over_time({samples}[{window}]))
/
sum without ($replica) (count_over_time({samples}[{window}]))"""


def availability_over(window: str) -> Record:
    """Return the rule for the live share of `window`, 0 to 1; what is unknown or not expected does not count.

    It is absent where nothing counts. Streams that were expected all the time need no recorded samples.
    """
    return Record(
        name=f"provider_stream:stream_active:avg{window}",
        expr=f"""\
{_live_share("stream_active", window)}
unless
min_over_time({EXPECTED}[{window}]) == 0
or
{_live_share(COUNTED, window)}""",
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
            expr=f"sum without ($replica) (sum_over_time({COUNTED}[1h]))",
        ),
        Record(
            name="provider_stream:stream_active:count1h",
            expr=f"sum without ($replica) (count_over_time({COUNTED}[1h]))",
        ),
        Record(
            name="provider_stream_state:stream_state:avg1h",
            expr='min without ($replica) (avg_over_time(stream_state{state="unknown"}[1h]))',
        ),
    ),
)
