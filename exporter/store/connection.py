"""One connection to the store: the only file that imports redis-py, and turns its errors into our own.

Commands: https://redis.io/docs/latest/commands/. All that is used here Redis 6 and 7 and Valkey 7 to 9 have.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from redis import exceptions
from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection

from exporter import files
from exporter.config.store import StoreAddress
from exporter.store.errors import Kind, StoreError
from exporter.transport.errors import why_untrusted
from exporter.transport.resolver import Resolver

SECONDS: Final = 0.5
"""How long a connection and an answer may take, each."""

OLDEST: Final = 6
BROKE: Final = "the connection to the store broke"

_WORDS: Final[tuple[tuple[type[Exception], Kind, str], ...]] = (
    (exceptions.AuthenticationWrongNumberOfArgsError, "auth", "the store knows no user names; leave the user out"),
    (exceptions.AuthenticationError, "auth", "the store refuses the user or the password, or asks for one"),
    (exceptions.NoPermissionError, "auth",
     "the store's ACL does not let this user do what is needed: give it +@all on the keys ~stream-exporter:*"),
    (exceptions.OutOfMemoryError, "memory", "the store's memory is full (maxmemory), so it takes nothing more"),
    (exceptions.ReadOnlyError, "readonly", "the store is a read-only replica; name the primary"),
    (exceptions.BusyLoadingError, "loading", "the store is still loading its data"),
    (exceptions.MasterDownError, "readonly", "the store is a replica that has lost its primary; name the primary"),
    (exceptions.MaxConnectionsError, "refused", "the store has as many clients as it allows"),
    (exceptions.TimeoutError, "timeout", f"no answer from the store in {SECONDS:g} s"),
    (exceptions.InvalidResponse, "connection", "what answers there is neither Redis nor Valkey"),
)  # fmt: skip
_CLUSTER: Final = "the store is a cluster, which is not supported; name a server without cluster mode"
_CODES: Final[Mapping[str, tuple[Kind, str]]] = {
    "MOVED": ("cluster", _CLUSTER),
    "ASK": ("cluster", _CLUSTER),
    "CROSSSLOT": ("cluster", _CLUSTER),
    "CLUSTERDOWN": ("cluster", _CLUSTER),
    "WRONGPASS": ("auth", "the store refuses the user or the password"),
    "NOAUTH": ("auth", "the store asks for a password, and url has none"),
    "DENIED": ("auth", "the store is in protected mode: it wants a password, or clients of its own machine only"),
    "OOM": ("memory", "the store's memory is full (maxmemory), so it takes nothing more"),
    "READONLY": ("readonly", "the store is a read-only replica; name the primary"),
    "MISCONF": ("refused", "the store cannot save to its disk, so it takes nothing more"),
    "NOREPLICAS": ("refused", "the store has too few replicas of its own (min-replicas-to-write)"),
    "BUSY": ("refused", "the store runs another client's script and answers nobody"),
}
_CODE: Final = re.compile(r"[A-Z]{2,24}", re.ASCII)
_WITHIN: Final = re.compile(rf"-({'|'.join(_CODES)})\b", re.ASCII)


def explained(error: Exception) -> StoreError:
    """Return our error for one of redis-py; of its text only the code is taken over."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, exceptions.RedisError) and (said := _said(error)) is not None:
        return said
    inner = error if isinstance(error, OSError) else (error.__cause__ or error.__context__)
    if isinstance(inner, ssl.SSLError):
        return StoreError("tls", f"no trusted TLS connection to the store{why_untrusted(inner)}")
    if isinstance(error, TimeoutError):
        return StoreError("timeout", f"no answer from the store in {SECONDS:g} s")
    if isinstance(inner, FileNotFoundError | PermissionError):
        return StoreError("connection", f"the socket of the store: {(inner.strerror or '').lower()}")
    if isinstance(inner, OSError) and not isinstance(inner, ConnectionResetError | BrokenPipeError):
        return StoreError("connection", "the store refused the connection or cannot be reached")
    return StoreError("connection", BROKE)


def _said(error: exceptions.RedisError) -> StoreError | None:
    """Return what the server itself has said, if it was the server."""
    if isinstance(error, exceptions.AskError | exceptions.ClusterError | exceptions.ClusterCrossSlotError):
        return StoreError("cluster", _CLUSTER)
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0].lstrip("-")
    if isinstance(error, exceptions.ResponseError) and code not in _CODES:
        # Redis 6 wraps what a script's command met.
        found = _WITHIN.search(str(error))
        code = found[1] if found else code
    if code in _CODES:
        return StoreError(*_CODES[code])
    for kind, name, message in _WORDS:
        if isinstance(error, kind):
            return StoreError(name, message)
    if isinstance(error, exceptions.ResponseError):
        known = code if _CODE.fullmatch(code) else "ERR"
        return StoreError("answer", f"the store answered a command with the error {known}", known)
    return None


class _Tls(Connection):
    """A connection by TLS to an address whose certificate is that of a name."""

    def __init__(self, context: ssl.SSLContext, name: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._tls = {"ssl": context, "server_hostname": name}

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), **self._tls}

    async def disconnect(self, *args: Any, **settings: Any) -> None:
        # TLS says goodbye, and would wait for the answer for as long as 30 seconds.
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(*args, **settings)


