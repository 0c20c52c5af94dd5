"""`stream-exporter serve`: the exporter until SIGTERM."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from exporter import __version__, config, providers
from exporter.commands import logs
from exporter.commands.cautions import readable
from exporter.commands.options import ServeOptions
from exporter.config.doubts import readable_by_all
from exporter.keys import Keyring
from exporter.model import Account, Secret, State
from exporter.providers.interface import AnyProvider
from exporter.serving.access.webconfig import WebConfigError, WebGuard
from exporter.serving.app import App
from exporter.serving.reload import Reloader, keep_one_heap, settle_memory
from exporter.serving.sending import Protocol
from exporter.serving.service import Service, clock
from exporter.state.board import Change
from exporter.transport import Transport

log = structlog.get_logger("serve")

# aiohttp closes a connection that is idle, or drips its header, only by this.
KEEPALIVE_SECONDS = 10.0
DRAIN_SECONDS = 30.0
SETTLE_SECONDS = 0.1
"""How long the first SIGHUP waits for others: a burst of them is one reload."""


def addresses(listen: str) -> tuple[str | None, int]:
    """Read `:10180`, `127.0.0.1:10180` or `[::1]:10180` as (host or None for all, port).

    Raises:
        ValueError: It is written otherwise.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{listen!r} is not HOST:PORT or :PORT")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


class Site(web.BaseSite):
    """An address that is listened on; a TLS handshake that does not come to an end is cut off."""

    def __init__(self, runner: web.AppRunner, host: str | None, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=tls)
        self._host, self._port = host, port

    @property
    def name(self) -> str:
        """What the address is called."""
        return f"{self._host or ''}:{self._port}"

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None
        self._server = await loop.create_server(
            lambda: Protocol(server, loop=loop, keepalive_timeout=KEEPALIVE_SECONDS),
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=None if self._ssl_context is None else KEEPALIVE_SECONDS,
        )


def own_names(options: ServeOptions, resolving: str) -> frozenset[str]:
    """Return the host names at which this machine is reached, in lower case; `.NAME` stands for all that end in it.

    Args:
        options: The flags.
        resolving: The text of /etc/resolv.conf.
    """
    names = {socket.gethostname(), *(addresses(one)[0] or "" for one in options.listen)}
    if options.external_url is not None:
        names.add(urlsplit(options.external_url).hostname or "")
    for line in resolving.splitlines():
        word, *domains = line.split() or [""]
        if word in ("search", "domain"):
            names.update(f".{domain.strip('.')}" for domain in domains if "." in domain.strip("."))
            # A pod's first search domain is NAMESPACE.svc.CLUSTER, and its services are called SERVICE.NAMESPACE, too.
            names.update(f".{domain.partition('.')[0]}" for domain in domains if ".svc." in domain)
    return frozenset(name.lower() for name in names if name and not _is_address(name))


def _is_address(host: str) -> bool:
    """Whether a host is an address: those need no name, and another program may listen there, too."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolving() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def tell_change(change: Change) -> None:
    """Log what a provider says of a stream when it says something else; what nobody knows is told of accounts."""
    known = State.UNKNOWN not in (change.old, change.new)
    say = log.info if known else log.debug
    say("stream changed", provider=change.provider, stream=change.stream, old=str(change.old), new=str(change.new),
        evidence=change.evidence)  # fmt: skip


class Loader:
    """Reads the configuration and its callback secrets, off the event loop: reading may hang."""

    def __init__(self, file: Path, known: Mapping[str, AnyProvider]) -> None:
        self._file = file
        self._known = known
        self._secrets: dict[str, Secret | None] = {}

    def __call__(self) -> config.Config:
        """Read them; raises `ConfigErrors`."""
        loaded = config.load(self._file, self._known, os.environ)
        self._secrets = {one.name: callback_secret(self._known[one.provider], one) for one in loaded.accounts}
        return loaded

    def callback_secret(self, _provider: AnyProvider, account: Account) -> Secret | None:
        """Return an account's callback secret, as of the last reading."""
        return self._secrets.get(account.name)


