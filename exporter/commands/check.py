"""`stream-exporter check`: every error at once, or what the configuration costs, account by account."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exporter import providers
from exporter.capacity import Load, Plan, Timing
from exporter.commands import dividing, timetable, traffic
from exporter.commands.common import load, tell_errors, warning_line
from exporter.commands.dividing import Divided
from exporter.commands.options import CheckOptions
from exporter.commands.terminal import Terminal
from exporter.commands.warnings import warnings
from exporter.config import Config, ConfigErrors
from exporter.fields import counted, format_duration, number, spoken
from exporter.providers.reading import printable

HEAD = ("account and api", "streams", "calls", "kept / limit", "takes", "every", "of limit")


def run(options: CheckOptions, terminal: Terminal) -> int:
    """Check the configuration; return 1 if it has errors, or warnings where they count; else 0."""
    file = options.config_file
    try:
        loaded = load(file, terminal, whole=True)
    except ConfigErrors as errors:
        if options.output == "json":
            _say_json(terminal, file, False, errors=[asdict(problem) for problem in errors.problems])
        else:
            tell_errors(errors, file, terminal)
        return 1
    timing = Timing(loaded.scrape.timeout, loaded.scrape.max_age, loaded.scrape.reuse)
    divided = dividing.plans(loaded, timing)
    checks, by_host = traffic.traffic(loaded)
    others = [
        *warnings(loaded, file, providers.all_providers(), terminal.environ),
        *traffic.warnings(loaded, checks, by_host),
    ]
    told = [*_placed(loaded), *_of_capacity(divided), *_unplaced(others)]
    failed = options.strict and bool(told)
    expected = timetable.outlooks(loaded, time.time())
    if options.output == "json":
        played = {one.account: one.as_object() for one in checks}
        accounts = [_account(each, timing, loaded, played) for each in divided]
        _say_json(terminal, file, not failed, warnings=[whole for _, whole in told], accounts=accounts,
                  schedules=timetable.objects(expected))  # fmt: skip
        return int(failed)
    _print(file, loaded, divided, timing, terminal)
    if checks:
        terminal.say()
        terminal.table(traffic.HEAD, traffic.rows(checks), traffic.NUMBERS)
        terminal.say(f"\n{traffic.footnote(checks)}")
    if rows := timetable.rows(expected):
        terminal.say()
        terminal.table(timetable.HEAD, rows, range(1, 2))
    _warn([text for text, _ in told], failed, terminal)
    return int(failed)


def _print(file: Path, loaded: Config, divided: list[Divided], timing: Timing, terminal: Terminal) -> None:
    plans = [each.largest for each in divided]
    terminal.say(f"{file} is valid: {_counts(loaded)}.\n")
    terminal.table(HEAD, [row for one in plans for row in _rows(one, timing)], range(1, len(HEAD)))
    terminal.say("\n" + "\n".join((*_footnotes(plans, timing), *dividing.footnotes(divided), *_ways(loaded))))


def _warn(told: list[str], failed: bool, terminal: Terminal) -> None:
    """Write all warnings behind the plan, where a person sees them; a pipe takes the plan alone."""
    if told:
        terminal.say()
        terminal.stdout.flush()  # where both go to one file
    for text in told:
        terminal.complain(text)
    if failed:
        terminal.complain(f"{counted(len(told), 'warning')}, which --strict makes errors")


Told = tuple[str, dict[str, Any]]
"""A warning for people, and for pipelines."""


def _placed(loaded: Config) -> Iterator[Told]:
    """Yield the warnings that have a place in a file."""
    for warning in loaded.warnings:
        yield warning_line(warning), asdict(warning)


def _unplaced(texts: list[str]) -> Iterator[Told]:
    for text in texts:
        yield f"warning: {printable(text, len(text))}", {"message": text}


def _of_capacity(divided: list[Divided]) -> Iterator[Told]:
    """Yield what does not fit into quotas and times, with what would help."""
    for plan in (each.largest for each in divided):
        for warning in plan.warnings:
            helps = "".join(f"\n  - {each}" for each in warning.helps)
            text = f"{warning.text}{helps and '; what would help:'}{helps}"
            whole = {"account": plan.account, "message": warning.text, "helps": list(warning.helps)}
            yield f"warning: account {printable(plan.account)}: {text}", whole


# --- as JSON ---------------------------------------------------------------------------------------------------------


def _say_json(terminal: Terminal, file: Path, ok: bool, **parts: list[dict[str, Any]]) -> None:
    whole = {"file": str(file), "ok": ok, "errors": [], "warnings": [], "accounts": [], "schedules": [], **parts}
    terminal.say(json.dumps(whole, indent=2, ensure_ascii=False))


def _account(divided: Divided, timing: Timing, loaded: Config, played: dict[str, Any]) -> dict[str, Any]:
    """Return an account's capacity plan; times are in seconds, rates in calls a second."""
    one = divided.largest
    apis = [
        {"action": action, "if_all_live": _figures_of(live, timing), "if_none_live": _figures_of(dark, timing)}
        for action, live, dark in _loads(one)
    ]
    whole = divided.as_object()
    ways = {"proxy": _proxy(loaded, one.account), "playback": played.get(one.account)}
    return {"account": one.account, "provider": one.provider, "streams": one.streams, "apis": apis, **whole, **ways}


