"""What goes wrong with the store."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["auth", "refused", "version", "memory", "readonly", "cluster", "loading", "timeout", "connection", "dns",
               "tls", "answer", "lies"]  # fmt: skip


class StoreError(Exception):
    """Something that the store did not do.

    Attributes:
        kind: What it is; `answer` is a command's own error, with which the store itself is well.
        message: The same in words, without anything of the URL.
        code: The code of a command's own error, such as NOSCRIPT.
    """

    def __init__(self, kind: Kind, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code: Final = code
        self.kind: Final = kind
        self.message: Final = message
