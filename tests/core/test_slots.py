"""What one exporter makes of the store's answers: its clock, its grants, and sequences."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.store.client import Ran
from exporter.store.clock import Exchange, StoreClock
from exporter.store.errors import StoreError
from exporter.store.membership import MOST_SLOW, SILENCE, Membership, share
from exporter.store.scripts import hashed
from exporter.store.slots import OWN_STEP, STEP, Slot, granted, own_sequence

TIME = 1_800_000_000_000_000
GAP = 104_000  # microseconds, of ten calls a second


def ran(*values: Any, took: float = 0.001) -> Ran:
    """Return a reply that came at 100 s."""
    return Ran(Exchange(100.0 - took, 100.0, TIME), list(values))


def test_slots_are_late_by_the_round_trip_at_most_and_rise_in_steps() -> None:
    """A slot's time here is counted from when the reply came; its sequence is its own microsecond in whole steps."""
    grant = granted(ran(0, TIME + 5, GAP, 2, TIME + 16, b"10"), 2, 10.0, None)
    assert [slot.at for slot in grant.slots] == pytest.approx([100.000005, 100.104005])
    assert [slot.sequence for slot in grant.slots] == [TIME + 16, TIME + 5 + GAP - (TIME + 5 + GAP) % STEP]
    assert (grant.wait, grant.calls, grant.last) == (0.0, 10.0, TIME + 5 + GAP)
    assert [grant.slots[0].late(now) for now in (100.02, 100.021)] == [False, True]


def test_no_slot_yet_says_when_to_ask_again() -> None:
    """In seconds, within what makes sense."""
    waits = [granted(ran(wait, 0, 0, 0, 0, b"0"), 1, 10.0, None).wait for wait in (-5, 500_000, 10**12)]
    assert waits == [0.001, 0.5, 2.5]


@pytest.mark.parametrize(
    "values",
    [
        (0, TIME, GAP, 3, TIME, b"10"),  # more than wanted
        (0, TIME - 1, GAP, 1, TIME, b"10"),  # in the past
        (0, TIME + 999_000, GAP, 2, TIME, b"10"),  # too far ahead
        (0, TIME, GAP - 1, 2, TIME, b"10"),  # too close
        (0, TIME, GAP, 1, 7, b"10"),  # a sequence that was there
        (0, TIME, GAP, 1, TIME),
        (0, TIME, GAP, 1, TIME, b"ten"),
        (0, TIME, None, 1, TIME, b"10"),
    ],
)
def test_a_store_that_lies_is_not_believed(values: tuple[Any, ...]) -> None:
    """No grant goes beyond the quota of one exporter, whatever the store says."""
    with pytest.raises(StoreError) as caught:
        granted(ran(*values), 2, 10.0, Slot(99.0, 7))
    assert caught.value.kind == "lies"


def test_a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() -> None:
    """Round trips bound where the store's clock stands; slewing moves the bounds slowly."""

    def reply(now: float, ahead: float, took: float = 0.001) -> Exchange:
        return Exchange(now - took, now, int((now - took / 2 + ahead) * 1_000_000))

    clock = StoreClock()
    assert clock.now(1.0) is None
    told = [clock.learn(reply(second, 5.0 + second * 1e-4)) for second in map(float, range(1, 60))]
    assert not any(told)
    assert clock.now(60.0) == pytest.approx(65_006_000, abs=5000)
    assert not clock.learn(reply(60.0, 5.3, took=1.0))
    assert clock.learn(reply(61.0, 5.05))
    assert not clock.learn(reply(62.0, 5.05))
    assert clock.learn(reply(63.0, 4.9))


def test_who_loses_the_store_is_silent_from_the_last_heartbeat_on() -> None:
    """And for as long as a process that it replaces may have been counted on."""
    one = Membership(0.0)
    assert [one.alone(now) for now in (SILENCE - 0.01, SILENCE)] == [False, True]
    one.joined()
    one.counted_on(50.0)
    assert not one.alone(90.0)
    one.lost()
    assert [one.alone(50.0 + seconds) for seconds in (SILENCE - 0.01, SILENCE)] == [False, True]


def test_a_store_that_is_slow_time_and_again_is_of_no_use() -> None:
    """A late reply now and then is borne by who is a member; who wants to become one needs a quick one."""
    one = Membership(0.0)
    assert [one.answered(precise) for precise in (False, True)] == [False, True]
    one.joined()
    assert [one.answered(precise) for precise in (False,) * MOST_SLOW] == [True] * (MOST_SLOW - 1) + [False]


def test_parts_are_whole_calls() -> None:
    """Three exporters keep three calls each of ten, and none of two."""
    assert [share(most, 3) for most in (10, 3, 2)] == [3, 1, 0]


def test_sequences_of_one_that_is_alone_are_none_of_the_store_s_and_rise() -> None:
    """They lie between the store's steps, whatever the clock does."""
    first = own_sequence(TIME, "a", 0)
    second = own_sequence(TIME - 10**9, "a", first)
    assert second > first > TIME - OWN_STEP
    assert all(number % STEP for number in (first, second))
    assert own_sequence(TIME, "a", TIME + 160) > TIME + 160


def test_accounts_are_known_by_hashes() -> None:
    """A key of the store tells nothing of the account."""
    assert hashed("zego/123456") != hashed("zego/123457")
    assert "123456" not in hashed("zego/123456")


def test_a_replica_alone_has_numbers_of_its_own() -> None:
    """They rise, none is one of the store's, and of a hundred replicas few have any in common."""
    now, tags = 1_800_000_000_000_000, []
    for number in range(100):
        given = [0]
        for call in range(20):
            given.append(own_sequence(now + 5_000 * call, f"{number:016x}", given[-1]))
        assert given == sorted(set(given))
        assert all(one % STEP for one in given[1:])
        assert all(abs(one - now - 5_000 * call) < OWN_STEP for call, one in enumerate(given[1:]))
        assert len({one % OWN_STEP for one in given[1:]}) == 1
        tags.append(given[1] % OWN_STEP)
    assert len(set(tags)) > 90
