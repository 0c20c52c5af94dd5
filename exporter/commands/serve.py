"""`stream-exporter serve`: the exporter until SIGTERM."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from exporter import __version__, config, providers, status
from exporter.commands import logs
from exporter.commands.common import advise_if_missing, host, on_signals
from exporter.commands.listening import listen, own_names, resolv_conf
from exporter.commands.options import ServeOptions
from exporter.commands.systemd import Notifier
from exporter.commands.terminal import Terminal
from exporter.commands.warnings import readable_secrets
from exporter.config.warnings import readable_by_all
from exporter.credentials.chain import chooser
from exporter.credentials.keyring import Keyring
from exporter.fields import Secret, SecretSource
from exporter.model import Account, State
from exporter.providers.interface import AnyProvider
from exporter.serving.access import WebConfigError, WebGuard
from exporter.serving.app import App
from exporter.serving.reload import Reloader, freeze_objects, use_one_malloc_arena, watched
from exporter.serving.service import Service, system_clock
from exporter.state.playback import WORDS
from exporter.state.record import Change
from exporter.transport import Transport

log = structlog.get_logger("serve")

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
    # From here to the end: while the configuration is being read, and while answers under way are finished.
    with logs.in_background(sys.stderr) as stderr, _on_hang_up(hung_up.set):
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
    systemd, stopped = Notifier(terminal.environ), asyncio.Event()
    with _until_asked_twice(stopped):
        async with Transport() as outbound:
            keyring = Keyring(terminal.environ, send=outbound.send)
            service = Service(
                loaded, providers.all_providers(), system_clock(), keyring, load.callback_secret, keyring.mark_refused
            )
            async with service:
                service.board.on_change.append(log_change)
                service.source.dropped = logs.dropped(terminal.stderr)
                reloader = Reloader(service, load, systemd.reloading, systemd.ready)
                app = _app(service, reloader, options)
                runner = _runner(app, guard, options)
                urls = await listen(runner, options, tls, terminal)
                if urls is None:
                    return 1
                log.info("listening", version=__version__, addresses=" ".join(urls), **watched(loaded))
                if ready is not None:
                    ready([f"{url}{options.prefix}" for url in urls])
                freeze_objects()
                systemd.ready()
                await _reload_until(stopped, reloader, hung_up)
                systemd.stopping()
                log.info("stopping; scrapes in flight are finished")
                app.ready = False
                await runner.cleanup()
    return 0


def _app(service: Service, reloader: Reloader, options: ServeOptions) -> App:
    return App(
        service,
        reloader.reload,
        options.scrape_timeout_offset,
        options.web_enable_lifecycle,
        status.Site(options.title, options.runbook_url, options.web_dashboard_url, options.web_telemetry_path),
        names=own_names(options, resolv_conf()),
        prefix=options.prefix,
        home=options.home,
    )


def _runner(app: App, guard: WebGuard, options: ServeOptions) -> web.AppRunner:
    application = app.application()
    guard.install(application, options.prefix)
    # A client that has gone waits for nothing, so its handler is cancelled.
    return web.AppRunner(application, handle_signals=False, handler_cancellation=True, shutdown_timeout=DRAIN_SECONDS)


def _log_warnings(loaded: config.Config, path: Path) -> None:
    # Files that Kubernetes mounts are readable by all in the container, and no cause to warn.
    for warning in [*map(str, loaded.warnings), *readable_secrets(loaded, path, readable_by_all)]:
        log.warning("configuration", warning=warning)


def log_change(change: Change) -> None:
    """Log a change between definite states, or from or to down at an address; any other only at level debug."""
    ends = change.old, change.new
    matters = False in ends if change.playback else State.UNKNOWN not in ends
    name, where = ("playback changed", {"playback": change.playback}) if change.playback else ("stream changed", {})
    old, new = (str(end) if isinstance(end, State) else WORDS[end] for end in ends)
    level = log.info if matters else log.debug
    level(name, provider=change.provider, stream=change.stream, **where, old=old, new=new, evidence=change.evidence)


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
        choose = chooser(self._environ)
        loaded = config.load(self._path, self._known, self._environ, choose=choose, now=time.time(), host=host())
        self._callback_secrets = {account.name: self._read_callback_secret(account) for account in loaded.accounts}
        return loaded

    def callback_secret(self, _provider: AnyProvider, account: Account) -> Secret | None:
        """Return what an account's callbacks are verified with, as of the last reading."""
        return self._callback_secrets.get(account.name)

    def _read_callback_secret(self, account: Account) -> Secret | None:
        provider = self._known[account.provider]
        if (callbacks := provider.callbacks) is None:
            return None
        variable = config.variable_of(provider, callbacks.key_field, self._environ)
        source = getattr(account, callbacks.key_field) or (SecretSource("env", variable) if variable else None)
        if source is None:
            return None
        try:
            return config.secret(callbacks.key_field, source, self._environ)
        except config.CredentialsMissing as error:
            log.error("callbacks are not heard", account=account.name, problem=str(error))
            return None


# --- signals ---------------------------------------------------------------------------------------------------------


@contextmanager
def _on_hang_up(act: Callable[[], object]) -> Iterator[None]:
    """Act on SIGHUP while the block runs.

    The handler is not the event loop's, which ends the process between the loop's end and its own.
    """
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(act))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def _until_asked_twice(stopped: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGTERM or SIGINT; on a second one while the block runs, end the process at once."""

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            # The default action would do, but there is none for a container's first process.
            os._exit(128 + number)
        stopped.set()

    term, interrupt = signal.SIGTERM, signal.SIGINT
    with on_signals(partial(stop, term), term), on_signals(partial(stop, interrupt), interrupt):
        yield


async def _reload_until(stopped: asyncio.Event, reloader: Reloader, hung_up: asyncio.Event) -> None:
    """Reload on SIGHUP and on changed files, until told to stop."""
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
