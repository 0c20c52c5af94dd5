"""Style, script and icons: files that the page needs, named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from exporter.model import State


class Asset(NamedTuple):
    """A file that the page needs."""

    body: bytes
    content_type: str


SHAPES: Final = {
    State.INACTIVE: '<circle cx="8" cy="8" r="7.4" stroke="none"/><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/>',
    State.UNKNOWN: '<path stroke="none" d="M8 .3L15.7 8 8 15.7.3 8z"/>'
    '<path fill="none" d="M6.2 6.3a1.8 1.8 0 1 1 2.7 1.7c-.6.3-.9.6-.9 1.2M8 11.6v.01"/>',
    State.FORBIDDEN: '<path stroke="none" d="M5 .7h6L15.3 5v6L11 15.3H5L.7 11V5z"/><path d="M4.6 8h6.8"/>',
    State.NOT_FOUND: '<rect x="1" y="1" width="14" height="14" rx="3" stroke="none"/>'
    '<circle cx="7.2" cy="7.2" r="2.7" fill="none"/><path d="M9.3 9.3l2.4 2.4"/>',
    State.ACTIVE: '<circle cx="8" cy="8" r="7.4" stroke="none"/><path fill="none" d="M4.8 8.3l2.3 2.3 4.1-4.7"/>',
}
_COLOURS: Final = {
    State.INACTIVE: "#c5221f",
    State.UNKNOWN: "#9a6200",
    State.FORBIDDEN: "#8430ce",
    State.NOT_FOUND: "#5f6b7a",
    State.ACTIVE: "#15803d",
}
SYMBOLS: Final = "".join(
    f'<symbol id="i-{state}" viewBox="0 0 16 16">{shape}</symbol>' for state, shape in SHAPES.items()
)


def _favicon(state: State) -> bytes:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="{_COLOURS[state]}" stroke="#fff" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{SHAPES[state]}</svg>'
    ).encode()


def _assets() -> dict[str, Asset]:
    """Return every file by its plain name."""
    folder = files("exporter.status") / "static"
    icons = {f"{state}.svg": Asset(_favicon(state), "image/svg+xml") for state in SHAPES}
    style = Asset((folder / "status.css").read_bytes(), "text/css")
    script = Asset((folder / "status.js").read_bytes(), "text/javascript")
    return {"status.css": style, "status.js": script, **icons}


def _hashed(name: str, asset: Asset) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{stem}-{sha256(asset.body).hexdigest()[:12]}.{kind}"


_FOUND: Final = _assets()
PUBLIC: Final = {name: _hashed(name, asset) for name, asset in _FOUND.items()}
"""The name under `/static/` of each file."""

ASSETS: Final[Mapping[str, Asset]] = MappingProxyType({PUBLIC[name]: asset for name, asset in _FOUND.items()})
"""What `/static/NAME` answers. Names hold a hash of the content, so answers may be cached for ever."""
