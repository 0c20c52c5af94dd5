"""`stream-exporter probe`: ask for streams now, without a server, and say what came of it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog
from rich.console import Console as Rich
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from exporter import providers
from exporter.commands import explain, logs
from exporter.commands.common import Terminal, read_configuration, show_table, stop_signals
from exporter.commands.options import ProbeOptions
from exporter.config import Config
from exporter.config.problems import suggestion
from exporter.keys import Keyring
from exporter.model import State
from exporter.providers import codes as catalogue
from exporter.providers.interface import printable
from exporter.rounds import AccountProber
from exporter.rounds.transcript import Exchange
from exporter.serving.service import Service, clock
from exporter.serving.views import stream_object
from exporter.state.board import Key, Record
from exporter.transport import Transport

FEW_CALLS = 8
"""Up to this many calls are shown whole: more would hide what matters."""

PAUSE_SECONDS = 0.2
PATIENCE = 3
"""An account is given up when nothing was asked for so many times what its slowest call may have to wait."""

LONGEST_MESSAGE = 80
HEAD = ("stream", "state", "asked", "came back")


async def run(options: ProbeOptions, terminal: Terminal) -> int:
    """Ask until every stream had its turn.

    Returns:
        0 if each got a definite answer, 1 if not, 2 for an unknown target or a wrong configuration.
    """
    found = read_configuration(options.config_file, terminal)
    if found is None:
        return 2
    unknown = list(_unknown(found, options.targets))
    for text in unknown:
        terminal.complain(text)
    if unknown:
        return 2
    with _logs_to(terminal):
        async with (
            Transport() as outbound,
            Service(
                _only(found, options.targets),
                providers.found(),
                clock(),
                Keyring(terminal.environ, send=outbound.send),
            ) as made,
        ):
            probed = Probed(made)
            await _ask_all(probed, terminal)
    if options.output == "json":
        rows = [probed.as_object(record) for record in made.board]
        terminal.say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _tell(probed, terminal)
    return 0 if all(probed.definite(record) for record in made.board) else 1


# --- which streams ---------------------------------------------------------------------------------------------------


def _names(found: Config) -> dict[str, Key]:
    keys = [(found.provider_of(stream), stream.name) for stream in found.streams]
    return {"/".join(key): key for key in keys}


def _unknown(found: Config, targets: Iterable[str]) -> Iterator[str]:
    names = _names(found)
    for target in targets:
        if target not in names:
            close = suggestion(target, names) or "; `probe` without a target asks for all of them"
            yield f"unknown stream {printable(target)}: a target is PROVIDER/STREAM of the configuration{close}"


def _only(found: Config, targets: tuple[str, ...]) -> Config:
    """Return the configuration with these streams alone; all where none is named."""
    if not targets:
        return found
    wanted = set(targets)
    streams = tuple(one for one in found.streams if f"{found.provider_of(one)}/{one.name}" in wanted)
    return replace(found, streams=streams)


# --- asking ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Probed:
    """What is learned while streams are asked for.

    Attributes:
        service: The running parts.
        started: When asking began, in monotonic seconds.
        last: The last call that covered a stream, by its key.
        calls: The first calls, whole.
        made: How many calls there were.
    """

    service: Service
    started: float = 0.0
    last: dict[Key, Exchange] = field(default_factory=dict)
    calls: list[Exchange] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.started = self.service.clock.mono()

    def learn(self, provider: str, call: Exchange) -> None:
        """Take a call as it went."""
        self.made += 1
        if len(self.calls) < FEW_CALLS:
            self.calls.append(call)
        for stream in call.streams:
            self.last[provider, stream] = call

    def definite(self, record: Record) -> bool:
        """Whether a stream got a definite answer."""
        return record.succeeded and record.tried >= self.started

    def waiting(self, prober: AccountProber) -> int:
        """Return how many streams of an account have not had their turn."""
        records = (self.service.board.get((prober.provider.name, stream.name)) for stream in prober.streams)
        return sum(record is not None and record.tried < self.started for record in records)

    def state(self, record: Record) -> State:
        """Return what is known of a stream; an answer counts here however long the others took."""
        return record.answer.state if record.answer is not None and record.succeeded else State.UNKNOWN

    def as_object(self, record: Record) -> dict[str, Any]:
        """Return what is known of a stream as /api/v1/streams tells it, and the call that told it."""
        call = self.last.get(record.key)
        asked = came_back = None
        if call is not None:
            asked = {"action": call.action, "request": call.asked}
            came_back = {
                "status": call.status,
                "seconds": round(call.seconds, 3),
                "body": call.body,
                "judged": call.judgement(),
            }
        return {**stream_object(record.row(record.tried, float("inf"))), "asked": asked, "came_back": came_back}


async def _ask_all(probed: Probed, terminal: Terminal) -> None:
    accounts = [prober for prober in probed.service.prober.accounts.values() if prober.streams]
    with ExitStack() as stack:
        for prober in accounts:
            stack.enter_context(prober.observed(partial(probed.learn, prober.provider.name)))
        stopped = stack.enter_context(stop_signals(signal.SIGINT, signal.SIGTERM))
        asking = asyncio.create_task(_ask_accounts(probed, accounts))
        stopping = asyncio.create_task(stopped.wait())
        showing = asyncio.create_task(_show_progress(probed, accounts, terminal))
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            terminal.complain("stopped; what follows is what was learned until now")
        for task in (asking, stopping, showing):
            task.cancel()
        await asyncio.gather(asking, stopping, showing, return_exceptions=True)
        if asking.done() and not asking.cancelled():
            asking.result()


async def _ask_accounts(probed: Probed, accounts: Iterable[AccountProber]) -> None:
    async with asyncio.TaskGroup() as group:
        for prober in accounts:
            group.create_task(_ask(probed, prober))


async def _ask(probed: Probed, prober: AccountProber) -> None:
    """Ask in rounds until every stream of an account had its turn, or nothing is to be had from the account."""
    service, mono = probed.service, probed.service.clock.mono
    slowest = max(service.config.scrape.timeout + prober.account.timeout, 1 / min(prober.kept().values()))
    moved = mono()
    while (waiting := probed.waiting(prober)) and not prober.held_back and mono() - moved < PATIENCE * slowest:
        await service.prober.refresh(mono() + service.config.scrape.timeout, probed.started, [prober])
        if probed.waiting(prober) < waiting:
            moved = mono()
        else:
            # The quota's next slot lies beyond a whole round.
            await asyncio.sleep(PAUSE_SECONDS)


async def _show_progress(probed: Probed, accounts: list[AccountProber], terminal: Terminal) -> None:
    """Show on a terminal how many streams had their turn."""
    if not terminal.stderr.isatty():
        return
    total = sum(len(prober.streams) for prober in accounts)
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Rich(file=terminal.stderr), transient=True) as progress:
        bar = progress.add_task("asking", total=total)
        while True:
            progress.update(bar, completed=total - sum(map(probed.waiting, accounts)))
            await asyncio.sleep(PAUSE_SECONDS)


@contextmanager
def _logs_to(terminal: Terminal) -> Iterator[None]:
    """Log nothing but the exporter's own faults while the block runs: all else is told in the result."""
    before = structlog.get_config()
    logs.configure("error", "logfmt", terminal.stderr)
    try:
        yield
    finally:
        structlog.configure(**before)


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell(probed: Probed, terminal: Terminal) -> None:
    records = list(probed.service.board)
    if not records:
        terminal.say("No stream is watched: add some under streams.")
        return
    if probed.made <= FEW_CALLS:
        for number, call in enumerate(probed.calls, 1):
            terminal.say(_call(number, call))
    show_table(terminal.stdout, HEAD, [_row(probed, record) for record in records], frozenset())
    terminal.say("\nWhat it means, and what to do:")
    for entry, counts in _meanings(records).items():
        streams = ", ".join(f"{count:,} of {provider}" for provider, count in counts.items())
        terminal.say(f"\n{explain.text(entry, 'en')}\n  streams: {streams}")
    unasked = sum(record.tried < probed.started and record.fault is None for record in records)
    if unasked:
        terminal.say(f"\n{unasked:,} streams were not asked: their turn did not come before the end.")
    definite = sum(map(probed.definite, records))
    terminal.say(f"\n{definite:,} of {len(records):,} streams got a definite answer, by {probed.made:,} calls.")


