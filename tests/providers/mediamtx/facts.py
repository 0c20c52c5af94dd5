"""What tests know of MediaMTX."""

from __future__ import annotations

from typing import Any

from exporter.model import Reason, State
from tests.providers.facts import Case, Facts, Listed, objects


def live(found: dict[str, Any], stream: Any) -> bool:
    """A row has the path's name, and is both available and online, or ready where versions know no more."""
    name = stream.path or stream.name
    rows = [row for row in objects(found.get("items")) if row.get("name") == name]
    return any(
        row.get("available") is True and row.get("online") is True if "available" in row else row.get("ready") is True
        for row in rows
    )


def gone(found: dict[str, Any], stream: Any) -> bool:
    """A row with the path's name is not live, or all paths are on one page and none has it."""
    rows, name = objects(found.get("items")), stream.path or stream.name
    if any(row.get("name") == name for row in rows):
        return not live(found, stream)
    names = {row.get("name") for row in rows}
    return found["pageCount"] in (0, 1) and found["itemCount"] == len(found["items"] or []) == len(names)


def idle(form: str, state: State = State.INACTIVE) -> Case:
    """A path whose source brings nothing."""
    return Case(f"{state}, {form}", "mediamtx", State.INACTIVE, "ok", state=state, quirks={"mediamtx_idle": form})


FACTS = Facts(
    keys={"username": "mon", "password": "pw.1"},
    named_by="path",
    lists={"paths": Listed(live=live, gone=gone)},
    states=(
        Case("active", "mediamtx", State.ACTIVE, "ok"),
        Case("active, before version 1.16", "mediamtx", State.ACTIVE, "ok", quirks={"mediamtx_version": "1.15"}),
        *(idle(form) for form in ("absent", "configured", "retrying", "redirect", "slate")),
        idle("absent", State.NOT_FOUND),
        Case(
            "inactive, before version 1.16", "mediamtx", State.INACTIVE, "ok", state=State.INACTIVE,
            quirks={"mediamtx_version": "1.15", "mediamtx_idle": "configured"},
        ),
    ),
    codes={"400": Reason.BAD_REQUEST, "401": Reason.AUTH, "500": Reason.PROVIDER_ERROR},
    unlisted=("409", Reason.BAD_REQUEST),
    invented=lambda number: str(450 + number),
)  # fmt: skip
