"""Which way requests go: the rules of Prometheus and of Go's httpproxy, as tables."""

from __future__ import annotations

import pytest

from exporter.routes import STRAIGHT, UNSET, Exempt, Http, Proxy, Route, parse_proxy

PROXY = Proxy("http", "proxy.example", 3128)

# no_proxy, then what goes straight with it, then what goes by the proxy all the same.
NO_PROXY: list[tuple[str, str, str]] = [
    ("", "http://localhost http://localhost:81 https://127.0.0.1 https://127.9.9.9:5 https://[::1]:9 https://[::ffff:127.0.0.1]",
     "https://localhost.example https://10.0.0.1 https://[fe80::1] https://127.example"),
    ("example.com", "https://example.com http://example.com https://a.example.com https://a.b.example.com:8443",
     "https://badexample.com https://example.com.evil https://example.org"),
    (".example.com", "https://a.example.com https://a.b.example.com", "https://example.com https://badexample.com"),
    ("*.example.com", "https://a.example.com", "https://example.com"),
    ("example.com:443", "https://example.com https://a.example.com https://example.com:443", "https://example.com:8443 http://example.com"),
    ("example.com:80", "http://example.com", "https://example.com"),
    ("example.com:", "http://example.com https://example.com:9", "https://example.org"),
    ("EXAMPLE.com , other.example", "https://example.com https://Example.COM https://other.example", "https://third.example"),
    (" , ,,a.example,", "https://a.example", "https://b.example"),
    ("*", "https://example.com https://10.1.2.3 http://[2001:db8::1]", ""),
    ("a.example,*", "https://example.com https://10.1.2.3", ""),
    ("*example.com", "", "https://badexample.com https://example.com"),
    ("10.0.0.1", "https://10.0.0.1 https://10.0.0.1:8443 https://[::ffff:10.0.0.1]", "https://10.0.0.2 https://10.0.0.1.example"),
    ("10.0.0.1:8443", "https://10.0.0.1:8443", "https://10.0.0.1"),
    ("10.0.0.0/8", "https://10.255.0.1 http://10.0.0.0:5", "https://11.0.0.1 https://10.example"),
    ("10.1.2.3/8", "https://10.255.0.1", "https://11.0.0.1"),
    ("10.0.0.0/33", "", "https://10.0.0.1"),
    ("10.0.0.0/255.0.0.0", "", "https://10.0.0.1"),
    ("2001:db8::1", "https://[2001:db8::1] https://[2001:db8::1]:8443", "https://[2001:db8::2]"),
    ("[2001:db8::1]:443", "https://[2001:db8::1]", "https://[2001:db8::1]:8443"),
    ("2001:db8::/32", "https://[2001:db8:1::1]", "https://[2001:db9::1]"),
    (":443", "", "https://example.com"),
    ("/8", "", "https://example.com https://10.0.0.1"),
    (".", "", "https://example.com"),
]  # fmt: skip


@pytest.mark.parametrize(("no_proxy", "straight", "proxied"), NO_PROXY, ids=[repr(row[0]) for row in NO_PROXY])
def test_no_proxy_means_what_it_means_in_go(no_proxy: str, straight: str, proxied: str) -> None:
    """Hosts with all below them, domains, addresses, networks and ports; loopback is never asked by a proxy."""
    http = Http((("https", PROXY), ("http", PROXY)), Exempt.of(no_proxy))
    for url in straight.split():
        assert http.route(url) == STRAIGHT, url
    for url in proxied.split():
        assert http.route(url) == Route(PROXY), url


def test_without_a_list_everything_goes_by_the_proxy() -> None:
    """As in Prometheus, `proxy_url` alone leaves out nothing, loopback neither."""
    http = Http((("https", PROXY), ("http", PROXY)))
    for url in ("https://localhost", "http://127.0.0.1:8080", "https://example.com"):
        assert http.route(url).proxy == PROXY


def test_each_scheme_has_its_own_proxy() -> None:
    """HTTP_PROXY is for http:// alone, HTTPS_PROXY for https:// alone; neither stands in for the other."""
    http = Http((("https", PROXY),), Exempt.of(""))
    assert http.route("https://example.com").proxy == PROXY
    assert http.route("http://example.com").proxy is None


def test_authorities_count_with_and_without_a_proxy() -> None:
    """What `ca_file` holds goes with every route of the account."""
    assert Http(authorities="PEM").route("https://example.com") == Route(None, "PEM")
    assert Http((("https", PROXY),), authorities="PEM").route("https://example.com") == Route(PROXY, "PEM")
    assert UNSET.route("https://example.com") is STRAIGHT


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.170.23/v1/credentials",
        "http://100.100.100.200/latest/api/token",
        "http://metadata.tencentyun.com/latest/meta-data/",
        "http://localhost:1338/keys",
    ],
)
def test_metadata_servers_are_never_asked_by_a_proxy(url: str) -> None:
    """They are the machine's own, and hand out keys in clear text: no proxy may see them; STS goes by it."""
    http = Http((("https", PROXY), ("http", PROXY)), authorities="PEM")
    assert http.route_of_keys(url) == STRAIGHT
    assert http.route_of_keys("https://sts.example/?Action=A") == Route(PROXY, "PEM")


GOOD = {
    "http://proxy.example:3128": "http://proxy.example:3128",
    "http://proxy.example": "http://proxy.example:80",
    "https://proxy.example/": "https://proxy.example:443",
    "http://10.0.0.1:8080": "http://10.0.0.1:8080",
    "http://[2001:db8::1]:3128": "http://[2001:db8::1]:3128",
    "HTTP://Proxy.Example:3128": "http://proxy.example:3128",
    "http://user:pass@proxy.example:3128": "http://proxy.example:3128",
    "http://user@proxy.example:3128": "http://proxy.example:3128",
}
BAD = {
    "": "is not an address",
    "proxy.example:3128": "is not an address",
    "ftp://proxy.example": "is not an address",
    "socks5://proxy.example:1080": "SOCKS",
    "socks5h://proxy.example:1080": "SOCKS",
    "http://": "is not an address",
    "http://proxy.example:port": "%XX",
    "http://proxy.example:0": "is not an address",
    "http://proxy.example:99999": "%XX",
    "http://proxy.example/path": "no path",
    "http://proxy.example?a=b": "no path",
    "http://user:pa#ss@proxy.example": "%XX",
    "http://user:pa/ss@proxy.example": "%XX",
    "http://proxy .example": "is not an address",
    "http://proxy\r\nX: y.example": "is not an address",
    "http://pröxy.example": "is not an address",
    "http://[::1": "%XX",
}


@pytest.mark.parametrize("text", GOOD)
def test_addresses_of_proxies(text: str) -> None:
    """Scheme and host in any case, the scheme's own port by default as in Go, and a text without user and password."""
    assert parse_proxy(text).url == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_of_a_proxy(text: str) -> None:
    """The error says what to do, and repeats nothing of what was written."""
    with pytest.raises(ValueError, match=BAD[text]) as caught:
        parse_proxy(text)
    assert "pa#ss" not in str(caught.value)
    assert "pa/ss" not in str(caught.value)


def test_a_user_alone_is_as_secret_as_a_password() -> None:
    """Some proxies take a token for a user; a user beside a password is a name, and no word to be struck out."""
    assert "token" in {each.reveal() for each in parse_proxy("http://token@proxy").secrets}
    assert "live" not in {each.reveal() for each in parse_proxy("http://live:canary@proxy").secrets}
    assert "canary" in set(Http((("https", parse_proxy("http://u:canary@proxy")),)).secrets())
