"""Each account's keys: had anew when their files change, before they expire, and when a provider refuses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from exporter import ambient, config, files
from exporter.ambient import Around, Grant, Way
from exporter.config.secret_values import secret_fields
from exporter.fields import SecretSource
from exporter.keys.files import Files, Presence, read_small
from exporter.model import Account, Credentials, Reason, Reply, Request
from exporter.providers.interface import AnyProvider, CredentialsError, Malformed, NoEnvelope, TransportError

log = structlog.get_logger("keys")

ATTEMPT_SECONDS = 3.0
"""For all calls that one renewal takes; a round waits for it only where there are no keys that still hold."""

LARGEST_REPLY = 64 << 10
SHORTEST_LIFE = 10.0
"""Keys that expire sooner than this are as good as expired."""

LEAST_BETWEEN = 30.0
"""Seconds between renewals of keys that come with less life left than they are renewed before their end."""

LONGEST_PAUSE = 60.0
DOUBT_SECONDS = 60.0
"""A provider's refusals cause at most one renewal in this time."""

TRIES = 3
"""How often files are read anew that change while they are read: a key and its id are to be of one version."""

Send = Callable[[Request, float, int], Awaitable[Reply]]


async def no_network(_request: Request, _timeout: float, _largest: int) -> Reply:
    """Refuse: a keyring without a transport has keys from the configuration, the environment and files alone."""
    raise TransportError(Reason.CONNECTION, "no network is to be used here")


@dataclass(slots=True, repr=False)
class Held:
    """What is known of one account's keys.

    Attributes:
        fields: The account's secret fields, and
        way: the way to its keys where none is set: with others, all of this is another account's.
        lock: Held while keys are fetched; who waits shares what comes of it.
        grant: The keys last had.
        files: The files that were read for the last attempt.
        renew_at: Unix seconds from which on new keys are fetched while these still hold.
        failures: Attempts in a row that failed.
        asked: Whether the last attempt got as far as a server.
        retry_at: Monotonic seconds before which no server is asked again.
        problem: What was wrong with the last attempt.
        doubted: Whether the provider refused these keys.
        doubted_at: Monotonic seconds of the last doubt that was heeded.
        aside: The renewal that nobody waits for.
    """

    fields: tuple[SecretSource | None, ...]
    way: Way | None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    grant: Grant | None = None
    files: Files = field(default_factory=Files)
    renew_at: float = float("inf")
    failures: int = 0
    asked: bool = False
    retry_at: float = float("-inf")
    problem: str = ""
    doubted: bool = False
    doubted_at: float = float("-inf")
    aside: asyncio.Task[None] | None = None

    def valid(self, now: float) -> bool:
        """Say whether the keys have not expired at a Unix time."""
        return self.grant is not None and (self.grant.expires is None or now < self.grant.expires)

    def lasting(self) -> bool:
        """Say whether the keys have no end of their own."""
        return self.grant is not None and self.grant.expires is None

    async def changed(self) -> bool:
        """Say whether a file has changed since it was read; a disk that hangs holds nobody up."""
        return bool(self.files) and await files.in_thread(self.files.changed)

    async def fresh(self, now: float) -> bool:
        """Say whether a round may use the keys as they are: nothing but a coming end speaks against them."""
        changed = self.lasting() and await self.changed()
        return self.valid(now) and not self.doubted and not changed

    async def due(self, now: float) -> bool:
        """Say whether new keys are to be fetched while the present ones still hold."""
        return now >= self.renew_at or await self.changed()


