"""Signatures of addresses that are made anew for each check, so that they never expire."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from exporter.addresses import PlaybackAddress, sendable
from exporter.providers import address_signers

AHEAD_SECONDS: Final = 300
"""How far ahead an address expires; a domain's own validity period may add to it. It bears clocks that differ."""


def signed(address: PlaybackAddress, unix: float, nonce: str) -> str:
    """Return an address as it is fetched at a time in Unix seconds; `nonce` is 32 hexadecimal digits, new each time.

    Other parameters of its query stay as they are; an old signature is replaced.
    """
    url = address.url.reveal()
    if not address.signed or address.key is None:
        return url
    parts = urlsplit(url)
    path = sendable(parts.path or "/")
    made = address_signers()[address.signed].sign(path, address.key.reveal(), int(unix) + AHEAD_SECONDS, nonce)
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in made]
    query = "&".join([*kept, *(f"{name}={value}" for name, value in made.items())])
    return parts._replace(path=path, query=query, fragment="").geturl()
