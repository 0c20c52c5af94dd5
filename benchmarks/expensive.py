"""`python -m benchmarks.expensive [NAME ...]`: answers that cost much to read, from four clouds at once.

A hostile server gives the same answer to every call of four accounts, 32 in flight each, for lists and single streams;
beside them an honest account is asked. Each kind of answer has a process of its own, so that its memory can be told.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.rounds import keys
from exporter import providers
from exporter.config import Config, Scrape
from exporter.model import Account, Stream
from exporter.serving.reload import freeze_objects
from exporter.serving.service import Service, system_clock
from testbed import provider
from testbed.processes import module

MIB = 1 << 20
EACH = 32  # streams of each hostile account, and its calls in flight
HONEST = 100
ROUNDS, ROUND_SECONDS = 2, 4.0


def _rows(count: int) -> bytes:
    """Return a page that both Alibaba and Tencent might send; nobody watches its rows."""
    rows = [
        {"StreamName": f"stream-{n:06d}", "PublishTimeList": [{"PublishTime": "2026-06-29T19:00:00Z"}],
         "AppName": "live", "DomainName": "push.example", "PublishTime": "2026-06-29T19:00:00Z"}
        for n in range(count)
    ]  # fmt: skip
    totals = {"TotalNum": count * 1000, "TotalPage": 1000, "RequestId": "r"}
    return json.dumps(
        {"Response": {"OnlineInfo": rows, **totals}, "OnlineInfo": {"LiveStreamOnlineInfo": rows}, **totals}
    ).encode()


def _names(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":""' % n for n in range(count)) + b"}"


def _wide(sign: str, mebibytes: int) -> bytes:
    return json.dumps({"Message": sign + "x" * (mebibytes * MIB - 64)}, ensure_ascii=False).encode()


def _packed(body: bytes) -> tuple[bytes, bytes]:
    return gzip.compress(body, 6), b"gzip"


def _error(text: str) -> dict[str, Any]:
    error = {"Code": "InternalError", "Message": text}
    return {"Response": {"Error": error}, "ResponseMetadata": {"Error": error}, **error}


KINDS: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "a small one, for comparison": lambda: (b"{}", b""),
    "objects, 16 MiB in gzip": lambda: _packed(b'{"a":{}}' * (2 * MIB)),
    "objects, 4 MiB in gzip": lambda: _packed(b"[" + b'{"a":{}},' * (4 * MIB // 9 - 1) + b"{}]"),
    "objects, 1 MiB": lambda: (b"[" + b"{}," * (MIB // 3 - 1) + b"{}]", b""),
    "objects, 4 MiB": lambda: (b"[" + b"{}," * (4 * MIB // 3 - 1) + b"{}]", b""),
    "lists within lists": lambda: (b"[" * MIB, b""),
    "as many names as are allowed": lambda: _packed(_names(119_000)),
    "as many objects as are allowed": lambda: _packed(b"[" + b'{"a":{}},' * 47_000 + b"{}]"),
    "numbers of 4,000 digits": lambda: _packed(b"[" + b",".join([b"9" * 4000] * 1000) + b"]"),
    "a text with 2 million escapes": lambda: _packed(b'"' + b"\\n" * (2 * MIB - 8) + b'"'),
    "an emoji and 3 MiB": lambda: _packed(_wide("😀", 3)),
    "a Chinese sign and 6 MiB": lambda: _packed(_wide("直", 6)),
    "an error's text of 1 MiB": lambda: (json.dumps(_error("rtmp://" + "token=a:" * (MIB // 8 - 64))).encode(), b""),
    "an error's text of 30 KiB": lambda: (json.dumps(_error("A" * (30 << 10))).encode(), b""),
    "4,000 empty members": lambda: (gzip.compress(b"{}") + gzip.compress(b"") * 4000, b"gzip"),
    "pages with rows of nobody": lambda: _packed(_rows(3000)),
}  # fmt: skip
"""Each kind of answer: its body as it is sent, and its Content-Encoding."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of answer did.

    Attributes:
        held: The longest time for which the event loop was late, in seconds.
        grown: The most memory above that before, in MiB.
        late: How much later than its deadline the latest round ended, in seconds.
        lost: Honest streams that a round left without an answer.
        calls: Calls that the hostile server answered.
    """

    kind: str
    held: float
    grown: float
    late: float
    lost: int
    calls: int

    @property
    def kept(self) -> bool:
        """Whether all that is promised holds."""
        return self.held <= 0.05 and self.grown <= 64 and self.late <= 0.1 and not self.lost and self.calls >= 4


# --- the hostile server -----------------------------------------------------------------------------------------------


async def _serve(kind: str) -> None:
    body, encoding = KINDS[kind]()
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    if encoding:
        lines.append(b"Content-Encoding: " + encoding)
    provider.ANSWER = b"\r\n".join(lines) + b"\r\n\r\n" + body
    await provider.serve(0.0)


# --- the exporter -----------------------------------------------------------------------------------------------------


def watching(hostile_at: str, honest_at: str) -> Config:
    """Return a configuration of four accounts at the hostile server and one at the honest."""
    found = providers.all_providers()
    accounts: list[Account] = []
    streams: list[Stream] = []

    def watch(
        cloud: str, name: str, endpoint: str, plan: str, count: int, account: dict[str, Any], **fields: Any
    ) -> None:
        rates = dict.fromkeys(found[cloud].apis(), 1000.0)
        accounts.append(
            found[cloud].account(name=name, provider=cloud, endpoint=endpoint, plan=plan, figures=False, timeout="10s",
                                 concurrency=EACH, quota=rates, **account)
        )  # fmt: skip
        for n in range(count):
            own = {key: value.format(n=n) if isinstance(value, str) else value for key, value in fields.items()}
            streams.append(found[cloud].stream(name=f"{name}-{n}", account=name, **own))

    watch("alibaba", "alibaba", hostile_at, "list", EACH, {}, domain="push{n}.example", app="live",
          streaming_domain="live{n}.example")  # fmt: skip
    watch(
        "tencent", "tencent", hostile_at, "list", EACH, {"region": "ap-guangzhou"}, domain="push{n}.example", inputs=1
    )
    watch("volcengine", "volcengine", hostile_at, "list", EACH, {"app_id": "a"}, room_id="room{n}")
    watch("zego", "zego", hostile_at, "single", EACH, {"app_id": 1})
    watch("tencent", "honest", honest_at, "single", HONEST, {}, domain="push.example")
    return Config(Scrape(10.0, 0.0, 120.0), tuple(accounts), tuple(streams))


def _status(name: str) -> float:
    """Return a figure of this process from the kernel, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _forget_peak() -> float:
    """Have the kernel count the peak of memory from now on; return what is used, in MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


async def _ticks(late: list[float]) -> None:
    while True:
        due, used = time.monotonic() + 0.002, time.process_time()
        await asyncio.sleep(0.002)
        # What other processes take from this one is no hold: it then uses no time of the processor.
        late.append(min(time.monotonic() - due, time.process_time() - used))


async def measured(kind: str, hostile_at: str, honest_at: str) -> Figures:
    """Ask a few rounds; the first that is honest alone is not counted."""
    async with Service(watching(hostile_at, honest_at), providers.all_providers(), system_clock(), keys) as service:
        freeze_objects()  # as `serve` does
        prober = service.prober.accounts["honest"]
        await service.refresh(time.monotonic() + ROUND_SECONDS, prober)
        before = _forget_peak()
        late: list[float] = []
        watcher = asyncio.create_task(_ticks(late))
        overdue, lost = 0.0, 0
        for number in range(1 + ROUNDS):
            if number == 1:
                # Opening hundreds of connections has held the loop by now, whatever came over them.
                late.clear()
            started = time.monotonic()
            await service.refresh(started + ROUND_SECONDS)
            overdue = max(overdue, time.monotonic() - started - ROUND_SECONDS)
            honest = [record for record in service.board if record.stream.account == "honest"]
            lost += sum(not (record.succeeded and record.tried >= started) for record in honest)
        watcher.cancel()
        calls = sum(count for key, count in service.counters.responses.items() if key[1] != "honest")
        calls += sum(count for key, count in service.counters.errors.items() if key[1] != "honest")
        return Figures(kind, max(late), _status("VmHWM") - before, overdue, lost, calls)


def alone(kind: str) -> Figures:
    """Measure one kind in a process of its own."""
    with module("benchmarks.expensive", "--serve", kind) as hostile_at, provider.running(0.02) as honest_at:
        command = [sys.executable, "-m", "benchmarks.expensive", "--measure", kind, hostile_at, honest_at]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.expensive", allow_abbrev=False)
    parser.add_argument("name", nargs="*", help="which kinds; all by default")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve(options.serve))
    elif options.measure:
        print(json.dumps(asdict(asyncio.run(measured(*options.measure)))))
    else:
        table = Table("answer", "loop held", "memory", "late", "honest lost", "calls", "")
        found = [alone(kind) for kind in options.name or KINDS]
        for one in found:
            table.add_row(
                one.kind, f"{one.held * 1e3:.0f} ms", f"{one.grown:.1f} MiB", f"{one.late * 1e3:.0f} ms", str(one.lost),
                str(one.calls), "kept" if one.kept else "BROKEN",
            )  # fmt: skip
        Console(width=120).print(table)
        return 0 if all(one.kept for one in found) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
