"""Accepts connections where asyncio's own server says too little: over TLS, and on sockets in the file system."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from exporter.serving.sending import SERVER
from exporter.serving.waiting import client_network

log = structlog.get_logger("web")

HANDSHAKE_SECONDS: Final = 10.0
LINGER_SECONDS: Final = 1.0
REST_SECONDS: Final = 1.0
"""How long nothing is accepted after the machine has run out of descriptors or memory."""
LOG_SECONDS: Final = 60.0
MOST_LINES: Final = 10
"""Lines about failed handshakes in so many seconds."""

# OpenSSL's reasons where a request came instead of a handshake.
PLAIN_HTTP: Final = frozenset(("HTTP_REQUEST", "HTTPS_PROXY_REQUEST"))
_ADVICE: Final = b"This port speaks TLS; use https://\n"
REFUSAL: Final = (
    b"HTTP/1.1 400 Bad Request\r\nServer: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (SERVER.encode(), len(_ADVICE), _ADVICE)
)


class Failures:
    """Logs TLS handshakes that failed: of each client and reason once a minute, and not too many lines."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._until = float("-inf")
        self._told: set[tuple[str, str]] = set()
        self._untold = 0

    def tell(self, client: str, reason: str) -> None:
        """Take one of them."""
        now = self._mono()
        if now >= self._until:
            self._until = now + LOG_SECONDS
            self._told.clear()
        if (client, reason) in self._told or len(self._told) >= MOST_LINES:
            self._untold += 1
            return
        self._told.add((client, reason))
        log.warning("TLS handshake failed", client=client, reason=reason, untold=self._untold or None)
        self._untold = 0


class Listener:
    """Accepts connections on a socket until it is closed; closes the socket then.

    Args:
        sock: It listens.
        protocol: Returns the protocol for a new connection.
        tls: The context for a new connection; None for plain HTTP.
        failures: Told of handshakes that fail.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
        failures: Failures,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._protocol = protocol
        self._tls = tls
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())
        self._accepting.add_done_callback(lambda _: sock.close())

    def close(self) -> None:
        """Accept no more connections, and drop those that have not shaken hands yet."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                connection, peer = await self._loop.sock_accept(self._sock)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._complain(error)
                await asyncio.sleep(REST_SECONDS)
                continue
            task = self._loop.create_task(self._welcome(connection, peer))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def _complain(self, error: OSError) -> None:
        self._loop.call_exception_handler({"message": "a connection cannot be accepted", "exception": error})

    async def _welcome(self, connection: socket.socket, peer: Any) -> None:
        """Shake hands, where TLS is spoken, and hand the connection to its protocol."""
        try:
            # asyncio closes a connection whose handshake fails; by a second descriptor it can still be answered.
            second = connection.dup()
        except OSError as error:
            connection.close()
            self._complain(error)
            return
        with second:
            try:
                await self._loop.connect_accepted_socket(
                    self._protocol,
                    connection,
                    ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_SECONDS,
                )
            except ssl.SSLError as error:
                self._failures.tell(_client(peer), (error.reason or "unknown").lower().replace("_", " "))
                if error.reason in PLAIN_HTTP:
                    await self._refuse(second)
            except ConnectionAbortedError:
                self._failures.tell(_client(peer), f"not complete within {HANDSHAKE_SECONDS:.0f} s")
            except OSError:
                # The client has left, as a load balancer does that only wants to see whether the port is open.
                pass

    async def _refuse(self, connection: socket.socket) -> None:
        """Tell a client without TLS what is wrong, and let it read that: unread bytes of its own would cut it short."""
        with suppress(OSError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._loop.sock_sendall(connection, REFUSAL)
                connection.shutdown(socket.SHUT_WR)
                while await self._loop.sock_recv(connection, 1 << 16):
                    pass


def _client(peer: Any) -> str:
    return client_network(peer[0]) if isinstance(peer, tuple) else ""
