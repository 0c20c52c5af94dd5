"""The world: scripts, changes at run time, quotas, the log and listings that mislead."""

from __future__ import annotations

import pytest

from exporter.model import State
from exporter.simulator import Script, Tricks, World
from exporter.simulator.answers import paginate

from .asking import NOW, answer, small_world, tencent_call, zego_call


def test_a_script_is_a_function_of_time() -> None:
    """States follow one another by the clock alone, before the first turn as after the last."""
    script = Script((State.ACTIVE, State.ACTIVE, State.INACTIVE), every=30, offset=10)
    assert [script.state(now) for now in (0, 19, 49, 50, 79, 80, -11)] == [
        State.ACTIVE,
        State.ACTIVE,
        State.ACTIVE,
        State.INACTIVE,
        State.INACTIVE,
        State.ACTIVE,
        State.INACTIVE,
    ]
    assert [script.started(now) for now in (0, 49, 50, 80)] == [-10, -10, 50, 80]


def test_a_single_state_began_when_it_was_set() -> None:
    """A state set by a test begins at that moment, and the clouds tell so."""
    now = [100.0]
    world = World(clock=lambda: now[0])
    world.add_account("z", "zego", app_id=1, server_secret="s")
    world.add_stream("x", "z", state="inactive")
    now[0] = 200.0
    stream = world.set("zego/x", "active")
    now[0] = 300.0
    assert (stream.script.started(now[0]), world.state("zego/x")) == (200.0, State.ACTIVE)


def test_streams_change_and_vanish_at_run_time() -> None:
    """A stream can be added, changed and removed between two calls."""
    world = small_world()
    world.set("zego/active", "inactive")
    assert answer(world, "zego", zego_call()).code == "41006"
    world.remove_stream("zego/active")
    assert answer(world, "zego", zego_call()).code == "41004"
    world.add_stream("active", "z")
    assert answer(world, "zego", zego_call()).code == "0"


def test_mistakes_in_a_test_are_errors() -> None:
    """A misspelt stream, state, detail, account, field or provider raises instead of doing nothing."""
    world = small_world()
    with pytest.raises(KeyError):
        world.set("zego/nobody", "active")
    for broken in (
        lambda: world.set("zego/active", "asleep"),
        lambda: world.set("zego/active", "unknown"),
        lambda: world.set("zego/active", medias=[]),
        lambda: world.add_stream("x", "nobody"),
        lambda: world.add_stream("x", "z", domain="d"),
        lambda: world.add_stream("active", "z", stream_id="other"),
        lambda: world.add_stream("other", "z", stream_id="active"),
        lambda: world.add_stream("x", "t"),
        lambda: world.add_account("z", "zego", app_id=78, server_secret="s"),
        lambda: world.add_account("y", "zego", app_id=77, server_secret="s"),
        lambda: world.add_account("y", "zego", app_id="79", server_secret="s"),
        lambda: world.add_account("y", "zego", app_id=79),
        lambda: world.add_account("y", "twitch", key="s"),
        lambda: world.set_tricks("twitch", Tricks(foreign=1)),
    ):
        with pytest.raises(ValueError, match=r"unknown|taken|missing|is not|known are|has no"):
            broken()


def test_a_quota_is_a_sliding_window() -> None:
    """Never more than the quota passes in any window of a second, refused calls cost nothing, and time gives back."""
    now = [NOW]
    world = small_world()
    world.clock = lambda: now[0]
    world.accounts["t"].quota["DescribeLiveStreamState"] = 2
    codes = []
    for seconds in (0.0, 0.6, 0.9, 1.0, 1.5, 1.6):
        now[0] = NOW + seconds
        codes.append(answer(world, "tencent", tencent_call()).code == "ok")
    assert codes == [True, True, False, True, False, True]


def test_a_quota_below_one_is_a_long_window() -> None:
    """Half a call a second is one call in two seconds."""
    now = [NOW]
    world = small_world()
    world.clock = lambda: now[0]
    world.accounts["t"].quota["DescribeLiveStreamState"] = 0.5
    codes = []
    for seconds in (0.0, 1.9, 2.0):
        now[0] = NOW + seconds
        codes.append(answer(world, "tencent", tencent_call()).code == "ok")
    assert codes == [True, False, True]


def test_quotas_are_kept_apart() -> None:
    """One action's quota is not another's, and the documented one holds where none is set."""
    world = small_world()
    codes = [answer(world, "tencent", tencent_call()).code for _ in range(301)]
    assert codes == ["ok"] * 300 + ["RequestLimitExceeded"]
    assert answer(world, "tencent", tencent_call("DescribeLiveStreamOnlineList", {})).code == "ok"


def test_the_log_counts_the_busiest_second() -> None:
    """Tests can ask how many calls came in any one second, for any part of the world."""
    now = [NOW]
    world = small_world()
    world.clock = lambda: now[0]
    for seconds in (0.0, 0.5, 0.99, 1.0, 5.0):
        now[0] = NOW + seconds
        answer(world, "tencent", tencent_call())
    answer(world, "zego", zego_call())
    assert world.busiest(provider="tencent") == 3
    assert world.busiest(10.0, provider="tencent") == 5
    assert world.busiest(stream="tencent/inactive") == 0
    assert [call.code for call in world.calls(provider="zego")] == ["0"]


def test_pages_are_honest_by_default() -> None:
    """Without tricks the pages put together are the list."""
    found = [paginate(list(range(7)), number, 3, Tricks(), int) for number in (1, 2, 3, 4)]
    assert [each.rows for each in found] == [[0, 1, 2], [3, 4, 5], [6], []]
    assert {(each.total, each.pages) for each in found} == {(7, 3)}


@pytest.mark.parametrize(
    ("tricks", "first", "second", "told"),
    [
        (Tricks(foreign=2), [-1, -1, 0], [1, 2, 3], (9, 3)),
        (Tricks(duplicates=1), [0, 0, 1], [1, 2, 2], (14, 5)),
        (Tricks(drift=1), [0, 1, 2], [2, 3, 4], (7, 3)),
        (Tricks(drift=-1), [0, 1, 2], [4, 5, 6], (7, 3)),
        (Tricks(loop=True), [0, 1, 2], [0, 1, 2], (7, 3)),
        (Tricks(total=1, pages=99), [0, 1, 2], [3, 4, 5], (1, 99)),
        (Tricks(null=True), None, None, (7, 3)),
    ],
)
def test_lists_can_mislead(tricks: Tricks, first: list[int], second: list[int], told: tuple[int, int]) -> None:
    """Each trick spoils the pages in the way that it says."""
    pages = [paginate(list(range(7)), number, 3, tricks, lambda _: -1) for number in (1, 2)]
    assert [each.rows for each in pages] == [first, second]
    assert (pages[1].total, pages[1].pages) == told
