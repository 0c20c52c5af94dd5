"""Whither a fetch goes: redirects, private addresses, proxies and TLS, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.model import Reason
from exporter.playback.fetch import MOST_REDIRECTS, Fetcher, NotFetched, Wanted
from exporter.playback.rates import Rates
from exporter.routes import UNSET, Http, parse_proxy
from exporter.transport.resolver import MOST_LOOK_UPS
from testbed import proxy as honest
from testbed.certificates import Authority
from testbed.proxy import proxying
from tests.core.test_transport import Heard, answer, listening, saying, serving, told
from tests.playback.test_fetch import CANARY, PLAYLIST, Net, address, opened, run

NAME = "play.example.com"


def redirect(location: str, status: int = 302, body: bytes = b"moved") -> bytes:
    """Write a redirect."""
    return answer(body, f"Location: {location}", status=f"{status} Moved")


@asynccontextmanager
async def mapped(answers: dict[str, bytes]) -> AsyncIterator[Heard]:
    """Serve an answer for each path, without its query; `{url}` stands for the server."""
    heard = Heard()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                heard.requests.append(head)
                path = head.split(b" ")[1].decode().partition("?")[0]
                writer.write(answers[path].replace(b"{url}", heard.url.encode()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with listening(connected) as heard.url:
        yield heard


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{url}/b?token=2", "b?token=2", "/b?token=2#part", "//{url}/b?token=2"])
def test_a_redirect_within_the_origin_is_followed(status: int, location: str) -> None:
    """Whole or relative, each is asked by GET; its query goes out, and only the origin is shown."""
    location = location.replace("//{url}", "{url}")

    async def main() -> None:
        answers = {"/a": redirect(location, status), "/b": answer(PLAYLIST)}
        async with mapped(answers) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a?token=1")
            fetched = seen.fetched
            assert (seen.body, fetched.status, fetched.ending) == (PLAYLIST, 200, "whole")
            assert fetched.url == f"{heard.url}/b?token=2"
            assert (fetched.origin, fetched.redirected) == (heard.url, True)
            assert fetched.received == len(b"moved") + len(PLAYLIST)
            assert [request.split(b"\r\n")[0] for request in heard.requests] == [
                b"GET /a?token=1 HTTP/1.1",
                b"GET /b?token=2 HTTP/1.1",
            ]
            assert heard.connections == 1

    run(main)


def test_a_redirect_that_is_listed_is_followed_and_any_other_is_not() -> None:
    """Nothing is sent to a server that is not listed; the message says which one that is, and how it may be."""

    async def main() -> None:
        async with (
            serving(saying(answer(PLAYLIST))) as other,
            mapped({"/a": redirect(f"{other.url}/b")}) as heard,
            opened() as net,
        ):
            url = f"{heard.url}/a"
            seen = await net.get(url, address(url, other.url))
            assert seen.body == PLAYLIST
            seen = await net.get(url)
            assert (seen.error.reason, seen.error.received) == (Reason.HTTP, len(b"moved"))
            assert str(seen.error) == (
                f"the redirect leads to {other.url}, which is not asked unless it is listed under `origins`"
            )
            seen = await net.get(f"{other.url}/b", address(url))
            assert str(seen.error).startswith(f"the address leads to {other.url}, which")
            assert (len(other.requests), other.connections) == (1, 1)

    run(main)


def test_all_that_redirects_took_counts_together() -> None:
    """Their time is the server's too, and an answer to which a used connection led may belong to another request."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as other, opened() as net:

            async def slowly(writer: asyncio.StreamWriter, number: int) -> None:
                await asyncio.sleep(0.2 if number == 2 else 0.0)
                writer.write(redirect(f"{other.url}/b") if number == 2 else answer(PLAYLIST))

            async with serving(slowly) as heard:
                for moved in (False, True):
                    began = asyncio.get_running_loop().time()
                    seen = (await net.get(f"{heard.url}/a", address(heard.url, other.url))).fetched
                    assert 0.2 * moved <= seen.seconds <= asyncio.get_running_loop().time() - began
                    assert (seen.reused, seen.redirected) == (moved, moved)
            assert (heard.connections, other.connections) == (1, 1)

    run(main)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://x/", "the redirect is neither http nor https"),
        (f"http://u:{CANARY}@127.0.0.1/", "the redirect has a user before its host, and none is sent"),
        (f"https://{NAME}/{CANARY}", f"the redirect leads to https://{NAME}, which"),
        (f"https://{CANARY}\\@{NAME}/", "the redirect is not an address like"),
        (f"http://2130706433/{CANARY}", "the redirect is not an address like"),
        (f"http://[{CANARY}/", "the redirect is not an address like"),
        ("/a", f"redirects lead on more than {MOST_REDIRECTS} times"),
        (f"/a?{CANARY}", f"redirects lead on more than {MOST_REDIRECTS} times"),
    ],
)
def test_a_redirect_that_leads_astray_is_reason_http(location: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """So is one that leads round and round; no text shows more of it than an origin."""
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with mapped({"/a": redirect(location)}) as heard, opened() as net:
            asyncio.get_running_loop().set_debug(True)
            seen = await net.get(f"{heard.url}/a?{CANARY}")
            assert seen.error.reason is Reason.HTTP
            assert str(seen.error).startswith(why)
            assert CANARY not in told(seen.error)
            rounds = MOST_REDIRECTS + 1 if location.startswith("/a") else 1
            assert (len(heard.requests), seen.error.received) == (rounds, rounds * len(b"moved"))

    run(main)
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "sent", [answer(b"", status="302 Found"), redirect("", 301), redirect("/b", 304, b""), redirect("/b", 300)]
)
def test_what_leads_nowhere_is_an_answer(sent: bytes) -> None:
    """A redirect without an address, and a status that is none, are left to the judge."""

    async def main() -> None:
        async with mapped({"/a": sent}) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a")
            assert seen.fetched.status == int(sent.split(b" ")[1])
            assert len(heard.requests) == 1

    run(main)