def callback_secret(provider: AnyProvider, account: Account) -> Secret | None:
    """Read what an account's callbacks are verified with, if it is configured."""
    if provider.callbacks is None:
        return None
    field = provider.callbacks.key_field
    source = getattr(account, field)
    if source is None:
        return None
    try:
        return config.secret(field, source, os.environ)
    except config.CredentialsMissing as error:
        log.error("callbacks are not heard", account=account.name, problem=str(error))
        return None


async def serve(options: ServeOptions, *, ready: Callable[[list[str]], None] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    Args:
        options: The flags.
        ready: Called with the addresses once all of them listen.
    """
    keep_one_heap()
    with logs.unblocked(sys.stderr) as said:
        logs.configure(options.log_level, options.log_format, said)
        asyncio.get_running_loop().set_exception_handler(logs.Complaints(time.monotonic))
        return await _serve(options, logs.dropped(said), ready)


async def _serve(options: ServeOptions, dropped: Callable[[], int], ready: Callable[[list[str]], None] | None) -> int:
    load = Loader(Path(options.config_file), providers.found())
    try:
        loaded = load()
        listen = [addresses(one) for one in options.listen]
        web_config = Path(options.web_config) if options.web_config else None
        guard = WebGuard(web_config, time.monotonic, tell=lambda text: log.warning("web configuration", problem=text))
        tls = guard.ssl_context()
    except (config.ConfigErrors, WebConfigError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for warning in [*map(str, loaded.warnings), *_readable(loaded, Path(options.config_file))]:
        log.warning("configuration", warning=warning)
    async with (
        Transport() as outbound,
        Service(
            loaded,
            providers.found(),
            clock(),
            keyring := Keyring(os.environ, send=outbound.send),
            load.callback_secret,
            keyring.doubt,
        ) as service,
    ):
        service.board.on_change.append(tell_change)
        service.source.dropped = dropped
        reloader = Reloader(service, load)
        app = App(
            service,
            reloader.reload,
            options.timeout_offset,
            options.enable_lifecycle,
            options.telemetry_path,
            names=own_names(options, _resolving()),
        )
        application = app.application()
        guard.install(application)
        runner = web.AppRunner(
            application,
            handle_signals=False,
            # A client that has gone waits for nothing.
            handler_cancellation=True,
            shutdown_timeout=DRAIN_SECONDS,
        )
        where = await _listen(runner, listen, tls)
        if where is None:
            return 1
        log.info("listening", version=__version__, addresses=" ".join(where), streams=len(loaded.streams))
        if ready is not None:
            ready(where)
        settle_memory()
        await _until_stopped(reloader)
        log.info("stopping; scrapes in flight are finished")
        app.ready = False
        await runner.cleanup()
    return 0


async def _listen(
    runner: web.AppRunner, listen: Sequence[tuple[str | None, int]], tls: ssl.SSLContext | None
) -> list[str] | None:
    """Listen on all addresses; return their URLs, or None after saying why one cannot be used."""
    await runner.setup()
    try:
        for host, port in listen:
            await Site(runner, host, port, tls).start()
    except OSError as error:
        print(f"cannot listen: {error.strerror}; choose another --web.listen-address", file=sys.stderr)
        await runner.cleanup()
        return None
    scheme = "https" if tls is not None else "http"
    return [f"{scheme}://{_shown(address)}" for address in runner.addresses]


def _readable(loaded: config.Config, path: Path) -> Iterable[str]:
    """Return a warning if everybody may read a configuration that holds secrets."""
    return readable(loaded, path) if readable_by_all(path) else ()


def _shown(address: tuple[str, ...]) -> str:
    host, port = address[0], address[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  # nosec
    return f"{shown}:{port}"


async def _reload_on(hung_up: asyncio.Event, reloader: Reloader) -> None:
    """Reload after SIGHUP, once for all signals that come close together or during a reload."""
    while True:
        await hung_up.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        hung_up.clear()
        await reloader.reload()


async def _until_stopped(reloader: Reloader) -> None:
    """Reload on SIGHUP and on changed files, until SIGTERM or SIGINT."""
    loop, stopped, hung_up = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    tasks = [asyncio.create_task(reloader.watch()), asyncio.create_task(_reload_on(hung_up, reloader))]
    try:
        await stopped.wait()
    finally:
        reloader.stop()
        for task in tasks:
            task.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
