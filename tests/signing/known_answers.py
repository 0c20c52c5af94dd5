"""The known answers that the signers are held to: one JSON file per cloud in `vectors/`."""

import json
from pathlib import Path
from typing import Any

import pytest

Vector = dict[str, Any]

FOLDER = Path(__file__).parent / "vectors"


def load(file: str) -> dict[str, Any]:
    """Read one file of `vectors/` by its name without suffix."""
    content: dict[str, Any] = json.loads((FOLDER / f"{file}.json").read_text(encoding="utf-8"))
    return content


def named(vectors: list[Vector]) -> list[Any]:
    """Make one test parameter of each vector, known by the vector's own name."""
    return [pytest.param(vector, id=vector.get("name") or vector["id"]) for vector in vectors]


def chosen(headers: dict[str, str], names: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Pick the headers with these lower-case names, as a verifier does with the names that it was told."""
    return {name: value for name, value in headers.items() if name.lower() in names}
