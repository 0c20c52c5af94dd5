"""Places for waiting requests: which request gets one, loses one, and is served next."""

from __future__ import annotations

import pytest

from exporter.serving.waiting import (
    BURST,
    FORGET_SECONDS,
    MOST_KNOWN,
    NEW_SECONDS,
    History,
    Place,
    Places,
    client_kind,
    client_network,
)


class Guests:
    """Takes places, and remembers who was turned away and who has gone."""

    def __init__(self, most: int) -> None:
        self.places = Places(most)
        self.turned_away: list[str] = []
        self.gone: set[str] = set()

    def enter(self, name: str, group: str, rank: float = 0.0, kind: str | None = None) -> Place | None:
        """Take a place."""
        return self.places.enter(
            0.0, group, kind, rank, lambda: name in self.gone, lambda: self.turned_away.append(name)
        )


def test_of_one_group_the_newcomer_is_turned_away() -> None:
    """A full house of equals takes nobody in, and nobody inside loses anything."""
    guests = Guests(3)
    assert all(guests.enter(str(number), "a") for number in range(3))
    assert guests.enter("late", "a") is None
    assert (len(guests.places), guests.turned_away) == (3, [])


def test_whoever_sits_longest_gives_way_to_a_neighbour_who_stays_less() -> None:
    """Of one group the highest rank loses its place, also to somebody of the same group."""
    guests = Guests(3)
    for name, rank in (("long", 120.0), ("longer", 121.0), ("short", 5.0)):
        assert guests.enter(name, "a", rank)
    assert guests.enter("brief", "a", 10.0)
    assert guests.turned_away == ["longer"]


def test_a_newcomer_takes_a_place_of_the_group_that_holds_most() -> None:
    """One stranger who holds everything cannot keep out another, whatever the ranks."""
    guests = Guests(4)
    for number in range(4):
        assert guests.enter(f"a{number}", "a", number)
    assert guests.enter("b0", "b", 1000.0)
    assert guests.enter("b1", "b", 1001.0)
    assert guests.enter("b2", "b", 1002.0) is None
    assert guests.turned_away == ["a3", "a2"]


def test_who_has_gone_holds_no_place() -> None:
    """A place is free at once when its holder has left, though nobody gave it back."""
    guests = Guests(2)
    assert guests.enter("one", "a")
    assert guests.enter("two", "a")
    guests.gone.add("one")
    assert len(guests.places) == 1
    assert guests.enter("three", "a")
    assert guests.turned_away == []


def test_a_place_is_given_back_once() -> None:
    """Giving back a place that was lost does not free another's."""
    guests = Guests(1)
    place = guests.enter("long", "a", 9.0)
    assert place is not None
    assert guests.enter("short", "a", 1.0)
    guests.places.leave(place)
    assert len(guests.places) == 1


def test_a_house_whose_last_guest_left_is_empty() -> None:
    """A group without a place is no group any more: giving back twice is no matter, and nobody is served."""
    guests = Guests(2)
    for _ in range(3):
        place = guests.enter("one", "a")
        assert place is not None
        guests.places.leave(place)
        guests.places.leave(place)
        assert len(guests.places) == 0
        assert guests.places.serve() is None


def test_groups_take_turns_and_the_lowest_rank_goes_first() -> None:
    """Many of one group delay another's only one by a single turn."""
    guests = Guests(9)
    for number in (3, 1, 2):
        guests.enter(f"a{number}", "a", number)
    guests.enter("b9", "b", 9)
    served = [guests.places.serve() for _ in range(5)]
    assert [place and (place.group, place.rank) for place in served] == [("a", 1), ("b", 9), ("a", 2), ("a", 3), None]


def test_within_a_group_kinds_share_the_places() -> None:
    """Behind one proxy many of one kind cannot keep out another kind, though they would stay less long."""
    guests = Guests(3)
    for rank in (1.0, 2.0, 3.0):
        assert guests.enter(f"curl {rank}", "proxy", rank, "curl")
    assert guests.enter("Prometheus", "proxy", 10.0, "Prometheus")
    assert guests.enter("curl 0.5", "proxy", 0.5, "curl")
    assert guests.turned_away == ["curl 3.0", "curl 2.0"]


