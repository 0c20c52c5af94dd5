"""Board → HTML (placeholder until the page lands)."""

from collections.abc import Iterable
from exporter.board import Board, Instant

CONTENT_SECURITY_POLICY = "default-src 'none'"


def page(board: Board, lanes: Iterable[object], now: Instant) -> str:
    return "<!doctype html>"