class Keyring:
    """Finds the keys of each round, so that a rotated or expired one costs at most one bad round and no restart."""

    def __init__(
        self,
        environ: Mapping[str, str],
        read: Callable[[Path], bytes] = read_small,
        *,
        send: Send = no_network,
        unix: Callable[[], float] = time.time,
        mono: Callable[[], float] = time.monotonic,
        servers: Mapping[str, str] | None = None,
    ) -> None:
        """Make an empty keyring.

        Args:
            environ: The environment variables.
            read: Returns a file's bytes; raises OSError or ValueError.
            send: Makes an HTTP call (request, timeout in seconds, largest body); raises `TransportError`.
            unix: Seconds since 1970, by which keys expire.
            mono: Seconds on a clock that is never set, by which pauses are kept.
            servers: Other addresses for metadata and STS servers: `http://100.100.100.200` to `http://localhost:1`.
        """
        self._environ = environ
        self._around = Around(environ, Presence())
        self._read = read
        self._send = send
        self._unix = unix
        self._mono = mono
        self._servers = dict(servers or {})
        self._held: dict[tuple[str, str], Held] = {}

    async def __call__(self, provider: AnyProvider, account: Account) -> Credentials:
        """Return what to sign an account's calls with.

        Raises:
            CredentialsError: There is nothing; it says what to do.
        """
        held = self._of(provider, account)
        if await held.fresh(self._unix()):
            grant = held.grant
            self._renew_aside(held, provider, account)
        else:
            async with held.lock:
                if not await held.fresh(self._unix()):
                    await self._renew(held, provider, account)
                grant = held.grant
        assert grant is not None
        return grant.credentials

    def doubt(self, provider: AnyProvider, account: Account) -> None:
        """Have an account's keys anew at the next round: the provider refused the present ones."""
        held = self._held.get((provider.name, account.name))
        if held is not None and held.grant is not None and self._mono() >= held.doubted_at + DOUBT_SECONDS:
            held.doubted, held.doubted_at = True, self._mono()

    def _of(self, provider: AnyProvider, account: Account) -> Held:
        """Return what is known of an account's keys, nothing if they are to come from elsewhere by now."""
        fields = {name: getattr(account, name) for name in secret_fields(type(account))}
        given = [name for name, source in fields.items() if source is not None]
        way = ambient.choose(provider, given, self._around)
        held = self._held.get((provider.name, account.name))
        if held is None or (held.fields, held.way) != (tuple(fields.values()), way):
            held = self._held[provider.name, account.name] = Held(tuple(fields.values()), way)
        return held

    # --- renewal -----------------------------------------------------------------------------------------------------

    def _renew_aside(self, held: Held, provider: AnyProvider, account: Account) -> None:
        """Start to fetch new keys where it is time; nobody waits, as the present ones still hold."""
        under_way = held.aside is not None and not held.aside.done()
        perhaps = self._unix() >= held.renew_at or bool(held.files)
        if under_way or held.lasting() or not perhaps or self._mono() < held.retry_at:
            return

        async def renew() -> None:
            async with held.lock:
                if await held.due(self._unix()):
                    await self._renew(held, provider, account)

        held.aside = asyncio.create_task(renew(), name=f"keys {account.name}")
        held.aside.add_done_callback(_ended)

    async def _renew(self, held: Held, provider: AnyProvider, account: Account) -> None:
        """Fetch new keys, unless the last attempt failed a moment ago.

        Raises:
            CredentialsError: There are none, nor old ones that still hold.
        """
        if self._mono() >= held.retry_at or await held.changed():
            outcome = await self._attempt(held, provider, account)
            if isinstance(outcome, Grant):
                self._renewed(held, outcome, provider, account)
            else:
                self._failed(held, outcome, provider, account)
        if not held.valid(self._unix()):
            raise CredentialsError(held.problem)

    def _renewed(self, held: Held, grant: Grant, provider: AnyProvider, account: Account) -> None:
        if held.failures and held.way is not None:
            log.info("keys renewed again", provider=provider.name, account=account.name, way=held.way.title)
        held.grant, held.problem, held.failures, held.doubted = grant, "", 0, False
        held.retry_at = float("-inf")
        held.renew_at = float("inf")
        if grant.expires is not None and held.way is not None:
            held.renew_at = max(grant.expires - held.way.early, self._unix() + LEAST_BETWEEN)

    def _failed(self, held: Held, problem: str, provider: AnyProvider, account: Account) -> None:
        """Keep keys that have an end of their own until then; others went with the file that held them."""
        held.problem = problem
        # Files are read again at once: only servers are spared.
        held.retry_at = self._mono() + min(2.0**held.failures, LONGEST_PAUSE) if held.asked else float("-inf")
        held.failures = min(held.failures + 1, 16)
        held.renew_at = float("-inf")
        if held.grant is not None and held.grant.expires is None:
            held.grant = None
        if held.failures == 1 and held.way is not None:
            log.warning("keys not renewed", provider=provider.name, account=account.name, problem=problem)

    async def _attempt(self, held: Held, provider: AnyProvider, account: Account) -> Grant | str:
        """Return new keys, or why there are none in words that say what to do."""
        if held.way is None:
            return await self._configured(held, provider, account)
        held.files, held.asked = Files(self._read), False
        try:
            grant = await self._follow(held, held.way)
        except CredentialsError as error:
            return f"{held.way.title}: {error}; {held.way.advice}"
        except TransportError as error:
            return f"{held.way.title}: {error.message}; {held.way.advice}"
        except (Malformed, NoEnvelope) as error:
            return f"{held.way.title}: the answer is not what was asked for ({error}); {held.way.advice}"
        if grant.expires is not None and grant.expires < self._unix() + SHORTEST_LIFE:
            return f"{held.way.title}: the keys had are expired already; set this machine's clock, or {held.way.advice}"
        return grant

    async def _configured(self, held: Held, provider: AnyProvider, account: Account) -> Grant | str:
        """Return what the account's fields or the environment hold."""
        for _ in range(TRIES):
            held.files, held.asked = Files(self._read), False
            try:
                read = held.files.read
                grant = Grant(await files.in_thread(config.credentials, account, provider, self._environ, read))
            except config.CredentialsMissing as error:
                return f"{error}; mend it, no restart is needed"
            if not await held.changed():
                break
        return grant

    async def _follow(self, held: Held, way: Way) -> Grant:
        """Do what a recipe wants until it returns keys."""
        until = self._mono() + ATTEMPT_SECONDS
        recipe = way.obtain(self._around, self._unix())
        try:
            step = next(recipe)
            while True:
                if isinstance(step, Path):
                    step = recipe.send(await files.in_thread(self._file, held, step))
                else:
                    held.asked = True
                    left = max(until - self._mono(), 0.001)
                    step = recipe.send(await self._send(self._elsewhere(step), left, LARGEST_REPLY))
        except StopIteration as end:
            grant: Grant = end.value
            return grant

    def _file(self, held: Held, path: Path) -> bytes:
        try:
            data = held.files.read(path)
        except (OSError, ValueError) as error:
            advice = "; let the exporter's user read it" if isinstance(error, PermissionError) else ""
            raise CredentialsError(f"{path} {files.problem(error)}{advice}") from None
        if len(data) > LARGEST_REPLY:
            raise CredentialsError(f"{path} cannot be read: it is larger than 64 KiB")
        return data

    def _elsewhere(self, request: Request) -> Request:
        """Return the request to the address that stands in for its server's."""
        for origin, other in self._servers.items():
            if request.url.startswith(f"{origin}/"):
                return request._replace(url=other + request.url.removeprefix(origin))
        return request


def _ended(task: asyncio.Task[None]) -> None:
    """Say what a renewal met that nobody waited for, by its kind alone: its text might hold anything."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, CredentialsError):
        log.error("bug", kind=type(error).__name__, task=task.get_name())
