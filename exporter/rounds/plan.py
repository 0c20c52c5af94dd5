"""List, then confirm: which calls a round makes, as a generator without input or output.

It yields steps and is sent the outcome of each listing call; single calls report to nobody. A stream that stands in a
list is active. One that does not is asked singly, so that inactive, forbidden and not found stay apart, unless the
listing says that absence settles it. A listing that fails leaves its streams to single calls; where the provider has
none, they are lost in this round.

Where each process of a server lists only its own streams, absence counts as `Origins` says.

Lists of figures are not part of it: they settle nothing, and `figure_groups` says which of them are due.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exporter.model import Account, Answer, Call, Figures, Input, Stream
from exporter.providers.interface import AnyProvider, Api, Listing, Page
from exporter.rounds.origins import FEWEST, Origins

Scope = tuple[str, str]  # what a listing covers: its API's action, and the scope that it was asked for

LARGEST_PAGE = 1000
LISTED_SECONDS = 600.0  # how long the page count of an earlier listing is believed


def label_of(scope: str) -> str:
    """Return a scope in one line, for labels and pages."""
    return scope.replace("\n", "/")


@dataclass(frozen=True, slots=True)
class Query:
    """One call about to be made, and the streams that it covers.

    Attributes:
        api: What is asked.
        streams: The streams that it covers; one for a single call.
        scope: What a listing covers.
        page: Counts from 1; 0 for a single call.
        token: What a page after the first is asked for with, where pages go by tokens.
        inputs: For a single call, the stream's inputs by a complete list of inputs; None where none was read.
    """

    api: Api[Any, Any] | Listing[Any, Any]
    streams: Sequence[Stream]
    scope: str = ""
    page: int = 0
    token: str = ""
    inputs: tuple[Input, ...] | None = None

    def ask(self, account: Account) -> Call:
        """Build the call."""
        if isinstance(self.api, Listing):
            if self.token and self.api.ask_next is not None:
                return self.api.ask_next(account, self.scope, self.token)
            return self.api.ask(account, self.scope, self.page)
        return self.api.ask(account, self.streams[0])


@dataclass(slots=True)
class Step:
    """What to do next: calls to make, streams settled by a listing, and streams of which nothing can be learned.

    Those that another process may have are `elsewhere`. `bug` is what a provider's own code raised about the streams of
    one listing: the others go on. `rows` is how many rows a listing had that has now been read whole.
    """

    ask: list[Query] = field(default_factory=list)
    settled: list[tuple[Stream, Answer]] = field(default_factory=list)
    lost: list[Stream] = field(default_factory=list)
    elsewhere: list[Stream] = field(default_factory=list)
    rows: int | None = None
    bug: Exception | None = None


@dataclass(frozen=True, slots=True)
class FigureStep:
    """What a page of a list of figures tells, the next page, and the rows of a list that has now been read whole."""

    told: list[tuple[Stream, Figures]]
    ask: Query | None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """What an earlier listing of a scope taught: when it was made (monotonic seconds) and how many pages it had."""

    at: float
    pages: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the choice of calls depends on.

    Attributes:
        now: Monotonic seconds.
        rates: Calls per second allowed, by action.
        down: Names of streams whose last definite answer was not active: a listing will not have them.
        listed: Earlier listings by (action, scope).
        origins: Who answered for a scope, in this round too, by (action, scope).
        homes: The process that showed a live stream, by name: once another answers, that one may still have it.
    """

    now: float
    rates: Mapping[str, float]
    down: frozenset[str] | set[str] = frozenset()
    listed: Mapping[Scope, Listed] = field(default_factory=dict)
    origins: Mapping[Scope, Origins] = field(default_factory=lambda: defaultdict(Origins))
    homes: Mapping[str, str] = field(default_factory=dict)


Plan = Generator[Step, tuple[Query, Page | None], None]


