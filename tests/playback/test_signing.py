"""Pull addresses are signed as their vendors' pages say."""

import hashlib
import re
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.addresses import PlaybackAddress
from exporter.fields import Secret
from exporter.playback.signing import AHEAD_SECONDS, signed
from exporter.playback.urls import target
from exporter.providers import address_signers

SIGNERS = address_signers()
NONCE = "477b3bbc253f467b8def6711128c7bec"


def address(url: str, how: str, key: str = "") -> PlaybackAddress:
    """Build an address that is signed by one of the schemes, or by none."""
    return PlaybackAddress("playback-1", Secret(url), "", (), how, Secret(key) if key else None)


def md5sum(text: str) -> str:
    """Hash with the system's own tool, so that two programs agree."""
    done = subprocess.run(["md5sum"], input=text.encode(), capture_output=True, check=True)
    return done.stdout.split()[0].decode()


def test_tencent_signs_like_the_example_of_its_page() -> None:
    """The known answer of Tencent's page on hotlink protection comes out, upper-case time included."""
    one = address("http://play.example.com/live/test.flv", "tencent", "e12c46f2612d5106e2034781ab261ca3")
    assert signed(one, 0x5C271099 - AHEAD_SECONDS, NONCE) == (
        "http://play.example.com/live/test.flv?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099"
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/live/match.m3u8", "match"),
        ("/live/match_hd.m3u8", "match_hd"),
        ("/live/a.b.flv", "a.b"),
        ("/live/match", "match"),
        ("/live/match.ts", "match.ts"),
        ("/live/a%3Ab.m3u8", "a:b"),
        ("/live/%E4%B8%AD.flv", "中"),
        ("/live/中.flv", "中"),
    ],
)
def test_tencent_signs_the_name_of_the_stream(path: str, name: str) -> None:
    """The last part of the path counts as viewers' servers read it: with its template's suffix, without file ending."""
    found = parse_qs(urlsplit(signed(address(f"https://p.example{path}", "tencent", "k"), 1.7e9, NONCE)).query)
    expires = f"{1_700_000_000 + AHEAD_SECONDS:X}"
    assert found == {"txSecret": [md5sum(f"k{name}{expires}")], "txTime": [expires]}


def test_alibaba_signs_like_the_example_of_its_page() -> None:
    """The known answer of https://www.alibabacloud.com/help/doc-detail/85113.html comes out."""
    one = address("http://cdn.example.com/video/standard/1K.html", "alibaba", "aliyuncdnexp1234")
    assert signed(one, 1444435200 - AHEAD_SECONDS, "0") == (
        "http://cdn.example.com/video/standard/1K.html?auth_key=1444435200-0-0-80cd3862d699b7118eed99103f2a3a4f"
    )


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/live/match.m3u8", "/live/match.m3u8"),
        ("/live/a%3Ab%20c.flv", "/live/a%3Ab%20c.flv"),
        ("/live/中 (1)^.flv", "/live/%E4%B8%AD%20(1)^.flv"),
        ("", "/"),
    ],
)
def test_alibaba_signs_the_path_as_it_is_sent(path: str, sent: str) -> None:
    """What is percent-encoded is hashed so, and the nonce makes each address another one."""
    url = urlsplit(signed(address(f"https://p.example{path}", "alibaba", "key"), 1.7e9, NONCE))
    fields = f"{1_700_000_000 + AHEAD_SECONDS}-{NONCE}-0"
    assert url.path == sent == urlsplit(target(f"https://p.example{path}").url).path
    assert url.query == f"auth_key={fields}-" + md5sum(f"{sent}-{fields}-key")


@pytest.mark.parametrize("how", SIGNERS)
def test_what_is_added_is_what_the_configuration_refuses(how: str) -> None:
    """The parameters that a check makes are those that an address may not have of its own."""
    query = urlsplit(signed(address("https://p.example/a/b.m3u8", how, "k"), 1e9, NONCE)).query
    assert tuple(parse_qs(query)) == SIGNERS[how].parameters


@pytest.mark.parametrize("how", SIGNERS)
def test_other_parameters_stay_as_they_are(how: str) -> None:
    """Nothing of a query is encoded anew, sorted or lost, an empty value neither; the fragment is not sent."""
    found = signed(address("https://p.example/a/b.m3u8?z=%2f+1&flag&e=&a=x%20y&&#top", how, "k"), 1e9, NONCE)
    assert found.startswith("https://p.example/a/b.m3u8?z=%2f+1&flag&e=&a=x%20y&")
    assert re.fullmatch(
        r"(txSecret=[0-9a-f]{32}&txTime=[0-9A-F]{8}|auth_key=\d{10}-[-0-9a-f]+)", found.split("%20y&")[1]
    )


@pytest.mark.parametrize(
    ("how", "old"),
    [("tencent", "txSecret=0&a=1&txTime=5C271099&txSecret=1"), ("alibaba", "auth_key=1-0-0-ff&a=1&auth_key=")],
)
def test_an_old_signature_is_replaced(how: str, old: str) -> None:
    """An address that was copied with its token has one token afterwards, the new one."""
    with_old = signed(address(f"https://p.example/a/b.m3u8?{old}", how, "k"), 1e9, NONCE)
    assert with_old == signed(address("https://p.example/a/b.m3u8?a=1", how, "k"), 1e9, NONCE)


def test_parameters_of_the_other_scheme_stay() -> None:
    """Only what is made anew is taken out."""
    assert "auth_key=1" in signed(address("https://p.example/b.flv?auth_key=1", "tencent", "k"), 1e9, NONCE)
    assert "txTime=1" in signed(address("https://p.example/b.flv?txTime=1", "alibaba", "k"), 1e9, NONCE)


@pytest.mark.parametrize(("how", "key"), [(None, ""), (None, "k"), ("tencent", ""), ("alibaba", "")])
def test_without_scheme_or_key_an_address_stays_as_it_is(how: str, key: str) -> None:
    """An address that is not signed is fetched as it was written."""
    url = "https://p.example/a?txSecret=1&auth_key=2#f"
    assert signed(address(url, how, key), 1e9, NONCE) == url


def test_a_signature_lasts_a_few_minutes() -> None:
    """Clocks that differ by minutes do no harm, and a token that leaks is worth little."""
    assert 120 <= AHEAD_SECONDS <= 600
    assert hashlib.md5(b"", usedforsecurity=False).hexdigest() == md5sum("")
