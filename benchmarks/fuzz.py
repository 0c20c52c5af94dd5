"""`python -m benchmarks.fuzz [SECONDS]`: coverage-guided bytes through every parser that reads what a cloud sent.

It needs atheris (`pip install atheris`), which has wheels for Linux on some Python versions only; the same promise is
held by `tests/hostile` everywhere. A parser may answer, or refuse in one of the three ways that it has; anything else
ends the run with the input that did it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile

from benchmarks.clouds import watched
from exporter.model import Answer, Reply
from exporter.providers import all_providers
from exporter.providers.interface import Callback, Malformed, NoEnvelope, Page, ProviderError, Refused

STATUSES = (200, 200, 200, 302, 400, 403, 429, 500)
ALL = [watched(name) for name in all_providers()]


def one_input(data: bytes) -> None:
    """Read bytes as an answer, as a page of each list, and as a callback of each cloud."""
    if len(data) < 2:
        return
    provider, account, stream = ALL[data[0] % len(ALL)]
    reply = Reply(STATUSES[data[1] % len(STATUSES)], {"content-type": "application/json"}, data[2:])
    with contextlib.suppress(ProviderError, NoEnvelope, Malformed):
        if (single := provider.single) is not None:
            assert isinstance(single.read(account, stream, single.ask(account, stream), reply), Answer)
    for listing in (*provider.listings, *provider.figures):
        with contextlib.suppress(ProviderError, NoEnvelope, Malformed):
            scope = listing.scope(account, stream) or ""
            assert isinstance(listing.read(account, scope, listing.ask(account, scope, 1), reply), Page)
    if provider.callbacks is not None:
        received = Callback(provider.callbacks.method, "host", {}, {"action": "publish"}, data[2:])
        with contextlib.suppress(Refused):
            provider.callbacks.verify(account, "made-up-key", received, 1_800_000_000.0)


def main() -> int:
    """Fuzz for some seconds, a minute by default."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as corpus:
        seeds = (
            b'{"Code":0,"Message":"ok","RequestId":"1","Data":{"create_time":"1673334117","close_time":""}}',
            b'{"Response":{"StreamState":"active","RequestId":"1"}}',
            b'{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"1"}}',
            b'{"Response":{"StreamInfoList":[{"StreamName":"one","BackupList":[{"DomainName":"d","AppName":"a","MasterFlag":1}]}]}}',
            b'{"StreamState":"online","Type":"push","RequestId":"1"}',
            b'{"OnlineInfo":{"LiveStreamOnlineInfo":[{"AppName":"a","StreamName":"s"}]},"TotalPage":1}',
            b'{"ResponseMetadata":{"RequestId":"1"},"Result":{"StreamStates":[{"MediaType":"Audio","State":1}]}}',
            b'{"total_num":1,"request_id":"1","streams":[{"publish_domain":"push.example","app":"live","stream":"one"}]}',
            b'{"event":"stream_create","timestamp":"1800000000","nonce":"1","signature":"x","appid":"1234567890"}',
        )
        for number, seed in enumerate(seeds):
            for kind in range(len(ALL)):
                with open(f"{corpus}/{number}-{kind}", "wb") as file:
                    file.write(bytes((kind, 0)) + seed)
        atheris.Setup([sys.argv[0], corpus, f"-max_total_time={seconds}", "-max_len=65536"], one_input)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