def test_no_repr_shows_a_query() -> None:
    """What is wanted and what came print as what may be shown."""

    async def main() -> None:
        answers = {"/a": redirect(f"/b?{CANARY}"), "/b": answer(PLAYLIST, f"X: {CANARY}")}
        async with mapped(answers) as heard, opened() as net:
            url = f"{heard.url}/a?{CANARY}"
            seen = await net.get(url)
            assert CANARY in seen.fetched.url
            assert repr(seen.fetched) == f"<fetched 200 from {heard.url}>"
            assert repr(Wanted(url, address(url), UNSET, 1, 1)) == f"<wanted of {heard.url}/a>"

    run(main)


# --- private addresses ------------------------------------------------------------------------------------------------


def leading(*hosts: str, asked: list[str] | None = None) -> Callable[[str, int, int], list[tuple[Any, ...]]]:
    """Return a look-up by which every name leads to these addresses."""

    def look_up(host: str, port: int, _family: int) -> list[tuple[Any, ...]]:
        if asked is not None:
            asked.append(host)
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kinds[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    return look_up


def at(heard: Heard, host: str = NAME) -> str:
    """Return a server's URL under another name."""
    return f"http://{host}:{heard.url.rpartition(':')[2]}"


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_a_public_name_that_leads_inside_is_not_asked(host: str) -> None:
    """Whatever its resolver says, only `private` opens the way: no kept connection and no cached name does."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as heard, opened(look_up=leading(host)) as net:
            url = f"{at(heard)}/a?{CANARY}"
            for _ in range(2):
                seen = await net.get(url)
                assert seen.error.reason is Reason.DNS
                assert str(seen.error) == (
                    "the name of the server leads to private addresses only, which `private: true` would allow"
                )
                assert CANARY not in told(seen.error)
            assert heard.connections == 0
            if host == "127.0.0.1":
                assert (await net.get(url, address(url, private=True))).body == PLAYLIST
                assert (await net.get(url)).error.reason is Reason.DNS
                assert len(heard.requests) == 1

    run(main)


@pytest.mark.parametrize("host", ["origin", "origin.lan", "origin.svc.cluster.local", "127.0.0.1", "localhost"])
def test_what_is_written_private_is_asked(host: str) -> None:
    """A name that no public server has, and an address, need no more than to be written."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as heard, opened(look_up=leading("127.0.0.1")) as net:
            assert (await net.get(f"{at(heard, host)}/a")).body == PLAYLIST

    run(main)


def test_a_redirect_does_not_lead_inside() -> None:
    """A listed public name is judged by where it leads to, also behind an address that is written private."""

    async def main() -> None:
        async with (
            serving(saying(answer(PLAYLIST))) as inside,
            mapped({"/a": redirect(f"{at(inside)}/b")}) as heard,
            opened(look_up=leading("127.0.0.1")) as net,
        ):
            url = f"{heard.url}/a"
            assert (await net.get(url, address(url, at(inside)))).error.reason is Reason.DNS
            assert inside.connections == 0
            assert (await net.get(url, address(url, at(inside), private=True))).body == PLAYLIST

    run(main)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "[::1%25lo]"])
