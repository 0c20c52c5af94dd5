"""No secret stands in a text that was scrubbed, however it was written there, and the rest of the text still does."""

from __future__ import annotations

import base64
import html
import json
import re
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.fields import Secret
from exporter.model import Credentials, Request
from exporter.rounds.transcript import known_secrets
from exporter.scrubbing import WITHHELD, scrub
from tests.cost import LINEAR, growth

SECRET = 'kZ7+q/W"9x=Tr4vQ&m2\\Lp8'
PLAIN = "bWnU9iXqEt3KfHd0sYgR"


def fields(text: str) -> str:
    """Write each character as a JSON escape."""
    return "".join(f"\\u{ord(sign):04x}" for sign in text)


def packed(text: str) -> str:
    """Write a text in base64."""
    return base64.b64encode(text.encode()).decode()


def for_urls(text: str) -> str:
    """Write a text in the base64 of URLs, without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with \\/": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON within JSON": lambda text: json.dumps(json.dumps(text)),
    "\\u00XX": fields,
    "\\u00XX in capitals": lambda text: "".join(f"\\u{ord(sign):04X}" for sign in text),
    "\\xXX": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "percent": lambda text: quote(text, safe=""),
    "percent for all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent in lower case": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "a form": quote_plus,
    "a form read": lambda text: unquote_plus(text) if "%" not in text else text,
    "base64": packed,
    "base64 at offset 1": lambda text: packed("a" + text + "b"),
    "base64 at offset 2": lambda text: packed("ab" + text + "cd"),
    "base64 for URLs": for_urls,
    "base64 for URLs at offset 1": lambda text: for_urls("a" + text),
    "base64 for URLs at offset 2": lambda text: for_urls("ab" + text),
    "a Basic header": lambda text: "Basic " + packed(f"id-1:{text}"),
    "base64 twice": lambda text: packed(packed(f"x{text}")),
    "base64 of JSON": lambda text: packed(json.dumps({"key": text})),
    "base64 in lines": lambda text: "\n".join(re.findall(".{1,8}", packed(text))),
    "base64 in percent": lambda text: quote(packed(text), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "hexadecimal at an odd digit": lambda text: "f" + text.encode().hex(),
    "HTML": html.escape,
    "HTML numbers": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "HTML hexadecimal numbers": lambda text: "".join(f"&#x{ord(sign):X};" for sign in text),
    "HTML of JSON": lambda text: html.escape(json.dumps(text)),
    "broken by a line": lambda text: text[:3] + "\n   " + text[3:],
    "broken by an escaped line": lambda text: json.dumps(text[:3] + "\r\n" + text[3:])[1:-1],
    "broken by signs without width": lambda text: "\u200b".join(text),
    "broken by a tag": lambda text: text[:2] + "<br/>" + text[2:],
}
way = pytest.mark.parametrize("write", WAYS.values(), ids=WAYS.keys())


def readings(text: str, depth: int = 2) -> set[str]:
    """Return what a curious reader makes of a text with the decoders of the standard library."""
    found = {text}
    for _ in range(4):
        found |= {unquote(each) for each in found} | {unquote_plus(each) for each in found}
        found |= {html.unescape(each) for each in found}
        found |= {re.sub(r"\\[ux]([0-9a-fA-F]{4}|[0-9a-fA-F]{2})", _sign, each) for each in found}
        found |= {re.sub(r'\\(["\\/])', r"\1", each) for each in found}
        if len(found) > 64:
            break
    if depth:
        for each in list(found):
            for run in re.findall(r"[A-Za-z0-9+/_-]{6,}", re.sub(r"\s", "", each)):
                for piece in _unpacked(run):
                    found |= readings(piece, depth - 1) if piece.isascii() and piece.isprintable() else {piece}
    return found


def _sign(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _unpacked(run: str) -> set[str]:
    standard = run.replace("-", "+").replace("_", "/")
    cut = (standard[offset:] for offset in range(4))
    found = {base64.b64decode(each[: len(each) // 4 * 4]).decode("latin-1") for each in cut}
    for digits in (run, run[1:]):
        if re.fullmatch("[0-9a-fA-F]+", digits):
            found.add(bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1"))
    return found


@way
@pytest.mark.parametrize("secret", [SECRET, PLAIN, "a b-C d_E", "ab9Z"])
def test_each_way(write: Callable[[str], str], secret: str) -> None:
    """In each encoding, the secret is hidden and the surrounding text stays."""
    text = f"The key <{write(secret)}>, said the cloud; RequestId 5D1E8A7C-22F0."
    shown = scrub(text, [secret, "another-secret"])
    assert "<secret>" in shown
    assert shown.startswith("The key <")
    assert shown.endswith(">, said the cloud; RequestId 5D1E8A7C-22F0.")
    assert not any(secret.lower() in reading.lower() for reading in readings(shown))


WORDS = st.text(st.sampled_from(string.printable + "äé中😀\u200b"), max_size=30)
SECRETS = st.text(st.sampled_from(string.ascii_letters + string.digits + "+/=_-.!&%\\\"'<>~ "), min_size=8, max_size=64)


def long_enough(secret: str) -> bool:
    """Whether enough of a secret is left without blanks, and it is not the word that is written in its place."""
    bare = re.sub(r"[\s+]", "", secret)
    return len(bare) >= 8 and bare.lower() != "<secret>"


@settings(max_examples=400, deadline=None)
@given(WORDS, WORDS, SECRETS.filter(long_enough), st.sampled_from([*WAYS]))
@example("%", "", "A1b2C3d4", "percent for all")
@example("\\", "", "A1b2C3d4", "\\u00XX")
@example("abc", "abc", "A1b2C3d4", "base64")
@example("%4", "", "1b2C3d4xyz", "as it is")
@example("", "", "0000%00<", "HTML")
@example("", "0000%00<", "0000%00<", "HTML of JSON")
@example("%", "", "h0>00000", "base64 in percent")
@example("\\", "", "n>>>00000", "base64 in percent")
@example("%", "", "00000000", "broken by an escaped line")
@example("%", "", "000000\\0", "JSON")
@example("\\", "", "n0>00000", "percent for all")
@example("\\", "", "r000000<", "percent twice")
@example("", "x1", "00000000", "hexadecimal")
def test_any_secret_in_any_text(before: str, after: str, secret: str, written: str) -> None:
    """For any secret and surrounding text, no scrubbed text can be decoded to the secret."""
    shown = scrub(f"{before}{WAYS[written](secret)}{after}", [secret])
    assert shown == WITHHELD or "<secret>" in shown
    assert not any(secret.lower() in reading.lower() for reading in readings(shown))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_other_text_stays(text: str) -> None:
    """A text without the secret is returned as it is, byte for byte."""
    assert scrub(text, [SECRET, PLAIN, ""]) == text


@pytest.mark.parametrize(
    "text",
    [
        "InvalidParameter: the domain 5000.livepush.com of stream arena-1 is not yours (50% of calls, C&A, a\\b)",
        "5D1E8A7C-22F0-4D3C-9AD1-0123456789AB",
        '{"Response": {"Error": {"Code": "AuthFailure", "Message": "x \\u4e2d\\n"}, "RequestId": "3c140219-cfe9"}}',
        "the signature time is out of range; tokens are fine",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Usual messages of clouds stay unchanged."""
    assert scrub(text, [SECRET, PLAIN, "LTAI5tKeyIdOfSomebody"], addresses=True) == text


