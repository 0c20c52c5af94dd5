"""`stream-exporter serve`: the exporter until SIGTERM."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ipaddress
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from exporter import __version__, config, providers
from exporter.commands import logs
from exporter.commands.common import advise_if_missing, cannot_listen, on_signals
from exporter.commands.options import Address, ServeOptions
from exporter.commands.terminal import Terminal
from exporter.commands.warnings import readable_secrets
from exporter.config.warnings import readable_by_all
from exporter.credentials import Keyring, chooser
from exporter.fields import Secret
from exporter.model import Account, State
from exporter.providers.interface import AnyProvider
from exporter.serving.access import WebConfigError, WebGuard
from exporter.serving.app import App
from exporter.serving.reload import Reloader, freeze_objects, use_one_malloc_arena
from exporter.serving.sending import Protocol
from exporter.serving.service import Service, system_clock
from exporter.state.board import Change
from exporter.transport import Transport

log = structlog.get_logger("serve")

# aiohttp closes a connection that is idle, or drips its header, only by this.
KEEPALIVE_SECONDS = 10.0
DRAIN_SECONDS = 30.0
SETTLE_SECONDS = 0.1
"""How long the first SIGHUP waits for others: a burst of them is one reload."""

Ready = Callable[[list[str]], None]


def run(options: ServeOptions, terminal: Terminal) -> int:
    """Run until SIGTERM or SIGINT; return 1 where the configuration or an address cannot be used."""
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        code = runner.run(serve(options, terminal))
    if code:
        advise_if_missing(options.config_file, terminal)
    return code


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop where the extra `uvloop` is installed; it costs about a seventh less CPU."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    loop: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return loop


async def serve(options: ServeOptions, terminal: Terminal, ready: Ready | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    Args:
        options: The flags.
        terminal: Where to write the log and what keeps the exporter from starting.
        ready: Called with the URLs once all of them listen.
    """
    use_one_malloc_arena()
    hung_up = asyncio.Event()
    # A SIGHUP while the configuration is being read must not end the process.
    with logs.in_background(sys.stderr) as stderr, on_signals(hung_up.set, signal.SIGHUP):
        logs.configure(options.log_level, options.log_format, stderr)
        asyncio.get_running_loop().set_exception_handler(logs.LoopErrors(time.monotonic))
        return await _serve(options, replace(terminal, stderr=stderr), hung_up, ready)


async def _serve(options: ServeOptions, terminal: Terminal, hung_up: asyncio.Event, ready: Ready | None) -> int:
    load = Loader(options.config_file, providers.all_providers(), terminal.environ)
    try:
        loaded = load()
        guard = WebGuard(
            options.web_config_file,
            time.monotonic,
            report=lambda text: log.warning("web configuration", problem=text),
        )
        tls = guard.ssl_context()
    except (config.ConfigErrors, WebConfigError) as error:
        terminal.complain(str(error))
        return 1
    _log_warnings(loaded, options.config_file)
    async with Transport() as outbound:
        keyring = Keyring(terminal.environ, send=outbound.send)
        async with Service(
            loaded, providers.all_providers(), system_clock(), keyring, load.callback_secret, keyring.mark_refused
        ) as service:
            service.board.on_change.append(log_change)
            service.source.dropped = logs.dropped(terminal.stderr)
            reloader = Reloader(service, load)
            app = App(
                service,
                reloader.reload,
                options.scrape_timeout_offset,
                options.web_enable_lifecycle,
                options.web_telemetry_path,
                names=own_names(options, _resolv_conf()),
            )
            application = app.application()
            guard.install(application)
            runner = _runner(application)
            urls = await _listen(runner, options.web_listen_address, tls, terminal)
            if urls is None:
                return 1
            log.info("listening", version=__version__, addresses=" ".join(urls), streams=len(loaded.streams))
            if ready is not None:
                ready(urls)
            freeze_objects()
            await _until_stopped(reloader, hung_up)
            log.info("stopping; scrapes in flight are finished")
            app.ready = False
            await runner.cleanup()
    return 0


def _log_warnings(loaded: config.Config, path: Path) -> None:
    # Files that Kubernetes mounts are readable by all in the container, and no cause to warn.
    readable = readable_secrets(loaded, path) if readable_by_all(path) else ()
    for warning in [*map(str, loaded.warnings), *readable]:
        log.warning("configuration", warning=warning)


def log_change(change: Change) -> None:
    """Log a stream's change between definite states; a change from or to unknown only at level debug."""
    level = log.debug if State.UNKNOWN in (change.old, change.new) else log.info
    level("stream changed", provider=change.provider, stream=change.stream, old=str(change.old), new=str(change.new),
          evidence=change.evidence)  # fmt: skip


# --- the configuration -----------------------------------------------------------------------------------------------


