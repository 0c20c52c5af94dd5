"""Each account's keys, renewed when files change, before they expire, and when a provider refuses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import structlog

from exporter import files
from exporter.config.secret_values import CredentialsMissing, secret_fields
from exporter.credentials.chain import choose
from exporter.credentials.fields import configured
from exporter.credentials.files import Files, Presence, read_small
from exporter.model import Account, Credentials, Reason, Reply, Request
from exporter.providers.interface import AnyProvider, CredentialsError, Malformed, NoEnvelope, TransportError
from exporter.providers.sources import Lease, Machine, Source
from exporter.routes import Route

log = structlog.get_logger("keys")

ATTEMPT_SECONDS = 3.0
"""Limit for all calls of one renewal; a round waits for it only if it has no valid keys."""

LARGEST_REPLY = 64 << 10
SHORTEST_LIFE = 10.0
"""Keys that expire within this many seconds count as expired."""

RENEWAL_SECONDS = 30.0
"""Minimum time between renewals, for keys that live shorter than their source's `early`."""

LONGEST_PAUSE = 60.0
REFUSAL_SECONDS = 60.0
"""However often a provider refuses keys, they are renewed at most once in this time."""

TRIES = 3
"""How often files are read that change meanwhile, so that a key and its id are of the same version."""

Send = Callable[[Request, float, int, Route], Awaitable[Reply]]


async def no_network(_request: Request, _timeout: float, _largest: int, _route: Route) -> Reply:
    """Refuse a call: without a transport, keys come only from the configuration, the environment and files."""
    raise TransportError(Reason.CONNECTION, "no network is to be used here")


class Keyring:
    """Supplies the keys of each round. A rotated or expired key costs at most one bad round and no restart.

    Attributes:
        read: Returns a file's bytes; raises OSError or ValueError.
        send: Makes an HTTP call, given the request, the timeout in seconds, the largest body and the route; raises
            `TransportError`.
        unix: The clock for expiry, in Unix seconds.
        mono: The monotonic clock for pauses, in seconds.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        read: Callable[[Path], bytes] = read_small,
        *,
        send: Send = no_network,
        unix: Callable[[], float] = time.time,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.machine = Machine(environ, Presence())
        self.read = read
        self.send = send
        self.unix = unix
        self.mono = mono
        self._accounts: dict[tuple[str, str], AccountKeys] = {}

    async def __call__(self, provider: AnyProvider, account: Account) -> Credentials:
        """Return what to sign an account's calls with.

        Raises:
            CredentialsError: No credentials are available; the text says what to do.
        """
        fields = {field: getattr(account, field) for field in secret_fields(type(account))}
        source = choose(self.machine, provider, [field for field, value in fields.items() if value is not None])
        origin = (tuple(fields.values()), source)
        keys = self._accounts.get((provider.name, account.name))
        if keys is None or keys.origin != origin:
            keys = self._accounts[provider.name, account.name] = AccountKeys(self, provider, account, origin)
        keys.account = account
        return await keys.current()

    def mark_refused(self, provider: AnyProvider, account: Account) -> None:
        """Renew an account's keys in the next round, because the provider refused the present ones."""
        if keys := self._accounts.get((provider.name, account.name)):
            keys.mark_refused()


