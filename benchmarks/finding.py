"""What a benchmark of promises has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, and what was measured of it."""

    promise: str
    figure: str
    kept: bool
