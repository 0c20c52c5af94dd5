"""List, then confirm: the test plays the network, and looks at what is asked and what is settled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Account, Answer, Call, Figures, State, Stream
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider, Listing, Page
from exporter.rounds.plan import LARGEST_PAGE, Listed, Outlook, Query, choose, cost, figure_groups, plan

LIVE = Answer(State.ACTIVE)
GONE = Answer(State.INACTIVE)
Network = Callable[[Query], Page | None]


def own(account: Account) -> bool:
    """Check that a listing is asked about the account that is planned for."""
    return account.name == "main"


def listing(action: str = "List", **fields: Any) -> Listing[Any, Any]:
    """Return a listing of all streams of a room, a hundred rows a page."""
    given: dict[str, Any] = {
        "action": action,
        "limit": lambda _account: 50.0,
        "scope": lambda account, stream: stream.domain if own(account) else None,
        "keys": lambda account, stream: (stream.name,) if own(account) else (),
        "ask": lambda account, scope, page: Call(action, "1", {"Scope": scope, "Page": page, "Own": own(account)}),
        "read": lambda _account, _scope, _call, _reply: Page({}),
        "pages": lambda account, streams: -(-streams // 100) if own(account) else 0,
        "every": lambda account: 0.0 if own(account) else 1e9,
        **fields,
    }
    return Listing(**given)


def cloud(*listings: Listing[Any, Any]) -> AnyProvider:
    """Return a cloud with these listings, and Tencent's single-stream API."""
    return replace(all_providers()["tencent"], listings=listings or (listing(),))


def account(**fields: Any) -> Account:
    """Return an account."""
    made: Account = all_providers()["tencent"].account(name="main", provider="tencent", **fields)
    return made


def streams(count: int, domain: str = "room", prefix: str = "s") -> list[Stream]:
    """Return streams of one room."""
    kind = all_providers()["tencent"].stream
    return [kind(name=f"{prefix}{number}", account="main", domain=domain) for number in range(count)]


def outlook(**fields: Any) -> Outlook:
    """Return an outlook with rates for every API."""
    rates = {"DescribeLiveStreamState": 100.0, "List": 20.0, "Other": 20.0}
    return Outlook(**{"now": 1000.0, "rates": rates, **fields})


@dataclass
class Played:
    """How a plan went.

    Attributes:
        listed: (scope, page) of each listing call, in order.
        single: Names of streams asked singly.
        settled: Answers by name, as learned from lists.
    """

    listed: list[tuple[str, int]] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    settled: dict[str, Answer] = field(default_factory=dict)

    def check(self, watched: Sequence[Stream]) -> None:
        """Check that each stream is either settled or asked singly, and only once."""
        assert sorted([*self.single, *self.settled]) == sorted(stream.name for stream in watched)


def play(
    watched: Sequence[Stream],
    network: Network,
    provider: AnyProvider | None = None,
    configured: Account | None = None,
    seen: Outlook | None = None,
) -> Played:
    """Run a plan to its end on a network of lists; each stream must be accounted for exactly once."""
    played = Played()
    steps = plan(provider or cloud(), configured or account(plan="list"), watched, seen or outlook())
    pending: list[Query] = []
    step = next(steps)
    while True:
        for stream, answer in step.settled:
            assert stream.name not in played.settled
            played.settled[stream.name] = answer
        for query in step.ask:
            if query.page:
                pending.append(query)
            else:
                played.single.append(query.streams[0].name)
        if not pending:
            break
        query = pending.pop(0)
        assert query.streams
        assert not played.settled.keys() & names(query.streams)
        played.listed.append((query.scope, query.page))
        step = steps.send((query, network(query)))
    with pytest.raises(StopIteration):
        next(steps)
    played.check(watched)
    return played


