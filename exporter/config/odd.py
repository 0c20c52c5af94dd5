"""Plain scalars that YAML may read differently than meant: `0123`, `20:30:40`, `0x1F`, `1_000`, `1e3`, `~`."""

from __future__ import annotations

import re

LONGEST_NUMBER = 64

_ODD = (
    (r"[-+]?0[0-9_]+(\.[0-9_]*)?(e[-+]?[0-9]+)?", "begins with a zero, which may mean octal; leave the zero out"),
    (r"[-+]?0[xob][0-9a-f_]+", "is not a decimal number; write it in plain digits"),
    (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "has colons, which may mean base 60; write one plain number"),
    (r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?", "has _ between its digits; write it in plain digits"),
    (r"[-+]?([0-9]+e[-+]?|[0-9]*\.[0-9]*e)[0-9]+", "has an exponent; write it in plain digits"),
)
_ODD_NUMBERS = tuple((re.compile(pattern, re.ASCII | re.IGNORECASE), advice) for pattern, advice in _ODD)
_AS_TEXT = "or quote it to make it text"


def odd(text: str) -> str:
    """Return what to say of a plain scalar that may be read differently than it was meant, or nothing.

    Such are `null`, and numbers that YAML readers disagree on: one number, another number, or text.
    """
    if text[:1] in ("n", "N", "~") and text in ("null", "Null", "NULL", "~"):
        return f"is null in YAML; give a value, {_AS_TEXT}"
    if text[:1] in "+-.0123456789" and 1 < len(text) <= LONGEST_NUMBER:
        for pattern, advice in _ODD_NUMBERS:
            if pattern.fullmatch(text):
                return f"{advice}, {_AS_TEXT}"
    return ""
