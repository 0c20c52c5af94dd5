"""`stream-exporter probe`: ask for streams now, without a server, and say what came back."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import signal
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import structlog

from exporter import providers
from exporter.commands import logs
from exporter.commands.common import on_signals, read_configuration
from exporter.commands.explain import explained
from exporter.commands.options import ProbeOptions
from exporter.commands.terminal import Terminal
from exporter.config import Config
from exporter.credentials.keyring import Keyring
from exporter.fields import counted
from exporter.model import State
from exporter.playback.steps import PlaybackTranscript
from exporter.providers import codes as catalogue
from exporter.providers.reading import printable
from exporter.rounds.account import AccountProber
from exporter.rounds.transcript import Transcript
from exporter.rules.options import RUNBOOK
from exporter.serving.service import Service, system_clock
from exporter.serving.views import stream_object
from exporter.spelling import did_you_mean
from exporter.state.record import Key, Record
from exporter.transport import Transport

FEW_CALLS: Final = 8
"""Up to this many calls are shown whole: more would hide what matters."""

PAUSE_SECONDS: Final = 0.2
PATIENCE: Final = 3
"""An account is given up when nothing was asked for so many times what its slowest call may have to wait."""

LONGEST_CHECKS: Final = 40.0
"""Seconds for checks of addresses: a playlist counts as down once it has stood still for three target durations."""

LONGEST_MESSAGE: Final = 80
HEAD: Final = ("stream", "state", "asked", "came back")


def run(options: ProbeOptions, terminal: Terminal) -> int:
    """Ask until every stream had its turn.

    Returns:
        0 if each got a definite answer, 1 if not, 2 for an unknown target or a wrong configuration.
    """
    # Who names a stream wants to know, whichever shard watches it.
    loaded = read_configuration(options.config_file, terminal, whole=bool(options.targets))
    if loaded is None:
        return 2
    by_name = {f"{loaded.provider_of(stream)}/{stream.name}": stream for stream in loaded.streams}
    if options.targets:
        asked = {target: _meant_by(target, by_name) for target in options.targets}
        for target in (target for target, names in asked.items() if not names):
            terminal.complain(_unknown(target, by_name))
        if not all(asked.values()):
            return 2
        names = set().union(*asked.values())
        loaded = replace(loaded, streams=tuple(one for name, one in by_name.items() if name in names))
    # Figures are shown nowhere here, so they are not paid for.
    accounts = tuple(account.model_copy(update={"figures": False}) for account in loaded.accounts)
    result = asyncio.run(_probe(replace(loaded, accounts=accounts), terminal))
    if options.output == "json":
        rows = [result.as_object(record) for record in result.records]
        terminal.say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _print(result, terminal)
    return 0 if all(map(result.is_definite, result.records)) else 1


def _meant_by(target: str, streams: Collection[str]) -> Collection[str]:
    """Return the streams that a target names: itself, or all that fit it as a pattern."""
    return (target,) if target in streams else fnmatch.filter(streams, target)


def _unknown(target: str, streams: Iterable[str]) -> str:
    provider, _, name = target.partition("/")
    if any(sign in name for sign in "*?["):
        known = providers.all_providers()
        advice = "" if provider in known else providers.suggest_provider(provider, known)
        return f"no stream of the configuration fits {printable(target)}{advice}"
    advice = did_you_mean(target, streams) or "; `probe` without a target asks for all of them"
    return f"unknown stream {printable(target)}: a target is PROVIDER/STREAM of the configuration{advice}"


# --- asking ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Result:
    """What came of asking.

    Attributes:
        service: The running parts.
        started: When asking began, in monotonic seconds.
        last_calls: The last call that covered a stream, by its key.
        first_calls: The first calls, for showing them whole.
        calls: How many calls there were.
        checks: The last check of each address, by the stream's key and the address's name.
    """

    service: Service
    started: float
    last_calls: dict[Key, Transcript] = field(default_factory=dict)
    first_calls: list[Transcript] = field(default_factory=list)
    calls: int = 0
    checks: dict[tuple[str, str, str], PlaybackTranscript] = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        """What is known of each stream."""
        return list(self.service.board)

    def add(self, provider: str, call: Transcript) -> None:
        """Take a call as it went."""
        self.calls += 1
        if len(self.first_calls) < FEW_CALLS:
            self.first_calls.append(call)
        for stream in call.streams:
            self.last_calls[provider, stream] = call

    def add_check(self, provider: str, check: PlaybackTranscript) -> None:
        """Take a check of an address as it went."""
        self.checks[provider, check.stream, check.name] = check

    def checks_of(self, record: Record) -> list[PlaybackTranscript]:
        """Return the last check of each address of a stream."""
        keys = ((*record.key, address.name) for address in record.stream.playback)
        return [self.checks[key] for key in keys if key in self.checks]

    def is_definite(self, record: Record) -> bool:
        """Whether a stream got a definite answer."""
        return record.succeeded and record.tried >= self.started

    def waiting(self, account: AccountProber) -> int:
        """Return how many streams of an account have not had their turn."""
        records = (self.service.board.get((account.provider.name, stream.name)) for stream in account.streams)
        return sum(record is not None and record.tried < self.started for record in records)

    def state(self, record: Record) -> State:
        """Return the state of a stream; its answer counts however long the others took."""
        return record.answer.state if record.answer is not None and record.succeeded else State.UNKNOWN

    def as_object(self, record: Record) -> dict[str, Any]:
        """Return a stream as /api/v1/streams shows it, with its last call."""
        call = self.last_calls.get(record.key)
        asked = came_back = None
        if call is not None:
            asked = {"action": call.action, "request": call.asked}
            came_back = {
                "status": call.status,
                "seconds": round(call.seconds, 3),
                "body": call.body,
                "judged": call.judgement(),
            }
        expectation = self.service.board.expectations.at(self.service.clock.unix()).of(record.key)
        row = record.row(record.tried, float("inf"), expectation)
        checks = [check.as_object() for check in self.checks_of(record)]
        return {**stream_object(row), "asked": asked, "came_back": came_back, "checks": checks}


async def _probe(loaded: Config, terminal: Terminal) -> Result:
    with _errors_logged(terminal):
        async with Transport() as outbound:
            keyring = Keyring(terminal.environ, send=outbound.send)
            async with Service(loaded, providers.all_providers(), system_clock(), keyring) as service:
                result = Result(service, service.clock.mono())
                await _ask_until_stopped(result, terminal)
                return result


@contextmanager
def _errors_logged(terminal: Terminal) -> Iterator[None]:
    """Log only the exporter's own faults while the block runs: the result says all else."""
    before = structlog.get_config()
    logs.configure("error", "logfmt", terminal.stderr)
    try:
        yield
    finally:
        structlog.configure(**before)


