"""What the board remembers of viewers' addresses: from check to check, over reloads, and until it no longer counts."""

from __future__ import annotations

from exporter.model import Reason, State
from exporter.state.counters import Counters
from exporter.state.playback import UNCHECKED, AddressRow, PlaybackCheck, down_at, viewers_get
from exporter.state.record import Change

from .watching import EPOCH, Watching, address, at, stream

TWO = (address("cdn-a"), address("cdn-b", "https://other.example/b.flv"))


def one_stream() -> Watching:
    """Return a board with a stream that has two addresses, beside one that has none."""
    return Watching().watch(("tencent", stream("tencent", "a", playback=TWO)), ("tencent", stream("tencent", "b")))


def test_a_row_has_all_addresses_in_the_order_of_the_configuration() -> None:
    """What was not checked yet is None, whichever was checked first; a stream without addresses has none."""
    made = one_stream()
    assert made.row("tencent/a", 1).playback == (AddressRow("cdn-a"), AddressRow("cdn-b"))
    made.check("tencent/a", 2, up=True, name="cdn-b")
    made.check("tencent/a", 3, up=False, name="cdn-a")
    assert [(one.name, one.up) for one in made.row("tencent/a", 3).playback] == [("cdn-a", False), ("cdn-b", True)]
    assert made.row("tencent/b", 3).playback == ()


def test_streams_without_checks_share_one_mapping() -> None:
    """A million streams without addresses cost no dictionary each."""
    made = one_stream()
    made.check("tencent/a", 2, up=True)
    assert made.record("tencent/b").playback is UNCHECKED
    assert made.record("tencent/a").playback is not UNCHECKED
    assert len(UNCHECKED) == 0


def test_an_outcome_counts_until_it_says_so() -> None:
    """At its last moment it is shown, afterwards it is unknown at once, and what is cached expires with it."""
    made = one_stream()
    made.says("tencent/a", State.ACTIVE, 0)
    made.check("tencent/a", 1, up=True, until=30)
    made.check("tencent/a", 5, up=True, name="cdn-b", until=40)
    assert made.board.expires() == 31
    assert made.row("tencent/a", 31).playback[0].check is not None
    version = made.board.version
    assert made.row("tencent/a", 31.001).playback[0].check is None
    assert made.board.version > version
    assert made.board.expires() == 45
    assert made.told[-1] == Change(EPOCH + 31.001, "tencent", "a", True, None, "max_age", "cdn-a")


def test_an_outcome_that_counts_for_a_short_time_is_withdrawn_in_time() -> None:
    """Also where nothing else was to become too old so soon."""
    made = one_stream()
    made.board.outdate(at(0))
    made.check("tencent/a", 1, up=True, until=5)
    made.board.outdate(at(7))
    assert [(one.new, one.evidence) for one in made.told] == [(True, "up is True"), (None, "max_age")]


def test_changes_are_told_once_with_what_was_seen() -> None:
    """From unknown to up, down, unknown: each is told, and a check with the same outcome is not."""
    made = one_stream()
    for mono, up in enumerate((None, True, True, False, False, None, None)):
        made.check("tencent/a", mono, up=up)
    assert [(one.at - EPOCH, one.playback, one.old, one.new, one.evidence) for one in made.told] == [
        (1, "cdn-a", None, True, "up is True"),
        (3, "cdn-a", True, False, "up is False"),
        (5, "cdn-a", False, None, "up is None"),
    ]


def since(made: Watching, mono: float) -> tuple[bool | None, float | None, bool]:
    """Return what the first address shows, since when, and whether that is only when it was first looked at."""
    one = made.row("tencent/a", mono).playback[0]
    return one.up, None if one.since is None else one.since - EPOCH, one.since_first_seen


def test_an_outage_goes_on_over_times_in_which_nobody_knows() -> None:
    """Down, unknown, down is one outage, as with a stream; what is unknown is so since its checks began to fail."""
    made, seen = one_stream(), []
    assert since(made, 0) == (None, None, False)
    outcomes = (None, None, False, False, True, True, False, None, None, False, True)
    for mono, up in enumerate(outcomes, 1):
        made.check("tencent/a", 10 * mono, up=up)
        seen.append(since(made, 10 * mono))
    assert seen[:4] == [(None, 10, True), (None, 10, True), (False, 30, True), (False, 30, True)]
    assert seen[4:] == [(True, 50, False), (True, 50, False), (False, 70, False), (None, 80, False), (None, 80, False),
                        (False, 70, False), (True, 110, False)]  # fmt: skip


def test_an_outage_goes_on_over_times_without_checks() -> None:
    """Nobody knows since the last check, as with a stream's last answer, until another finds it as it was."""
    made = one_stream()
    for mono, up in ((0, True), (10, False), (20, False)):
        made.check("tencent/a", mono, up=up, until=30)
    assert made.record("tencent/a").checks(500)[0].since == EPOCH + 20
    assert since(made, 500) == (None, 20, False)
    made.check("tencent/a", 510, up=None)
    assert since(made, 510) == (None, 20, False)
    made.check("tencent/a", 520, up=False)
    assert since(made, 520) == (False, 10, False)