def plan(provider: AnyProvider, account: Account, streams: Sequence[Stream], outlook: Outlook) -> Plan:
    """Yield what to ask for these streams, most urgent first.

    Args:
        provider: The cloud.
        account: Its account; `plan` says whether to list.
        streams: Streams whose turn it is, the one waiting longest first.
        outlook: What is known beforehand.

    Yields:
        The next step; it wants to be sent (query, page) for each listing query, with None for one that failed.
    """
    groups = list(choose(provider, account, streams, outlook))
    listed = {stream.name for group in groups for stream in group.left}
    step = Step([group.query(1, "") for group in groups])
    if (single := provider.single) is not None:
        step.ask += (Query(single, (stream,)) for stream in streams if stream.name not in listed)
    waiting = {(group.listing.action, group.scope): group for group in groups}
    while waiting:
        query, page = yield step
        group = waiting[query.api.action, query.scope]
        try:
            step = group.learn(provider, account, query.page, page)
        except Exception as error:
            step, group.finished = Step(bug=error), True
        if group.finished:
            del waiting[query.api.action, query.scope]
    yield step


@dataclass(slots=True)
class Group:
    """Streams that one listing covers, while it is read page by page.

    Attributes:
        left: Streams that no page has shown yet.
        seen: Keys of the rows read.
        count: How many rows they were.
        whole: Whether no row is missing so far.
        finished: Whether no page will follow.
        outlook: What is known beside the pages.
        read: How often it has been read to its end.
    """

    listing: Listing[Any, Any]
    scope: str
    left: list[Stream]
    seen: set[Any] = field(default_factory=set)
    count: int = 0
    whole: bool = True
    finished: bool = False
    outlook: Outlook = field(default_factory=lambda: Outlook(0.0, {}))
    read: int = 0

    def query(self, page: int, token: str) -> Query:
        """Ask for a page."""
        return Query(self.listing, tuple(self.left), self.scope, page, token)

    def learn(self, provider: AnyProvider, account: Account, number: int, page: Page | None) -> Step:
        """Take a page, or None for one that failed; say what follows from it."""
        if page is None:
            self.finished, self.whole = True, False
            return self._rest(provider, account, Step(), None)
        step = Step(settled=self._present(account, page))
        if self._more(provider, account, number, page):
            step.ask.append(self.query(number + 1, page.token))
            return step
        step.rows = self.count if self.whole else None
        self.read += 1
        few = self.listing.elsewhere and self.outlook.origins[self.listing.action, self.scope].few
        if few and self.left and self.whole and self.read < FEWEST:
            self.seen, self.count, self.finished = set(), 0, False
            step.ask.append(self.query(1, ""))
            return step
        return self._rest(provider, account, step, page)

    def learn_figures(self, provider: AnyProvider, account: Account, number: int, page: Page) -> FigureStep:
        """Take a page of a list of figures; say what it tells and which page follows."""
        told, left = [], []
        for stream in self.left:
            keys = self.listing.keys(account, stream)
            found = next((page.figures[key] for key in keys if key in page.figures), None)
            if found is None:
                left.append(stream)
            else:
                told.append((stream, found))
        self.left = left
        if self._more(provider, account, number, page):
            return FigureStep(told, self.query(number + 1, page.token))
        return FigureStep(told, None, self.count if self.whole else None)

    def _more(self, provider: AnyProvider, account: Account, number: int, page: Page) -> bool:
        """Count the rows of a page; say whether another page follows and is worth its call."""
        new = page.rows.keys() - self.seen
        self.seen |= new
        self.count += len(new) if page.size is None else page.size
        self.whole = self.whole and page.complete
        # A page without news means that the provider's pages drift or loop: what is left is asked singly.
        if new and self._goes_on(provider, account, number, page):
            return True
        self.finished = True
        # Pages that were not read may hold the streams that are left: then absence proves nothing.
        self.whole = self.whole and number >= page.pages and not page.token
        return False

    def _goes_on(self, provider: AnyProvider, account: Account, number: int, page: Page) -> bool:
        """Whether the next page is there and worth a call.

        A page that is not full is the last, whatever it says of others. If more pages are left than streams, asking
        for the streams singly costs less. A token does not say how many pages are left: expect as many as were read.
        """
        pages = 2 * number if page.token else page.pages
        more = min(pages, LARGEST_PAGE) - number
        affordable = more <= len(self.left) or account.plan == "list" or provider.single is None
        return bool(self.left) and more > 0 and not page.last and affordable

    def _present(self, account: Account, page: Page) -> list[tuple[Stream, Answer]]:
        settled: list[tuple[Stream, Answer]] = []
        left: list[Stream] = []
        for stream in self.left:
            found = [page.rows[key] for key in self.listing.keys(account, stream) if key in page.rows]
            answer = next((answer for answer in found if answer is not None), None)
            if answer is not None:
                settled.append((stream, answer))
            else:
                left.append(stream)
        self.left = left
        return settled

    def _rest(self, provider: AnyProvider, account: Account, step: Step, page: Page | None) -> Step:
        """Settle what absence proves, and ask singly for the others."""
        if page is not None and self.whole:
            self._settle_absent(account, step, page)
        single = provider.single
        if single is None:
            step.lost += self.left
            return step
        # A stream missing from a complete list of inputs has none, whatever the single call will say.
        inputs = () if self.listing.inputs and self.whole else None
        step.ask += (Query(single, (stream,), inputs=inputs) for stream in self.left)
        return step

    def _settle_absent(self, account: Account, step: Step, page: Page) -> None:
        """Settle the streams whose absence from a whole listing, of which this is the last page, proves something."""
        origins = self.outlook.origins[self.listing.action, self.scope]
        left, certain = [], not self.listing.elsewhere or origins.alone
        for stream in self.left:
            keys = self.listing.keys(account, stream)
            answer = self.listing.absent if page.absent is None else page.absent(keys[0])
            if answer is None or self.seen.intersection(keys):
                left.append(stream)
            elif certain and self.outlook.homes.get(stream.name, page.origin) == page.origin:
                step.settled.append((stream, answer))
            else:
                step.elsewhere.append(stream)
        self.left = left


