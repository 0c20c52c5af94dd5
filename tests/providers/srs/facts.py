"""What tests know of SRS."""

from __future__ import annotations

from typing import Any

from exporter.model import Reason, State
from tests.providers.facts import Case, Facts, Listed, objects


def named(found: dict[str, Any], stream: Any) -> list[dict[str, Any]]:
    """Return the rows of a stream; a vhost stands before the first slash of `url`, unless it is the default one."""
    vhost = "" if stream.vhost == "__defaultVhost__" else stream.vhost
    name = stream.stream or stream.name
    url = f"{vhost}/{stream.app}/{name.rsplit('.', 1)[0] or name}"
    return [row for row in objects(found.get("streams")) if row.get("url") == url]


def live(found: dict[str, Any], stream: Any) -> bool:
    """Somebody publishes it."""
    return any(row["publish"].get("active") is True for row in named(found, stream))


def gone(found: dict[str, Any], stream: Any) -> bool:
    """Players wait for it, or the list is shorter than was asked for and lacks it."""
    rows = named(found, stream)
    urls = [row.get("url") for row in objects(found.get("streams"))]
    whole = found["code"] == 0 and "streams" in found and len(set(urls)) == len(urls) < 10_000
    return any(row["publish"].get("active") is False for row in rows) if rows else whole


FACTS = Facts(
    keys={"username": "mon", "password": "pw"},
    lists={"streams": Listed(live=live, gone=gone)},
    states=(
        Case("active", "srs", State.ACTIVE, "ok"),
        Case("absent", "srs", State.INACTIVE, "ok", state=State.INACTIVE),
        Case("never seen", "srs", State.INACTIVE, "ok", state=State.NOT_FOUND),
        Case("players only", "srs", State.INACTIVE, "ok", state=State.INACTIVE, quirks={"srs_idle": "players"}),
    ),
    codes={"401": Reason.AUTH, "100": Reason.BAD_REQUEST, "2048": Reason.BAD_REQUEST},
    unlisted=("1023", Reason.PROVIDER_ERROR),
    own=("code",),
    others={"a url of another stream": ("streams.0.url", "/live/else")},
    invented=lambda number: str(900_000 + number),
    unknown=("other", Reason.PROVIDER_ERROR),
)
