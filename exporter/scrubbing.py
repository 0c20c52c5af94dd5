"""Takes secrets out of text that is to be shown, in whatever common encoding they stand there.

A text is looked at through views: as it stands, with its escapes decoded layer by layer, and with each run of base64
and hexadecimal digits unpacked. A view remembers for each byte which part of the original it came from, so what is
found anywhere is hidden in the original, and the rest stays readable.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

SHORTEST = 4  # characters of a secret that is looked for
WITHHELD = "<withheld: it may hold a secret>"

_LAYERS = 8  # escapes within escapes
_PACKINGS = 2  # base64 or hexadecimal digits within each other
_WIDEST = 16  # characters of text for one character of a secret
_HEAD, _TAIL = 12, 8  # a secret that was cut short counts from this length on: anywhere, and at the end
_FACTOR, _FREE = 96, 1 << 17  # bytes of views allowed for each byte of text, and for any text


@dataclass(frozen=True, slots=True)
class _View:
    """Bytes that were read out of a text; byte `n` came from `starts[n]` to `ends[n]` of it, where that is kept."""

    data: bytes
    starts: Sequence[int] = ()
    ends: Sequence[int] = ()
    kept: bool = False


_Span = tuple[int, int, str]  # where it begins and ends, and what to write there


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for: secrets, longest first, and whether push addresses too."""

    needles: Sequence[bytes]
    addresses: bool
    least: int  # fewest bytes of a secret that are recognised
    stretch: re.Pattern[bytes]  # at least so many printable bytes

    @classmethod
    def of(cls, secrets: Iterable[str], addresses: bool) -> _Wanted:
        """Prepare secrets: in lower case, without blanks and `+`, which can stand for each other."""
        written = {secret.encode("utf-8", "surrogatepass") for secret in secrets if len(secret) >= SHORTEST}
        # A secret may hold escapes of its own, which are decoded along with those of the text.
        plain = {form for each in written for form in _decoded(each) if len(form) >= SHORTEST}
        bare = {_BLANK.sub(b"", each).replace(b"+", b"").lower() or each for each in plain}
        needles = sorted(bare, key=len, reverse=True)
        least = min([_TAIL, *map(len, needles)])
        signs = rb"\t\n\r -~" if all(each.isascii() for each in needles) else rb"\t\n\r -~\x80-\xff"
        return cls(needles, addresses, least, re.compile(rb"[%b]{%d,}" % (signs, least)))


def _decoded(secret: bytes) -> list[bytes]:
    """Return a secret as it stands and with its escapes decoded, layer by layer."""
    forms = [secret]
    with suppress(_Tangled):
        forms += [view.data for view in _layers(_View(secret))]
    return forms


class _Tangled(Exception):  # noqa: N818
    """A text is encoded too deeply to be looked through."""


def scrub(text: str, secrets: Iterable[str], *, limit: int | None = None, addresses: bool = False) -> str:
    """Return a text with `<secret>` in place of each secret, however it is encoded.

    It knows the escapes of JSON, percent encoding and HTML, base64 (standard and for URLs, at any offset, so also
    `id:secret`) and hexadecimal digits, within each other too, in any case, and broken by blanks or lines.

    Args:
        text: What is to be shown.
        secrets: What must not be; those shorter than four characters are not looked for.
        limit: Characters of the text that are shown. It is cut after the search: half a secret is not recognised.
        addresses: Whether push addresses and their secrets (txSecret, auth_key) are hidden too.

    Returns:
        The text, or `WITHHELD` where it is encoded too deeply to be searched.
    """
    wanted = _Wanted.of(secrets, addresses)
    whole = text
    if limit is not None and len(text) > limit:
        whole = text[: limit + _WIDEST * max(map(len, wanted.needles), default=0) + 256]
    data = whole.encode("utf-8", "surrogatepass")
    try:
        if not _holds(data, wanted):
            return text[:limit]
        end = len(data) if limit is None else len(whole[:limit].encode("utf-8", "surrogatepass"))
        spans = [span for span in _spans(data, wanted) if span[0] < end]
        parts = _between(data, spans, end)
        if _holds(b"\x00".join(parts), wanted):
            return WITHHELD
    except _Tangled:
        return WITHHELD
    labels = ["", *(label for _, _, label in spans)]
    return "".join(label + part.decode("utf-8", "surrogatepass") for label, part in zip(labels, parts, strict=True))


def _between(data: bytes, spans: Sequence[_Span], end: int) -> list[bytes]:
    """Return what lies between the spans, up to the end."""
    starts = [0, *(after for _, after, _ in spans)]
    ends = [*(start for start, _, _ in spans), end]
    return [data[start:after] for start, after in zip(starts, ends, strict=True)]


def _holds(data: bytes, wanted: _Wanted) -> bool:
    """Whether anything is found; cheaper than finding out where."""
    return any(True for _ in _found(_View(data), wanted))


def _spans(data: bytes, wanted: _Wanted) -> list[_Span]:
    """Return where in a text something is found; overlapping places are merged."""
    whole = _View(data, range(len(data)), range(1, len(data) + 1), kept=True)
    places = {(view.starts[start], view.ends[end - 1], label) for view, (start, end, label) in _found(whole, wanted)}
    merged: list[_Span] = []
    for start, end, label in sorted(places):
        if merged and start < merged[-1][1]:
            first, last, words = merged[-1]
            merged[-1] = (first, max(last, end), words)
        else:
            merged.append((start, end, label))
    return merged


