"""Where hops disagree: clouds with viewers, and providers with each other; never by what nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import State
from exporter.schedule import NEVER, Schedule, Window
from exporter.state.hops import Hops
from tests.cost import LINEAR, growth

from .watching import EPOCH, MAX_AGE, Watching, address, at, stream

LIVE, DOWN = State.ACTIVE, State.INACTIVE
PLAYED = (address("cdn-a"), address("cdn-b", "https://other.example/b.flv"))


def viewed(addresses: int = 1) -> Watching:
    """Return a board with a stream that has addresses."""
    return Watching().watch(("tencent", stream("tencent", "a", playback=PLAYED[:addresses])))


def grouped(*providers: str, schedules: dict[str, Schedule] | None = None) -> Watching:
    """Return a board with a stream of one group at each of these providers, each named as its provider."""
    return Watching().watch(*((one, stream(one, one, "final")) for one in providers), schedules=schedules)


# --- a cloud and viewers ----------------------------------------------------------------------------------------------


def test_live_and_not_playable_disagree_once_both_were_asked_anew() -> None:
    """The check that finds it and one more answer are not enough, nor is one more check: it takes both."""
    made = viewed()
    made.says("tencent/a", LIVE, 0)
    assert made.differs("tencent/a", 1) is None
    made.check("tencent/a", 2, up=True)
    assert made.differs("tencent/a", 3) is False
    made.check("tencent/a", 10, up=False)
    made.says("tencent/a", LIVE, 11)
    assert made.differs("tencent/a", 12) is False
    version = made.board.version
    made.check("tencent/a", 13, up=False)
    assert made.board.version > version  # the document without it is not served on
    assert made.differs("tencent/a", 14) is True
    made.check("tencent/a", 20, up=True)
    assert made.differs("tencent/a", 21) is False


def test_the_slower_side_may_be_the_cloud() -> None:
    """However often viewers' side is looked at, the cloud must have said again that it is live."""
    made = viewed()
    made.says("tencent/a", LIVE, 0)
    for mono in range(1, 30):
        made.check("tencent/a", mono, up=False)
        assert made.differs("tencent/a", mono + 0.5) is False
    made.says("tencent/a", LIVE, 30)
    assert made.differs("tencent/a", 31) is True


@pytest.mark.parametrize("state", [DOWN, State.FORBIDDEN, State.NOT_FOUND])
@pytest.mark.parametrize("up", [True, False])
def test_a_cloud_that_is_not_live_disagrees_with_nobody(state: State, up: bool) -> None:
    """Where the cloud itself says that it is down, the alert about that is enough."""
    made = viewed()
    for mono in range(0, 60, 10):
        made.says("tencent/a", state, mono)
        made.check("tencent/a", mono + 5, up=up)
    assert made.differs("tencent/a", 56) is False


def test_what_is_unknown_on_either_side_leaves_it_absent() -> None:
    """Neither 0 nor 1 while nobody knows: no check yet, a check that failed or is too old, a cloud that failed."""
    made = viewed()
    made.check("tencent/a", 0, up=False)
    assert made.differs("tencent/a", 1) is None
    made.says("tencent/a", LIVE, 2)
    made.says("tencent/a", LIVE, 4)
    made.check("tencent/a", 5, up=False, until=15)
    assert made.differs("tencent/a", 6) is True
    made.says("tencent/a", None, 7)
    assert made.differs("tencent/a", 8) is None
    made.says("tencent/a", LIVE, 9)
    made.check("tencent/a", 10, up=None)
    assert made.differs("tencent/a", 11) is None
    made.check("tencent/a", 12, up=False, until=15)
    assert made.differs("tencent/a", 27) is True
    assert made.differs("tencent/a", 27.1) is None
    assert made.differs("tencent/a", 9 + MAX_AGE + 0.1) is None


