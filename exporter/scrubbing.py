"""Removes secrets from text that is to be shown, in all common encodings.

A text is searched in several views: as it is, with its escapes decoded layer by layer, and with all runs of base64 and
hexadecimal digits decoded. A view maps each byte to its place in the original, so that a match in any view is replaced
in the original, and the rest stays readable.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

SHORTEST = 4  # characters of the shortest secret that is searched for
WITHHELD = "<withheld: it may hold a secret>"

_LAYERS = 8  # of escapes within escapes
_PACKINGS = 2  # levels of base64 or hexadecimal digits
_WIDEST = 16  # characters of text that may encode one character of a secret
_HEAD, _TAIL = 12, 8  # characters from which on a truncated secret is recognised: anywhere, and at the end of the text
_FACTOR, _FREE = 96, 1 << 17  # limit of all views, in bytes per byte of text, and in bytes for any text


@dataclass(frozen=True, slots=True)
class _View:
    """A decoded text. If it is `mapped`, byte `n` comes from `starts[n]` to `ends[n]` of the original."""

    data: bytes
    starts: Sequence[int] = ()
    ends: Sequence[int] = ()
    mapped: bool = False


_Span = tuple[int, int, str]  # start, end, replacement


@dataclass(frozen=True, slots=True, repr=False)
class Targets:
    """What to search for: secrets, longest first, and whether push addresses too."""

    needles: Sequence[bytes]
    least: int  # fewest bytes of a secret that are recognised
    stretch: re.Pattern[bytes]  # matches at least so many printable bytes
    addresses: bool = False

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Targets:
        """Prepare secrets: in lower case, without blanks and `+`, which may stand for each other."""
        encoded = {secret.encode("utf-8", "surrogatepass") for secret in secrets if len(secret) >= SHORTEST}
        # A secret may hold escapes itself, which are decoded along with those of the text.
        plain = {form for each in encoded for form in _decoded(each) if len(form) >= SHORTEST}
        bare = {_BLANK.sub(b"", each).replace(b"+", b"").lower() or each for each in plain}
        needles = sorted(bare, key=len, reverse=True)
        least = min([_TAIL, *map(len, needles)])
        signs = rb"\t\n\r -~" if all(each.isascii() for each in needles) else rb"\t\n\r -~\x80-\xff"
        return cls(needles, least, re.compile(rb"[%b]{%d,}" % (signs, least)))


def _decoded(secret: bytes) -> list[bytes]:
    """Return a secret as it is and with its escapes decoded, layer by layer."""
    forms = [secret]
    with suppress(_TooDeep):
        forms += [view.data for view in _layers(_View(secret))]
    return forms


class _TooDeep(Exception):  # noqa: N818
    """A text is encoded too deeply to be searched."""


def scrub(text: str, secrets: Iterable[str] | Targets, *, limit: int | None = None, addresses: bool = False) -> str:
    """Return a text with `<secret>` in place of each secret, however it is encoded.

    It decodes the escapes of JSON, URLs and HTML, base64 (standard and URL-safe, at any offset, so `id:secret` too) and
    hexadecimal digits, also nested, in any case, and interrupted by blanks or line breaks.

    Args:
        text: The text to show.
        secrets: What to hide; secrets shorter than four characters are ignored. For several texts, prepare `Targets`.
        limit: Maximum length of the result. The text is cut after the search, because half a secret is not recognised.
        addresses: Whether to hide push addresses and their secrets (txSecret, auth_key) too.

    Returns:
        The text, or `WITHHELD` if it is encoded too deeply to be searched.
    """
    if not text:
        return text
    targets = replace(secrets if isinstance(secrets, Targets) else Targets.of(secrets), addresses=addresses)
    widest = _WIDEST * max(map(len, targets.needles), default=0) + 256
    whole = text if limit is None else text[: limit + widest]
    data = whole.encode("utf-8", "surrogatepass")
    try:
        if not _contains_any(data, targets):
            return text[:limit]
        end = len(data) if limit is None else len(whole[:limit].encode("utf-8", "surrogatepass"))
        spans = [span for span in _spans(data, targets) if span[0] < end]
        parts = _between(data, spans, end)
        if _contains_any(b"\x00".join(parts), targets):
            return WITHHELD
    except _TooDeep:
        return WITHHELD
    labels = ["", *(label for _, _, label in spans)]
    return "".join(label + part.decode("utf-8", "surrogatepass") for label, part in zip(labels, parts, strict=True))


def _between(data: bytes, spans: Sequence[_Span], end: int) -> list[bytes]:
    """Return the parts between the spans, up to the end."""
    starts = [0, *(after for _, after, _ in spans)]
    ends = [*(start for start, _, _ in spans), end]
    return [data[start:after] for start, after in zip(starts, ends, strict=True)]


def _contains_any(data: bytes, targets: Targets) -> bool:
    """Return whether anything matches; cheaper than finding out where."""
    return any(True for _ in _matches(_View(data), targets))


def _spans(data: bytes, targets: Targets) -> list[_Span]:
    """Return the matches in a text; overlapping ones are merged."""
    whole = _View(data, range(len(data)), range(1, len(data) + 1), mapped=True)
    spans = {(view.starts[start], view.ends[end - 1], label) for view, (start, end, label) in _matches(whole, targets)}
    merged: list[_Span] = []
    for start, end, label in sorted(spans):
        if merged and start < merged[-1][1]:
            first, last, first_label = merged[-1]
            merged[-1] = (first, max(last, end), first_label)
        else:
            merged.append((start, end, label))
    return merged


def _matches(whole: _View, targets: Targets) -> Iterator[tuple[_View, _Span]]:
    """Yield the matches in all views of a text, each with its view."""
    left = _FACTOR * len(whole.data) + _FREE
    for view, tight in _views(whole, targets, _PACKINGS):
        left -= len(view.data)
        if left < 0:
            raise _TooDeep
        bare = _rewritten(tight, _PLUS, lambda _: b"") or tight
        for span in _secrets_in(bare.data.lower(), targets.needles):
            yield bare, span
        for span in _addresses_in(view.data) if targets.addresses else ():
            yield view, span


# --- matches ---------------------------------------------------------------------------------------------------------


def _secrets_in(data: bytes, needles: Sequence[bytes]) -> Iterator[_Span]:
    for needle in needles:
        for start, end in _occurrences(data, needle):
            yield start, end, "<secret>"


def _occurrences(data: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a secret is, whole or truncated."""
    at = data.find(needle[:_HEAD])
    while at >= 0:
        end = at + _common_prefix(data[at : at + len(needle)], needle)
        yield at, end
        at = data.find(needle[:_HEAD], end)
    # A secret without its beginning is found by its end.
    at = data.find(needle[-_HEAD:]) if len(needle) > _HEAD else -1
    while at >= 0:
        end = at + _HEAD
        yield end - _common_prefix(data[max(0, end - len(needle)) : end][::-1], needle[::-1]), end
        at = data.find(needle[-_HEAD:], end)
    at = data.find(needle[:_TAIL], max(0, len(data) - _HEAD)) if len(needle) > _TAIL else -1
    if at >= 0 and needle.startswith(data[at:]):
        yield at, len(data)


