"""Where answers are read: small ones on the event loop, others aside, and each is let go whatever comes of it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from exporter.model import Reason, Reply, Request
from exporter.providers.document import CHEAP_BYTES
from exporter.providers.interface import Malformed
from exporter.providers.reading import as_integer, check_echo, page_count, unix_seconds
from exporter.rounds.planning import PLANNED_AT_ONCE
from exporter.rounds.prober import Prober
from exporter.transport.aside import Reader
from tests.virtual import Network, account, account_prober, params, prober, reply, run, streams

SMALL = reply({"Response": {"StreamState": "active", "RequestId": "r-1"}})
LARGE = reply({"Response": {"StreamState": "active", "RequestId": "r-1", "More": "x" * CHEAP_BYTES}})
HUGE = SMALL._replace(body=b'{"a":{}},' * 100_000)


class Counted:
    """An `aside` that counts what it is given."""

    def __init__(self) -> None:
        self.works = 0

    async def __call__(self, work: Callable[[], Any]) -> Any:
        """Do the work here and now."""
        self.works += 1
        return work()


async def asked(answer: Reply) -> tuple[Prober, int, list[Reply]]:
    """Ask for one stream; return the prober, how many pieces of work went aside, and which answers were let go."""
    released: list[Reply] = []

    async def behave(_provider: str, _request: Request) -> Reply:
        return answer._replace(release=lambda: released.append(answer))

    made = prober(Network(behave), [account()], streams(1))
    made.shared.aside = aside = Counted()
    loop = asyncio.get_running_loop()
    await made.refresh(loop.time() + 9, loop.time())
    return made, aside.works, released


@pytest.mark.parametrize(("answer", "aside"), [(SMALL, 0), (LARGE, 1), (HUGE, 1)], ids=["small", "large", "huge"])
def test_only_small_answers_are_read_on_the_loop(answer: Reply, aside: int) -> None:
    """Size decides where an answer is read; each is released once, valid or not."""

    async def main() -> None:
        made, works, released = await asked(answer)
        (record,) = made.shared.board
        assert (works, released) == (aside, [answer])
        if answer is HUGE:
            assert record.fault is not None
            assert record.fault.reason is Reason.MALFORMED
            assert "more values than 2,000" in record.fault.message
        else:
            assert record.succeeded

    run(main())


@pytest.mark.parametrize("name", ["Code", "Message"])
def test_secrets_are_taken_out_of_long_texts_as_of_short_ones(name: str) -> None:
    """A code or message of a MiB is shown no further than a line, and nothing of the key in it."""
    error = {"Code": "Strange", "Message": "m", name: "made-up-secret " * 70_000}

    async def main() -> None:
        made, works, _ = await asked(reply({"Response": {"Error": error, "RequestId": "r"}}))
        (record,) = made.shared.board
        assert works == 1
        assert record.fault is not None
        assert record.fault.code == "other"
        assert "<secret>" in record.fault.message
        assert "made-up" not in record.fault.message
        assert len(record.fault.message) <= 128

    run(main())


@pytest.mark.parametrize("count", [10, PLANNED_AT_ONCE + 1])
def test_large_plans_are_made_aside_and_settle_the_same(count: int) -> None:
    """A list settles its streams wherever the plan is made, and sends the missing one to a single call."""

    async def behave(_provider: str, request: Request) -> Reply:
        found = params(request)
        if "StreamName" in found:
            return SMALL
        start = (found["PageNum"] - 1) * found["PageSize"]
        rows = [
            {"StreamName": f"s{number:05d}", "AppName": "live", "DomainName": "push.example"}
            for number in range(count - 1)
        ]
        listed, pages = rows[start : start + found["PageSize"]], -(-len(rows) // found["PageSize"])
        totals = {"TotalPage": pages, "TotalNum": len(rows)}
        return reply({"Response": {"OnlineInfo": listed, **totals, "RequestId": "r"}})

    async def main() -> None:
        network = Network(behave)
        made = prober(network, [account(plan="list")], streams(count))
        made.shared.aside = aside = Counted()
        loop = asyncio.get_running_loop()
        await made.refresh(loop.time() + 9, loop.time())
        assert all(record.succeeded for record in made.shared.board)
        assert (aside.works > 0) == (count > PLANNED_AT_ONCE)
        assert [name for name in network.per_stream() if name] == [f"s{count - 1:05d}"]
        assert account_prober(made).health.up

    run(main())


@pytest.mark.parametrize(
    ("found", "pages"),
    [
        ({"TotalPage": 3}, 3),
        ({"TotalPage": 1000, "TotalNum": 5}, 1),
        ({"TotalPage": 1000, "TotalNum": 201}, 3),
        ({"TotalPage": 2, "TotalNum": 1000}, 2),
        ({"TotalPage": 0, "TotalNum": 0}, 1),
        ({"TotalPage": -1}, 1),
        ({"TotalPage": 4, "TotalNum": "5"}, 4),
        ({"TotalPage": 4, "TotalNum": -5}, 4),
        ({"TotalPage": 4, "TotalNum": True}, 4),
    ],
)
def test_pages_are_no_more_than_the_total_fills(found: dict[str, Any], pages: int) -> None:
    """Of two contradictory figures, the one with fewer calls counts."""
    assert page_count(found, "TotalPage", "TotalNum", 100) == pages


def test_a_list_without_its_number_of_pages_is_malformed() -> None:
    """TotalPage is part of the answer, whatever the total says."""
    with pytest.raises(Malformed):
        page_count({"TotalNum": 5}, "TotalPage", "TotalNum", 100)


def test_the_reader_works_in_one_thread_without_the_collector() -> None:
    """All work is done in one thread that is not the loop's, in order; the garbage collector is on again afterwards."""

    async def main() -> None:
        reader = Reader()
        seen: list[tuple[int, str, bool]] = []

        def work(number: int) -> int:
            seen.append((number, threading.current_thread().name, gc.isenabled()))
            return number

        try:
            assert await asyncio.gather(*(reader(lambda n=n: work(n)) for n in range(5))) == list(range(5))  # type: ignore[misc]
        finally:
            reader.close()
        assert [number for number, _, _ in seen] == list(range(5))
        assert len({name for _, name, _ in seen}) == 1
        assert threading.current_thread().name not in {name for _, name, _ in seen}
        assert not any(enabled for _, _, enabled in seen)
        assert gc.isenabled()

    asyncio.run(main())