def test_a_cloud_that_fails_now_and_then_hides_nothing() -> None:
    """Not even one that answers every second time only: it is the same disagreement before and after the failure."""
    made, seen = viewed(), []
    for mono in range(0, 200, 10):
        made.check("tencent/a", mono, up=False)
        made.says("tencent/a", LIVE if mono % 20 else None, mono + 1)
        seen.append(made.differs("tencent/a", mono + 2))
    assert seen == [None, False, *[None, True] * 9]


def test_after_a_long_time_of_doubt_it_begins_anew() -> None:
    """What was longer unknown than an answer counts may have been well meanwhile."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    assert made.differs("tencent/a", 6) is True
    made.says("tencent/a", None, 10)
    made.check("tencent/a", 11 + MAX_AGE, up=False)
    made.says("tencent/a", LIVE, 12 + MAX_AGE)
    assert made.differs("tencent/a", 13 + MAX_AGE) is False


def test_doubt_for_as_long_as_an_answer_counts_begins_nothing_anew() -> None:
    """It is the same disagreement up to the last moment."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    made.says("tencent/a", None, 10)
    made.check("tencent/a", 11, up=False)
    made.says("tencent/a", LIVE, 10 + MAX_AGE)
    assert made.differs("tencent/a", 10.5 + MAX_AGE) is True


def test_checks_that_fail_for_long_begin_anew() -> None:
    """However often they fail: doubt counts from the first one on."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    for mono in range(10, 71, 10):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono, up=None)
    made.check("tencent/a", 72, up=False)
    made.says("tencent/a", LIVE, 73)
    assert made.differs("tencent/a", 74) is False
    made.check("tencent/a", 75, up=False)
    assert made.differs("tencent/a", 76) is True


def test_an_address_that_was_not_checked_for_long_begins_anew() -> None:
    """What its last check found had been withdrawn: nobody knows what was meanwhile."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False, until=10)
    assert made.differs("tencent/a", 6) is True
    assert made.differs("tencent/a", 16) is None
    made.says("tencent/a", LIVE, 17)
    made.check("tencent/a", 18, up=False)
    made.says("tencent/a", LIVE, 19)
    assert made.differs("tencent/a", 20) is False
    made.check("tencent/a", 21, up=False)
    assert made.differs("tencent/a", 22) is True


def test_viewers_seen_well_while_the_cloud_is_unknown_end_it() -> None:
    """A side that is known to be right again needs no other to say so."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    made.says("tencent/a", None, 10)
    made.check("tencent/a", 11, up=True)
    made.check("tencent/a", 12, up=False)
    made.says("tencent/a", LIVE, 13)
    assert made.differs("tencent/a", 14) is False


def test_flapping_faster_than_both_are_asked_is_no_disagreement() -> None:
    """Each time that they agree it is over, seen by a scrape or not."""
    made = viewed()
    for mono in range(0, 100, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
        made.check("tencent/a", mono + 2, up=True)
        made.check("tencent/a", mono + 3, up=False)
        assert made.differs("tencent/a", mono + 3.5) is False


def test_one_of_several_addresses_is_enough_and_all_must_be_up() -> None:
    """Viewers of one CDN get nothing: that disagrees, whatever is known of the other; up and unknown is unknown."""
    made = viewed(2)
    made.says("tencent/a", LIVE, 0)
    made.check("tencent/a", 1, up=True, name="cdn-a")
    assert made.differs("tencent/a", 2) is None
    made.check("tencent/a", 3, up=True, name="cdn-b")
    assert made.differs("tencent/a", 4) is False
    made.check("tencent/a", 5, up=False, name="cdn-b")
    made.check("tencent/a", 6, up=None, name="cdn-a")
    made.says("tencent/a", LIVE, 7)
    assert made.differs("tencent/a", 8) is False  # the other address was looked at meanwhile, this one was not
    made.check("tencent/a", 9, up=False, name="cdn-b")
    assert made.differs("tencent/a", 10) is True


def test_of_addresses_that_are_down_one_must_have_been_looked_at_anew() -> None:
    """It is the same disagreement while the other one, down too, waits for its turn."""
    made = viewed(2)
    made.says("tencent/a", LIVE, 0)
    made.check("tencent/a", 1, up=False, name="cdn-a")
    made.check("tencent/a", 2, up=False, name="cdn-b")
    made.says("tencent/a", LIVE, 3)
    assert made.differs("tencent/a", 4) is True


def test_another_stream_under_the_same_name_begins_anew() -> None:
    """Where a reload changes what the cloud is asked for, its answers are those of another stream."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    moved = stream("tencent", "a", playback=PLAYED[:1]).model_copy(update={"domain": "other"})
    made.watch(("tencent", moved))
    assert made.differs("tencent/a", 6) is None
    made.says("tencent/a", LIVE, 7)
    made.check("tencent/a", 8, up=False)
    assert made.differs("tencent/a", 9) is False
    made.says("tencent/a", LIVE, 10)
    made.check("tencent/a", 11, up=False)
    assert made.differs("tencent/a", 12) is True


