"""Look-ups that hang: nobody waits for them, neither another call nor the exit."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time

import pytest

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.transport import Transport
from exporter.transport.resolver import MOST_LOOK_UPS, Resolver
from tests.credentials.test_bad_moments import no_threads

EXIT = """
import asyncio, threading
from exporter.providers.interface import TransportError
from exporter.transport import Transport

async def main():
    async with Transport(look_up=lambda host, port, family: threading.Event().wait()) as transport:
        try:
            await transport.connect("https://cloud.example", 0.1)
        except TransportError as error:
            print(error.reason, flush=True)

asyncio.run(main())
"""


def test_a_look_up_that_hangs_does_not_hold_the_exit() -> None:
    """The process ends though the system never answers; Python's own pools would be joined."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "timeout\n"
    assert time.monotonic() - started < 30


def test_look_ups_that_hang_are_not_piled_up() -> None:
    """After so many without an end the next fails at once, and they are free again when the system answers."""

    async def main() -> None:
        answer = threading.Event()

        def look_up(_host: str, port: int, _family: int) -> list[tuple[object, ...]]:
            answer.wait()
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        resolver = Resolver(look_up)
        waiting = [asyncio.create_task(resolver.resolve("cloud.example", 80)) for _ in range(MOST_LOOK_UPS)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="have not ended"):
            await resolver.resolve("cloud.example", 80)
        waiting.pop().cancel()
        answer.set()
        found = await asyncio.gather(*waiting)
        assert [one[0]["host"] for one in found] == ["127.0.0.1"] * (MOST_LOOK_UPS - 1)
        assert (await resolver.resolve("cloud.example", 80))[0]["port"] == 80

    asyncio.run(main())


def test_no_thread_to_spare_is_over_when_there_is_one() -> None:
    """A look-up that could not even begin is not counted as one that hangs."""

    def look_up(_host: str, port: int, _family: int) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def main() -> None:
        resolver = Resolver(look_up)
        with no_threads():
            for _ in range(MOST_LOOK_UPS + 1):
                with pytest.raises(OSError, match="no thread can be started"):
                    await resolver.resolve("cloud.example", 80)
        assert (await resolver.resolve("cloud.example", 80))[0]["port"] == 80

    asyncio.run(main())


def test_a_name_that_is_not_found_is_reason_dns() -> None:
    """What the system says of a name becomes our reason, without the name."""

    def look_up(host: str, _port: int, _family: int) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host}")

    async def main() -> TransportError:
        async with Transport(look_up=look_up) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.connect("https://secret.example", 5)
            return caught.value

    error = asyncio.run(main())
    assert error.reason is Reason.DNS
    assert "secret" not in error.message
