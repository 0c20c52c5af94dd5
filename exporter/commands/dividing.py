"""What `check` says of shards: the plan of each, of which the largest is shown, and what dividing costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exporter import providers
from exporter.capacity import Plan, Timing, plan
from exporter.config import Config
from exporter.fields import number
from exporter.model import Stream
from exporter.providers.reading import printable


@dataclass(frozen=True, slots=True)
class Divided:
    """The plans of one account.

    Attributes:
        shards: The plan of each shard, by its index.
        undivided: The calls of a round in which one exporter asks for all streams, all live.
    """

    shards: Sequence[Plan]
    undivided: int

    @property
    def largest(self) -> Plan:
        """The plan of the shard whose round takes longest."""
        return max(self.shards, key=lambda one: (one.live.seconds, one.streams))

    @property
    def calls(self) -> int:
        """The calls of a round of every shard, all streams live."""
        return sum(one.live.calls for one in self.shards)

    def as_object(self) -> dict[str, Any]:
        """Return what there is to say of shards, if there are several."""
        if len(self.shards) == 1:
            return {}
        largest = {"index": self.shards.index(self.largest), "streams": self.largest.streams}
        return {
            "streams": sum(one.streams for one in self.shards),
            "shards": {"count": len(self.shards), "largest": largest, "calls": self.calls, "undivided": self.undivided},
        }


def plans(loaded: Config, timing: Timing) -> list[Divided]:
    """Return the plans of every account of a configuration that was read for all shards."""
    known, count = providers.all_providers(), loaded.shard.count
    streams: dict[str, list[list[Stream]]] = defaultdict(lambda: [[] for _ in range(count)])
    for stream in loaded.streams:
        index = loaded.shard.of(loaded.provider_of(stream), stream.name) if count > 1 else 0
        streams[stream.account][index].append(stream)
    found = []
    for account in loaded.accounts:
        provider, divided = known[account.provider], streams[account.name]
        shards = [plan(provider, account, part, timing, loaded.quota_parts) for part in divided]
        whole = [stream for part in divided for stream in part]
        undivided = shards[0] if count == 1 else plan(provider, account, whole, timing)
        found.append(Divided(shards, undivided.live.calls))
    return found


def footnotes(divided: Iterable[Divided]) -> Iterator[str]:
    """Say whose figures are shown, and what dividing costs, if there are several shards."""
    for one in divided:
        if (count := len(one.shards)) > 1:
            more = f", where one exporter would make {number(one.undivided)}" if one.calls > one.undivided else ""
            yield (
                f"{count} shards: of {printable(one.largest.account)} the one whose round takes longest is shown, with "
                f"{number(one.largest.streams)} of {number(sum(each.streams for each in one.shards))} streams;\n"
                f"a round of all shards costs {number(one.calls)} calls{more}."
            )