def test_a_reload_goes_on_unless_it_changes_the_address() -> None:
    """What is as before still disagrees; an address that leads elsewhere now begins anew."""
    made = viewed()
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.check("tencent/a", mono + 1, up=False)
    made.watch(("tencent", stream("tencent", "a", playback=PLAYED[:1])))
    assert made.differs("tencent/a", 6) is True
    made.watch(("tencent", stream("tencent", "a", playback=(address("cdn-a", "https://new.example/a.m3u8"),))))
    assert made.differs("tencent/a", 7) is None
    made.check("tencent/a", 8, up=False)
    assert made.differs("tencent/a", 9) is False
    made.watch(("tencent", stream("tencent", "a")))
    assert made.differs("tencent/a", 10) is None


EVENTS = st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), max_size=40)


def expected_of(events: list[tuple[bool, bool | None]]) -> bool | None:
    """Return what is shown after events, the newest last, each of the cloud or of viewers: live, not, or unknown."""
    told: dict[bool, list[tuple[int, bool]]] = {True: [], False: []}
    latest: dict[bool, bool | None] = {True: None, False: None}
    for mono, (of_cloud, says) in enumerate(events):
        latest[of_cloud] = says
        if says is not None:
            told[of_cloud].append((mono, says))
    if None in latest.values():
        return None
    if not latest[True] or latest[False]:
        return False
    return min(one[-1][0] for one in told.values()) > max(map(_since, told.values()))


def _since(told: list[tuple[int, bool]]) -> int:
    """Return since when the last word has been said."""
    return [mono for mono, _ in takewhile(lambda one: one[1] is told[-1][1], reversed(told))][-1]


@given(events=EVENTS)
def test_whatever_happens_both_were_asked_anew(events: list[tuple[bool, bool | None]]) -> None:
    """By the rule read from the end each time: both asked again since both have said what they say now."""
    made = viewed()
    for mono, (of_cloud, says) in enumerate(events):
        if of_cloud:
            made.says("tencent/a", None if says is None else LIVE if says else DOWN, mono)
        else:
            made.check("tencent/a", mono, up=says)
        if mono % 3:
            assert made.differs("tencent/a", mono + 0.5) is expected_of(events[: mono + 1])
    assert made.differs("tencent/a", len(events)) is expected_of(events)


# --- providers with the same group ------------------------------------------------------------------------------------


def test_providers_of_a_group_disagree_once_both_were_asked_anew() -> None:
    """Both streams show it, whichever was asked last; afterwards both are well again."""
    made = grouped("tencent", "zego")
    made.says("tencent/tencent", LIVE, 0)
    assert made.differs("tencent/tencent", 1) is None
    made.says("zego/zego", DOWN, 2)
    made.says("zego/zego", DOWN, 2.5)
    assert made.differs("zego/zego", 2.6) is False
    made = grouped("tencent", "zego")
    made.says("tencent/tencent", LIVE, 0)
    made.says("zego/zego", DOWN, 2)
    made.says("tencent/tencent", LIVE, 3)
    assert [made.differs(key, 4) for key in ("tencent/tencent", "zego/zego")] == [False, False]
    made.says("zego/zego", DOWN, 5)
    assert [made.differs(key, 6) for key in ("tencent/tencent", "zego/zego")] == [True, True]
    made.says("zego/zego", LIVE, 7)
    assert [made.differs(key, 8) for key in ("tencent/tencent", "zego/zego")] == [False, False]