def _common_prefix(one: bytes, other: bytes) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


_ADDRESS = re.compile(rb":(?:\\?/){2}[^\s\"'<>\x00]*")
_SCHEME = re.compile(rb"[A-Za-z0-9+.-]*\Z")
_LONGEST_SCHEME = 16  # without a limit, a long word would take quadratic time
_PUSH_SECRETS = re.compile(
    rb"(?:secret|auth_key|(?:tx|ws|hw|volc)_?time|token|sign(?:ature)?)(?:=|[\"']\s{0,9}:\s{0,9}[\"'])([^&\"'\s\\\x00]+)",
    re.IGNORECASE,
)


def _addresses_in(data: bytes) -> Iterator[_Span]:
    for match in _ADDRESS.finditer(data):
        scheme = _SCHEME.search(data, max(0, match.start() - _LONGEST_SCHEME), match.start())
        yield scheme.start() if scheme else match.start(), match.end(), "<address>"
    for match in _PUSH_SECRETS.finditer(data):
        yield match.start(1), match.end(1), "<redacted>"


# --- views -----------------------------------------------------------------------------------------------------------


def _views(view: _View, targets: Targets, packings: int) -> Iterator[tuple[_View, _View]]:
    """Yield a view and all views decoded from it, each also without blanks."""
    # What only looks like an escape takes characters along: "%" before "aDA%2BMDA" or before "00ab\r\ncd".
    for kept in (b"", *(start for start in (b"%", b"\\", b"&") if start in view.data)):
        for layer in _layers(view, kept):
            tight = _rewritten(layer, _BLANK, lambda _: b"") or layer
            yield _View(b"") if kept else layer, tight  # all addresses are found without
            for runs, offsets, unpack in _PACKED if packings else ():
                for unpacked in _unpack_runs(tight, runs, offsets, unpack, targets):
                    yield from _views(unpacked, targets, packings - 1)


def _layers(view: _View, kept: bytes = b"") -> Iterator[_View]:
    """Yield a view and what its escapes decode to, layer by layer; those that begin with `kept` stay."""
    yield view
    change = partial(_unescaped_but, kept) if kept else _unescaped
    for _ in range(_LAYERS):
        decoded = _rewritten(view, _ESCAPE, change)
        if decoded is None:
            return
        yield decoded
        view = decoded
    raise _TooDeep


def _rewritten(view: _View, pattern: re.Pattern[bytes], change: Callable[[re.Match[bytes]], bytes]) -> _View | None:
    """Return a view with each match of a pattern replaced, or None if nothing changes."""
    if not view.mapped:
        data = pattern.sub(change, view.data)
        return _View(data) if data != view.data else None
    parts: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for match in pattern.finditer(view.data):
        begin, end = match.span()
        new = change(match)
        if new != match[0]:
            parts += (view.data[at:begin], new)
            starts += [*view.starts[at:begin], *[view.starts[begin]] * len(new)]
            ends += [*view.ends[at:begin], *[view.ends[end - 1]] * len(new)]
            at = end
    if not at:
        return None
    parts.append(view.data[at:])
    return _View(b"".join(parts), [*starts, *view.starts[at:]], [*ends, *view.ends[at:]], mapped=True)


