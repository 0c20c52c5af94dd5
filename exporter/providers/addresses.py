"""How a cloud has the addresses of viewers signed, so that they expire; made anew for each check, they never do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

FILE_ENDINGS: Final = (".m3u8", ".flv")


class AddressSigner(NamedTuple):
    """One way of signing.

    Attributes:
        parameters: The parameters that it adds to a query.
        sign: Returns their values for a path as it is sent, a key, the Unix time at which the address expires, and 32
            hexadecimal digits that are new each time.
    """

    parameters: tuple[str, ...]
    sign: Callable[[str, str, int, str], Mapping[str, str]]


def md5(text: str) -> str:
    """Return the digest that such signatures are made of, in hexadecimal digits."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