def test_the_other_direction_is_another_disagreement() -> None:
    """Live here and down there, then the other way round by way of doubt: it begins anew."""
    made = grouped("tencent", "zego")
    for mono in (0, 2, 4):
        made.says("tencent/tencent", LIVE, mono)
        made.says("zego/zego", DOWN, mono + 1)
    assert made.differs("zego/zego", 6) is True
    made.says("zego/zego", None, 7)
    made.says("tencent/tencent", DOWN, 8)
    made.says("zego/zego", LIVE, 9)
    assert made.differs("zego/zego", 10) is False
    made.says("tencent/tencent", DOWN, 11)
    made.says("zego/zego", LIVE, 12)
    assert made.differs("zego/zego", 13) is True


def test_three_providers_are_compared_two_by_two() -> None:
    """Who disagrees with one shows it, though a third is unknown; who agrees with all known waits for the third."""
    made = grouped("tencent", "zego", "alibaba")
    for mono in (0, 10):
        made.says("tencent/tencent", LIVE, mono)
        made.says("zego/zego", DOWN, mono + 1)
    for mono in (20, 21):
        made.says("tencent/tencent", LIVE, mono)
    shown = [made.differs(key, 22) for key in ("tencent/tencent", "zego/zego", "alibaba/alibaba")]
    assert shown == [True, True, None]
    made.says("zego/zego", LIVE, 23)
    assert made.differs("zego/zego", 24) is None
    made.says("alibaba/alibaba", LIVE, 25)
    shown = [made.differs(key, 26) for key in ("tencent/tencent", "zego/zego", "alibaba/alibaba")]
    assert shown == [False, False, False]


def test_within_one_provider_nothing_disagrees() -> None:
    """A main and a spare at the same provider are no two hops."""
    made = Watching().watch(*(("tencent", stream("tencent", name, "final")) for name in ("a", "b")))
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.says("tencent/b", DOWN, mono + 1)
    assert made.differs("tencent/a", 6) is made.differs("tencent/b", 6) is None


def test_a_provider_has_the_group_while_one_of_its_streams_is_live() -> None:
    """A spare that is down is no disagreement; while none is live and one unknown, nobody knows."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final")),
        ("tencent", stream("tencent", "b", "final")),
        ("zego", stream("zego", "z", "final")),
    )
    for mono in (0, 10):
        made.says("tencent/a", LIVE, mono)
        made.says("tencent/b", DOWN, mono)
        made.says("zego/z", LIVE, mono)
    assert [made.differs(key, 11) for key in ("tencent/a", "tencent/b", "zego/z")] == [False, False, False]
    made.says("tencent/b", None, 12)
    assert [made.differs(key, 13) for key in ("tencent/a", "tencent/b", "zego/z")] == [False, None, False]
    made.says("tencent/b", DOWN, 14)
    made.says("tencent/a", None, 20)
    assert made.differs("zego/z", 21) is None
    made.says("tencent/a", DOWN, 22)
    made.says("zego/z", LIVE, 23)
    made.says("tencent/a", DOWN, 24)
    assert made.differs("zego/z", 25) is False  # the other stream there was not asked anew
    made.says("tencent/b", DOWN, 26)
    assert [made.differs(key, 27) for key in ("tencent/a", "tencent/b", "zego/z")] == [True, True, True]


def test_only_its_live_streams_speak_for_a_side_that_is_live() -> None:
    """That a spare was asked anew, and is down, says nothing about the stream that was live."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final")),
        ("tencent", stream("tencent", "b", "final")),
        ("zego", stream("zego", "z", "final")),
    )
    made.says("tencent/a", LIVE, 0)
    for mono in (1, 2, 3):
        made.says("zego/z", DOWN, mono)
        made.says("tencent/b", DOWN, mono + 0.5)
    assert made.differs("zego/z", 4) is False
    made.says("tencent/a", LIVE, 5)
    assert made.differs("zego/z", 6) is True


