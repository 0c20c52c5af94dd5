"""`stream-exporter check`: every error at once; then what the configuration costs, account by account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from exporter import providers
from exporter.capacity import Load, Plan, Round, Schedule, number, plan, spoken
from exporter.commands.cautions import cautions
from exporter.commands.common import Terminal, read_configuration, show_table
from exporter.commands.options import CheckOptions
from exporter.config import Config
from exporter.fields import format_duration
from exporter.model import Stream
from exporter.providers.reading import printable

HEAD = ("account and api", "streams", "calls", "kept / limit", "takes", "every", "of limit")
RIGHT = frozenset(range(1, 7))


def run(options: CheckOptions, terminal: Terminal) -> int:
    """Check the configuration; return 1 if it has errors, warnings leave 0."""
    found = read_configuration(options.config_file, terminal)
    if found is None:
        return 1
    schedule = Schedule(found.scrape.timeout, found.scrape.max_age, found.scrape.reuse)
    plans = capacity(found, schedule)
    terminal.say(f"{options.config_file} is valid: {_counted(found)}.\n")
    show_table(terminal.stdout, HEAD, [row for one in plans for row in _rows(one, schedule)], RIGHT)
    terminal.say("\n" + _footnote(plans, schedule))
    told = [(f"account {printable(one.account)}: {each.text}", each.helps) for one in plans for each in one.cautions]
    told += [(text, ()) for text in cautions(found, options.config_file, providers.found(), terminal.environ)]
    for text, helps in told:
        terminal.say(f"\nwarning: {text}" + ("; what would help:" if helps else ""))
        terminal.stdout.writelines(f"  - {each}\n" for each in helps)
    return 0


def capacity(found: Config, schedule: Schedule) -> list[Plan]:
    """Return the capacity plan of every account, in the configuration's order."""
    streams: dict[str, list[Stream]] = defaultdict(list)
    for stream in found.streams:
        streams[stream.account].append(stream)
    known = providers.found()
    return [plan(known[account.provider], account, streams[account.name], schedule) for account in found.accounts]


def _counted(found: Config) -> str:
    accounts, streams = len(found.accounts), len(found.streams)
    return (
        f"{number(accounts)} {'account' if accounts == 1 else 'accounts'}, "
        f"{number(streams)} {'stream' if streams == 1 else 'streams'}"
    )


def _footnote(plans: list[Plan], schedule: Schedule) -> str:
    text = (
        f"Reckoned with a scrape interval of {spoken(schedule.interval)}, a budget of {spoken(schedule.budget)} "
        f"(scrape.timeout), answers reused for {spoken(schedule.reuse)} and counting for "
        f"{format_duration(schedule.max_age)}.\n"
        "calls: of a round that asks for every stream once; kept / limit: calls per second that the exporter allows "
        "itself, and that the provider documents;\ntakes: how long the calls take at that rate; every: how often a "
        "stream is refreshed; of limit: mean use of the provider's limit."
    )
    if any(load.pause for one in plans for load in one.live.loads):
        text += (
            "\nA list that the provider does not want in each round is asked for once in the time shown; "
            "in between, streams\nare asked singly, as far as the quota goes."
        )
    more = {
        (load.action, load.newer)
        for one in plans
        for load in one.live.loads
        if load.newer and load.kept <= load.documented
    }
    for action, newer in sorted(more):
        text += (
            f"\nNewer documentation allows {number(newer)}/s of {action} per account; "
            f"to keep half of that, set quota: {{{action}: {number(newer / 2)}}}."
        )
    if any(one.live != one.dark for one in plans):
        text += (
            "\nOf two figures the first holds if all streams are live, the second if none is: these are asked singly."
        )
    return text


def _rows(one: Plan, schedule: Schedule) -> Iterator[list[str]]:
    yield [f"{printable(one.account)} ({one.provider})", number(one.streams), "", "", "", "", ""]
    live, dark = _by_action(one.live), _by_action(one.dark)
    for action in dict.fromkeys([*live, *dark]):
        yield [f"  {action}", "", *_figures(live.get(action), dark.get(action), schedule)]


def _by_action(round_: Round) -> dict[str, Load]:
    return {load.action: load for load in round_.loads}


def _figures(live: Load | None, dark: Load | None, schedule: Schedule) -> list[str]:
    any_ = live or dark
    assert any_ is not None
    cases = [live, dark]
    return [
        _both(["0" if case is None else number(case.calls) for case in cases]),
        f"{number(any_.kept)} / {number(any_.documented)}",
        _both(["0s" if case is None else spoken(case.seconds) for case in cases]),
        _both(["-" if case is None else spoken(case.refresh(schedule)) for case in cases]),
        _both(["0%" if case is None else _percent(case.used(schedule)) for case in cases]),
    ]


def _both(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[1] else " … ".join(texts)


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
