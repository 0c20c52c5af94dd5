"""Time zones by name, as Alertmanager finds them: the system's, or those of the package tzdata."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from exporter.spelling import closest

LOCAL: Final = "Local"
LOCAL_FILE: Final = Path("/etc/localtime")

_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?00)?", re.ASCII | re.IGNORECASE)

Read = Callable[[Path], bytes]


class UnknownZone(Exception):  # noqa: N818 - a finding
    """There is no such time zone; the text says so, and what may have been meant."""


def zone(name: str, environ: Mapping[str, str], read: Read) -> tzinfo:
    """Return a time zone; raises UnknownZone.

    Args:
        name: A name of the IANA database, or `Local` for the zone of this machine: TZ, else /etc/localtime, else UTC.
        environ: The environment variables.
        read: Returns a file's bytes, or raises OSError.
    """
    if name == LOCAL:
        return _local(environ, read)
    found = _named(name)
    if found is None:
        raise UnknownZone(f"is not a time zone of the IANA database, such as Asia/Shanghai{_meant(name)}")
    return found


def _named(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown, not a name, a folder of names
        return None


def _local(environ: Mapping[str, str], read: Read) -> tzinfo:
    name = environ.get("TZ")
    if name is not None and not name.startswith((":/", "/")):
        return _named(name.removeprefix(":") or "UTC") or UTC
    try:
        return ZoneInfo.from_file(io.BytesIO(read(Path((name or str(LOCAL_FILE)).removeprefix(":")))), key=LOCAL)
    except (OSError, ValueError):
        return UTC


def _meant(name: str) -> str:
    """Suggest a zone: one that is spelt alike, or whose city is, or that has the offset, whose sign is turned round."""
    zones = sorted(available_timezones())
    if offset := _OFFSET.fullmatch(name):
        turned = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{int(offset[2])}"
        return f"; did you mean '{turned}'?" if turned in zones else ""
    cities = {each.rpartition("/")[2]: each for each in zones}
    likely = closest(name, zones, cutoff=0.8) or [cities[city] for city in closest(name, cities, cutoff=0.8)]
    return f"; did you mean '{likely[0]}'?" if likely else ""