def test_one_of_its_live_streams_is_enough_for_a_side() -> None:
    """The side has been live since the first of them was, and has said so again when another one did."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final")),
        ("tencent", stream("tencent", "b", "final")),
        ("zego", stream("zego", "z", "final")),
    )
    made.says("tencent/a", LIVE, 0)
    made.says("tencent/b", DOWN, 0)
    made.says("zego/z", DOWN, 1)
    made.says("tencent/b", LIVE, 10)
    assert made.differs("zego/z", 11) is False
    made.says("zego/z", DOWN, 12)
    assert made.differs("zego/z", 13) is True


def test_a_spare_that_nobody_expects_is_not_waited_for() -> None:
    """Neither does its old answer hold up the others of its side, nor does it show what they show."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final")),
        ("zego", stream("zego", "z", "final")),
        ("zego", stream("zego", "spare", "final")),
        schedules={"spare": NEVER},
    )
    made.says("zego/spare", DOWN, 0)
    for mono in (1, 3):
        made.says("tencent/a", LIVE, mono)
        made.says("zego/z", DOWN, mono + 1)
    assert [made.differs(key, 5) for key in ("tencent/a", "zego/z", "zego/spare")] == [True, True, None]


def test_streams_that_are_not_expected_take_no_part() -> None:
    """By their schedule or in maintenance: meanwhile nobody is compared with them, and it begins anew afterwards."""
    window = Schedule(("always",), windows=(Window(EPOCH + 20, EPOCH + 40),))
    seen = []
    made = grouped("tencent", "zego", schedules={"zego": window})
    for mono in range(0, 60, 5):
        made.says("tencent/tencent", LIVE, mono)
        made.says("zego/zego", DOWN, mono + 1)
        seen.append([made.differs(key, mono + 2) for key in ("tencent/tencent", "zego/zego")])
    assert seen == [[False] * 2, *[[True] * 2] * 3, *[[None] * 2] * 4, [False] * 2, *[[True] * 2] * 3]
    made = grouped("tencent", "zego", schedules={"zego": NEVER})
    for mono in range(0, 20, 5):
        made.says("tencent/tencent", LIVE, mono)
        made.says("zego/zego", DOWN, mono + 1)
    assert made.differs("tencent/tencent", 20) is None


def test_a_reload_of_a_group_goes_on_unless_it_changes_who_is_compared() -> None:
    """The same streams as before still disagree; one that comes to them is waited for."""
    made = grouped("tencent", "zego")
    watched = [(one, stream(one, one, "final")) for one in ("tencent", "zego")]
    for mono in (0, 2, 4):
        made.says("tencent/tencent", LIVE, mono)
        made.says("zego/zego", DOWN, mono + 1)
    made.watch(*watched)
    assert made.differs("zego/zego", 6) is True
    made.watch(*watched, ("zego", stream("zego", "more", "final")))
    assert made.differs("tencent/tencent", 7) is None
    made.says("zego/more", DOWN, 8)
    assert made.differs("tencent/tencent", 9) is False
    made.watch(watched[0])
    assert made.differs("tencent/tencent", 10) is None