class Loader:
    """Reads the configuration and its callback secrets; reading may hang, so it is called in a thread."""

    def __init__(self, path: Path, known: Mapping[str, AnyProvider], environ: Mapping[str, str]) -> None:
        self._path = path
        self._known = known
        self._environ = environ
        self._callback_secrets: dict[str, Secret | None] = {}

    def __call__(self) -> config.Config:
        """Read them; raises `ConfigErrors`."""
        loaded = config.load(self._path, self._known, self._environ, choose=chooser(self._environ))
        self._callback_secrets = {account.name: self._read_callback_secret(account) for account in loaded.accounts}
        return loaded

    def callback_secret(self, _provider: AnyProvider, account: Account) -> Secret | None:
        """Return what an account's callbacks are verified with, as of the last reading."""
        return self._callback_secrets.get(account.name)

    def _read_callback_secret(self, account: Account) -> Secret | None:
        callbacks = self._known[account.provider].callbacks
        source = getattr(account, callbacks.key_field) if callbacks is not None else None
        if callbacks is None or source is None:
            return None
        try:
            return config.secret(callbacks.key_field, source, self._environ)
        except config.CredentialsMissing as error:
            log.error("callbacks are not heard", account=account.name, problem=str(error))
            return None


# --- listening -------------------------------------------------------------------------------------------------------


class Site(web.BaseSite):
    """An address that is listened on; a TLS handshake that takes too long is cut off."""

    def __init__(self, runner: web.AppRunner, address: Address, tls: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=tls)
        self._address = address

    @property
    def name(self) -> str:
        """What aiohttp calls the address."""
        return str(self._address)

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None
        self._server = await loop.create_server(
            lambda: Protocol(server, loop=loop, keepalive_timeout=KEEPALIVE_SECONDS),
            *self._address,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=None if self._ssl_context is None else KEEPALIVE_SECONDS,
        )


def _runner(application: web.Application) -> web.AppRunner:
    # A client that has gone waits for nothing, so its handler is cancelled.
    return web.AppRunner(application, handle_signals=False, handler_cancellation=True, shutdown_timeout=DRAIN_SECONDS)


async def _listen(
    runner: web.AppRunner, addresses: Sequence[Address], tls: ssl.SSLContext | None, terminal: Terminal
) -> list[str] | None:
    """Listen on all addresses; return their URLs, or None after saying why one cannot be used."""
    await runner.setup()
    for address in addresses:
        try:
            await Site(runner, address, tls).start()
        except OSError as error:
            terminal.complain(cannot_listen(address, error, "--web.listen-address"))
            await runner.cleanup()
            return None
    scheme = "https" if tls is not None else "http"
    return [f"{scheme}://{_reachable(host, port)}" for host, port, *_ in runner.addresses]


def _reachable(host: str, port: int) -> Address:
    """Return an address that a client on this machine can use."""
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104  # nosec


def own_names(options: ServeOptions, resolv_conf: str) -> frozenset[str]:
    """Return the host names at which this machine is reached, in lower case; `.NAME` stands for all that end in it.

    Args:
        options: The flags.
        resolv_conf: The text of /etc/resolv.conf.
    """
    names = {socket.gethostname(), *(address.host or "" for address in options.web_listen_address)}
    if options.web_external_url is not None:
        names.add(urlsplit(options.web_external_url).hostname or "")
    for line in resolv_conf.splitlines():
        keyword, *domains = line.split() or [""]
        if keyword in ("search", "domain"):
            names.update(f".{domain.strip('.')}" for domain in domains if "." in domain.strip("."))
            # A pod's first search domain is NAMESPACE.svc.CLUSTER, and its services are called SERVICE.NAMESPACE, too.
            names.update(f".{domain.partition('.')[0]}" for domain in domains if ".svc." in domain)
    return frozenset(name.lower() for name in names if name and not _is_ip_address(name))


def _is_ip_address(host: str) -> bool:
    """Whether a host is an address: those need no name, and another program may listen there, too."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolv_conf() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# --- signals ---------------------------------------------------------------------------------------------------------


async def _until_stopped(reloader: Reloader, hung_up: asyncio.Event) -> None:
    """Reload on SIGHUP and on changed files, until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    with on_signals(stopped.set, signal.SIGTERM, signal.SIGINT):
        tasks = [asyncio.create_task(reloader.watch()), asyncio.create_task(_reload_on(hung_up, reloader))]
        try:
            await stopped.wait()
        finally:
            reloader.stop()
            for task in tasks:
                task.cancel()


async def _reload_on(hung_up: asyncio.Event, reloader: Reloader) -> None:
    """Reload after SIGHUP, once for all signals that come close together or during a reload."""
    while True:
        await hung_up.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        hung_up.clear()
        await reloader.reload()
