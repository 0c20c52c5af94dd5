"""The part `shard` of a configuration: which of the streams this exporter watches, where several divide them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from exporter.config.findings import Findings
from exporter.config.problems import Place
from exporter.fields import Shape

VARIABLE: Final = "STREAM_EXPORTER_SHARD"
MOST: Final = 1024
HERE: Final[Place] = ("shard",)

_ORDINAL = re.compile(r"-(0|[1-9][0-9]{0,8})\Z")
_GIVEN = re.compile(r"(?:.+-)?(0|[1-9][0-9]{0,8})/(0|[1-9][0-9]{0,8})", re.ASCII)


class ShardShape(Shape):
    """Which part of the streams this exporter watches."""

    index: int | None = Field(
        None,
        ge=0,
        le=MOST - 1,
        description="which shard this is, from 0; default: the number at the end of the machine's name, as the pods of "
        "a StatefulSet have it",
    )
    count: int = Field(ge=1, le=MOST, description="how many shards there are")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of the streams, `index` counting from 0; with one part it is the whole."""

    index: int = 0
    count: int = 1

    @property
    def words(self) -> str:
        """Which shard this is, such as `0/4`; empty for the whole."""
        return f"{self.index}/{self.count}" if self.count > 1 else ""

    def holds(self, provider: str, name: str) -> bool:
        """Say whether a stream belongs to this shard."""
        return self.count == 1 or self.of(provider, name) == self.index

    def of(self, provider: str, name: str) -> int:
        """Return the index of the only shard that a stream belongs to.

        It is what Prometheus's relabeling action `hashmod` makes of provider and name with the separator `/`.
        """
        text = f"{provider}/{name}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[8:]) % self.count


WHOLE: Final = Shard()


class Shards:
    """Finds out which shard this is.

    Args:
        findings: Takes what is wrong.
        environ: The environment variables, of which `STREAM_EXPORTER_SHARD` wins over the file.
        host: The name of this machine.
        whole: Whether the configuration is read for all shards, so that it matters how many there are, but not which
            one this is.
    """

    def __init__(self, findings: Findings, environ: Mapping[str, str], host: str, *, whole: bool) -> None:
        self._findings = findings
        self._given = environ.get(VARIABLE, "")
        self._host = host
        self._whole = whole

    def read(self, raw: Mapping[str, Any]) -> Shard:
        """Return what the environment says, or else the part `shard` of the configuration's top."""
        written = self._findings.validated(ShardShape, raw["shard"], HERE) if "shard" in raw else None
        if written is not None and written.index is not None and written.index >= written.count:
            self._findings.wrong((*HERE, "index"), f"must be below the count of {written.count}: shards count from 0")
            return WHOLE
        if self._given:
            return self._of_environment(written)
        if written is None:
            return WHOLE
        return Shard(0 if self._whole else self._index(written), written.count)

    def _of_environment(self, written: ShardShape | None) -> Shard:
        found = _GIVEN.fullmatch(self._given)
        index, count = map(int, found.groups()) if found else (0, 0)
        if problem := _problem(found is not None, index, count):
            self._findings.wrong(HERE, f"the environment variable {VARIABLE} {problem}", missing=True)
            return WHOLE
        if written is not None and (written.count, written.index) not in ((count, None), (count, index)):
            self._findings.warn(HERE, f"the environment variable {VARIABLE}, {index}/{count}, is used instead")
        return Shard(index, count)

    def _index(self, written: ShardShape) -> int:
        if written.index is not None:
            return written.index
        found = _ORDINAL.search(self._host)
        if found is None:
            why = f"lacks index, and this machine's name does not end in -NUMBER; give it, or {VARIABLE}=INDEX/COUNT"
        elif int(found[1]) >= written.count:
            why = f"lacks index, and this machine's name ends in {found[1]}, which is not below count"
        else:
            return int(found[1])
        if written.count > 1:
            self._findings.wrong(HERE, why)
        return 0


def _problem(readable: bool, index: int, count: int) -> str:
    """Say what is wrong with the environment variable, or return an empty text."""
    if not readable:
        return "is not INDEX/COUNT, such as 0/4, nor POD-INDEX/COUNT, such as streams-0/4"
    if not 1 <= count <= MOST:
        return f"has a count that is not from 1 to {MOST:,}"
    return "" if index < count else f"has an index that is not below its count of {count}: shards count from 0"