def test_a_group_that_comes_with_a_reload_waits_for_new_answers() -> None:
    """What was not compared before may have turned since each was asked last."""
    made = Watching().watch(("tencent", stream("tencent", "a")), ("zego", stream("zego", "z")))
    for mono in (0, 2):
        made.says("tencent/a", LIVE, mono)
        made.says("zego/z", DOWN, mono + 1)
    made.watch(("tencent", stream("tencent", "a", "final")), ("zego", stream("zego", "z", "final")))
    assert made.differs("tencent/a", 4) is False
    made.says("tencent/a", LIVE, 5)
    made.says("zego/z", DOWN, 6)
    assert made.differs("tencent/a", 7) is True


def test_what_was_known_before_a_group_came_is_not_new_after_a_doubt() -> None:
    """A stream that was live before the reload, and fails once after it, has been live all the time."""
    made = Watching().watch(("tencent", stream("tencent", "a")), ("zego", stream("zego", "z")))
    made.says("tencent/a", LIVE, 0)
    made.says("zego/z", DOWN, 1)
    made.watch(("tencent", stream("tencent", "a", "final")), ("zego", stream("zego", "z", "final")))
    made.says("tencent/a", None, 2)
    made.says("tencent/a", LIVE, 3)
    made.says("zego/z", DOWN, 4)
    assert made.differs("tencent/a", 5) is True


def test_a_shard_compares_no_groups() -> None:
    """Another shard may watch the stream that is live; what viewers get of its own streams it does compare."""
    made = Watching()
    made.board.whole = False
    made.watch(("tencent", stream("tencent", "a", "final", PLAYED[:1])), ("zego", stream("zego", "z", "final")))
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.says("zego/z", DOWN, mono)
        made.check("tencent/a", mono, up=True)
    assert made.differs("tencent/a", 5) is False
    assert made.differs("zego/z", 5) is None


def test_viewers_and_group_count_together() -> None:
    """One disagreement is enough; without one, all must be known."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a", "final", PLAYED[:1])), ("zego", stream("zego", "z", "final"))
    )
    for mono in (0, 2, 4):
        made.says("tencent/a", LIVE, mono)
        made.says("zego/z", LIVE, mono)
    assert (made.differs("tencent/a", 5), made.differs("zego/z", 5)) == (None, False)
    made.check("tencent/a", 6, up=True)
    assert made.differs("tencent/a", 7) is False
    made.says("zego/z", None, 8)
    assert made.differs("tencent/a", 9) is None
    for mono in (10, 12):
        made.check("tencent/a", mono, up=False)
        made.says("tencent/a", LIVE, mono + 1)
    assert made.differs("tencent/a", 14) is True


# --- cost -------------------------------------------------------------------------------------------------------------


def test_streams_without_addresses_and_group_are_unknown_here() -> None:
    """The board asks about those that are known here and no others: their answers cost nothing."""
    made = Watching().watch(
        ("tencent", stream("tencent", "a")),
        ("tencent", stream("tencent", "alone", "group")),
        ("tencent", stream("tencent", "viewed", playback=PLAYED)),
        ("tencent", stream("tencent", "here", "both")),
        ("zego", stream("zego", "there", "both")),
    )
    hops = Hops()
    hops.watch(made.board, MAX_AGE, whole=True)
    assert set(hops.streams) == {("tencent", "viewed"), ("tencent", "here"), ("zego", "there")}


def test_a_group_of_very_many_streams_costs_little() -> None:
    """A label that thousands share by accident: an outage of all, and a document, cost what as many small groups do."""

    def make(size: int) -> Callable[[], None]:
        names = [(one, f"{one}-{number}") for one in ("tencent", "zego") for number in range(size)]
        streams = [(one, stream(one, name, "all")) for one, name in names]

        def work() -> None:
            made = Watching().watch(*streams)
            for mono, state in enumerate((LIVE, None, LIVE)):
                for provider, one in streams:
                    made.says(f"{provider}/{one.name}", state if provider == "tencent" else DOWN, mono)
            rows = list(made.board.rows(at(10)))
            assert {row.hop_disagreement for row in rows} == {True}
            assert len(rows) == len(streams)

        return work

    assert growth(make, 3000) < LINEAR