def test_an_address_in_disguise_is_not_even_looked_up(host: str) -> None:
    """Spellings that the system takes for an address are refused before anybody resolves them."""

    async def main() -> None:
        asked: list[str] = []
        async with serving(saying(answer(PLAYLIST))) as heard, opened(look_up=leading("127.0.0.1", asked=asked)) as net:
            seen = await net.get(f"{at(heard, host)}/", address(heard.url, at(heard, host)))
            assert seen.error.reason is Reason.HTTP
            assert (asked, heard.connections) == ([], 0)

    run(main)


def test_many_names_are_looked_up_one_after_the_other() -> None:
    """More names at once than are looked up at once do not fail for that."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as heard, opened(look_up=leading("127.0.0.1")) as net:
            urls = [f"{at(heard, f'h{number}.test')}/a" for number in range(3 * MOST_LOOK_UPS)]
            seen = await asyncio.gather(*(net.get(url) for url in urls))
            assert [each.body for each in seen] == [PLAYLIST] * len(urls)

    run(main)


# --- proxies and TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that issues every certificate here."""
    return Authority(tmp_path_factory.mktemp("authority"))


def by(proxy: honest.Proxy, authority: Authority | None = None, user: str = "") -> Http:
    """Return the settings by which every URL is asked by the proxy."""
    way = parse_proxy(f"http://{user}{proxy.address}")
    return Http((("http", way), ("https", way)), authorities=authority.pem.decode() if authority else "")


def nobody_looks_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Refuse to look up a name: that is the proxy's affair."""
    raise AssertionError(host)


def test_a_proxy_resolves_names_itself_and_passes_on_what_is_asked() -> None:
    """In a network that knows no names, a public one is asked by the proxy, over a connection that is kept."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as heard:
            names = {f"{NAME}:80": int(heard.url.rpartition(":")[2])}
            async with proxying(honest.Proxy(names, password="u:p")) as proxy:
                async with opened(by(proxy, user="u:p@"), look_up=nobody_looks_up) as net:
                    for _ in range(2):
                        seen = await net.get(f"http://{NAME}/a?token=1")
                        assert seen.body == PLAYLIST
                    assert proxy.asked == [f"GET http://{NAME}/a?token=1 HTTP/1.1"] * 2
                    assert (proxy.connections, heard.connections) == (1, 1)
                async with opened(by(proxy, user="u:wrong@"), look_up=nobody_looks_up) as net:
                    seen = await net.get(f"http://{NAME}/a?{CANARY}")
                    assert seen.error.reason is Reason.CONNECTION
                    assert "refuses the user and the password of proxy_url" in str(seen.error)
                    assert CANARY not in told(seen.error)

    run(main)


def test_https_goes_through_a_tunnel_and_an_authority_of_ones_own_vouches_for_it(authority: Authority) -> None:
    """The proxy sees a name alone; without the authority nobody vouches for the server."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST)), authority.server(NAME)) as heard:
            names = {f"{NAME}:443": int(heard.url.rpartition(":")[2])}
            async with proxying(honest.Proxy(names)) as proxy:
                async with opened(by(proxy, authority), look_up=nobody_looks_up) as net:
                    for _ in range(2):
                        assert (await net.get(f"https://{NAME}/a?{CANARY}")).body == PLAYLIST
                    assert (proxy.asked, heard.connections) == ([f"CONNECT {NAME}:443 HTTP/1.1"], 1)
                async with opened(by(proxy), look_up=nobody_looks_up) as net:
                    assert (await net.get(f"https://{NAME}/a")).error.reason is Reason.TLS

    run(main)