def choose(provider: AnyProvider, account: Account, streams: Iterable[Stream], outlook: Outlook) -> Iterable[Group]:
    """Yield the listings worth making for these streams; a stream stands in one of them at most."""
    if account.plan == "single" and provider.single is not None:
        return
    for group in _groups(provider.listings, account, streams):
        group.outlook = outlook
        last = outlook.listed.get((group.listing.action, group.scope))
        every = group.listing.every(account)
        if last is not None and outlook.now - last.at < every:
            continue
        if last is not None and outlook.now - last.at > LISTED_SECONDS:
            last = None
        forced = account.plan == "list" or any(map(group.listing.needed_by, group.left))
        if forced or provider.single is None or _pays(provider, account, group, outlook, last):
            if every and provider.single is not None:
                # The list may be as old as that, so it does not overrule an answer that a stream is not live.
                group.left = [stream for stream in group.left if stream.name not in outlook.down]
            if group.left:
                yield group


def figure_groups(
    provider: AnyProvider, account: Account, streams: Iterable[Stream], now: float, listed: Mapping[Scope, Listed]
) -> list[Group]:
    """Return the lists of figures that are due for these live streams, the one made longest ago first.

    Args:
        provider: The cloud.
        account: Its account.
        streams: Live streams.
        now: Monotonic seconds.
        listed: Earlier listings by (action, scope).
    """
    if not account.figures:
        return []
    never = float("-inf")
    made = [
        (last.at if (last := listed.get((group.listing.action, group.scope))) is not None else never, group)
        for group in _groups(provider.figures, account, streams)
    ]
    due = [(at, group) for at, group in made if now - at >= group.listing.every(account)]
    return [group for _, group in sorted(due, key=lambda pair: pair[0])]


def _groups(listings: Iterable[Listing[Any, Any]], account: Account, streams: Iterable[Stream]) -> list[Group]:
    groups: dict[Scope, Group] = {}
    for stream in streams:
        for listing in listings:
            scope = listing.scope(account, stream)
            if scope is not None:
                group = groups.setdefault((listing.action, scope), Group(listing, scope, []))
                group.left.append(stream)
                break
    return list(groups.values())


def cost(account: Account, group: Group, outlook: Outlook, last: Listed | None) -> tuple[int, int]:
    """Return the expected calls of a listing: pages, and single calls after it."""
    # What a provider told of its pages may be any number at all: no more are ever read than this.
    pages = max(1, min(last.pages, LARGEST_PAGE) if last else group.listing.pages(account, len(group.left)))
    down = sum(stream.name in outlook.down for stream in group.left)
    settles_absence = group.listing.absent is not None
    return pages, len(group.left) - down if settles_absence else down


def _pays(provider: AnyProvider, account: Account, group: Group, outlook: Outlook, last: Listed | None) -> bool:
    """Whether a listing costs fewer calls and less time than single calls."""
    pages, singles = cost(account, group, outlook, last)
    single_rate = outlook.rates[provider.main.action]
    listing_time = pages / outlook.rates[group.listing.action] + singles / single_rate
    return pages + singles < len(group.left) and listing_time <= len(group.left) / single_rate
