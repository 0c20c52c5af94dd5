"""Whom a check may ask, and how a URL goes out: rules without a network."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.addresses import LONGEST, PlaybackAddress, is_public, origin_of
from exporter.fields import Secret
from exporter.playback.urls import may_ask, may_be_private, onward, shown_of, target, whole
from exporter.transport.resolver import OnlyPrivate, public_only

CANARY = "canary-that-nobody-may-see"
BASE = target("https://play.example.com/live/a/index.m3u8?token=1")


def address(shown_as: str = "https://play.example.com/live/a", *origins: str, private: bool = False) -> PlaybackAddress:
    """Return an address whose own origin is play.example.com."""
    own = "https://play.example.com"
    return PlaybackAddress("main", Secret(own), shown_as, (own, *origins), private=private)


LONGEST_NAME = ".".join(["x" * 62] * 4 + ["x"])  # of 253 characters, as long as a name may be: RFC 1035


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Play.Example.com/a", "https://play.example.com"),
        ("HTTPS://play.example.com:443", "https://play.example.com"),
        ("http://play.example.com:443/", "http://play.example.com:443"),
        ("http://play.example.com:/", "http://play.example.com"),
        ("http://my_host/", "http://my_host"),
        ("http://play.example.com./", "http://play.example.com."),
        ("http://192.0.2.1:8080/", "http://192.0.2.1:8080"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]"),
        ("https://1.example/", "https://1.example"),
        ("https://play.0xample/", "https://play.0xample"),
        (f"http://{LONGEST_NAME}/", f"http://{LONGEST_NAME}"),
    ],
)
def test_an_origin_has_one_spelling(url: str, origin: str) -> None:
    """What names the same server in other letters is the same origin; another port is another one."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", "256.1.1.1", "0x", "1",
        "example.0x7F", "127.0.0.0x1", "", ".", "a..b", ".a", "a b", "a%2Eb", "a%00b", "a\\b", "a{b}", "exämple.com",
        "１２７.0.0.1", "[::1%25eth0]", "[fe80::1%eth0]", "[::1", "::1", "[1.2.3.4]", "[::127.0.0.1x]", "a:b", "a:0",
        "a:65536", "x" * 64, f"{LONGEST_NAME}.", ".".join(["x" * 60] * 5),
    ],
)  # fmt: skip
def test_a_host_that_is_no_plain_one_is_refused(host: str) -> None:
    """Resolvers take many spellings for an address, and parsers disagree on odd hosts: all of those are refused."""
    with pytest.raises(ValueError, match="is not an address like") as caught:
        origin_of(f"http://{host}/")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["ftp://a.example/", "//a.example/", "a.example", "data:,x", "file:///etc/passwd", ""])
def test_only_http_is_an_origin(url: str) -> None:
    """Nothing but http and https is asked."""
    with pytest.raises(ValueError, match="is not an address"):
        origin_of(url)


PUBLIC = (
    "1.1.1.1",
    "203.0.112.1",
    "2606:4700::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
    "2606:4700::1%eth0",
)
PRIVATE = (
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1",
    "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2001::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "100::1", "4000::1",
)  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC + PRIVATE)
def test_public_is_what_the_whole_internet_reaches(text: str) -> None:
    """Addresses of IPv4 within IPv6 are judged as such; documentation, multicast and unassigned ones are not public."""
    assert is_public(text) is (text in PUBLIC)


def test_private_addresses_are_left_out_and_a_name_without_others_is_refused() -> None:
    """Of a mixed answer the public addresses are used; nothing that leads inside is ever returned."""

    def answers(*hosts: str) -> Any:
        found = [(socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, 80)) for each in hosts]
        return public_only(lambda *_: found)("play.example.com", 80, 0)

    mixed = answers("127.0.0.1", "1.1.1.1", "fd00::1", "2606:4700::1")
    assert [each[4][0] for each in mixed] == ["1.1.1.1", "2606:4700::1"]
    assert answers() == []
    with pytest.raises(OnlyPrivate):
        answers("10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1")


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("b.ts", "https://play.example.com/live/a/b.ts"),
        ("b.ts?token=a%2Fb+c=&x|{}~", "https://play.example.com/live/a/b.ts?token=a%2Fb+c=&x|{}~"),
        ("/b.ts#t=1", "https://play.example.com/b.ts"),
        ("../b.ts", "https://play.example.com/live/b.ts"),
        ("?n=2", "https://play.example.com/live/a/index.m3u8?n=2"),
        ("//CDN.example:8443/b", "https://cdn.example:8443/b"),
        ("http://cdn.example", "http://cdn.example/"),
        ("http://cdn.example?a=1", "http://cdn.example/?a=1"),
        ("\t 直播 1.ts\r\n", "https://play.example.com/live/a/%E7%9B%B4%E6%92%AD%201.ts"),
        ("a\udce7b\x7f\x00c", "https://play.example.com/live/a/a%E7b%7F%00c"),
        ("b?\r\nX-Evil: 1", "https://play.example.com/live/a/b?X-Evil:%201"),
        ('a"<|^>.ts?x="{}', "https://play.example.com/live/a/a%22%3C|^%3E.ts?x=%22{}"),
        ("http://münchen.example:81/ü", "http://xn--mnchen-3ya.example:81/%C3%BC"),
    ],
)
def test_what_a_server_says_goes_out_as_a_url(said: str, asked: str) -> None:
    """Whole, percent-encoded where it must be and untouched elsewhere, without its fragment, on one line."""
    assert onward(BASE, said).url == asked


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (f"https://u:{CANARY}@play.example.com/", "has a user"),
        (f"https://play.example.com@{CANARY}.example/", "has a user"),
        (f"https://play.example.com\\@{CANARY}.example/", "has a user|is not an address"),
        (f"https://play.example.com\\.{CANARY}.example/", "is not an address"),
        (f"ftp://{CANARY}.example/", "neither http nor https"),
        (f"javascript:{CANARY}", "neither http nor https"),
        (f"https://play.example.com:{CANARY}/", "is not an address"),
        (f"https://[{CANARY}/", "is not an address"),
        (f"https://[{CANARY}]/", "is not an address"),
        (f"https://a\u2100{CANARY}/", "is not an address"),
        (f"https://{CANARY}ü..example/", "is not an address"),
        (f"https://play.example.com/{CANARY}\ud800", "is not an address"),
        (f"https://play.example.com/{CANARY}" + "x" * LONGEST, "is longer"),
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(said: str, why: str) -> None:
    """The error says what is wrong, and neither it nor what led to it holds the URL where it is printed."""
    for find in (target, partial(onward, BASE)):
        with pytest.raises(ValueError, match=why) as caught:
            find(said)
        assert CANARY not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__


