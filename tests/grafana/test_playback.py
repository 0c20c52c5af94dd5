"""What the dashboards say about the addresses that viewers use, by Prometheus's own test of queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.test_rules import series

from .test_expected import held

# Stream: whether it is live, whether it is expected, and what two exporters say of its addresses; None while unknown.
STREAMS: dict[str, tuple[int, int, dict[str, tuple[int | None, int | None]]]] = {
    "well": (1, 1, {"hls": (1, 1), "flv": (1, None)}),
    "half": (1, 1, {"hls": (0, 0), "flv": (1, 1)}),
    "gone": (1, 1, {"hls": (0, None), "flv": (0, 0)}),
    "disputed": (1, 1, {"hls": (0, 1)}),
    "refused": (1, 1, {"hls": (None, None), "flv": (None, 1)}),
    "down": (0, 1, {"hls": (0, 0)}),
    "extra": (1, 0, {"hls": (0, 0)}),
    "plain": (1, 1, {}),
}


def inputs() -> list[dict[str, str]]:
    """Return the series of all streams, of two exporters; where an address is unknown its checks fail."""
    found = []
    for name, (live, expected, addresses) in STREAMS.items():
        for place, who in enumerate(("a", "b")):
            found += [series("stream_active", who, name, f"{live}x300")]
            found += [series("stream_expected", who, name, f"{expected}x300")]
            found += [series("stream_info", who, name, "1x300", account="main")]
            for address, said in addresses.items():
                up, errors = said[place], {"playback": address, "reason": "auth"}
                if up is None:
                    found += [series("stream_playback_errors_total", who, name, "0+4x300", **errors)]
                else:
                    found += [series("stream_playback_up", who, name, f"{up}x300", playback=address)]
    return found


def of(stream: str, address: str, more: str = "") -> str:
    """Return the labels of a row about an address."""
    return f'{{provider="zego", stream="{stream}", playback="{address}"{more}}}'


NOT_PLAYABLE = {of("half", "hls"), of("gone", "hls"), of("gone", "flv")}


@pytest.mark.parametrize("title", ["Not playable", "Degraded"])
def test_streams_with_an_address_that_is_down_are_counted(tmp_path: Path, title: str) -> None:
    """A stream counts once, if it is live and expected and no exporter can play one of its addresses."""
    held(tmp_path, title, 0, {"{}": 2}, inputs())


def test_degraded_streams_tell_how_many_addresses_are_down(tmp_path: Path) -> None:
    """The table of what is not whole has such streams, too."""
    rows = {
        f'{{provider="zego", account="main", stream="{name}"}}': float(count)
        for name, count in (("half", 1), ("gone", 2))
    }
    held(tmp_path, "Degraded now", 3, rows, inputs())


@pytest.mark.parametrize("place", [0, 1])
def test_tables_name_the_addresses(tmp_path: Path, place: int) -> None:
    """The table has a row for each address that counts, and no time for those that were never playable."""
    wanted = dict.fromkeys(NOT_PLAYABLE, 0.0) if place == 0 else {}
    held(tmp_path, "Not playable now, and since when", place, wanted, inputs())


def test_an_address_without_a_result_is_told_with_its_reason(tmp_path: Path) -> None:
    """Only that of which no exporter knows anything; both exporters' failures add up."""
    held(tmp_path, "Checks without a result", 0, {of("refused", "hls", ', reason="auth"'): 8}, inputs())


@pytest.mark.parametrize(("stream", "address"), [("disputed", "hls"), ("refused", "flv")])
def test_lanes_show_what_either_exporter_knows(tmp_path: Path, stream: str, address: str) -> None:
    """A stream has a lane for each address of which anything is known; an exporter that can play it is right."""
    one = {"provider": "zego", "stream": stream}
    held(tmp_path, "Source, cloud, viewers", 2, {of(stream, address): 1}, inputs(), **one)
