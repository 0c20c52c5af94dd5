"""Providers that cost next to nothing: one constant answer to every call, or none; and the exporter's configuration."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from testbed.processes import module

NOWHERE = "http://127.0.0.1:9"

BODY = b'{"Response":{"StreamState":"active","RequestId":"8e50cdb5-56dc-408b-89b0-31818958d424"}}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    + str(len(BODY)).encode()
    + b"\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
    + BODY
)


class Provider(asyncio.Protocol):
    """Answers each request after a delay; remembers when the last ones came, for windows of one second."""

    arrivals: list[float] = []  # noqa: RUF012 - one list for all connections

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get /busiest"):
            body = str(busiest(self.arrivals)).encode()
            self.arrivals.clear()
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
            return
        self.arrivals.append(time.monotonic())
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._write, ANSWER)
        else:
            self._write(ANSWER)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def busiest(times: list[float]) -> int:
    """Return the most arrivals in any window of one second, its end left out."""
    most, start = 0, 0
    ranked = sorted(times)
    for end, time_ in enumerate(ranked):
        while time_ - ranked[start] >= 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most


async def serve(delay: float) -> None:
    """Serve until the process ends; say the address first."""
    server = await asyncio.get_running_loop().create_server(lambda: Provider(delay), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def running(delay: float = 0.0) -> contextlib.AbstractContextManager[str]:
    """Run the provider in another process; yields its address."""
    return module("testbed.provider", "--delay", str(delay))


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """Run a provider that accepts and never answers; yields its address."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled when the block is over, it ends like any other: a stream's task may not be cancelled.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0, backlog=1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def tencent(endpoint: str, streams: int, *, reuse: str = "0s", timeout: str = "10s", **fields: Any) -> dict[str, Any]:
    """Return a configuration of one Tencent account that asks for each stream singly, without a quota to speak of."""
    account = {
        "name": "main",
        "provider": "tencent",
        "secret_id": "an-id",
        "secret_key": "made-up-secret",
        "endpoint": endpoint,
        "timeout": timeout,
        "concurrency": 64,
        "plan": "single",
        "figures": False,
        "quota": {"DescribeLiveStreamState": 1_000_000},
        **fields,
    }
    named = [f"stream-{number:05d}" for number in range(streams)]
    return {
        "scrape": {"reuse": reuse, "timeout": "30s", "max_age": "1h"},
        "accounts": [account],
        "streams": [{"names": named, "account": "main", "domain": "push.example"}],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args().delay))
