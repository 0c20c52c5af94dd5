"""Signatures of pull addresses that are made anew for each check, so that they never expire."""

from __future__ import annotations

from exporter.addresses import PlaybackAddress


def signed(address: PlaybackAddress, unix: float, nonce: str) -> str:
    """Return an address as it is fetched at a time in Unix seconds; `nonce` is 32 hexadecimal digits, new each time."""
    raise NotImplementedError