class AccountKeys:
    """One account's keys.

    Attributes:
        account: The account as it is configured now.
        origin: The account's secret fields, and its source or None. If they change, this object is outdated.
        lease: The newest keys.
        files: The files that the last complete attempt read.
    """

    def __init__(
        self, ring: Keyring, provider: AnyProvider, account: Account, origin: tuple[tuple[Any, ...], Source | None]
    ) -> None:
        self.origin = origin
        self.lease: Lease | None = None
        self.files = Files(ring.read)
        self._ring = ring
        self._provider = provider
        self.account = account
        self._source = origin[1]
        self._names = {"provider": provider.name, "account": account.name}
        # Held while keys are fetched; all who wait for it share the result.
        self._lock = asyncio.Lock()
        # When to renew keys that are still valid, in Unix seconds.
        self._renew_at = inf
        # When a server may be asked again, in monotonic seconds.
        self._retry_at = -inf
        self._failures = 0
        self._sent_request = False
        self._problem = ""
        self._refused = False
        self._refused_at = -inf
        self._background: asyncio.Task[None] | None = None

    async def current(self) -> Credentials:
        """Return valid keys; raises `CredentialsError`."""
        if await self._fresh():
            self._renew_in_background()
        else:
            async with self._lock:
                if not await self._fresh():
                    await self._renew()
        assert self.lease is not None
        return self.lease.credentials

    def mark_refused(self) -> None:
        """Renew the keys in the next round."""
        if self.lease is not None and self._ring.mono() >= self._refused_at + REFUSAL_SECONDS:
            self._refused, self._refused_at = True, self._ring.mono()

    def _valid(self) -> bool:
        return self.lease is not None and self._ring.unix() < self.lease.expires

    def _lasting(self) -> bool:
        return self.lease is not None and self.lease.expires == inf

    async def _fresh(self) -> bool:
        """Return whether a round may use the present keys, even if they are due for renewal."""
        changed = self._lasting() and await self.files.changed()
        return self._valid() and not self._refused and not changed

    # --- renewal -----------------------------------------------------------------------------------------------------

    def _renew_in_background(self) -> None:
        """Renew valid keys in the background if they may be due."""
        running = self._background is not None and not self._background.done()
        may_be_due = self._ring.unix() >= self._renew_at or bool(self.files.signatures)
        if running or self._lasting() or not may_be_due or self._ring.mono() < self._retry_at:
            return

        async def renew() -> None:
            async with self._lock:
                if self._ring.unix() >= self._renew_at or await self.files.changed():
                    await self._renew()

        self._background = asyncio.create_task(renew(), name=f"keys {self.account.name}")
        self._background.add_done_callback(_log_bug)

    async def _renew(self) -> None:
        """Fetch new keys, unless the last attempt has just failed; raises `CredentialsError` if none are valid then."""
        if self._ring.mono() >= self._retry_at or await self.files.changed():
            self._sent_request = False
            outcome = await (self._configured() if self._source is None else self._leased(self._source))
            if isinstance(outcome, Lease):
                self._renewed(outcome)
            else:
                self._failed(outcome)
        if not self._valid():
            raise CredentialsError(self._problem)

    def _renewed(self, lease: Lease) -> None:
        if self._failures and self._source is not None:
            log.info("keys renewed again", **self._names, way=self._source.title)
        early = 0.0 if self._source is None else self._source.early
        self._renew_at = max(lease.expires - early, self._ring.unix() + RENEWAL_SECONDS)
        self._retry_at = -inf
        self.lease, self._problem, self._failures, self._refused = lease, "", 0, False

    def _failed(self, problem: str) -> None:
        """Record a failure. Keys that expire stay in use until then; others are dropped, since their file is gone."""
        self._problem = problem
        # Pause only before servers are asked again; files are read again at once.
        self._retry_at = self._ring.mono() + min(2.0**self._failures, LONGEST_PAUSE) if self._sent_request else -inf
        self._failures = min(self._failures + 1, 16)
        self._renew_at = -inf
        if self._lasting():
            self.lease = None
        if self._failures == 1 and self._source is not None:
            log.warning("keys not renewed", **self._names, problem=problem)

    async def _configured(self) -> Lease | str:
        """Return the keys in the account's fields or environment variables, or a text that says why there are none."""
        environ = self._ring.machine.environ
        for _ in range(TRIES):
            attempt, problem = Files(self._ring.read), ""
            try:
                keys = await files.in_thread(configured, self.account, self._provider, environ, attempt.read)
            except CredentialsMissing as error:
                problem = str(error)
            except TimeoutError as error:
                problem = f"secrets {error.strerror}"
            if not await attempt.changed():
                break
        # Set only now: after a cancellation, the next round must still notice that the files have changed.
        self.files = attempt
        return f"{problem}; mend it, no restart is needed" if problem else Lease(keys)

    async def _leased(self, source: Source) -> Lease | str:
        """Return a new lease from a source, or a text that says why there is none and what to do."""
        attempt, problem, advice = Files(self._ring.read), "", source.advice
        try:
            lease = await self._follow(source, attempt)
        except (CredentialsError, TransportError) as error:
            problem = str(error)
        except (Malformed, NoEnvelope) as error:
            problem = f"the answer is not what was asked for ({error})"
        else:
            if lease.expires < self._ring.unix() + SHORTEST_LIFE:
                problem, advice = "the keys had are expired already", f"set this machine's clock, or {advice}"
        self.files = attempt
        return f"{source.title}: {problem}; {advice}" if problem else lease

    async def _follow(self, source: Source, attempt: Files) -> Lease:
        """Read the files and send the requests that a source yields, until it returns a lease."""
        until = self._ring.mono() + ATTEMPT_SECONDS
        steps = source.obtain(self._ring.machine, self._ring.unix())
        result: Any = None
        try:
            while True:
                step = steps.send(result)
                if isinstance(step, Path):
                    result = await _content(attempt, step)
                else:
                    self._sent_request = True
                    left, route = max(until - self._ring.mono(), 0.001), self.account.http.route_of_keys(step.url)
                    result = await self._ring.send(step, left, LARGEST_REPLY, route)
        except StopIteration as end:
            lease: Lease = end.value
            return lease


async def _content(attempt: Files, path: Path) -> bytes:
    """Read a file; raises `CredentialsError`."""
    # A relative name may be a secret that was given by mistake.
    name = path if path.is_absolute() else "the file, whose name is relative and not shown,"
    try:
        data: bytes = await files.in_thread(attempt.read, path)
    except (OSError, ValueError) as error:
        advice = "; let the exporter's user read it" if isinstance(error, PermissionError) else ""
        raise CredentialsError(f"{name} {files.problem(error)}{advice}") from None
    if len(data) > LARGEST_REPLY:
        raise CredentialsError(f"{name} cannot be read: it is larger than 64 KiB")
    return data


def _log_bug(task: asyncio.Task[None]) -> None:
    """Log an unexpected error of a background renewal by type only, because its text may hold anything."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, CredentialsError):
        log.error("bug", kind=type(error).__name__, task=task.get_name())
