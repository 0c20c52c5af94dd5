"""Reads the addresses and paths that flags give; each raises `ArgumentTypeError`."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from urllib.parse import urlsplit

from exporter.serving.paths import is_taken


def _is_plain(path: str) -> bool:
    """Whether a path means itself in a URL, in a route of aiohttp and in a header."""
    return path.isascii() and path.isprintable() and not set(path) & set(' ?#%{}\\"<>')


def trimmed(path: str) -> str:
    """Return a path with a slash before it and none after it; empty for the root."""
    return f"/{path.strip('/')}" if path.strip("/") else ""


def route_prefix(text: str) -> str | None:
    """Read a path such as `/streams`; empty for the default."""
    if not _is_plain(text) or {".", "..", ""} & set(trimmed(text).split("/")[1:]):
        raise ArgumentTypeError(f"{text!r} is not a path like /streams")
    return trimmed(text) if text else None


def metrics_path(text: str) -> str:
    """Read the path of the metrics, such as `/metrics`."""
    if not text.startswith("/") or not _is_plain(text):
        raise ArgumentTypeError(f"{text!r} is not a path like /metrics")
    if is_taken(text):
        raise ArgumentTypeError(f"{text!r} is taken by another page")
    return text


def external_url(text: str) -> str:
    """Read the address under which people reach the exporter."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        valid = False
    if not valid:
        raise ArgumentTypeError(f"{text!r} is not an address like https://streams.example.com")
    route_prefix(parts.path)
    return text


def callbacks_url(text: str) -> str:
    """Read where the simulator's callbacks go."""
    if not text.startswith(("http://", "https://")) or set(text) & set(" ?#"):
        raise ArgumentTypeError(f"{text!r} is not an address like http://127.0.0.1:10180/callbacks")
    return text


def page_url(text: str) -> str:
    """Read the address of a page to which anchors are added."""
    if not text.startswith(("http://", "https://")) or set(text) & set(" #"):
        raise ArgumentTypeError(f"{text!r} is not an address like https://wiki.example.com/runbook")
    return text


def dashboard_url(text: str) -> str:
    """Read the address of a stream's dashboard, with placeholders such as `{stream}`."""
    known = re.sub(r"\{(provider|account|stream)\}", "", text)
    if text and (not text.startswith(("http://", "https://")) or set(known) & set(' {}<>"')):
        example = "https://grafana.example.com/d/stream-exporter-stream?var-provider={provider}&var-stream={stream}"
        raise ArgumentTypeError(f"{text!r} is not an address like {example}")
    return text
