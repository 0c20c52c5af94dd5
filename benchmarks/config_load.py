"""Loading and checking 10,000 streams against PyYAML's fastest loader on the same file, both without the collector."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import yaml

from benchmarks.table import Row
from exporter.config import load
from exporter.providers import all_providers

ENTRIES = 10_000
HEAD = "accounts:\n  - {name: main, provider: tencent, secret_id: id, secret_key: key}\nstreams:\n"
LONG = """\
  - name: arena-{n}
    account: main
    domain: push.example.com
    app: live
    stream: arena-{n}
    inputs: 2
    labels: {{team: esports, tier: gold}}
"""


def long_form() -> str:
    """Return a file in which every stream is an entry of its own."""
    return HEAD + "".join(LONG.format(n=n) for n in range(ENTRIES))


def short_form() -> str:
    """Return a file in which all streams are one entry."""
    names = "".join(f"      - arena-{n}\n" for n in range(ENTRIES))
    return f"{HEAD}  - account: main\n    domain: push.example.com\n    names:\n{names}"


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the least CPU seconds that a piece of work took."""
    times = []
    for _ in range(rounds):
        before = process_time()
        work()
        times.append(process_time() - before)
    return min(times)


def measure(text: str, directory: Path) -> tuple[float, float]:
    """Return CPU seconds of `load` and of CSafeLoader for one file."""
    path = directory / "stream-exporter.yml"
    path.write_text(text, encoding="utf-8")
    ours = best(lambda: load(path, all_providers(), {}))
    return ours, best(lambda: yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))


def rows() -> list[Row]:
    """Measure both forms, with the collector off."""
    gc.disable()
    try:
        with tempfile.TemporaryDirectory() as directory:
            figures = {form: measure(text(), Path(directory)) for form, text in FORMS.items()}
    finally:
        gc.enable()
    return [
        Row(f"configuration of {ENTRIES:,} streams, {form} form, loaded and checked against CSafeLoader",
            ours / theirs, "x", "<=", 1.25, f"{ours * 1e3:.0f} ms, CSafeLoader {theirs * 1e3:.0f} ms")
        for form, (ours, theirs) in figures.items()
    ]  # fmt: skip


FORMS = {"long": long_form, "short": short_form}
