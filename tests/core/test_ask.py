"""Asking about a stream from the status page: the question is put, and the reader is led back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from aiohttp import ClientResponse

from exporter.model import Reply, Request, State
from exporter.serving.app import MOST_TARGET
from exporter.serving.scrape import MOST_DEBUG
from exporter.status import Site
from tests.core.test_web import Client, Staged, facing, live, silent


def ask(
    target: str | None,
    query: str = "",
    behave: Callable[[Request], Awaitable[Reply]] = live,
) -> tuple[ClientResponse, str, Staged]:
    """Ask about a stream; return the answer, its text and what it was put to."""

    async def main() -> tuple[ClientResponse, str, Staged]:
        async with Staged(behave) as service, facing(service) as (client, _):
            data = {} if target is None else {"target": target}
            response = await client.post(f"/{query}", data=data, allow_redirects=False)
            return response, await response.text(), service

    return asyncio.run(main())


def test_a_question_is_put_and_leads_back_to_the_same_page() -> None:
    """The cloud is asked once, and the browser comes back to filter, order, page and row by an address of its own."""
    response, _, service = ask("tencent/b/c", "?q=b&state=active&sort=-name&page=2&asked=tencent/a")
    assert (response.status, service.asked) == (303, 1)
    place = urlsplit(response.headers["Location"])
    assert (place.scheme, place.netloc, place.path, place.fragment) == ("", "", "./", "s-tencent/b/c")
    wanted = {"q": "b", "state": "active", "sort": "-name", "page": "2", "asked": "tencent/b/c"}
    assert dict(parse_qsl(place.query)) == wanted
    assert response.headers["Cache-Control"] == "no-store"
    record = service.board.get(("tencent", "b/c"))
    assert record is not None
    assert record.shown is State.ACTIVE


def test_a_question_is_put_however_young_the_answer() -> None:
    """Who asks by hand wants to know what is now, so `scrape.reuse` does not count; other headers change nothing."""

    async def main() -> int:
        async with Staged(live, reuse="1h") as service, facing(service) as (client, _):
            await client.get("/metrics")
            before = service.asked
            cross = {
                "Origin": "null",
                "Host": "streams.example.com",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            response = await client.post("/", data="target=tencent/a", headers=cross, allow_redirects=False)
            assert response.status == 303
            return service.asked - before

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize(
    "target",
    [None, "", "/", "tencent", "tencent/nobody", "x\r\nSet-Cookie: a=b", "%0D%0ASet-Cookie:%20a=b", "http://evil.example/",
     "//evil.example", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"), "%ED%A0%BD", "x" * 4096, "é" * 999],
)  # fmt: skip
def test_what_is_not_watched_is_not_asked(target: str | None) -> None:
    """Nothing unlisted can be reached, and whatever is sent stays within the page's own address."""
    response, _, service = ask(target)
    assert (response.status, service.asked) == (303, 0)
    location = response.headers["Location"]
    assert location.startswith("./?asked=") or location == "./?"
    assert location.isascii()
    assert not {"\r", "\n", " "} & {*location}
    assert "Set-Cookie" not in response.headers
    assert len(location) < 12 * MOST_TARGET + 20


def test_questions_are_few() -> None:
    """Questions share the places of probes with debug=true: beyond them somebody gets 503 and nothing is asked."""

    async def main() -> list[int]:
        async with Staged(silent) as service, facing(service) as (client, app):
            tasks = [asyncio.create_task(_post(client)) for _ in range(MOST_DEBUG + 3)]
            while len(app.scrapes.debugs) < MOST_DEBUG:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            while len(done := [task for task in tasks if task.done()]) < len(tasks) - MOST_DEBUG:  # noqa: ASYNC110
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            return [task.result() for task in done]

    assert asyncio.run(main()) == [503, 503, 503]


async def _post(client: Client) -> int:
    response = await client.post("/", data={"target": "tencent/a"}, allow_redirects=False)
    return response.status


def test_the_page_that_follows_shows_the_answer() -> None:
    """A browser that follows the redirect, under any prefix, sees the stream, its state and the title."""

    async def main() -> tuple[str, str]:
        site = Site(title="production")
        async with Staged(live) as service, facing(service, prefix="/streams", site=site) as (client, _):
            response = await client.post("/streams/?state=inactive", data={"target": quote("tencent/a")})
            return response.url.path_qs, await response.text()

    address, page = asyncio.run(main())
    assert address == "/streams/?state=inactive&asked=tencent/a"
    assert "production" in page
    assert "What was just asked" in page
    assert "No stream matches the filter" in page


def test_an_overlong_question_is_refused() -> None:
    """A body beyond what a form needs is not read to its end."""
    response, _, service = ask("x" * (900 << 10))
    assert (response.status, service.asked) == (413, 0)
