"""How many calls may go out in which time, so that no second at a cloud holds more than a rate allows."""

from __future__ import annotations

# A call may reach the provider later than the one behind it by what the network varies. Counting windows of 1.04
# seconds instead of one leaves 40 ms for that, and still uses 96 % of the rate.
WINDOW = 1.04


def window(rate: float) -> tuple[int, float]:
    """Return how many calls may go out in how many seconds, so that no second holds more calls than the rate."""
    most = max(1, int(rate))
    return most, WINDOW * max(1.0, most / rate)
