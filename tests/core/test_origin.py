"""Requests to `/-/reload` and `/config` that a stranger's web page may have sent."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from exporter.serving.origin import refusal

OURS = frozenset({"web1", "streams.corp.example.com", ".corp.example.net"})


def refused(method: str, **headers: str) -> bool:
    """Whether a request over plain HTTP is refused; names of headers are written with underscores."""
    return refusal(method, spelled(headers), secure=False, names=OURS) is not None


def spelled(headers: dict[str, str]) -> CIMultiDict[str]:
    """Return headers as aiohttp has them."""
    return CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:10180", "192.0.2.1", "[::1]:10180", "[2001:db8::1]", "localhost:10180", "web1:10180", "WEB1",
     "exporter", "stream-exporter.monitoring.svc:10180", "exporter.ns.svc.", "streams.corp.example.com:80",
     "any.corp.example.net", "exporter.localhost", "nas.local"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_names_that_can_only_mean_us_are_let_in(method: str, host: str) -> None:
    """Addresses, private names, the machine's own and the configured ones: curl and services go on working."""
    assert not refused(method, Host=host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:10180", "EVIL.EXAMPLE.", "127.0.0.1.evil.example", "localhost.evil.example",
     "1.2.3.4.5", "web1.evil.example", "corp.example.net", "xcorp.example.net", "evil.example@127.0.0.1",
     "127.0.0.1:x", "127.0.0.1/x", "svc.evil.example", "127.0.0.1, evil.example", "[::1", "a b"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_host_is_refused(method: str, host: str) -> None:
    """A name whose owner may point it at us (DNS rebinding) reads no configuration, whatever else is sent."""
    assert refused(method, Host=host)
    assert refused(method, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")


def test_over_tls_the_certificate_says_who_we_are() -> None:
    """A browser that takes our certificate knows our name; what comes from another page is refused all the same."""
    ours = {"Host": "streams.example.org"}
    assert refusal("GET", spelled(ours), secure=True, names=OURS) is None
    theirs = {**ours, "Origin": "https://evil.example"}
    assert refusal("POST", spelled(theirs), secure=True, names=OURS) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Site": "nonsense"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": "http://[::1"},
        {"Referer": "http://evil.example/page"},
    ],
)
def test_a_post_from_another_page_is_refused(headers: dict[str, str]) -> None:
    """By what the browser says of the page's site, its origin or its address."""
    assert refused("POST", Host="127.0.0.1:10180", **headers)


def test_another_program_of_our_host_is_another_site() -> None:
    """Its page has our name and another port; without a port in `Host`, a proxy may stand at either default."""
    assert refused("POST", Host="web1:10180", Origin="http://web1:3000")
    assert refused("POST", Host="web1:10180", Origin="http://web1")
    assert not refused("POST", Host="web1", Origin="http://web1")
    assert not refused("POST", Host="web1", Origin="https://web1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User_Agent": "curl/8.0", "Accept": "*/*"},
        {"Origin": "http://127.0.0.1:10180"},
        {"Referer": "http://127.0.0.1:10180/"},
        {"Origin": "https://streams.corp.example.com"},
        {"Origin": "https://proxy.example", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_post_of_our_own_is_let_in(headers: dict[str, str]) -> None:
    """From programs, from our own page, and from a proxy's page that the browser or the configuration calls ours."""
    assert not refused("POST", Host="127.0.0.1:10180", **headers)


def test_another_page_may_link_here_but_not_read() -> None:
    """A link on a dashboard works; a script of another site gets nothing."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert not refused("GET", Host="localhost:10180", **link)
    assert refused("GET", Host="localhost:10180", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")
    assert refused("GET", Host="localhost:10180", Origin="http://evil.example")
    assert not refused("GET", Host="localhost:10180", Referer="http://grafana.example/")


def test_a_request_without_host_is_no_browsers() -> None:
    """HTTP/1.0 has none."""
    assert not refused("GET")
