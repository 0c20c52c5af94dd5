"""Each account's keys: fetched again when their files change, before they expire, and when a provider refuses them."""

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

log = structlog.get_logger("keys")

ATTEMPT_SECONDS = 3.0
"""Limit for all calls of one renewal together; a round waits for it only if it has no valid keys."""

LARGEST_REPLY = 64 << 10
SHORTEST_LIFE = 10.0
"""Seconds; keys that expire sooner count as expired."""

LEAST_BETWEEN = 30.0
"""Least seconds between renewals, for keys that live shorter than the time by which they are renewed early."""

LONGEST_PAUSE = 60.0
DOUBT_SECONDS = 60.0
"""However often a provider refuses keys, they are renewed at most once in this time."""

TRIES = 3
"""How often files that change while they are read are read again, so that a key and its id are of one version."""

Send = Callable[[Request, float, int], Awaitable[Reply]]


async def no_network(_request: Request, _timeout: float, _largest: int) -> Reply:
    """Refuse the call: without a transport, keys come only from the configuration, the environment and files."""
    raise TransportError(Reason.CONNECTION, "no network is to be used here")


class Keyring:
    """Returns the keys for each round. A rotated or expired key costs at most one bad round and no restart.

    Attributes:
        machine: The machine that the exporter runs on.
        read: Returns a file's bytes; raises OSError or ValueError.
        send: Makes an HTTP call (request, timeout in seconds, largest body); raises `TransportError`.
        unix: Seconds since 1970, by which keys expire.
        mono: Seconds on a clock that is never set, by which pauses are measured.
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
            CredentialsError: There is nothing to sign with; its text says what to do.
        """
        fields = {field: getattr(account, field) for field in secret_fields(type(account))}
        source = choose(self.machine, provider, [field for field, value in fields.items() if value is not None])
        origin = (tuple(fields.values()), source)
        keys = self._accounts.get((provider.name, account.name))
        if keys is None or keys.origin != origin:
            keys = self._accounts[provider.name, account.name] = AccountKeys(self, provider, account, origin)
        return await keys.current()

    def doubt(self, provider: AnyProvider, account: Account) -> None:
        """Fetch an account's keys again at the next round: the provider refused the present ones."""
        if keys := self._accounts.get((provider.name, account.name)):
            keys.doubt()