@given(st.text(max_size=60))
def test_no_text_of_a_server_breaks_a_request(said: str) -> None:
    """Whatever it says is refused, or is one line of printable ASCII at the origin that is judged."""
    try:
        found = onward(BASE, said)
    except ValueError:
        return
    assert found.url.isascii()
    assert found.url.isprintable()
    assert " " not in found.url
    assert found.url.startswith(f"{found.origin}/")
    assert origin_of(found.url) == found.origin


def test_only_configured_origins_are_asked() -> None:
    """Scheme, host and port all count."""
    of = address("", "http://cdn.example:8080")
    asked = {
        "https://play.example.com/x": True,
        "https://play.example.com:443/x": True,
        "http://play.example.com/x": False,
        "https://play.example.com:444/x": False,
        "https://play.example.com./x": False,
        "https://sub.play.example.com/x": False,
        "http://cdn.example:8080/x": True,
        "http://cdn.example/x": False,
    }
    assert {url: may_ask(of, target(url)) for url in asked} == asked


def test_what_is_written_private_may_be_private() -> None:
    """An address or a name that only a network of one's own has says it by itself; others need `private`."""
    written = {
        "http://10.0.0.1/": True,
        "http://[::1]/": True,
        "http://origin/": True,
        "http://origin./": True,
        "http://origin.lan:8080/": True,
        "http://origin.lan./": True,
        "https://play.example.com/": False,
        "https://play.example.com./": False,
    }
    assert {url: may_be_private(address(), target(url)) for url in written} == written
    assert all(may_be_private(address(private=True), target(url)) for url in written)


def test_what_is_shown_holds_no_query_and_no_path_that_may_be_a_secret() -> None:
    """The path is shown where it is configured in the open, and not with a signature in it."""
    url = f"https://play.example.com/live/a%20b.ts?token={CANARY}"
    assert shown_of(url, address()) == "https://play.example.com/live/a%20b.ts"
    assert shown_of(url, address("https://play.example.com")) == "https://play.example.com"
    assert len(shown_of("https://play.example.com/" + "a" * 8000, address())) < 300
    assert shown_of(f"https://play.example.com/txSecret={CANARY}/a.ts", address()) == "https://play.example.com"
    assert repr(target(url)) == "<target at https://play.example.com>"


def test_a_path_that_repeats_the_query_is_not_shown() -> None:
    """Some servers write the token of a playlist into the paths of its segments, encoded or in another case."""
    token = f"{CANARY}/+="
    of = PlaybackAddress(
        "main", Secret(f"https://play.example.com/a?t={quote(token, safe='')}&n=7"), "https://play.example.com/a", ()
    )
    for path in (token, quote(token, safe=""), CANARY.upper() + "/%2B%3D"):
        assert shown_of(f"https://play.example.com/{path}/7.ts", of) == "https://play.example.com"
    assert shown_of("https://play.example.com/7/7.ts", of) == "https://play.example.com/7/7.ts"


@pytest.mark.parametrize(
    "reference",
    [
        "/\\evil.example/a", "\\\\evil.example\\a", "\\/evil.example/a", "live\\1.ts", "///evil.example/a",
        "/\t//evil.example/a", "http:///evil.example/a", "https:evil.example/a", "HTTPS:/evil.example/a",
        "https:\\\\evil.example/a", "https://play.example.com\\@evil.example/a",
    ],
)  # fmt: skip
def test_a_reference_that_browsers_read_in_another_way_leads_nowhere(reference: str) -> None:
    """Players would ask another server, or for another path: that ours is not there says nothing of what they get."""
    with pytest.raises(ValueError, match="is not an address like"):
        whole(BASE.url, reference)


def test_a_reference_is_made_whole() -> None:
    """What all read in the same way is left as it is."""
    for reference in ("1.ts?a=\\", "/live/a/1.ts?a=\\", " //play.example.com/live/a/1.ts?a=\\", "\t1.ts?a=\n\\"):
        assert whole(BASE.url, reference) == "https://play.example.com/live/a/1.ts?a=\\"