def test_a_reload_keeps_since_when_unless_the_address_leads_elsewhere() -> None:
    """What is known of an address ends with what it was."""
    made = one_stream()
    for mono, up in ((0, True), (10, False)):
        made.check("tencent/a", mono, up=up)
    made.watch(("tencent", stream("tencent", "a", playback=TWO[:1])))
    assert since(made, 11) == (False, 10, False)
    made.watch(("tencent", stream("tencent", "a", playback=(address("cdn-a", "https://new.example/a.m3u8"),))))
    assert since(made, 12) == (None, None, False)


def test_the_version_grows_with_outcomes_and_not_with_every_check() -> None:
    """The cached document lives on while only ages differ; another outcome or another reason ends it."""
    made, grew = one_stream(), []
    outcomes = [(True, None), (True, None), (None, None), (None, Reason.DNS), (None, Reason.AUTH), (False, None)]
    for mono, (up, reason) in enumerate(outcomes):
        version = made.board.version
        check = PlaybackCheck(up, "", reason, float(mono))
        made.board.played(made.record("tencent/a"), TWO[0], check, at(mono))
        grew.append(made.board.version > version)
    assert grew == [True, False, True, True, True, True]


def test_a_reload_forgets_what_it_took_away_or_changed() -> None:
    """An address under its old name that leads elsewhere begins unknown; an unchanged one keeps its outcome."""
    made = one_stream()
    made.check("tencent/a", 1, up=True)
    made.check("tencent/a", 1, up=False, name="cdn-b")
    changed = (TWO[0], address("cdn-b", "https://other.example/c.flv"), address("cdn-c"))
    made.watch(("tencent", stream("tencent", "a", playback=changed)))
    assert [(one.name, one.up) for one in made.row("tencent/a", 2).playback] == [
        ("cdn-a", True), ("cdn-b", None), ("cdn-c", None)
    ]  # fmt: skip
    made.watch(("tencent", stream("tencent", "a")))
    assert made.row("tencent/a", 3).playback == ()
    assert made.record("tencent/a").playback is UNCHECKED
    assert not made.board.has_playback


def test_a_check_that_ends_after_a_reload_is_not_taken_for_another_address() -> None:
    """The outcome of an address that is gone, or leads elsewhere now, is dropped; so is that of a stream gone."""
    made = one_stream()
    record, down = made.record("tencent/a"), PlaybackCheck(False, "404")
    made.watch(("tencent", stream("tencent", "a", playback=(address("cdn-a", "https://new.example/a.m3u8"),))))
    made.board.played(record, TWO[0], down, at(1))
    assert made.row("tencent/a", 1).playback == (AddressRow("cdn-a"),)
    made.watch()
    version = made.board.version
    made.board.played(record, TWO[0], down, at(2))
    assert (made.board.version, made.told) == (version, [])


def test_a_live_stream_that_viewers_do_not_get_is_degraded() -> None:
    """One address that is definitely down is enough; what is unknown is not lacking, and neither is a stream down."""
    made = one_stream()
    made.says("tencent/a", State.ACTIVE, 0)
    made.check("tencent/a", 1, up=None)
    made.check("tencent/a", 1, up=True, name="cdn-b")
    assert made.row("tencent/a", 2).degraded == ()
    made.check("tencent/a", 3, up=False)
    assert made.row("tencent/a", 3).degraded == ("playback",)
    made.says("tencent/a", State.INACTIVE, 4)
    assert made.row("tencent/a", 4).degraded == ()


def test_viewers_get_a_stream_where_all_its_addresses_bring_it() -> None:
    """One that is down decides, then one that is unknown."""
    up, down, unknown = (PlaybackCheck(told, "") for told in (True, False, None))
    for checks, got in (((up, up), True), ((up, None), None), ((up, unknown), None), ((up, unknown, down), False)):
        named = tuple(AddressRow(name, check) for name, check in zip("abc", checks, strict=False))
        assert viewers_get(named) is got
        assert down_at(named) == (["c"] if got is False else [])


def test_counters_of_addresses_live_as_long_as_these() -> None:
    """Errors are kept by address, bytes by account: over reloads, and not longer than they are configured."""
    counters = Counters()
    for name in ("cdn-a", "cdn-b"):
        counters.playback_errors["tencent", "a", name, "dns"] += 1
    counters.playback_bytes["tencent", "main"] += 10
    counters.keep({("tencent", "main")}, {("tencent", "a")}, {("tencent", "a", "cdn-a")})
    assert dict(counters.playback_errors) == {("tencent", "a", "cdn-a", "dns"): 1}
    assert dict(counters.playback_bytes) == {("tencent", "main"): 10}
    counters.keep(set(), set(), set())
    assert not counters.playback_errors
    assert not counters.playback_bytes