def _figures_of(load: Load | None, timing: Timing) -> dict[str, Any] | None:
    if load is None:
        return None
    return {
        "calls": load.calls,
        "allowed_per_second": load.allowed,
        "documented_per_second": load.documented,
        "seconds": round(load.seconds, 6),
        "refresh_seconds": load.refresh(timing),
        "share_of_limit": round(load.used(timing), 6),
    }


# --- as a table ------------------------------------------------------------------------------------------------------


def _counts(loaded: Config) -> str:
    return f"{counted(len(loaded.accounts), 'account')}, {counted(len(loaded.streams), 'stream')}"


def _footnotes(plans: list[Plan], timing: Timing) -> Iterator[str]:
    yield (
        f"Reckoned with a scrape interval of {spoken(timing.interval)}, a budget of {spoken(timing.budget)} "
        f"(scrape.timeout), answers reused for {spoken(timing.reuse)} and counting for "
        f"{format_duration(timing.max_age)}.\n"
        "calls: of a round that asks for every stream once; kept / limit: calls per second that the exporter allows "
        "itself, and that the provider documents;\ntakes: how long the calls take at that rate; every: how often a "
        "stream is refreshed; of limit: mean use of the provider's limit."
    )
    loads = [load for one in plans for load in one.live.loads]
    if any(load.pause for load in loads):
        yield (
            "A list that the provider does not want in each round is asked for once in the time shown; "
            "in between, streams\nare asked singly, as far as the quota goes."
        )
    newer = {(load.action, load.newer) for load in loads if load.newer and load.allowed <= load.documented}
    for action, limit in sorted(newer):
        yield (
            f"Newer documentation allows {number(limit)}/s of {action} per account; "
            f"to keep half of that, set quota: {{{action}: {number(limit / 2)}}}."
        )
    if any(one.figures for one in plans):
        yield "Figures of live streams are listed after the states; figures: false on an account leaves them out."
    if any(one.live != one.dark for one in plans):
        yield "Of two figures the first holds if all streams are live, the second if none is: these are asked singly."


def _proxy(loaded: Config, name: str) -> str | None:
    """Return the proxy of an account as HOST:PORT."""
    account = loaded.accounts_by_name[name]
    proxy = account.http.route(account.endpoint).proxy
    return None if proxy is None else str(proxy)


def _ways(loaded: Config) -> Iterator[str]:
    """Yield which accounts go by which proxy, if any does."""
    by_proxy: dict[str | None, list[str]] = defaultdict(list)
    for account in loaded.accounts:
        by_proxy[_proxy(loaded, account.name)].append(printable(account.name))
    for proxy, names in by_proxy.items():
        if proxy is not None:
            yield f"By the proxy {proxy}: {', '.join(names)}."
    if len(by_proxy) > 1 and None in by_proxy:
        yield f"Straight: {', '.join(by_proxy[None])}."


def _rows(one: Plan, timing: Timing) -> Iterator[list[str]]:
    yield [f"{printable(one.account)} ({one.provider})", number(one.streams), "", "", "", "", ""]
    for action, live, dark in _loads(one):
        yield [f"  {action}", "", *_figures(live, dark, timing)]


def _loads(one: Plan) -> Iterator[tuple[str, Load | None, Load | None]]:
    """Yield each API that is called, with what it carries if all streams are live, and if none is."""
    live, dark = ({load.action: load for load in each.loads} for each in (one.live, one.dark))
    for action in live | dark:
        yield action, live.get(action), dark.get(action)
    yield from ((load.action, load, None) for load in one.figures)


def _figures(live: Load | None, dark: Load | None, timing: Timing) -> list[str]:
    """Return the cells of an API, each with two figures where they differ between all streams live and none."""
    load = live or dark
    assert load is not None

    def cell(none: str, figure: Callable[[Load], str]) -> str:
        texts = [none if case is None else figure(case) for case in (live, dark)]
        return " … ".join(dict.fromkeys(texts))

    return [
        cell("0", lambda case: number(case.calls)),
        f"{number(load.allowed)} / {number(load.documented)}",
        cell("0s", lambda case: spoken(case.seconds)),
        cell("-", lambda case: spoken(case.refresh(timing))),
        cell("0%", lambda case: _percent(case.used(timing))),
    ]


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