def test_of_groups_that_have_equally_many_the_greatest_claim_loses() -> None:
    """Whoever asks too often gives way to a neighbour with a later deadline."""
    guests = Guests(2)
    for _ in range(int(BURST) + 5):
        guests.places.history.record(0.0, ("often", None))
    assert guests.enter("often", "often", 1.0)
    assert guests.enter("seldom", "seldom", 2.0)
    assert guests.enter("Prometheus", "Prometheus", 9.0)
    assert guests.turned_away == ["often"]


@pytest.mark.parametrize(("rank", "kind", "loser"), [(2.0, "sitter", "sitter"), (0.0, "scraper", "sitter")])
def test_whoever_loses_a_place_has_asked_too_often(rank: float, kind: str, loser: str) -> None:
    """A newcomer that gets none, and one that has to leave, have less of a penalty when they come again at once."""
    guests = Guests(1)
    assert guests.enter("inside", "a", 1.0, "sitter")
    assert (guests.enter("newcomer", "a", rank, kind) is None) == (kind == loser)
    lost, other = (guests.places.history.record(0.1, ("a", who)) for who in ("sitter", "scraper"))
    assert lost > other


def test_the_penalty_is_highest_for_clients_above_their_rate_then_for_new_ones() -> None:
    """Of two known clients within their rate, the one that has waited longer has the higher penalty."""
    history = History()
    often = [history.record(0.0, "often") for _ in range(int(BURST) + 1)]
    known = [history.record(second, "known") for second in (0.0, NEW_SECONDS, NEW_SECONDS + 1)]
    assert often[-1] > often[-2] > known[-1]
    assert known[0] == often[0]
    assert history.record(NEW_SECONDS + 1, "new") > known[2]
    assert known[1] > known[2]


def test_an_immediate_retry_after_being_turned_away_exceeds_the_rate() -> None:
    """Otherwise two clients would evict each other in turn; after a scrape interval the penalty is gone."""
    history = History()
    history.record(0.0, "a")
    history.turned_away(0.0, "a")
    assert history.record(0.1, "a") > history.record(0.1, "b")
    assert history.record(15.0, "a") < history.record(15.0, "c")


def test_a_flood_of_new_clients_does_not_evict_known_ones() -> None:
    """The history is bounded; clients that have been silent for long make room."""
    history = History()
    history.record(0.0, "Prometheus")
    for number in range(2 * MOST_KNOWN):
        history.record(1.0, number)
    assert len(history._known) == MOST_KNOWN
    assert history.record(NEW_SECONDS, "Prometheus") < history.record(NEW_SECONDS, "new")
    history.record(10_000.0, "later")
    assert len(history._known) == 1


