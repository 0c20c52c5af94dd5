"""Hostile answers: true ones with parts replaced, and bytes of any kind. Texts are of full Unicode, surrogates too."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from exporter.model import Reply
from exporter.simulator.exchange import dump_xml

TEXT = st.text(st.characters(), max_size=12)
WORDS = st.sampled_from(
    [
        "error", "Error", "code", "message", "RoomId", "Action", "AudioAux",
        "active", "inactive", "forbid", "forbidden", "online", "offline", "ok", "other", "0", "1", "true", "", "\ud800",
        "timeout", "State=1", "AuthFailure", "RequestLimitExceeded", "Throttling", "RoomNotExist", "x" * 5000,
        '"}\n# TYPE stream_active gauge\nstream_active 1\n', "\\", "\x00", "\u2028", "{}", "2018-06-29T19:00:00Z",
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9" * 30, "-1", "rtmp://h/a?txSecret=x", "push.example",
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [0, 1, 2, -1, True, False, 41004, 41006, 0.0, 1.0, 0.5, -0.0, 1e308, 1 << 63, 1 << 64, -(1 << 70), 10**400]
)
SCALARS = st.none() | NUMBERS | WORDS | TEXT | st.integers() | st.floats()
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | TEXT, inner, max_size=3),
    max_leaves=6,
)
STATUS = st.sampled_from(
    [200] * 8 + [100, 201, 203, 204, 206, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503, 599]
)
HINTS = WORDS | TEXT | st.integers().map(str) | st.sampled_from(["Limit:1,Remain:0,TimeLeft:2000", "Remain:0", ":,:"])
DATES = HINTS | st.sampled_from(
    [
        "Sat, 21 Nov 2026 11:00:00 GMT",
        "Sat, 21 Nov 0001 11:00:00 -2359",
        "Fri, 31 Dec 9999 23:59:59 +2359",
        "1 1 1 1 1 1",
    ]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": HINTS | st.just("text/html"),
        "age": st.sampled_from(["0"] * 8 + ["00", "1", "x", "-1"]),
        "date": DATES,
        "retry-after": HINTS,
        "x-acs-retry-after": HINTS,
        "x-ratelimit-user-api": HINTS,
    },
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a document, its root included."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        found += places(part, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], how: str, junk: Any) -> Any:
    """Return the document with one part replaced, removed, wrapped or joined by another; the document itself may go."""
    if not path:
        return {"replace": junk, "wrap": [value], "remove": {}}.get(how, value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    last = path[-1]
    if how == "remove":
        del holder[last]
    elif how == "wrap":
        holder[last] = [holder[last]]
    elif how == "unwrap" and isinstance(holder[last], (list, dict)) and holder[last]:
        holder[last] = next(iter(holder[last].values() if isinstance(holder[last], dict) else holder[last]))
    elif how == "rename" and isinstance(holder, dict):
        holder[str(junk)[:20]] = holder.pop(last)
    elif how == "join" and isinstance(holder, list):
        holder += [junk, copy.deepcopy(holder[last])]
    else:
        holder[last] = junk
    return value


@st.composite
def documents(draw: st.DrawFn, true: list[Any]) -> Any:
    """Draw a true document with up to three parts spoilt."""
    value = copy.deepcopy(draw(st.sampled_from(true)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(value)))
        how = draw(st.sampled_from(["replace", "replace", "remove", "wrap", "unwrap", "rename", "join"]))
        value = changed(value, path, how, draw(JUNK))
    return value


def written(value: Any, escaped: bool) -> bytes:
    """Write a document, with lone surrogates as escapes or as bytes that are not UTF-8, NaN and all."""
    return json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


def written_xml(value: Any, _escaped: bool) -> bytes:
    """Write a document as XML, its only member as the root."""
    ((root, content),) = value.items() if isinstance(value, dict) and len(value) == 1 else [("any", value)]
    return dump_xml(root, content)


Write = Callable[[Any, bool], bytes]


@st.composite
def bodies(draw: st.DrawFn, true: list[Any], write: Write) -> bytes:
    """Draw a body: mostly a spoilt document, sometimes with spoilt bytes, sometimes anything."""
    kind = draw(st.sampled_from(["document"] * 6 + ["bytes", "twice", "deep", "anything"]))
    if kind == "anything":
        return draw(st.binary(max_size=60))
    body = write(draw(documents(true)), draw(st.booleans()))
    place = draw(st.integers(0, len(body)))
    if kind == "bytes":
        return body[:place] + draw(st.binary(max_size=4)) + body[place + draw(st.integers(0, 4)) :]
    if kind == "twice":
        return body[:1] + body[1:-1] + b"," + body[1:]
    if kind == "deep":
        depth = draw(st.sampled_from([50, 900, 5000, 100_000]))
        return body[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + body[-1:]
    return body


def replies(true: list[Any], write: Write = written) -> st.SearchStrategy[Reply]:
    """Return a strategy for answers."""
    return st.builds(Reply, STATUS, HEADERS, bodies(true, write))
