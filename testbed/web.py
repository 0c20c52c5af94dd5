"""HTTP on loopback: answers fetched past any proxy, a client below HTTP, and a server in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, Request, build_opener

from testbed.processes import Server

opened = build_opener(ProxyHandler({})).open


def fetch(address: str, body: object = None) -> str:
    """Return the answer to a GET, or to a POST of `body` as JSON, whatever proxy the environment names."""
    data = None if body is None else json.dumps(body).encode()
    with opened(Request(address, data, {"Content-Type": "application/json"}), timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def answers(address: str) -> bool:
    """Whether a GET is answered with success by now."""
    try:
        fetch(address)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to `served`."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Asked], tuple[Mapping[str, str], bytes]]


@contextlib.contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve in threads on loopback, every answer with 200, its headers and its body; yields HOST:PORT."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers, body = answer(Asked(self.path, dict(self.headers), sent))
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the base class calls it so

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def exchange(server: Server, data: bytes, seconds: float = 30.0, source: str = "127.0.0.1") -> bytes:
    """Send bytes from an address of ours; return all that comes back until the server closes or time is over."""
    reader, writer = await asyncio.open_connection(server.host, server.port, local_addr=(source, 0))
    received = b""
    try:
        writer.write(data)
        async with asyncio.timeout(seconds):
            while part := await reader.read(65536):
                received += part
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return received


def request(path: str = "/metrics", *headers: str, method: str = "GET", close: bool = True) -> bytes:
    """Return a request's bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: exporter", *headers, *(["Connection: close"] if close else [])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def status(answer: bytes) -> int:
    """Return the status of an answer, 0 where there is none."""
    words = answer.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def whole(answer: bytes) -> bool:
    """Whether an answer has status 200 and all of its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return status(answer) == 200 and len(lengths) == 1 and int(lengths[0].split(b":")[1]) == len(body)
