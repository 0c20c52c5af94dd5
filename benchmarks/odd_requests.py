"""Requests that no well-behaved client sends, and what must not come of them."""

from __future__ import annotations

import time

from benchmarks.finding import Finding
from testbed.processes import Server, exporter
from testbed.provider import NOWHERE, tencent
from testbed.web import exchange, request, status, whole

ODD_TIMEOUTS = (
    "NaN",
    "Inf",
    "-Inf",
    "0.4",
    "abc",
    "-1",
    "1e308",
    "1e999",
    "",
    "0",
    "0x10",
    "1_0",
    "９",
    "10, 10",
    "1e-9",
)
ODD_HEADERS = (
    "Accept: \x00", "Accept: ;;;q=,=,,", "Accept: */*;q=9e999", "Accept: " + "a/b," * 1500,
    "Accept: application/openmetrics-text; version=99", "Accept: application/openmetrics-text;version=1.0.0;q=nan",
    "Accept: \xff\xfe", "Accept-Encoding: gzip;q=abc", "Accept-Encoding: ,,;", "Accept-Encoding: gzip;q=0, *;q=1",
    "Accept-Encoding: \xe9", "Accept-Encoding: zstd, br, identity;q=0", "Cookie: " + "x" * 7000, "Range: bytes=5-1",
    "If-None-Match: *", "If-Modified-Since: never", "Host: other", "Connection: upgrade", "Upgrade: websocket",
)  # fmt: skip


async def odd_requests() -> list[Finding]:
    """What no well-behaved client sends: never an answer of 5xx, never a process that ends."""
    with exporter(tencent(NOWHERE, 3)) as server:
        lines = [f"X-Prometheus-Scrape-Timeout-Seconds: {value}" for value in ODD_TIMEOUTS]
        timed = [await _timed(server, line.encode("utf-8").decode("latin-1")) for line in lines]
        twice = await _timed(server, "X-Prometheus-Scrape-Timeout-Seconds: 1", "X-Prometheus-Scrape-Timeout-Seconds: x")
        answers = [status(await exchange(server, request("/metrics", line), 10)) for line in ODD_HEADERS]
        crooked = {name: await exchange(server, data, 3) for name, data in CROOKED.items()}
        calm = whole(await exchange(server, request()))
    smuggled = [
        name for name, answer in crooked.items() if name.startswith("smuggled") and answer.count(b"HTTP/1.") > 1
    ]
    failed = [name for name, answer in crooked.items() if status(answer) >= 500]
    codes = {name: status(answer) for name, answer in crooked.items()}
    servers = {line for answer in crooked.values() for line in answer.partition(b"\r\n\r\n")[0].splitlines()
               if line.lower().startswith(b"server:")}  # fmt: skip
    bad_times = [good for good, _ in (*timed, twice)].count(False)
    return [
        Finding(f"{len(timed) + 1} odd scrape timeouts are answered with 200", f"{bad_times} were not", not bad_times),
        Finding("odd Accept, Accept-Encoding and others are never a 5xx", str(sorted(set(answers))),
                0 not in answers and max(answers) < 500),
        Finding("crooked requests are refused or answered, never a 5xx", f"{failed or codes}", not failed and calm),
        Finding("no second request hides in a first one's body", str(smuggled or 0), not smuggled),
        Finding("HTTP/1.0 is answered and closed", f"HTTP {codes['HTTP/1.0']}", whole(crooked["HTTP/1.0"])),
        Finding("no answer names a version of what it runs on", str(b", ".join(sorted(servers)).decode()),
                servers == {b"Server: stream-exporter"}),
        Finding("Expect: 100-continue is answered", str(crooked["expect"].split(b"\r\n", 1)[0].decode()),
                b" 200 OK" in crooked["expect"]),
    ]  # fmt: skip


async def _timed(server: Server, *lines: str) -> tuple[bool, float]:
    started = time.monotonic()
    answer = await exchange(server, request("/metrics", *lines), 20)
    return whole(answer), time.monotonic() - started


_HIDDEN = b"GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n"
CROOKED = {
    "HTTP/1.0": b"GET /metrics HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /metrics\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "no host": b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "expect": request("/-/healthy", "Expect: 100-continue"),
    "odd expect": request("/-/healthy", "Expect: a-pony"),
    "huge header": request("/metrics", "X-Big: " + "x" * 100_000),
    "many headers": request("/metrics", *(f"X-{number}: y" for number in range(20_000))),
    "huge path": request("/" + "x" * 100_000),
    "folded header": b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n",
    "bare line feeds": b"GET /metrics HTTP/1.1\nHost: a\nConnection: close\n\n",
    "NUL": b"GET /metrics\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute": b"GET http://elsewhere/metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "connect": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "bad escape": request("/probe?target=%ff%zz%00&account=%"),
    "dots": request("/static/../../etc/passwd"),
    "escaped dots": request("/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    "garbage": bytes(range(256)) * 8,
    "smuggled: length and chunked": (
        b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _HIDDEN
    ),
    "smuggled: two lengths": (
        b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 42\r\n\r\n" + _HIDDEN
    ),
    "smuggled: odd encoding": (
        b"POST /-/reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 42\r\n\r\n" + _HIDDEN
    ),
    "smuggled: signed length": b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n" + _HIDDEN,
    "smuggled: space before colon": b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n" + _HIDDEN,
}  # fmt: skip
