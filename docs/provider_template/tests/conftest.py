"""A fake Toy Cloud on loopback: it verifies the seal as the real one does, and answers what a test says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

KEY = b"made-up-key"
SECONDS = 60


@dataclass
class ToyCloud:
    """The fake: which toys play, and what was asked."""

    url: str = ""
    playing: set[str] = field(default_factory=set)
    now: float = 0.0  # Unix seconds by its clock; 0: it does not look
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str]) -> dict[str, Any]:
        """Return the answer to a request."""
        (toy,) = parse_qs(urlsplit(path).query).get("toy", [""])
        self.asked.append(toy)
        seal = re.search(r'seal="(.*)"', headers.get("x-toy-seal", ""))
        stamps = {int(self.now) + late for late in range(-SECONDS, SECONDS)}
        right = {
            base64.b64encode(hmac.digest(KEY, f"{toy}{stamp}".encode(), hashlib.sha256)).decode() for stamp in stamps
        }
        if seal is None or seal[1] not in right:
            return {"broken": "toy_seal", "why": "the seal is wrong", "ticket": "t-1"}
        return {"playing": toy in self.playing, "ticket": "t-2"}


@pytest.fixture
def cloud() -> Iterator[ToyCloud]:
    """A fake that runs while a test does."""
    fake = ToyCloud()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = fake.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()
