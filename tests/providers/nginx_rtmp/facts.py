"""What tests know of nginx with the RTMP module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exporter.model import Reason, State
from tests.providers.facts import Case, Facts, Listed


def parts(value: Any, name: str) -> list[Any]:
    """Return the elements of a name within an element."""
    found = value.get(name, []) if isinstance(value, dict) else []
    return found if isinstance(found, list) else [found]


def shown(value: Any) -> str:
    """Return a name with a space for each byte that is not printable ASCII."""
    return "".join(chr(byte) if 32 <= byte < 127 else " " for byte in str(value).encode("utf-8", "surrogatepass"))


def applications(found: dict[str, Any]) -> Iterator[Any]:
    """Yield the applications of all servers."""
    for server in parts(found.get("rtmp"), "server"):
        yield from parts(server, "application")


def rows(found: dict[str, Any], stream: Any) -> Iterator[Any]:
    """Yield the rows of a stream."""
    for app in applications(found):
        for live in parts(app, "live") if shown(app.get("name")) == stream.app else ():
            yield from (
                row for row in parts(live, "stream") if shown(row.get("name")) == (stream.stream or stream.name)
            )


def live(found: dict[str, Any], stream: Any) -> bool:
    """One of its rows has the mark of a publisher."""
    return any(parts(row, "publishing") == [""] for row in rows(found, stream))


def gone(found: dict[str, Any], stream: Any) -> bool:
    """There are applications; those of its name are listed whole, and none of its rows has a publisher."""
    known = [app for app in applications(found) if isinstance(app, dict)]
    own = [app for app in known if shown(app.get("name")) == stream.app]
    return bool(known) and all(parts(app, "live") for app in own) and not live(found, stream)


FACTS = Facts(
    keys={"username": "mon", "password": "pw.1"},
    lists={"rtmp_stat": Listed(live=live, gone=gone)},
    states=(
        Case("active", "nginx_rtmp", State.ACTIVE, "ok"),
        # Absence takes four answers, the first of which had the stream.
        Case("inactive", "nginx_rtmp", State.INACTIVE, "ok", 3, state=State.INACTIVE),
        Case("forbidden", "nginx_rtmp", State.INACTIVE, "ok", 3, state=State.FORBIDDEN),
        Case(
            "after a reload", "nginx_rtmp", ("other_worker", Reason.PROVIDER_ERROR), "ok",
            quirks={"nginx_rtmp_reloads": 1},
        ),
    ),
    codes={"401": Reason.AUTH, "403": Reason.AUTH},
)  # fmt: skip