def _found(whole: _View, wanted: _Wanted) -> Iterator[tuple[_View, _Span]]:
    """Yield what is found in all views of a text, with the view it was found in."""
    left = _FACTOR * len(whole.data) + _FREE
    for view, tight in _views(whole, wanted, _PACKINGS):
        left -= len(view.data)
        if left < 0:
            raise _Tangled
        bare = _rewritten(tight, _PLUS, lambda _: b"") or tight
        for span in _secrets_in(bare.data.lower(), wanted.needles):
            yield bare, span
        for span in _addresses_in(view.data) if wanted.addresses else ():
            yield view, span


# --- what is looked for ----------------------------------------------------------------------------------------------


def _secrets_in(data: bytes, needles: Sequence[bytes]) -> Iterator[_Span]:
    for needle in needles:
        for start, end in _occurrences(data, needle):
            yield start, end, "<secret>"


def _occurrences(data: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a secret stands, whole or cut short."""
    at = data.find(needle[:_HEAD])
    while at >= 0:
        end = at + _alike(data[at : at + len(needle)], needle)
        yield at, end
        at = data.find(needle[:_HEAD], end)
    # One that lacks its beginning is found by its end.
    at = data.find(needle[-_HEAD:]) if len(needle) > _HEAD else -1
    while at >= 0:
        end = at + _HEAD
        yield end - _alike(data[max(0, end - len(needle)) : end][::-1], needle[::-1]), end
        at = data.find(needle[-_HEAD:], end)
    at = data.find(needle[:_TAIL], max(0, len(data) - _HEAD)) if len(needle) > _TAIL else -1
    if at >= 0 and needle.startswith(data[at:]):
        yield at, len(data)


def _alike(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


_ADDRESS = re.compile(rb":(?:\\?/){2}[^\s\"'<>\x00]*")
_SCHEME = re.compile(rb"[A-Za-z0-9+.-]*\Z")
_LONGEST_SCHEME = 16  # without a limit, a long word would take time in the square of its length
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


def _views(view: _View, wanted: _Wanted, packings: int) -> Iterator[tuple[_View, _View]]:
    """Yield a view and all views that can be decoded from it, each also without blanks."""
    for layer in _layers(view):
        tight = _rewritten(layer, _BLANK, lambda _: b"") or layer
        yield layer, tight
        if packings:
            for runs, offsets, unpack in _PACKED:
                for unpacked in _unpacked(tight, runs, offsets, unpack, wanted):
                    yield from _views(unpacked, wanted, packings - 1)


def _layers(view: _View) -> Iterator[_View]:
    yield view
    for _ in range(_LAYERS):
        decoded = _rewritten(view, _ESCAPE, _unescaped)
        if decoded is None:
            return
        yield decoded
        view = decoded
    raise _Tangled


def _rewritten(view: _View, pattern: re.Pattern[bytes], change: Callable[[re.Match[bytes]], bytes]) -> _View | None:
    """Return a view with each match of a pattern changed, or None where nothing changes."""
    if not view.kept:
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
    return _View(b"".join(parts), [*starts, *view.starts[at:]], [*ends, *view.ends[at:]], kept=True)


_PLUS = re.compile(rb"\++")
# Blanks of Unicode and signs without width too, as UTF-8, and the line breaks of HTML.
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
    """Return what an escape stands for, as UTF-8; one that stands for nothing stays."""
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


# What a run of digits holds from an offset on, and how to find the first and last digit of one byte of it.
_Digits = Callable[[int], tuple[int, int]]
_Unpack = Callable[[bytes, int], tuple[bytes, _Digits]]


def _unpacked(view: _View, runs: re.Pattern[bytes], offsets: int, unpack: _Unpack, wanted: _Wanted) -> Iterator[_View]:
    """Yield the texts that the runs of a view hold, for each offset at which their groups of digits may begin."""
    # Four digits of base64 make three bytes, of hexadecimal fewer: runs too short for any secret are skipped.
    least = (wanted.least * 4 + 2) // 3
    places = [match.span() for match in runs.finditer(view.data) if match.end() - match.start() >= least]
    for offset in range(offsets):
        data: list[bytes] = []
        starts: list[int] = []
        ends: list[int] = []
        for begin, end in places:
            unpacked, digits = unpack(view.data[begin:end], offset)
            for match in wanted.stretch.finditer(unpacked):
                data += (match[0], b"\x00")
                if view.kept:
                    own = [digits(at) for at in range(*match.span())]
                    starts += [*(view.starts[begin + first] for first, _ in own), view.starts[end - 1]]
                    ends += [*(view.ends[begin + last] for _, last in own), view.ends[end - 1]]
        if data:
            yield _View(b"".join(data), starts, ends, view.kept)


_STANDARD = bytes.maketrans(b"-_", b"+/")


def _base64(run: bytes, offset: int) -> tuple[bytes, _Digits]:
    size = (len(run) - offset) * 6 // 8
    digits = run[offset : offset + (size * 8 + 5) // 6].translate(_STANDARD)
    found = binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    return found, lambda at: (offset + at * 8 // 6, offset + (at * 8 + 7) // 6)


_BETWEEN_HEX = re.compile(rb"0x|[^0-9A-Fa-f]+")


def _hex(run: bytes, offset: int) -> tuple[bytes, _Digits]:
    digits = _BETWEEN_HEX.sub(b"", run)[offset:]
    found = bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    places: list[int] = []

    def place(at: int) -> tuple[int, int]:
        if not places:
            places.extend(match.start() for match in re.finditer(rb"0x|([0-9A-Fa-f])", run) if match[1])
        return places[offset + 2 * at], places[offset + 2 * at + 1]

    return found, place


_PACKED: tuple[tuple[re.Pattern[bytes], int, _Unpack], ...] = (
    (re.compile(rb"[A-Za-z0-9+/_-]{6,}"), 4, _base64),
    (re.compile(rb"[0-9A-Fa-f](?:(?:[:-]|,?0x)?[0-9A-Fa-f]){7,}"), 2, _hex),
)
