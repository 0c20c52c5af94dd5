"""A provider that costs next to nothing: one constant Tencent answer to every call, in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Return the most arrivals in any window of one second."""
    most, start = 0, 0
    for end, time_ in enumerate(times):
        while time_ - times[start] >= 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most


async def serve(delay: float) -> None:
    """Serve until the process ends; say the port first."""
    server = await asyncio.get_running_loop().create_server(lambda: Provider(delay), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running(delay: float = 0.0) -> Iterator[str]:
    """Run the provider in another process; yield its address."""
    with at_work("benchmarks.provider", "--delay", str(delay)) as url:
        yield url


@contextmanager
def at_work(module: str, *arguments: str) -> Iterator[str]:
    """Run a module that prints its port first and serves; yield its address."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args().delay))