async def _ask_until_stopped(result: Result, terminal: Terminal) -> None:
    accounts = [account for account in result.service.prober.accounts.values() if account.streams]
    with ExitStack() as stack:
        for account in accounts:
            stack.enter_context(account.observed(partial(result.add, account.provider.name)))
        asking = asyncio.create_task(_ask_all(result, accounts))
        showing = asyncio.create_task(_show_progress(result, accounts, terminal))
        stack.enter_context(on_signals(asking.cancel, signal.SIGINT, signal.SIGTERM))
        try:
            await asking
        except asyncio.CancelledError:
            terminal.complain("stopped; what follows is what was learned until now")
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)


async def _ask_all(result: Result, accounts: Iterable[AccountProber]) -> None:
    service = result.service
    async with asyncio.TaskGroup() as group:
        group.create_task(service.playback.settle_all(result.started + LONGEST_CHECKS, result.add_check))
        for account in accounts:
            group.create_task(_ask(result, account))


async def _ask(result: Result, account: AccountProber) -> None:
    """Ask in rounds until every stream of an account had its turn, or nothing more can be had from the account."""
    service, mono = result.service, result.service.clock.mono
    round_seconds = service.config.scrape.timeout
    slowest = max(round_seconds + account.account.timeout, 1 / min(account.allowed_rates().values()))
    breaker, progressed = account.health.breaker, mono()
    while (waiting := result.waiting(account)) and not breaker.open and mono() - progressed < PATIENCE * slowest:
        await service.prober.refresh(mono() + round_seconds, result.started, [account])
        if result.waiting(account) < waiting:
            progressed = mono()
        else:
            # The next call that the quota allows is more than a whole round away.
            await asyncio.sleep(PAUSE_SECONDS)


async def _show_progress(result: Result, accounts: list[AccountProber], terminal: Terminal) -> None:
    """Show on a terminal how many streams had their turn."""
    if not terminal.stderr.isatty():
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    total = sum(len(account.streams) for account in accounts)
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=terminal.stderr), transient=True) as progress:
        bar = progress.add_task("asking", total=total)
        while True:
            progress.update(bar, completed=total - sum(map(result.waiting, accounts)))
            await asyncio.sleep(PAUSE_SECONDS)


