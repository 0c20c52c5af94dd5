"""What the store grants: slots, that is when calls may go out. It is checked here, whatever the store says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.store.client import Ran
from exporter.store.clock import MICROSECONDS, PRECISE
from exporter.store.errors import StoreError
from exporter.store.membership import AHEAD
from exporter.window import window

MOST: Final = 40
"""Slots granted at once."""

STEP: Final = 16
"""Sequences of the store are multiples of it; what lies between is for replicas that are alone."""

OWN_STEP: Final = 1024
"""A replica that is alone uses one number in so many: by chance another one than each of the others."""

LONGEST_WAIT: Final = 2.5
LIES: Final = "the store grants calls by other rules than its script's"


class Slot(NamedTuple):
    """When one call may go out.

    Attributes:
        at: Monotonic seconds: as late as the grant's round trip may make it, never early.
        sequence: A number that no other call of the account has, in microseconds since 1970 or a little more.
    """

    at: float
    sequence: int

    def late(self, now: float) -> bool:
        """Say whether it may be used no more: a window bears no later call."""
        return now > self.at + PRECISE


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to a request for slots.

    Attributes:
        slots: None, where none is free yet.
        wait: Seconds after which asking makes sense again.
        calls: How many calls in a window the replicas make at present; 0 where it is not told.
        last: The last slot, in microseconds of the store.
    """

    slots: tuple[Slot, ...]
    wait: float
    calls: float
    last: int


def granted(ran: Ran, want: int, limit: float, last: Slot | None) -> Grant:
    """Read the reply of `reserve.lua`.

    Args:
        ran: The reply.
        want: How many slots were asked for.
        limit: Calls a second that the action may make.
        last: The last slot that was granted before.

    Raises:
        StoreError: It is not what the script returns, or would break a quota.
    """
    try:
        wait, first, gap, count, sequence, calls = (_number(value) for value in ran.values)
    except (TypeError, ValueError):
        raise StoreError("lies", LIES) from None
    if count <= 0:
        return Grant((), min(max(wait / MICROSECONDS, 0.001), LONGEST_WAIT), calls, 0)
    most, seconds = window(limit)
    time, end = ran.exchange.time, int(first) + (int(count) - 1) * int(gap)
    honest = (
        count <= want
        and time <= first
        and end <= time + AHEAD * MICROSECONDS
        and gap >= int(seconds * MICROSECONDS / most)
        and (last is None or sequence > last.sequence)
    )
    if not honest:
        raise StoreError("lies", LIES)
    slots: list[Slot] = []
    number = int(sequence)
    for slot in range(int(first), end + 1, int(gap)):
        number = max(number, slot - slot % STEP) if not slots else max(number + STEP, slot - slot % STEP)
        slots.append(Slot(ran.exchange.here(slot), number))
    return Grant(tuple(slots), 0.0, calls, end)


def _number(value: object) -> float:
    if isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return float(value)
    raise TypeError


def own_sequence(micros: int, member: str, last: int) -> int:
    """Return the next sequence of a replica that is alone: one that the store never gives, nor any other soon.

    Args:
        micros: Microseconds since 1970, by the store's clock if that is known.
        member: The replica.
        last: The one before.
    """
    chosen = int.from_bytes(hashlib.sha256(member.encode()).digest()[:8]) % (OWN_STEP // STEP * (STEP - 1))
    tag = chosen // (STEP - 1) * STEP + 1 + chosen % (STEP - 1)  # no multiple of STEP: those are the store's
    return max(micros // OWN_STEP, last // OWN_STEP + 1) * OWN_STEP + tag
