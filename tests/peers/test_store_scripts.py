"""The scripts on real servers do what their model does, on which the quota is proved in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.config.store import parse_store
from exporter.rounds.shared_pace import CURVE
from exporter.store.client import HEARTBEAT
from exporter.store.connection import Dialer, Link
from exporter.store.quota import RESERVE, SLOW
from exporter.store.scripts import script
from testbed.store_model import SECOND, WINDOW, Keys
from testbed.stores import KINDS, executable, store
from tests.deploy.tools import missing

# In place of the file that asks the server's clock: the last argument is the time.
TOLD = "local now = tonumber(table.remove(ARGV))"
REAL = {one.digest: script(name, TOLD) for name, one in (("beat", HEARTBEAT), ("reserve", RESERVE), ("slow", SLOW))}
START = 1_800_000_000 * SECOND
KEYS = ["boot", "members", "most", "slots", "sequence"]
GROWING = [CURVE.level, CURVE.growth, CURVE.lull * SECOND, CURVE.forget * SECOND]

Step = tuple[str, float, int, int, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["beat", "beat", "alone", "reserve", "reserve", "reserve", "jumped", "slow"]),
        st.sampled_from([-2.0, 0.0, 0.001, 0.2, 0.6, 1.0, 1.0, 2.5, 4.0, 11.0, 61.0]),
        st.integers(0, 2),
        st.integers(1, 40),
        st.sampled_from(["one", "one", "one", "one", "two", ""]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module", params=KINDS)
def link(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a runner of an event loop and a connection to a server."""
    program = executable(request.param)
    if program is None:
        missing(f"{request.param}-server", "apt-get install redis-server, or make .venv/.development")
    with store(str(program), tmp_path_factory.mktemp("store")) as server, asyncio.Runner() as runner:
        made = runner.run(Dialer(parse_store(server.url))())
        yield runner, made
        runner.run(made.close())


def asked(step: Step, now: int, rate: float, last: tuple[int, int]) -> tuple[str, list[str], list[str]]:
    """Return digest, keys and arguments of a step."""
    kind, _, who, want, server = step
    if kind in ("beat", "alone"):
        sent = 0 if kind == "alone" else now - (who * SECOND // 3)
        return HEARTBEAT.digest, KEYS[:3], [server, "0", f"m{who}", str(sent)]
    if kind == "slow":
        numbers = [now - want * 10_000, want * 30_000, rate, rate / 32, SECOND, CURVE.level, CURVE.growth, CURVE.cut]
        return SLOW.digest, [KEYS[0], KEYS[3]], [server, "0", *map(str, numbers)]
    most, window = max(1, int(rate)), round(WINDOW * max(1.0, 1 / rate))
    numbers = [*last, want, most, window, 2, *GROWING]
    return (
        RESERVE.digest,
        KEYS,
        [server, str(int(kind == "jumped")), f"m{who}", *(str(round(n) if n == round(n) else n) for n in numbers)],
    )


async def compared(link: Link, steps: list[Step], rate: float) -> None:
    """Run the same steps on both."""
    await link.ask("FLUSHALL")
    held, now, last = Keys(), START, (0, 0)
    for step in steps:
        now += round(step[1] * SECOND)
        digest, keys, args = asked(step, now, rate, last)
        real = await link.ask("EVAL", REAL[digest].text, len(keys), *keys, *args, str(now))
        assert real == held.execute(digest, now, keys, args), step
        if digest == RESERVE.digest and real[4]:
            last = real[2] + (real[4] - 1) * real[3], real[5]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, rate=st.sampled_from([0.7, 1.0, 3.0, 20.0, 333.3]))
def test_the_model_answers_as_the_server_does(link: Any, steps: list[Step], rate: float) -> None:
    """Each reply is the same, to the last digit."""
    runner, connection = link
    members: list[Step] = [("beat", 0.0, 0, 1, "one"), ("beat", 0.0, 1, 1, "one"), ("reserve", 0.5, 0, 1, "one")]
    later: list[Step] = [("beat", 1.0, 0, 1, "one"), ("beat", 1.0, 0, 1, "one"), ("reserve", 0.1, 0, 9, "one")]
    runner.run(compared(connection, [*members, *later, *steps], rate))


def test_every_key_of_the_scripts_expires(link: Any, tmp_path: Path) -> None:
    """Whatever they leave behind is gone a day later at most."""
    runner, connection = link

    async def main() -> None:
        steps: list[Step] = [("beat", 0.0, 0, 1, "one"), ("beat", 1.0, 0, 1, "one"), ("reserve", 0.1, 0, 9, "one")]
        await compared(connection, [*steps, *steps, ("slow", 0.1, 0, 1, "one"), *steps], 20.0)
        for key in await connection.ask("KEYS", "*"):
            assert 0 < await connection.ask("TTL", key) <= 86400, key

    runner.run(main())
