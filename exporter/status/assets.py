"""Style, script and icons: the files in `static/`, named by a hash of their content."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from exporter.status.standing import Standing


class Asset(NamedTuple):
    """A file of the status page."""

    body: bytes
    content_type: str


_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _read(name: str) -> Asset:
    return Asset((files("exporter.status") / "static" / name).read_bytes(), _TYPES[name.rpartition(".")[2]])


def _hashed(name: str, body: bytes) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{stem}-{sha256(body).hexdigest()[:12]}.{kind}"


_FILES: Final = {name: _read(name) for name in ("status.css", "status.js", *(f"{one}.svg" for one in Standing))}

PUBLIC: Final = {name: _hashed(name, asset.body) for name, asset in _FILES.items()}
"""File name -> name under `/static/`."""

ASSETS: Final[Mapping[str, Asset]] = MappingProxyType({PUBLIC[name]: asset for name, asset in _FILES.items()})
"""What `/static/NAME` serves. Names contain a hash of the content, so responses may be cached for ever."""

SHAPES: Final = {
    one: _FILES[f"{one}.svg"].body.decode().partition(">")[2].removesuffix("</svg>\n").strip() for one in Standing
}
"""The shapes in each standing's icon without its colours: the page sets its own."""