# --- printing --------------------------------------------------------------------------------------------------------


def _print(result: Result, terminal: Terminal) -> None:
    records = result.records
    if not records:
        terminal.say("No stream is watched: add some under streams.")
        return
    if result.calls <= FEW_CALLS:
        for number, call in enumerate(result.first_calls, 1):
            terminal.say(_call(number, call))
    terminal.table(HEAD, [_row(result, record) for record in records])
    _print_checks(result, terminal)
    terminal.say("\nWhat it means, and what to do:")
    for entry, counts in _meanings(records).items():
        streams = ", ".join(f"{count:,} of {provider}" for provider, count in counts.items())
        terminal.say(f"\n{explained(entry, 'en')}\n  streams: {streams}")
    unasked = sum(record.tried < result.started and record.fault is None for record in records)
    if unasked:
        terminal.say(f"\n{unasked:,} streams were not asked: their turn did not come before the end.")
    definite = sum(map(result.is_definite, records))
    terminal.say(f"\n{definite:,} of {len(records):,} streams got a definite answer, by {result.calls:,} calls.")


def _print_checks(result: Result, terminal: Terminal) -> None:
    """Print what viewers get: each check as it went if there are few, else in one line."""
    checks = [(record, check) for record in result.records for check in result.checks_of(record)]
    if len(checks) <= FEW_CALLS:
        for _, check in checks:
            terminal.say("\nWhat viewers get at " + "\n".join(check.lines()))
    else:
        rows = [[printable("/".join(record.key)), printable(check.name), check.judgement()] for record, check in checks]
        terminal.say()
        terminal.table(("stream", "playback", "what viewers get"), rows)
    unchecked = sum(len(record.stream.playback) for record in result.records) - len(checks)
    if unchecked:
        told = counted(unchecked, "address was not checked: its turn", "addresses were not checked: their turn")
        terminal.say(f"\n{told} did not come before the end.")
    if any(check.outcome.up is False for _, check in checks):
        terminal.say(f"\nWhat to do where viewers get nothing: {RUNBOOK}#streamnotplayable")
    if any(check.outcome.reason is not None for _, check in checks):
        terminal.say(f"\nWhat to do where a check failed: {RUNBOOK}#reasons")


def _row(result: Result, record: Record) -> list[str]:
    call = result.last_calls.get(record.key)
    name, state = printable("/".join(record.key)), str(result.state(record))
    if call is None:
        why = printable(record.fault.message) if record.fault else "its turn did not come"
        return [name, state, "-", f"not asked: {why}"]
    cells = [f"{_status(call)} after {call.seconds * 1000:.0f} ms"]
    if record.fault is not None:
        request_id = f"RequestId {record.fault.request_id}" if record.fault.request_id else ""
        cells += [record.fault.code, printable(record.fault.message, LONGEST_MESSAGE), request_id]
    elif record.answer is not None:
        cells.append(record.answer.code)
    return [name, state, call.action, ", ".join(filter(None, cells))]


def _meanings(records: Iterable[Record]) -> dict[catalogue.Entry, Counter[str]]:
    """Return what the answers and failures mean, each once, with the number of streams by provider."""
    meanings: dict[catalogue.Entry, Counter[str]] = {}
    for record in records:
        entry = _meaning(record)
        if entry is not None:
            meanings.setdefault(entry, Counter())[record.key[0]] += 1
    return meanings


def _meaning(record: Record) -> catalogue.Entry | None:
    provider = record.key[0]
    if record.fault is not None:
        return catalogue.of_fault(provider, record.fault.code, str(record.fault.reason))
    answer = record.answer
    return None if answer is None else catalogue.of_state(provider, answer.state, answer.code)


def _call(number: int, call: Transcript) -> str:
    """Return a call as text; what a provider sent must not steer the terminal."""
    streams = ", ".join(map(printable, call.streams[:10] or (call.scope,)))
    if len(call.streams) > 10:
        streams += f" and {len(call.streams) - 10} more"
    body = f"\n{_indented(call.body)}" if call.body else ""
    return (
        f"Call {number}: {call.action} for {streams}\n"
        f"  asked\n{_indented(call.asked)}\n"
        f"  came back after {call.seconds * 1000:.0f} ms: {_status(call)}{body}\n"
        f"  judged {printable(call.judgement(), 512)}\n"
    )


def _status(call: Transcript) -> str:
    return "no answer" if call.status is None else f"HTTP {call.status}"


def _indented(text: str) -> str:
    return "\n".join("    " + printable(line, 4096) for line in text.split("\n"))