class AccountKeys:
    """One account's keys.

    Attributes:
        origin: The account's secret fields, and its source if it has one. If they change, all else here is outdated.
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
        self._account = account
        self._source = origin[1]
        self._names = {"provider": provider.name, "account": account.name}
        # Held while keys are fetched; everybody who waits for it shares the result.
        self._lock = asyncio.Lock()
        # Unix seconds from which new keys are fetched although these are still valid.
        self._renew_at = inf
        # Monotonic seconds before which no server is asked again.
        self._retry_at = -inf
        self._failures = 0
        self._asked = False
        self._problem = ""
        self._doubted = False
        self._doubted_at = -inf
        self._aside: asyncio.Task[None] | None = None

    async def current(self) -> Credentials:
        """Return valid keys; raises `CredentialsError`, whose text says what to do."""
        if await self._fresh():
            self._renew_aside()
        else:
            async with self._lock:
                if not await self._fresh():
                    await self._renew()
        assert self.lease is not None
        return self.lease.credentials

    def doubt(self) -> None:
        """Note that the provider refused these keys."""
        if self.lease is not None and self._ring.mono() >= self._doubted_at + DOUBT_SECONDS:
            self._doubted, self._doubted_at = True, self._ring.mono()

    def _valid(self) -> bool:
        return self.lease is not None and self._ring.unix() < self.lease.expires

    def _lasting(self) -> bool:
        return self.lease is not None and self.lease.expires == inf

    async def _fresh(self) -> bool:
        """Say whether a round may use the present keys, even if they are due for renewal."""
        changed = self._lasting() and await self.files.changed()
        return self._valid() and not self._doubted and not changed

    # --- renewal -----------------------------------------------------------------------------------------------------

    def _renew_aside(self) -> None:
        """Fetch new keys in the background if it is time; the present ones are still valid."""
        under_way = self._aside is not None and not self._aside.done()
        perhaps = self._ring.unix() >= self._renew_at or bool(self.files.seen)
        if under_way or self._lasting() or not perhaps or self._ring.mono() < self._retry_at:
            return

        async def renew() -> None:
            async with self._lock:
                if self._ring.unix() >= self._renew_at or await self.files.changed():
                    await self._renew()

        self._aside = asyncio.create_task(renew(), name=f"keys {self._account.name}")
        self._aside.add_done_callback(_ended)

    async def _renew(self) -> None:
        """Fetch new keys, unless the last attempt failed a moment ago.

        Raises:
            CredentialsError: There are none, and the old ones are not valid.
        """
        if self._ring.mono() >= self._retry_at or await self.files.changed():
            self._asked = False
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
        self._renew_at = max(lease.expires - early, self._ring.unix() + LEAST_BETWEEN)
        self._retry_at = -inf
        self.lease, self._problem, self._failures, self._doubted = lease, "", 0, False

    def _failed(self, problem: str) -> None:
        """Note a failure. Keys that expire are kept until then; others are gone with the file that held them."""
        self._problem = problem
        # Files are read again at once: only servers are spared.
        self._retry_at = self._ring.mono() + min(2.0**self._failures, LONGEST_PAUSE) if self._asked else -inf
        self._failures = min(self._failures + 1, 16)
        self._renew_at = -inf
        if self._lasting():
            self.lease = None
        if self._failures == 1 and self._source is not None:
            log.warning("keys not renewed", **self._names, problem=problem)

    async def _configured(self) -> Lease | str:
        """Return the keys in the account's fields or the environment, or what is wrong with them."""
        environ = self._ring.machine.environ
        for _ in range(TRIES):
            seen, problem = Files(self._ring.read), ""
            try:
                found = await files.in_thread(configured, self._account, self._provider, environ, seen.read)
            except CredentialsMissing as error:
                problem = str(error)
            except TimeoutError as error:
                problem = f"secrets {error.strerror}"
            if not await seen.changed():
                break
        # Set only now: if this is cancelled, the next round still sees that the files have changed.
        self.files = seen
        return f"{problem}; mend it, no restart is needed" if problem else Lease(found)

    async def _leased(self, source: Source) -> Lease | str:
        """Return a new lease from a source, or a text on why there is none and what to do."""
        seen, problem, advice = Files(self._ring.read), "", source.advice
        try:
            lease = await self._follow(source, seen)
        except (CredentialsError, TransportError) as error:
            problem = str(error)
        except (Malformed, NoEnvelope) as error:
            problem = f"the answer is not what was asked for ({error})"
        else:
            if lease.expires < self._ring.unix() + SHORTEST_LIFE:
                problem, advice = "the keys had are expired already", f"set this machine's clock, or {advice}"
        self.files = seen
        return f"{source.title}: {problem}; {advice}" if problem else lease

    async def _follow(self, source: Source, seen: Files) -> Lease:
        """Read and ask for what a source yields until it returns a lease."""
        until = self._ring.mono() + ATTEMPT_SECONDS
        steps = source.obtain(self._ring.machine, self._ring.unix())
        found: Any = None
        try:
            while True:
                wanted = steps.send(found)
                if isinstance(wanted, Path):
                    found = await _content(seen, wanted)
                else:
                    self._asked = True
                    found = await self._ring.send(wanted, max(until - self._ring.mono(), 0.001), LARGEST_REPLY)
        except StopIteration as end:
            lease: Lease = end.value
            return lease


async def _content(seen: Files, path: Path) -> bytes:
    """Read a file; raises `CredentialsError`."""
    # A relative name may be a secret that was given by mistake.
    name = path if path.is_absolute() else "the file, whose name is relative and not shown,"
    try:
        data: bytes = await files.in_thread(seen.read, path)
    except (OSError, ValueError) as error:
        advice = "; let the exporter's user read it" if isinstance(error, PermissionError) else ""
        raise CredentialsError(f"{name} {files.problem(error)}{advice}") from None
    if len(data) > LARGEST_REPLY:
        raise CredentialsError(f"{name} cannot be read: it is larger than 64 KiB")
    return data


def _ended(task: asyncio.Task[None]) -> None:
    """Log an unexpected error of a background renewal by its type alone: its text might hold anything."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, CredentialsError):
        log.error("bug", kind=type(error).__name__, task=task.get_name())
