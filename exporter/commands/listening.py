"""Where the exporter listens: addresses, sockets in the file system, and those that systemd passes."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from exporter.commands.common import cannot_listen
from exporter.commands.options import Address, ServeOptions, SocketFile
from exporter.commands.systemd import passed_sockets
from exporter.commands.terminal import Terminal
from exporter.serving.accepting import Failures, Listener
from exporter.serving.origin import is_address
from exporter.serving.sending import Protocol

log = structlog.get_logger("web")

# aiohttp closes a connection that is idle, or drips its header, only by this.
KEEPALIVE_SECONDS: Final = 10.0
BACKLOG: Final = 128
SOCKET_MODE: Final = 0o660
LOOK_SECONDS: Final = 1.0
# What a machine says that has an address, or a family of addresses, switched off.
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


EVERYWHERE: Final = (None, "::")
"""Hosts that stand for all addresses of the machine, in both families."""

ListenAddress = Address | SocketFile


class _CannotListenError(Exception):
    """An address cannot be used; the text says why, and what to do."""


class Site(web.BaseSite):
    """A socket on which the exporter listens.

    Args:
        runner: Answers the requests.
        sock: It listens already.
        tls: None for plain HTTP.
        failures: Told of TLS handshakes that fail.
        file: The socket's file, which is removed at the end; None where it has none, or is another's.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        failures: Failures,
        file: Path | None = None,
    ) -> None:
        super().__init__(runner, ssl_context=tls, backlog=BACKLOG)
        self._sock = sock
        self._failures = failures
        self._file = None if file is None else (file, file.lstat().st_ino)
        self._listener: Listener | None = None

    @property
    def name(self) -> str:
        """The URL at which a client on this machine finds it."""
        if self._sock.family == socket.AF_UNIX:
            return f"unix:{self._sock.getsockname()}"
        host, port = self._sock.getsockname()[:2]
        if host == "::":
            host = "::1" if self._sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) else "127.0.0.1"
        elif host == "0.0.0.0":  # noqa: S104  # nosec
            host = "127.0.0.1"
        return f"{'http' if self._ssl_context is None else 'https'}://{Address(host, port)}"

    async def start(self) -> None:
        """Accept connections."""
        await super().start()
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None

        def protocol() -> Protocol:
            return Protocol(server, loop=loop, keepalive_timeout=KEEPALIVE_SECONDS)

        if self._ssl_context is None and self._sock.family != socket.AF_UNIX:
            self._server = await loop.create_server(protocol, sock=self._sock, backlog=BACKLOG)
        else:
            self._listener = Listener(self._sock, protocol, self._ssl_context, self._failures)

    async def stop(self) -> None:
        """Accept no more connections; remove the socket's file first, so that nobody finds a dead one."""
        if self._file is not None:
            path, inode = self._file
            with suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()
        if self._listener is not None:
            self._listener.close()
        await super().stop()


async def listen(
    runner: web.AppRunner, options: ServeOptions, tls: ssl.SSLContext | None, terminal: Terminal
) -> list[str] | None:
    """Listen wherever the options say; return the URLs, or None after saying why that is not possible."""
    await runner.setup()
    failures, urls = Failures(time.monotonic), list[str]()
    try:
        if options.web_systemd_socket:
            for sock in _passed(terminal.environ):
                urls.append(await _started(Site(runner, sock, tls, failures)))
        else:
            for address in options.web_listen_address:
                for sock in await _bound(address, options.web_listen_address):
                    file = address.path if isinstance(address, SocketFile) else None
                    urls.append(await _started(Site(runner, sock, tls, failures, file)))
    except _CannotListenError as problem:
        terminal.complain(str(problem))
        await runner.cleanup()
        return None
    return urls


def _passed(environ: Mapping[str, str]) -> list[socket.socket]:
    try:
        return passed_sockets(environ)
    except ValueError as error:
        raise _CannotListenError(f"--web.systemd-socket: {error}") from None


async def _started(site: Site) -> str:
    await site.start()
    return site.name


# --- sockets ---------------------------------------------------------------------------------------------------------


async def _bound(address: ListenAddress, all_addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    """Return sockets that listen on an address; raises `_CannotListenError`."""
    try:
        if isinstance(address, SocketFile):
            return [_in_file(address.path)]
        if address.host in EVERYWHERE:
            return [_everywhere(address.port, both=not any(_is_ipv4_at(address.port, one) for one in all_addresses))]
        return await _at_name(address)
    except OSError as error:
        raise _CannotListenError(cannot_listen(address, error, "--web.listen-address")) from None


def _is_ipv4_at(port: int, address: ListenAddress) -> bool:
    """Whether an address takes a port for itself in IPv4."""
    return isinstance(address, Address) and address.port == port > 0 and ":" not in (address.host or ":")


def _everywhere(port: int, *, both: bool) -> socket.socket:
    """Listen on all addresses of the machine: in IPv6 alone, or by one socket in both families that it has."""
    if both and not socket.has_dualstack_ipv6():
        return socket.create_server(("", port), backlog=BACKLOG)
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=both)


async def _at_name(address: Address) -> list[socket.socket]:
    """Listen on all addresses that a name has on this machine, but those of a family that is switched off."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    with ExitStack() as opened:
        for family, where in dict.fromkeys((family, where) for family, _, _, _, where in found):
            try:
                sock = socket.create_server(where, family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
                continue
            sockets.append(opened.enter_context(sock))
        if absent is not None and not sockets:
            raise absent
        opened.pop_all()
    if absent is not None:
        listened = " ".join(sock.getsockname()[0] for sock in sockets)
        log.warning("the name has an address that this machine lacks", name=address.host, listened=listened)
    return sockets


def _in_file(path: Path) -> socket.socket:
    """Listen on a socket in the file system, which its owner and group may use.

    Raises:
        OSError: The path cannot be used, or another program listens there.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a program that ended without doing so."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(LOOK_SECONDS)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except (BlockingIOError, TimeoutError):
            pass  # it has a queue of clients
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


# --- names -----------------------------------------------------------------------------------------------------------


def own_names(options: ServeOptions, resolving: str) -> frozenset[str]:
    """Return the host names at which this machine is reached, in lower case; `.NAME` stands for all that end in it.

    Args:
        options: The flags.
        resolving: The text of /etc/resolv.conf.
    """
    addresses = [address for address in options.web_listen_address if isinstance(address, Address)]
    names = {socket.gethostname(), *(address.host or "" for address in addresses)}
    if options.web_external_url is not None:
        names.add(urlsplit(options.web_external_url).hostname or "")
    for line in resolving.splitlines():
        keyword, *domains = line.split() or [""]
        if keyword in ("search", "domain"):
            names.update(f".{domain.strip('.')}" for domain in domains if "." in domain.strip("."))
            # A pod's first search domain is NAMESPACE.svc.CLUSTER, and its services are called SERVICE.NAMESPACE, too.
            names.update(f".{domain.partition('.')[0]}" for domain in domains if ".svc." in domain)
    # An address needs no name, and another program may listen there, too.
    return frozenset(name.lower() for name in names if name and not is_address(name))


def resolv_conf() -> str:
    """Return the text of /etc/resolv.conf, empty where there is none."""
    try:
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