@pytest.mark.parametrize("way", ["as it is", "percent for all", "base64 at offset 1", "lower case"])
@pytest.mark.parametrize("cut", [PLAIN[-12:], PLAIN[4:], PLAIN[1:]])
def test_a_secret_that_lost_its_beginning(cut: str, way: str) -> None:
    """The last twelve characters of a secret are enough to find it."""
    scrubbed = scrub(f"the key ...{WAYS[way](cut)} is bad", [PLAIN])
    assert "<secret>" in scrubbed
    assert scrubbed.startswith("the key ...")
    assert scrubbed.endswith(" is bad")


@pytest.mark.parametrize("cut", [PLAIN[:8], PLAIN[:12], PLAIN[:-1]])
def test_a_secret_cut_short_by_the_cloud(cut: str) -> None:
    """The beginning of a secret is hidden at the end of a message, and a long beginning anywhere."""
    assert scrub(f"bad key {cut}", [PLAIN]) == "bad key <secret>"
    if len(cut) >= 12:
        assert scrub(f"bad key {cut}... sorry", [PLAIN]) == "bad key <secret>... sorry"


@pytest.mark.parametrize("place", range(60, 101))
def test_a_text_is_cut_after_the_search(place: int) -> None:
    """No part of a secret at the limit is shown, in any encoding."""
    for written in (PLAIN, fields(PLAIN), for_urls(PLAIN), PLAIN.encode().hex()):
        shown = scrub("-" * place + written + "z" * 5000, [PLAIN], limit=100)
        assert shown.startswith("-" * place)
        assert shown in ("-" * place + "<secret>" + "z" * (100 - place - len(written)), "-" * 100)


