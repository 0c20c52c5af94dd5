"""What the store executes as one: Lua that Redis 6 and 7 and Valkey 7 to 9 all run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

PREFIX: Final = "stream-exporter:"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")


NOW: Final = _text("now")
BOOT: Final = f"{PREFIX}boot"
"""The key that boot.lua, which stands in front of each script, needs first."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest by which a server knows it."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


def script(name: str, now: str = NOW) -> Script:
    """Return one of this room's scripts.

    Args:
        name: Its file's.
        now: Lua that sets `now` to the store's microseconds.
    """
    return Script("\n".join((now, _text("boot"), _text(name))))


def hashed(identity: str) -> str:
    """Return what stands for an account in keys: what it is known by at its cloud is nobody's business."""
    return hashlib.sha256(identity.encode()).hexdigest()[:20]