def _row(probed: Probed, record: Record) -> list[str]:
    call = probed.last.get(record.key)
    asked = "-" if call is None else call.action
    return [printable("/".join(record.key)), str(probed.state(record)), asked, _came_back(record, call)]


def _came_back(record: Record, call: Exchange | None) -> str:
    if call is None:
        return f"not asked: {printable(record.fault.message)}" if record.fault else "not asked: its turn did not come"
    status = "no answer" if call.status is None else f"HTTP {call.status}"
    found = [f"{status} after {call.seconds * 1000:.0f} ms"]
    if record.fault is not None:
        request_id = f"RequestId {record.fault.request_id}" if record.fault.request_id else ""
        found += [record.fault.code, printable(record.fault.message, LONGEST_MESSAGE), request_id]
    elif record.answer is not None:
        found.append(record.answer.code)
    return ", ".join(filter(None, found))


def _meanings(records: Iterable[Record]) -> dict[catalogue.Entry, Counter[str]]:
    """Return what the answers and failures mean, each once, with the number of streams by provider."""
    found: dict[catalogue.Entry, Counter[str]] = {}
    for record in records:
        entry = _meaning(record)
        if entry is not None:
            found.setdefault(entry, Counter())[record.key[0]] += 1
    return found


def _meaning(record: Record) -> catalogue.Entry | None:
    provider = record.key[0]
    if record.fault is not None:
        return catalogue.of_fault(provider, record.fault.code, str(record.fault.reason))
    if record.answer is None:
        return None
    entries = [one for one in catalogue.load(provider).entries() if one.state == record.answer.state]
    return next((one for one in entries if one.code == record.answer.code), entries[0] if entries else None)


def _call(number: int, call: Exchange) -> str:
    """Return a call as it went; what a provider sent must not steer the terminal."""
    streams = ", ".join(printable(stream) for stream in call.streams[:10])
    more = len(call.streams) - 10
    status = "no answer" if call.status is None else f"HTTP {call.status}"
    return (
        f"Call {number}: {call.action} for {streams}{f' and {more} more' if more > 0 else ''}\n"
        f"  asked\n{_indented(call.asked)}\n"
        f"  came back after {call.seconds * 1000:.0f} ms: {status}\n{_indented(call.body)}\n"
        f"  judged {printable(call.judgement(), 512)}\n"
    )


def _indented(text: str) -> str:
    return "\n".join("    " + printable(line, 4096) for line in text.split("\n"))