def test_a_cut_text_without_a_secret() -> None:
    """A text without a secret is cut exactly at the limit."""
    assert scrub("ab cd" * 1000, [PLAIN], limit=7) == "ab cdab"


def test_short_words_are_no_secrets() -> None:
    """Secrets shorter than four characters are ignored, because they would match everywhere."""
    assert scrub("the id is 1", ["id", "1", "", "the"]) == "the id is 1"
    assert scrub("the word is abcd", ["abcd"]) == "the word is <secret>"


def test_a_secret_named_like_its_label() -> None:
    """The word `secret` itself can be a secret."""
    assert scrub("my secret here", ["secret"]) == "my <secret> here"


def test_what_is_encoded_too_deeply_is_withheld() -> None:
    """A text with too many layers of encoding is not shown at all."""
    text = PLAIN[:3] + "%41" + PLAIN[3:]
    for _ in range(12):
        text = text.replace("%", "%25")
    assert scrub(f"key {text}", [PLAIN]) == WITHHELD


ADDRESS = "rtmp://push.example/live/s?txSecret=0b1c2d&txTime=6F000000"


@pytest.mark.parametrize(
    "text",
    [ADDRESS, json.dumps(ADDRESS).replace("/", "\\/"), fields(ADDRESS), quote(ADDRESS, safe=""), packed(ADDRESS),
     html.escape(ADDRESS), quote(quote(ADDRESS, safe=""), safe=""), '{"txSecret": "0b1c2d"}', "live/s?wsSecret=0b1c2d",
     "s?auth_key=1893456000-0-0-0b1c2d", "s?auth%5Fkey%3D0b1c2d", "s?volcSecret=0b1c2d"],
)  # fmt: skip
def test_push_addresses(text: str) -> None:
    """Push addresses and their signatures are hidden in every encoding."""
    shown = scrub(f"push to <{text}> now", (), addresses=True)
    assert shown.startswith("push to <")
    assert shown.endswith("> now")
    assert not any("0b1c2d" in reading for reading in readings(shown))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "41",
        "4:",
        "%25",
        "%2525252541",
        "\\",
        "\\u0041",
        "&amp;",
        "ab cd ",
        "QUJD",
        "bWnU",
        "+",
        "<br>",
        "rtmp:\\/\\/x ",
        "a:",
        ":/",
        "&sign",
        "rtmp://",
        "token=",
        "\\/",
        "signature=&",
    ],
)
def test_time_grows_with_the_length_at_most(text: str) -> None:
    """Time is at most about linear in the length of the text."""

    def make(size: int) -> Callable[[], object]:
        long = text * (size // len(text))
        return lambda: scrub(long, [SECRET, PLAIN], addresses=True)

    assert growth(make, 1 << 16) < LINEAR


def test_what_is_known_of_a_call() -> None:
    """Key id, secret, token and both forms of the signature are hidden."""
    credentials = Credentials("the-key-id", Secret("the-secret"), Secret("the-token"))
    request = Request("GET", "https://host/?Signature=ab%2Bcd%3D", {"Authorization": "X Credential=a, Signature=0f0f"})
    assert known_secrets(credentials, request, ("Signature",)) == [
        "the-key-id", "the-secret", "the-token", "ab%2Bcd%3D", "0f0f", "ab+cd=",
    ]  # fmt: skip
    assert known_secrets(None, None, ()) == []