@pytest.mark.parametrize(
    ("remote", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.7%eth0", "192.0.2.7"),
        ("", ""),
        (None, ""),
        ("/run/socket", ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(remote: str | None, group: str) -> None:
    """Whoever has a /64 has more addresses than there are places, and counts as one."""
    assert client_network(remote) == group


def test_a_kind_is_what_the_headers_say() -> None:
    """Three headers tell kinds of clients apart, whatever else they send; one that is missing is empty."""
    scraper = {"User-Agent": "p", "Accept": "text", "X-Prometheus-Scrape-Timeout-Seconds": "10"}
    assert client_kind({**scraper, "Cookie": "1"}) == client_kind(scraper)
    assert client_kind({}) == client_kind(dict.fromkeys(scraper, ""))
    kinds = [client_kind(headers) for headers in (scraper, {}, *({**scraper, name: "other"} for name in scraper))]
    assert len(set(kinds)) == len(kinds)
    assert len({client_kind({name: "same"}) for name in scraper}) == 3


@pytest.mark.parametrize(
    ("asked", "penalty"),
    [
        ([0.0], (0.0, 1.0, 0.0)),
        ([0.0] * 8, (0.0, 1.0, 0.0)),
        ([0.0] * 9, (1.0, 1.0, 0.0)),
        ([0.0] * 9 + [0.5], (1.5, 1.0, -0.5)),
        ([0.0] * 9 + [2.0], (0.0, 1.0, -2.0)),
        ([0.0] * 16, (8.0, 1.0, 0.0)),
        ([0.0] * 99, (8.0, 1.0, 0.0)),
        ([0.0] * 99 + [4.0], (5.0, 1.0, -4.0)),
        ([0.0, *[100.0] * 9], (1.0, 0.0, -100.0)),
        ([0.0, NEW_SECONDS - 0.1], (0.0, 1.0, 0.1 - NEW_SECONDS)),
        ([0.0, NEW_SECONDS], (0.0, 0.0, -NEW_SECONDS)),
        ([3.0, NEW_SECONDS], (0.0, 1.0, -NEW_SECONDS)),
    ],
)
def test_a_client_may_ask_once_a_second_and_eight_times_at_once(asked: list[float], penalty: tuple[float, ...]) -> None:
    """What exceeds the rate is counted, up to eight; it runs off in time and never below nothing."""
    history = History()
    assert [history.record(now, "client") for now in asked][-1] == penalty


def test_being_turned_away_counts_as_a_burst() -> None:
    """Coming back after two seconds is still too soon, after ten it is not."""
    for later, excess in ((0.0, 2.0), (1.0, 1.0), (2.0, 0.0), (10.0, 0.0)):
        history = History()
        history.record(0.0, "client")
        history.turned_away(0.0, "client")
        assert history.record(later, "client")[0] == excess
        assert history.record(later, "else")[0] == 0.0


def test_clients_are_forgotten_after_ten_minutes_of_silence_where_room_is_needed() -> None:
    """Room is made once in ten minutes; until then the newest client makes room."""
    history = History()
    history.record(0.0, "old")
    history.record(1.0, "young")
    for number in range(MOST_KNOWN - 2):
        history.record(FORGET_SECONDS, number)
    assert history.record(FORGET_SECONDS, "late")[1] == 1.0
    assert "old" not in history._known
    assert {"young", 0, MOST_KNOWN - 3, "late"} <= set(history._known)
    assert len(history._known) == MOST_KNOWN
    history.record(2 * FORGET_SECONDS - 1.0, "next")
    assert "late" not in history._known
    assert {"young", 0, MOST_KNOWN - 3, "next"} <= set(history._known)
    history.record(2 * FORGET_SECONDS, "last")
    assert set(history._known) == {"next", "last"}


def test_a_place_holds_what_its_request_brought() -> None:
    """Client, kind and rank are the request's own, and the penalty is that of this very client and kind."""
    places = Places(1)
    for _ in range(int(BURST)):
        places.history.record(7.0, ("a", "curl"))
    place = places.enter(7.0, "a", "curl", 3.0, lambda: False, lambda: None)
    assert place is not None
    assert (place.group, place.kind, place.rank, place.penalty) == ("a", "curl", 3.0, (1.0, 1.0, -7.0))
    assert places.serve() is place
    assert (len(places), places.serve()) == (0, None)


def test_of_equals_the_newest_loses_its_place() -> None:
    """Among places of the same client, kind and rank the last to come is turned away first."""
    guests = Guests(3)
    for name in ("first", "second", "third"):
        assert guests.enter(name, "a", 9.0)
    assert guests.enter("brief", "a", 1.0)
    assert guests.turned_away == ["third"]


def test_clients_within_their_rate_are_served_first() -> None:
    """Neither a group nor a kind that asks too often delays the others, and then the smaller kind goes first."""
    guests = Guests(20)
    for _ in range(int(BURST) + 2):
        guests.places.history.record(0.0, ("often", "curl"))
    guests.enter("greedy", "often", 0.0, "curl")
    guests.enter("calm", "often", 5.0, "Prometheus")
    guests.enter("one", "seldom", 2.0, "x")
    guests.enter("two", "seldom", 1.0, "x")
    guests.enter("three", "seldom", 9.0, "y")
    served = [guests.places.serve() for _ in range(6)]
    assert [place and (place.group, place.kind, place.rank) for place in served] == [
        ("often", "Prometheus", 5.0), ("seldom", "y", 9.0), ("seldom", "x", 1.0), ("seldom", "x", 2.0),
        ("often", "curl", 0.0), None,
    ]  # fmt: skip


def test_new_clients_within_their_rate_wait_no_longer_than_known_ones() -> None:
    """Turns are taken in the order of coming, whoever has been seen before."""
    places = Places(9)
    places.history.record(0.0, ("known", None))
    for group in ("new", "known"):
        assert places.enter(10.0, group, None, 0.0, lambda: False, lambda: None)
    assert [place and place.group for place in (places.serve(), places.serve())] == ["new", "known"]


def test_a_known_client_takes_nobodys_room() -> None:
    """Only a client that is not remembered yet needs room."""
    history = History()
    for number in range(MOST_KNOWN):
        history.record(1.0, number)
    history.record(2.0, 0)
    assert len(history._known) == MOST_KNOWN
    assert history.record(NEW_SECONDS + 1.0, MOST_KNOWN - 1)[1] == 0.0