def _end_if_told() -> None:
    """End a task that was cancelled: until Python 3.12 `wait_for`, by which redis-py writes, may hide that from it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Link:
    """One connection, logged in to a server that will do.

    Attributes:
        server: The id of the server's present run; empty where the user may not ask for it.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.server = ""

    async def ask(self, *words: bytes | str | int, seconds: float = SECONDS) -> Any:
        """Send a command and return its reply, texts as bytes; raises `StoreError`.

        Whatever goes wrong, but for a command's own error, the connection is closed.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send_command(*words)
                reply = await self._connection.read_response(timeout=seconds + 1.0)
        except (exceptions.RedisError, OSError, ValueError) as error:
            _end_if_told()
            raise explained(error) from None
        _end_if_told()
        return reply

    async def close(self) -> None:
        """Close it; waits for nothing."""
        await self._connection.disconnect(nowait=True)

    async def greet(self) -> None:
        """Connect, log in and find out what it is."""
        try:
            async with asyncio.timeout(2 * SECONDS):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except (exceptions.RedisError, OSError, ValueError) as error:
            raise explained(error) from None
        try:
            told = _told(await self.ask("INFO", "server"))
        except StoreError as error:
            if error.kind not in ("auth", "answer"):
                raise
            # Who may not ask may still be let do all else; what cannot be done says so itself.
            await self.ask("PING")
            return
        self.server = told.get("run_id", "")
        version = told.get("redis_version", "")
        if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < OLDEST:
            raise StoreError(
                "version", f"the store is Redis {version[:20]}; it takes Redis {OLDEST} or Valkey 7 at least"
            )
        if told.get("redis_mode") == "cluster":
            raise StoreError("cluster", _CLUSTER)
        if told.get("redis_mode") == "sentinel":
            raise StoreError("refused", "the store is a Sentinel; name the server itself")


def _told(info: Any) -> dict[str, str]:
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else ""
    lines = (line.partition(":") for line in text.splitlines())
    return {key: value.strip() for key, colon, value in lines if colon}


class Dialer:
    """Makes connections to one server."""

    def __init__(self, address: StoreAddress, resolver: Resolver | None = None) -> None:
        self._address = address
        self._resolver = resolver or Resolver()
        self._context: ssl.SSLContext | None = None

    async def __call__(self) -> Link:
        """Return a connection; raises `StoreError`."""
        failed = StoreError("dns", "the name of the store has no address")
        for host in await self._hosts():
            link = Link(self._connection(host, await self._trusting()))
            try:
                await link.greet()
            except StoreError as error:
                await link.close()
                failed = self._why(error)
                if error.kind not in ("connection", "timeout"):
                    break
            except BaseException:
                await link.close()
                raise
            else:
                return link
        # Its files may be others the next time.
        self._context = None
        raise failed

    def _why(self, error: StoreError) -> StoreError:
        """Say of what went wrong before the first command what only this end knows."""
        number, tls = self._address.database, self._address.tls
        if error.kind == "answer":
            why = f"it has no database {number}" if number else f"it answered with the error {error.code}"
            return StoreError("refused", f"the store does not let us in: {why}")
        if error.kind == "timeout" and tls:
            return StoreError("tls", f"{error.message}; it may not speak TLS")
        if error.kind == "connection" and error.message == BROKE and not tls and not self._address.path:
            return StoreError("connection", f"{BROKE}; it may speak TLS only (rediss://)")
        return error

    async def _trusting(self) -> ssl.SSLContext | None:
        """Return what the server is known by, if it is spoken to by TLS."""
        if self._address.tls and self._context is None:
            try:
                self._context = await files.in_thread(_context, self._address)
            except (OSError, ValueError) as error:
                why = "" if isinstance(error, ssl.SSLError) else f": {(getattr(error, 'strerror', '') or '').lower()}"
                raise StoreError("tls", f"a file that url names for TLS cannot be used{why}") from None
        return self._context

    async def _hosts(self) -> list[str]:
        """Return the addresses of the server; a name is looked up where nothing has to wait for it."""
        if self._address.path:
            return [""]
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._resolver.resolve(self._address.host, self._address.port, socket.AF_UNSPEC)
        except TimeoutError:
            raise StoreError("dns", "the name of the store was not resolved in time") from None
        except OSError:
            raise StoreError("dns", "the name of the store was not resolved") from None
        return list(dict.fromkeys(one["host"] for one in found))

    def _connection(self, host: str, context: ssl.SSLContext | None) -> AbstractConnection:
        address = self._address
        common: dict[str, Any] = {
            "db": address.database,
            "username": address.username or None,
            "password": None if address.password is None else address.password.reveal(),
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "driver_info": None,
            "protocol": 2,
        }
        if address.path:
            return UnixDomainSocketConnection(path=address.path, **common)
        if context is None:
            return Connection(host=host, port=address.port, **common)
        return _Tls(context, address.host, host=host, port=address.port, **common)


def _context(address: StoreAddress) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=address.ca_file or None)
    if address.certificate_file:
        context.load_cert_chain(address.certificate_file, address.key_file or None)
    return context
