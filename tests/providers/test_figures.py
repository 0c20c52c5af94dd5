"""Rows with figures: exact units, and whatever no encoder can send is no figure."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Figures
from exporter.providers.figures import MOST, Columns, stands_still

KILO = Columns(bits={"video": "V", "audio": "A"}, unit=1000.0, frames="F", others=("G",), width="W", height="H")
SIZED = Columns(size="S", now=False)
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers(), max_size=1)
    | st.sampled_from([10**400, -0.0, 1e308, 5e-324, "1280*720", {}])
)  # fmt: skip


def test_units_are_exact() -> None:
    """A kilobit is 1,000 bits, and a number may be whole or not."""
    assert KILO.read({"V": 2500, "A": 64.5, "F": 29.97, "W": 1920, "H": 1080.0}) == Figures(
        (("video", 2_500_000.0), ("audio", 64_500.0)), 29.97, 1920, 1080, stalled=False
    )


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, True, "5", [5], {}, 10**400, 1e30])
@pytest.mark.parametrize("name", ["V", "F", "G", "W"])
def test_a_value_that_cannot_be_costs_the_row_its_figures(name: str, value: Any) -> None:
    """Nothing of the row is believed then."""
    row = {"V": 1, "A": 1, "F": 25, "G": 40, "W": 1280, "H": 720}
    assert KILO.read(row) is not None
    assert KILO.read({**row, name: value}) is None


def test_the_limits_are_inclusive() -> None:
    """What may just be is taken, what is beyond is not."""
    most = MOST["bits"] / 1000
    assert KILO.read({"V": most, "F": MOST["frames"], "W": MOST["pixels"]}) is not None
    for name, limit in (("V", most), ("F", MOST["frames"]), ("W", MOST["pixels"])):
        assert KILO.read({name: limit * 1.001}) is None
    assert KILO.read({"W": 1.5}) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1280*720", (1280, 720)), ("1280x720", (1280, 720)), ("720X1280", (720, 1280)), ("1280×720", (1280, 720)),
        ("0*0", (None, None)), ("", (None, None)), (None, (None, None)),
    ],
)  # fmt: skip
def test_a_size_is_two_sides(text: Any, size: tuple[int | None, int | None]) -> None:
    """As clouds write it; without a picture there is none."""
    found = SIZED.read({"S": text}) or Figures()
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    "text", ["1280", "1280*", "-1*720", "1280*720*3", "٣*٣", "9999999*1", "200000*1", 720, True, []]
)
def test_a_size_that_is_none_is_no_figure(text: Any) -> None:
    """Anything else is not guessed at."""
    assert SIZED.read({"S": text}) is None


def test_a_row_without_figures_has_none() -> None:
    """Missing and null fields say nothing."""
    assert KILO.read({}) is None
    assert KILO.read(dict.fromkeys("VAFGWH")) is None


@pytest.mark.parametrize(
    ("bits", "frames", "stalled"),
    [
        ((0.0, 0.0), (0.0, 0.0), True), ((0.0,), (None,), True), ((0.0, 0.0), (), True),
        ((1.0, 0.0), (0.0,), False), ((0.0,), (25.0,), False), ((0.0,), (0.0, 40.0), False), ((None,), (25.0,), False),
        ((None, 0.0), (0.0,), None), ((), (0.0,), None), ((), (), None), ((None,), (None,), None),
    ],
)  # fmt: skip
def test_nothing_arrives_only_where_all_is_told_and_zero(
    bits: tuple[float | None, ...], frames: tuple[float | None, ...], stalled: bool | None
) -> None:
    """A stream without pictures may be sound; without its bits, nobody knows."""
    assert stands_still(bits, frames) is stalled


def test_what_is_not_of_now_never_says_that_a_stream_stalls() -> None:
    """Old zeros are shown as old figures, and no more."""
    old = Columns(bits={"all": "B"}, frames="F", now=False)
    assert old.read({"B": 0, "F": 0}) == Figures((("all", 0.0),), 0.0)


@given(row=st.dictionaries(st.sampled_from("VAFGWHS"), ANYTHING))
def test_whatever_a_row_holds_figures_are_sane(row: dict[str, Any]) -> None:
    """Any values give no figures, or finite ones that are neither negative nor absurd."""
    for columns in (KILO, SIZED):
        found = columns.read(row)
        if found is None:
            continue
        assert all(0 <= rate <= MOST["bits"] and math.copysign(1, rate) > 0 for _, rate in found.bits)
        assert found.frames is None or 0 <= found.frames <= MOST["frames"]
        assert all(side is None or (type(side) is int and 0 < side <= MOST["pixels"]) for side in found[2:4])
        assert found != Figures()