def test_authorities_of_the_fetcher_hold_where_a_route_names_none(authority: Authority) -> None:
    """Those that an exporter was started with vouch for servers of viewers, too."""

    async def main() -> None:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        async with (
            serving(saying(answer(PLAYLIST)), authority.server("a.test")) as heard,
            opened(context=context, look_up=leading("127.0.0.1")) as net,
        ):
            url = f"{at(heard, 'a.test').replace('http:', 'https:')}/a"
            assert (await net.get(url)).body == PLAYLIST

    run(main)


def test_a_certificate_is_verified_for_the_name_that_is_asked(authority: Authority, tmp_path: Path) -> None:
    """Straight, too: the authority's own server is trusted, one of another name or another authority is not."""

    async def main() -> None:
        stranger = Authority(tmp_path, "stranger")
        http = Http(authorities=authority.pem.decode())
        for issued, host, trusted in (
            (authority, "a.test", True),
            (authority, "b.test", False),
            (stranger, "a.test", False),
        ):
            async with (
                serving(saying(answer(PLAYLIST)), issued.server(host)) as heard,
                opened(http, look_up=leading("127.0.0.1")) as net,
            ):
                seen = await net.get(f"{at(heard, 'a.test').replace('http:', 'https:')}/a?{CANARY}")
            if trusted:
                assert seen.body == PLAYLIST
            else:
                assert isinstance(seen.outcome, NotFetched)
                assert seen.error.reason is Reason.TLS
                assert CANARY not in told(seen.error)

    run(main)


@pytest.mark.parametrize(
    ("path", "header", "silent"),
    [("/live", "Content-Type: video/x-FLV", True), ("/A.Flv", "X: y", True), ("/live", "X: y", False)],
)
def test_a_body_that_says_that_it_is_flv_may_be_silent(path: str, header: str, silent: bool) -> None:
    """Its type or the end of its path says so, however the address is called that led there."""

    async def main() -> None:
        head = f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode()
        async with mapped({"/a": redirect(path), path: head}) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a", seconds=10 if silent else 0.2, silence_of_flv=0.1)
            if silent:
                assert seen.fetched.ending == "silent"
            else:
                assert seen.error.reason is Reason.TIMEOUT

    run(main)


class Turns(Rates):
    """Writes down how many names had been looked up when each turn was asked for."""

    def __init__(self, asked: list[str]) -> None:
        super().__init__(asyncio.get_running_loop().time)
        self.asked, self.seen = asked, list[int]()

    async def turn(self, host: str) -> None:
        """Write it down."""
        self.seen.append(len(self.asked))
        await super().turn(host)


def test_a_turn_is_taken_once_there_is_a_connection() -> None:
    """Requests that connected after their turns would bunch; what cannot connect takes a turn all the same."""

    async def main() -> None:
        asked: list[str] = []
        turns = Turns(asked)
        fetcher = Fetcher(turns, rest=0.0, gap=30.0, look_up=leading("127.0.0.1", asked=asked))
        async with serving(saying(answer(PLAYLIST))) as heard, fetcher:
            for host, looked_up in (("one.lan", 1), ("one.lan", 1), ("two.lan", 2)):
                assert (await Net(fetcher, UNSET).get(f"{at(heard, host)}/a")).body == PLAYLIST
                assert turns.seen.pop() == looked_up
            nowhere = f"{at(heard, 'three.lan')}/a"
        async with Fetcher(turns, rest=0.0, gap=30.0, look_up=leading("127.0.0.1", asked=asked)) as fetcher:
            assert (await Net(fetcher, UNSET).get(nowhere)).error.reason is Reason.CONNECTION
        assert turns.seen == [3]

    run(main)