_PLUS = re.compile(rb"\++")
# With Unicode blanks and zero-width characters in UTF-8, and the line breaks of HTML.
_BLANK = re.compile(
    rb"(?:\s|\xc2[\x85\xa0\xad]|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xa4]|\xe3\x80\x80"
    rb"|\xef\xbb\xbf|<w?br\s{0,9}/?>)+",
    re.IGNORECASE,
)
_ESCAPE = re.compile(
    rb"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"
    rb"|(?:\\u|%u|\\U0000)([0-9a-f]{4})|\\u\{([0-9a-f]{1,6})\}"
    rb"|(?:\\x|%)([0-9a-f]{2})|\\([\"'/\\bfnrt])|&(?:\#[0-9]{1,32}|\#x[0-9a-f]{1,32}|[a-z][a-z0-9]{1,31});?",
    re.IGNORECASE,
)
_SIMPLE = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _unescaped(match: re.Match[bytes]) -> bytes:
    """Decode an escape to UTF-8; an invalid one stays as it is."""
    high, low, four, braced, byte, simple = match.groups()
    if high:
        pair = bytes.fromhex((high + low).decode())
        return pair.decode("utf-16-be").encode()
    if four or braced:
        number = int(four or braced, 16)
        return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else match[0]
    if byte:
        return bytes.fromhex(byte.decode())
    if simple:
        return _SIMPLE.get(simple, simple)
    return html.unescape(match[0].decode()).encode("utf-8", "surrogatepass")


# Decodes a run of digits from an offset on; `_Digits` returns the first and last digit of a decoded byte.
_Digits = Callable[[int], tuple[int, int]]
_Unpack = Callable[[bytes, int], tuple[bytes, _Digits]]


def _unpack_runs(
    view: _View, runs: re.Pattern[bytes], offsets: int, unpack: _Unpack, targets: Targets
) -> Iterator[_View]:
    """Yield the decoded runs of a view, for each offset at which their groups of digits may begin."""
    # Four digits of base64 make three bytes, of hexadecimal fewer: skip runs too short for any secret.
    least = (targets.least * 4 + 2) // 3
    places = [match.span() for match in runs.finditer(view.data) if match.end() - match.start() >= least]
    for offset in range(offsets):
        data: list[bytes] = []
        starts: list[int] = []
        ends: list[int] = []
        for begin, end in places:
            unpacked, digits = unpack(view.data[begin:end], offset)
            for match in targets.stretch.finditer(unpacked):
                data += (match[0], b"\x00")
                if view.mapped:
                    own = [digits(at) for at in range(*match.span())]
                    starts += [*(view.starts[begin + first] for first, _ in own), view.starts[end - 1]]
                    ends += [*(view.ends[begin + last] for _, last in own), view.ends[end - 1]]
        if data:
            yield _View(b"".join(data), starts, ends, view.mapped)


def _unescaped_but(start: bytes, match: re.Match[bytes]) -> bytes:
    """Decode an escape; of those that begin like this only the signs of base64."""
    decoded = _unescaped(match)
    return match[0] if match[0].startswith(start) and decoded not in (b"+", b"/", b"=") else decoded


_STANDARD = bytes.maketrans(b"-_", b"+/")


def _base64(run: bytes, offset: int) -> tuple[bytes, _Digits]:
    size = (len(run) - offset) * 6 // 8
    digits = run[offset : offset + (size * 8 + 5) // 6].translate(_STANDARD)
    decoded = binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    return decoded, lambda at: (offset + at * 8 // 6, offset + (at * 8 + 7) // 6)


_BETWEEN_HEX = re.compile(rb"0x|[^0-9A-Fa-f]+")


def _hex(run: bytes, offset: int) -> tuple[bytes, _Digits]:
    digits = _BETWEEN_HEX.sub(b"", run)[offset:]
    decoded = bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    places: list[int] = []

    def place(at: int) -> tuple[int, int]:
        if not places:
            places.extend(match.start() for match in re.finditer(rb"0x|([0-9A-Fa-f])", run) if match[1])
        return places[offset + 2 * at], places[offset + 2 * at + 1]

    return decoded, place


_PACKED: tuple[tuple[re.Pattern[bytes], int, _Unpack], ...] = (
    (re.compile(rb"[A-Za-z0-9+/_-]{6,}"), 4, _base64),
    (re.compile(rb"[0-9A-Fa-f](?:[:-]?[0-9A-Fa-f]){7,}"), 2, _hex),
    (re.compile(rb"[0-9A-Fa-f](?:(?:[:-]|,?0x)?[0-9A-Fa-f]){7,}"), 2, _hex),
)