def paged(rows: Iterable[Hashable], size: int = 100, **fields: Any) -> Network:
    """Return a network whose one list has these rows, so many on a page, all of them live."""
    every = list(rows)

    def network(query: Query) -> Page:
        start = (query.page - 1) * size
        pages = max(1, -(-len(every) // size))
        return Page(dict.fromkeys(every[start : start + size], LIVE), **{"pages": pages, **fields})

    return network


def names(watched: Iterable[Stream]) -> list[str]:
    """Return the names of streams."""
    return [stream.name for stream in watched]


# --- what is learned from a list --------------------------------------------------------------------------------------


def test_present_streams_are_settled_and_absent_ones_confirmed() -> None:
    """Presence proves active; absence proves nothing, so who is missing is asked singly."""
    watched = streams(10)
    played = play(watched, paged(names(watched)[:7]))
    assert played.listed == [("room", 1)]
    assert set(played.settled) == set(names(watched)[:7])
    assert played.single == names(watched)[7:]
    assert set(played.settled.values()) == {LIVE}


def test_a_stream_that_is_listed_is_not_asked_whether_it_is_forbidden() -> None:
    """Presence is the list's word; a ban that a single call would tell of is found when the stream leaves the list."""
    watched = streams(2)
    assert play(watched, paged(["s0", "s1"])).single == []
    assert play(watched, paged(["s0"])).single == ["s1"]


def test_pages_are_read_in_turn_and_no_further_than_needed() -> None:
    """A second page is asked for while somebody is missing, and not once all are found."""
    watched = streams(150)
    assert play(watched, paged(names(watched))).listed == [("room", 1), ("room", 2)]
    assert play(watched[:100], paged(names(watched))).listed == [("room", 1)]


def test_twenty_thousand_foreign_streams_are_read_past() -> None:
    """The rows of others cost pages and settle nothing."""
    watched = streams(5)
    foreign = [f"foreign-{number}" for number in range(20_000)]
    played = play(watched, paged([*foreign, *names(watched)], size=1000))
    assert len(played.listed) == 21
    assert set(played.settled) == set(names(watched))


def test_rows_that_come_twice_settle_once() -> None:
    """Overlapping pages repeat rows; what was settled stays settled."""
    watched = streams(4)
    pages = {1: ["s0", "s1"], 2: ["s1", "s2"], 3: ["s2", "s3"]}
    played = play(watched, lambda query: Page(dict.fromkeys(pages[query.page], LIVE), pages=3))
    assert len(played.listed) == 3
    assert set(played.settled) == {"s0", "s1", "s2", "s3"}


def test_rows_lost_between_drifting_pages_are_asked_singly() -> None:
    """Who slips through between two pages is confirmed and not taken for gone."""
    watched = streams(6)
    pages = {1: ["s0", "s1"], 2: ["s3", "s4"]}
    played = play(watched, lambda query: Page(dict.fromkeys(pages[query.page], LIVE), pages=2))
    assert played.single == ["s2", "s5"]


def test_a_list_that_loops_is_left_at_the_first_page_without_news() -> None:
    """The same page for ever costs two calls, and who is missing is asked singly."""
    watched = streams(3)
    played = play(watched, lambda query: Page({"s0": LIVE, "x": LIVE}, pages=query.page + 1))
    assert played.listed == [("room", 1), ("room", 2)]
    assert played.single == ["s1", "s2"]


@pytest.mark.parametrize("pages", [10**400, 10**9, LARGEST_PAGE + 1])
def test_no_number_of_pages_keeps_us_reading_for_ever(pages: int) -> None:
    """A list that has always one more page with news is left after a thousand."""
    watched = streams(1)
    played = play(watched, lambda query: Page({f"foreign-{query.page}": LIVE}, pages=pages))
    assert len(played.listed) == LARGEST_PAGE
    assert played.single == ["s0"]


def test_a_page_that_is_not_full_is_the_last_whatever_it_says_of_others() -> None:
    """A list of strangers that claims a thousand pages costs one call where its own rows do not explain them."""
    watched = streams(3)
    played = play(watched, lambda query: Page({f"x{query.page}": LIVE}, pages=1000, last=True))
    assert played.listed == [("room", 1)]
    assert played.single == names(watched)


def test_a_list_goes_on_only_while_it_costs_fewer_calls_than_asking_singly() -> None:
    """Where we choose how to ask, twenty more pages for five streams are not read; five more for five are."""
    watched = streams(200)
    first: dict[Hashable, Answer | None] = dict.fromkeys(names(watched)[:195], LIVE)
    for pages, calls in ((6, 6), (7, 1), (1000, 1)):

        def network(query: Query, pages: int = pages) -> Page:
            return Page(first if query.page == 1 else {f"x{query.page}": LIVE}, pages=pages)

        played = play(watched, network, configured=account(plan="auto"))
        assert len(played.listed) == calls
        assert played.single == names(watched)[195:]


@pytest.mark.parametrize("page", [Page({}), Page({}, pages=0), Page({}, pages=-5), Page({}, complete=False)])
def test_an_empty_list_sends_everybody_to_single_calls(page: Page) -> None:
    """No rows, or null ones, prove nothing about anybody."""
    watched = streams(3)
    played = play(watched, lambda _query: page)
    assert (played.listed, played.single) == ([("room", 1)], names(watched))


@pytest.mark.parametrize("failing", [1, 2])
def test_a_page_that_fails_leaves_the_rest_to_single_calls(failing: int) -> None:
    """A failed page ends the list; what earlier pages settled stays."""
    watched = streams(4)
    good = paged(["s0", "x", "s1", "s2"], size=2)
    played = play(watched, lambda query: None if query.page == failing else good(query))
    assert len(played.listed) == failing
    assert list(played.settled) == (["s0"] if failing == 2 else [])


def test_a_row_that_only_says_that_it_is_there_settles_nothing() -> None:
    """Who is in the room may or may not publish: that is asked singly."""
    watched = streams(2)
    played = play(watched, lambda _query: Page({"s0": None}))
    assert (played.settled, sorted(played.single)) == ({}, ["s0", "s1"])


def test_a_stream_is_found_by_any_of_its_keys() -> None:
    """Primary and backup may stand under different addresses: one of them is enough."""
    twofold = listing(keys=lambda _account, stream: (stream.name, f"{stream.name}-backup"))
    played = play(streams(2), paged(["s0-backup", "s1"]), cloud(twofold))
    assert set(played.settled) == {"s0", "s1"}


def singles(watched: Sequence[Stream], network: Network, provider: AnyProvider) -> list[Query]:
    """Return the single calls that follow from one list of all streams."""
    steps = plan(provider, account(plan="list"), watched, outlook())
    step, asked = next(steps), list[Query]()
    while step.ask and step.ask[0].page:
        (query,) = step.ask
        step = steps.send((query, network(query)))
        asked += [query for query in step.ask if not query.page]
    return asked


@pytest.mark.parametrize(
    ("told", "network", "inputs"),
    [
        (True, lambda _query: Page({"s0": LIVE}), ()),
        (True, lambda query: Page({"s0": LIVE} if query.page == 1 else {"x": LIVE}, pages=2), ()),
        (True, lambda _query: Page({"s0": LIVE}, complete=False), None),
        (True, lambda query: Page({"s0": LIVE}, pages=2) if query.page == 1 else None, None),
        (True, lambda _query: None, None),
        (False, lambda _query: Page({"s0": LIVE}), None),
    ],
)
def test_who_is_missing_from_a_whole_list_of_inputs_has_none(
    told: bool, network: Network, inputs: tuple[()] | None
) -> None:
    """A single call knows that a list of inputs, read to its end, had none for its stream; no other list says so."""
    cloud_with_inputs = cloud(listing(inputs=told))
    asked = singles(streams(3), network, cloud_with_inputs)
    assert {query.inputs for query in asked} == {inputs}
    assert {query.api.action for query in asked} == {"DescribeLiveStreamState"}
    assert names(query.streams[0] for query in asked)[-2:] == ["s1", "s2"]


def test_a_query_asks_for_its_page_of_its_scope() -> None:
    """The second page of a room is asked for as such, and only for the streams that are left."""
    steps = plan(cloud(), account(plan="list"), streams(150), outlook())
    (first,) = next(steps).ask
    assert first.ask(account()) == Call("List", "1", {"Scope": "room", "Page": 1, "Own": True})
    (second,) = steps.send((first, paged(names(streams(150)))(first))).ask
    assert second.ask(account()) == Call("List", "1", {"Scope": "room", "Page": 2, "Own": True})
    assert names(second.streams) == [f"s{number}" for number in range(100, 150)]


def by_token(**fields: Any) -> Listing[Any, Any]:
    """Return a listing whose pages go by tokens."""

    def ask_next(account: Account, scope: str, token: str) -> Call:
        return Call("List", "1", {"Scope": scope, "Token": token, "Own": own(account)})

    return listing(ask_next=ask_next, **fields)


def test_pages_by_token_are_asked_for_with_the_token_of_the_page_before() -> None:
    """The first page is asked for without a token, each further one with what the page before it said."""
    steps = plan(cloud(by_token()), account(plan="list"), streams(3), outlook())
    (first,) = next(steps).ask
    (second,) = steps.send((first, Page({"s0": LIVE}, token="t1"))).ask
    (third,) = steps.send((second, Page({"s1": LIVE}, token="t2"))).ask
    assert [one.token for one in (first, second, third)] == ["", "t1", "t2"]
    assert [one.ask(account()).params for one in (first, second, third)] == [
        {"Scope": "room", "Page": 1, "Own": True},
        {"Scope": "room", "Token": "t1", "Own": True},
        {"Scope": "room", "Token": "t2", "Own": True},
    ]
    assert replace(third, api=listing()).ask(account()).params == {"Scope": "room", "Page": 3, "Own": True}
    assert names([query.streams[0] for query in steps.send((third, Page({}))).ask]) == ["s2"]


@pytest.mark.parametrize(("read", "left", "goes_on"), [(1, 1, True), (2, 2, True), (2, 1, False), (3, 3, True)])
def test_as_many_pages_by_token_are_expected_as_were_read(read: int, left: int, goes_on: bool) -> None:
    """A token does not say how many pages follow: the list goes on while asking singly would not cost less."""
    watched = streams(100)
    steps = plan(cloud(by_token()), account(), watched, outlook())
    (query,) = next(steps).ask
    for number in range(1, read + 1):
        shown = names(watched[number - 1 : number if number < read else 100 - left])
        step = steps.send((query, Page(dict.fromkeys(shown, LIVE), token="more")))
        query = step.ask[0]
    assert query.page == (read + 1 if goes_on else 0)
    assert len(step.ask) == (1 if goes_on else left)


def test_a_single_call_is_asked_of_the_account() -> None:
    """What a single call needs to know of the account and of the stream, it is handed."""
    main: Any = all_providers()["tencent"].main
    single = replace(main, ask=lambda account, stream: Call("One", stream.name, {"Own": own(account)}))
    assert Query(single, tuple(streams(1))).ask(account()) == Call("One", "s0", {"Own": True})


@pytest.mark.parametrize(("whole", "rows"), [(True, 7 + 2), (False, None)])
def test_the_rows_of_a_list_are_told_once_it_was_read_whole(whole: bool, rows: int | None) -> None:
    """They are those of all pages, as many as the provider sent, and told with the last page; none of a part."""
    steps = plan(cloud(), account(plan="list"), streams(3), outlook())
    (query,) = next(steps).ask
    step = steps.send((query, Page({"s0": LIVE, "x": LIVE}, pages=2, size=7, complete=whole)))
    assert step.rows is None
    assert steps.send((step.ask[0], Page({"s1": LIVE, "y": LIVE}, pages=2))).rows == rows


def test_a_bug_in_one_list_spares_the_others() -> None:
    """What a provider's own code raises is told for that list, which then is over; the others go on."""
    bug = RuntimeError("a bug")

    def keys(_account: Account, stream: Any) -> tuple[Hashable, ...]:
        if stream.domain == "hall":
            raise bug
        return (stream.name,)

    watched = [*streams(2), *streams(2, "hall", "h")]
    steps = plan(cloud(listing(keys=keys)), account(plan="list"), watched, outlook())
    room, hall = next(steps).ask
    step = steps.send((hall, Page({"h0": LIVE})))
    assert (step.bug, step.ask, step.settled) == (bug, [], [])
    step = steps.send((room, Page({"s0": LIVE, "s1": LIVE})))
    assert (step.bug, [stream.name for stream, _ in step.settled]) == (None, ["s0", "s1"])
    with pytest.raises(StopIteration):
        next(steps)


@pytest.mark.parametrize(("singly", "listed"), [(True, ["s1"]), (False, ["s0", "s1"])])
def test_an_old_list_does_not_overrule_an_answer_that_a_stream_is_not_live(singly: bool, listed: list[str]) -> None:
    """A list that is asked for seldom may be old: who is down is asked singly, where that can be asked."""
    rare: dict[str, Any] = {"every": lambda _account: 10.0}
    provider = cloud(listing(**rare)) if singly else list_only(**rare)
    step = next(plan(provider, account(plan="list"), streams(2), outlook(down={"s0"})))
    assert names(step.ask[0].streams) == listed
    assert [query.streams[0].name for query in step.ask[1:]] == (["s0"] if singly else [])


# --- lists of figures -------------------------------------------------------------------------------------------------

FAST, SLOW = Figures(frames=50.0), Figures(frames=5.0)


def with_figures(*listings: Listing[Any, Any]) -> AnyProvider:
    """Return a cloud with these lists of figures."""
    return replace(cloud(), figures=listings)


def test_lists_of_figures_are_due_after_their_time_the_oldest_first() -> None:
    """A list that was never made comes first, then the one made longest ago; one that is not due yet does not come."""
    provider = with_figures(listing(every=lambda _account: 10.0))
    rooms = ("new", "old", "older", "due", "fresh")
    watched = [stream for room in rooms for stream in streams(1, room, room)]
    ages = {"old": 20.0, "older": 30.0, "due": 10.0, "fresh": 9.9}
    listed = {("List", room): Listed(1000.0 - age, 1) for room, age in ages.items()}
    groups = figure_groups(provider, account(), watched, 1000.0, listed)
    assert [group.scope for group in groups] == ["new", "older", "old", "due"]
    assert figure_groups(provider, account(figures=False), watched, 1000.0, listed) == []


def test_a_list_of_figures_is_read_page_by_page() -> None:
    """Each page tells its streams' figures, the next one is asked for while streams are left; then the rows count."""
    provider = with_figures(by_token())
    (group,) = figure_groups(provider, account(), streams(3), 0.0, {})
    step = group.learn_figures(provider, account(), 1, Page({"s0": None}, figures={"s0": FAST}, token="t"))
    assert [(stream.name, figures) for stream, figures in step.told] == [("s0", FAST)]
    assert step.ask is not None
    assert (step.ask.page, step.ask.token, names(step.ask.streams), step.rows) == (2, "t", ["s1", "s2"], None)
    step = group.learn_figures(provider, account(), 2, Page({"s1": None, "x": None}, figures={"s1": SLOW}, pages=2))
    assert [(stream.name, figures) for stream, figures in step.told] == [("s1", SLOW)]
    assert (step.ask, step.rows) == (None, 3)


@pytest.mark.parametrize(("plan", "page"), [("auto", None), ("list", 2)])
def test_a_list_of_figures_is_not_read_on_for_one_stream(plan: Any, page: int | None) -> None:
    """More pages than streams that are left are read only where the account says to list."""
    provider = with_figures(listing())
    (group,) = figure_groups(provider, account(), streams(2), 0.0, {})
    configured = account(plan=plan)
    step = group.learn_figures(provider, configured, 1, Page({"s0": None}, figures={"s0": FAST}, pages=9))
    assert ((step.ask and step.ask.page), step.rows) == (page, None)


# --- absence that settles ---------------------------------------------------------------------------------------------

SETTLING = cloud(listing(absent=GONE))


def test_absence_settles_where_the_list_says_so() -> None:
    """Who is not in the room publishes nothing; who is there is asked, or settled by the row."""
    watched = streams(4)
    played = play(watched, lambda _query: Page({"s0": None, "s1": LIVE}), SETTLING)
    assert played.settled == {"s1": LIVE, "s2": GONE, "s3": GONE}
    assert played.single == ["s0"]


def test_who_stands_in_any_page_is_not_absent() -> None:
    """What an earlier page said is not forgotten over a later one."""
    pages = {1: Page({"s0": None}, pages=2), 2: Page({"s1": None}, pages=2)}
    played = play(streams(3), lambda query: pages[query.page], SETTLING)
    assert played.settled == {"s2": GONE}
    assert sorted(played.single) == ["s0", "s1"]


def test_pages_that_come_again_in_turn_are_no_news() -> None:
    """A list that alternates between two pages is left at the third."""
    played = play(streams(9), lambda query: Page({f"x{query.page % 2}": LIVE}, pages=9))
    assert [page for _, page in played.listed] == [1, 2, 3]


UNSURE: dict[str, Network] = {
    "a page that says it is not whole": lambda _query: Page({}, complete=False),
    "a page that failed": lambda _query: None,
    "a first page that is not whole": lambda query: Page({f"x{query.page}": LIVE}, pages=2, complete=query.page == 2),
    "a second page that failed": lambda query: Page({"x": LIVE}, pages=2) if query.page == 1 else None,
    "a page without news before the last": lambda query: Page({"x": LIVE}, pages=3),
    "more pages than are read": lambda query: Page({f"x{query.page}": LIVE}, pages=LARGEST_PAGE + 1),
}


@pytest.mark.parametrize("why", UNSURE)
def test_absence_settles_nothing_unless_the_whole_list_was_read(why: str) -> None:
    """A list of which a part is missing proves nobody's absence."""
    watched = streams(3)
    played = play(watched, UNSURE[why], SETTLING)
    assert (played.settled, played.single) == ({}, names(watched))


# --- which lists are asked --------------------------------------------------------------------------------------------


def chosen(
    watched: Sequence[Stream], provider: AnyProvider | None = None, seen: Outlook | None = None, plan: str = "auto"
) -> list[tuple[str, str]]:
    """Return (action, scope) of the listings that are worth it."""
    groups = choose(provider or cloud(), account(plan=plan), watched, seen or outlook())
    return [(group.listing.action, group.scope) for group in groups]


@pytest.mark.parametrize(("plan", "lists"), [("single", 0), ("auto", 0), ("list", 1)])
def test_the_plan_of_the_account_decides(plan: str, lists: int) -> None:
    """`single` never lists, `list` always does, `auto` does where it costs less: not for a single stream."""
    assert len(chosen(streams(1), plan=plan)) == lists
    assert len(chosen(streams(100), plan=plan)) == (plan != "single")


def test_streams_of_one_room_are_one_list() -> None:
    """Each scope is listed once, each stream stands in one list, and single streams are asked beside them."""
    watched = [*streams(50, "a", "a"), *streams(50, "b", "b"), *streams(1, "c", "c")]
    assert chosen(watched) == [("List", "a"), ("List", "b")]
    played = play(watched, paged(names(watched)), configured=account(plan="auto"))
    assert sorted(played.listed) == [("a", 1), ("b", 1)]
    assert played.single == ["c0"]


def test_streams_that_no_list_covers_are_asked_singly() -> None:
    """A stream without a scope has no list."""
    partly = cloud(listing(scope=lambda _account, stream: stream.domain if stream.name < "s5" else None))
    played = play(streams(10), paged(["s0", "s1"]), partly)
    assert played.listed == [("room", 1)]
    assert set(played.settled) == {"s0", "s1"}


def test_the_first_list_that_covers_a_stream_is_taken() -> None:
    """Listings stand in order of preference."""
    both = cloud(listing("Other"), listing("List"))
    assert chosen(streams(50), both) == [("Other", "room")]
    second = cloud(listing("Other", scope=lambda _account, _stream: None), listing("List"))
    assert chosen(streams(50), second) == [("List", "room")]


def test_a_list_is_not_asked_more_often_than_allowed() -> None:
    """Within `every` seconds of the last list of a scope its streams are asked singly, even where lists are wanted."""
    rare, watched = cloud(listing(every=lambda _account: 10.0)), streams(50)
    for ago, lists in ((9.9, 0), (10.0, 1)):
        seen = outlook(listed={("List", "room"): Listed(1000.0 - ago, 1)})
        assert len(chosen(watched, rare, seen)) == lists
        assert len(chosen(watched, rare, seen, plan="list")) == lists
    other = outlook(listed={("List", "elsewhere"): Listed(1000.0, 1)})
    assert len(chosen(watched, rare, other)) == 1
    recent = outlook(listed={("List", "room"): Listed(1000.0, 1)})
    assert chosen([*watched, *streams(50, "hall", "h")], rare, recent) == [("List", "hall")]


def test_details_that_only_the_list_tells_are_worth_any_cost() -> None:
    """One stream of which inputs are expected makes the list of inputs be asked."""
    detailed = cloud(listing(needed_by=lambda stream: stream.inputs is not None))
    assert chosen(streams(1), detailed) == []
    wanted = [streams(1)[0].model_copy(update={"inputs": 2})]
    assert chosen(wanted, detailed) == [("List", "room")]


def test_a_list_that_costs_more_calls_or_more_time_is_not_asked() -> None:
    """Many down, many pages, or a slow list: then single calls are cheaper."""
    watched = streams(100)
    assert chosen(watched, seen=outlook(down=set(names(watched)[:90]))) == [("List", "room")]
    assert chosen(watched, seen=outlook(down=set(names(watched)[:99]))) == []
    assert chosen(watched, seen=outlook(listed={("List", "room"): Listed(990.0, 100)})) == []
    slow = {"DescribeLiveStreamState": 100.0, "List": 0.5}
    assert chosen(watched, seen=outlook(rates=slow)) == []


@pytest.mark.parametrize(
    ("rate", "down", "lists"), [(2.0, 50, 1), (1.9, 50, 0), (20.0, 96, 0), (1000.0, 98, 1), (1000.0, 99, 0)]
)
def test_a_list_pays_up_to_the_time_of_single_calls_and_below_their_number(rate: float, down: int, lists: int) -> None:
    """A list and what follows it may take as long as asking singly, but must cost fewer calls."""
    watched, rates = streams(100), {"DescribeLiveStreamState": 100.0, "List": rate}
    assert len(chosen(watched, seen=outlook(rates=rates, down=set(names(watched)[:down])))) == lists


def test_an_old_number_of_pages_is_forgotten() -> None:
    """A list that had too many pages to be worth it is tried again after ten minutes."""
    for ago, lists in ((600.0, 0), (600.1, 1)):
        seen = outlook(listed={("List", "room"): Listed(1000.0 - ago, 100)})
        assert len(chosen(streams(100), seen=seen)) == lists


def test_the_cost_is_pages_and_confirmations() -> None:
    """Those who were down are asked again; where absence settles, those who were up are."""
    watched = streams(150)
    seen = outlook(down={"s0", "s1"})
    (group,) = choose(cloud(), account(plan="list"), watched, seen)
    assert cost(account(), group, seen, None) == (2, 2)
    assert cost(account(), group, seen, Listed(0.0, 0)) == (1, 2)
    assert cost(account(), group, seen, Listed(0.0, 7)) == (7, 2)
    assert cost(account(), group, seen, Listed(0.0, 10**400)) == (LARGEST_PAGE, 2)
    (group,) = choose(SETTLING, account(plan="list"), watched, seen)
    assert cost(account(), group, seen, None) == (2, 148)


def test_a_plan_without_streams_asks_nothing() -> None:
    """Nothing due, nothing asked."""
    assert play([], paged([])) == Played()


def test_single_calls_stand_in_the_order_of_urgency() -> None:
    """The stream that waited longest is asked first."""
    watched = list(reversed(streams(20)))
    assert play(watched, paged([]), configured=account(plan="single")).single == names(watched)


# --- any list at all --------------------------------------------------------------------------------------------------

ROWS = st.dictionaries(st.integers(0, 9).map("s{}".format), st.sampled_from([LIVE, None]))
PAGES = st.none() | st.builds(Page, ROWS, st.integers(-3, 8), st.booleans())


@settings(max_examples=100, deadline=None)
@given(told=st.lists(PAGES, min_size=8, max_size=8), settles=st.booleans(), rooms=st.integers(1, 3))
def test_every_stream_is_settled_or_asked_whatever_lists_say(
    told: list[Page | None], settles: bool, rooms: int
) -> None:
    """No sequence of pages loses a stream, asks it twice, settles an unlisted one as live, or goes on for ever."""
    watched = [stream for room in range(rooms) for stream in streams(4, f"room{room}", f"{'stu'[room]}")]
    played = play(watched, lambda query: told[query.page - 1], SETTLING if settles else cloud())
    assert len(played.listed) <= 8 * rooms
    listed = {name for page in told if page for name, answer in page.rows.items() if answer}
    assert {name for name, answer in played.settled.items() if answer is LIVE} <= listed
    gone = {name for name, answer in played.settled.items() if answer is GONE}
    assert not gone or (settles and any(page and page.complete for page in told))


# --- without an API for single streams --------------------------------------------------------------------------------


def list_only(**fields: Any) -> AnyProvider:
    """Return a cloud whose list is all there is."""
    none: Any = None
    return replace(cloud(listing(**fields)), single=none)


@pytest.mark.parametrize("configured", ["auto", "single", "list"])
def test_a_cloud_without_an_api_for_single_streams_is_listed_whatever_is_planned(configured: str) -> None:
    """Its list settles both ways, and nothing is asked singly."""
    watched = streams(2)
    steps = plan(list_only(absent=GONE), account(plan=configured), watched, outlook())
    (query,) = next(steps).ask
    step = steps.send((query, Page({"s0": LIVE})))
    assert {stream.name: answer for stream, answer in step.settled} == {"s0": LIVE, "s1": GONE}
    assert (step.ask, step.lost) == ([], [])


@pytest.mark.parametrize("page", [None, Page({"s0": LIVE}, complete=False)], ids=["failed", "not whole"])
def test_what_such_a_list_leaves_open_is_lost_for_this_round(page: Page | None) -> None:
    """Nothing else can tell of it, so the round has to say that it is unknown."""
    watched = streams(2)
    steps = plan(list_only(absent=GONE), account(), watched, outlook())
    (query,) = next(steps).ask
    step = steps.send((query, page))
    assert names(step.lost) == (["s0", "s1"] if page is None else ["s1"])
    assert step.ask == []