@pytest.mark.parametrize("field", ["First", "second", "third"])
def test_each_parameter_that_an_answer_repeats_is_compared(field: str) -> None:
    """One that is equal, missing or null hides no other that is not; names may be in any case."""
    asked: dict[str, str | int] = {"first": "a", "second": 2, "third": "c", "fourth": "d"}
    check_echo({"First": "a", "second": 2, "third": "c", "other": "x", "fourth": None}, asked)
    with pytest.raises(Malformed, match=f"^{field} names something other than what was asked for$"):
        check_echo({"fourth": None, "First": "a", "second": 2, "third": "c", field: "other"}, asked)


def test_numbers_at_their_limits() -> None:
    """Digits count up to nineteen and within 64 bits; a time is any after 0 that is no nonsense."""
    digits = {
        "0" * 18 + "1": 1,
        "0" * 19 + "1": None,
        str(2**63 - 1): 2**63 - 1,
        str(2**63): None,
        "-1": None,
        "": None,
    }
    assert {text: as_integer(text) for text in digits} == digits
    times = {0: None, 1: 1.0, -1: None, 10**12 - 1: 1e12 - 1, 10**12: None}
    assert {number: unix_seconds(number) for number in times} == times
    assert (unix_seconds("1500", 1000.0), unix_seconds(10**15, 1000.0)) == (1.5, None)
