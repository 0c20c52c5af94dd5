"""The house keeps its numbers: sizes, complexity, and who may catch every exception."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "exporter").rglob("*.py"))

LONGEST_FILE, LONGEST_CLASS, LONGEST_FUNCTION = 350, 250, 50  # lines

BROAD = {
    "exporter/files.py:Daemons._work": "hands the error to whoever waits for the thread",
    "exporter/playback/hls.py:read": "the library fails as it may, and its words hold the line, which may hold a token",
    "exporter/playback/checks.py:PlaybackChecks._check_once": "a fault of our own is reason `bug`, and costs one check",
    "exporter/rounds/figures.py:FigureAsker._run": "a fault of our own costs figures alone",
    "exporter/rounds/gate.py:Gate._serve": "hands the error to the call that waits",
    "exporter/rounds/call.py:Caller.call": "a fault of our own is reason `bug`, and costs one call",
    "exporter/rounds/plan.py:plan": "what a provider's code raises about one list is told, and the other lists go on",
    "exporter/rounds/round.py:Round._make": "the same for a call's turn and for what follows from it",
    "exporter/rounds/round.py:Round.run": "the same for what is around the calls",
    "exporter/serving/app.py:_errors": "status 500; the log names kind and place, as the text might hold anything",
    "exporter/serving/reload.py:Reloader._reload": "the old configuration stays",
    "exporter/transport/client.py:Connection.open": "an HTTP client's errors are told by kind, as its text has the URL",
    "exporter/transport/client.py:Connection.send": "likewise",
    "exporter/transport/errors.py:translated": "likewise",
}
"""Functions that catch every exception without raising it again, and why."""

Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _defined(path: Path, node: ast.AST | None = None, outer: str = "") -> Iterator[tuple[str, Defined]]:
    """Yield what a file defines, each with its place: `file:Class.function`."""
    for child in ast.iter_child_nodes(node or ast.parse(_read(path))):
        inner = outer
        if isinstance(child, Defined):
            inner = f"{outer}.{child.name}" if outer else child.name
            yield f"{_name(path)}:{inner}", child
        yield from _defined(path, child, inner)


def _longer(kind: type | tuple[type, ...], most: int) -> list[str]:
    sizes = {
        place: (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for place, node in _defined(path)
        if isinstance(node, kind)
    }
    assert len(sizes) > 100
    return [f"{place} has {size} lines" for place, size in sizes.items() if size > most]


def test_no_file_is_too_long() -> None:
    """A file can be read in one go."""
    sizes = {_name(path): len(_read(path).splitlines()) for path in FILES}
    assert [f"{place} has {size} lines" for place, size in sizes.items() if size > LONGEST_FILE] == []


def test_no_class_is_too_long() -> None:
    """A class is one thing, not five."""
    assert _longer(ast.ClassDef, LONGEST_CLASS) == []


def test_no_function_is_too_long() -> None:
    """A function fits on a screen."""
    assert _longer((ast.FunctionDef, ast.AsyncFunctionDef), LONGEST_FUNCTION) == []


def test_neither_tests_nor_benchmarks_import_the_other() -> None:
    """What both need is in `testbed`."""
    found = [
        _name(path)
        for place, other in (("tests", "benchmarks"), ("benchmarks", "tests"), ("testbed", "(?:tests|benchmarks)"))
        for path in (ROOT / place).rglob("*.py")
        if re.search(rf"^\s*(?:from|import) {other}\b", _read(path), re.MULTILINE)
    ]
    assert found == []


def test_no_test_measures_the_processor() -> None:
    """A slow machine fails no test: what a piece of work costs is told by `tests/cost.py`, in calls and ratios."""
    own = {Path(__file__), ROOT / "tests/cost.py"}
    found = [
        _name(path)
        for place in ("tests", "benchmarks/tests")
        for path in sorted((ROOT / place).rglob("*.py"))
        if path not in own and re.search(r"\b(?:process_time|thread_time|perf_counter|timeit|getrusage)", _read(path))
    ]
    assert found == []


def test_no_function_is_too_complex() -> None:
    """Ruff refuses more than ten ways through a function, and nothing in the source is excused from it."""
    lint = tomllib.loads(_read(ROOT / "pyproject.toml"))["tool"]["ruff"]["lint"]
    assert "C90" in lint["select"]
    assert lint["mccabe"]["max-complexity"] == 10
    ignored = [*lint["ignore"], *(code for codes in lint["per-file-ignores"].values() for code in codes)]
    assert [code for code in ignored if code.startswith("C9")] == []
    assert [_name(path) for path in FILES if re.search(r"noqa:[^\n]*C9", _read(path))] == []


def _swallows(handler: ast.AST) -> bool:
    """Whether it catches every exception and does not raise it again."""
    if not isinstance(handler, ast.ExceptHandler):
        return False
    caught = ast.walk(handler.type) if handler.type else [ast.Name("BaseException")]
    broad = {node.id for node in caught if isinstance(node, ast.Name)} & {"Exception", "BaseException"}
    last = handler.body[-1]
    return bool(broad) and not (isinstance(last, ast.Raise) and last.exc is None)


def test_every_exception_is_caught_only_where_it_is_listed() -> None:
    """A fault of our own is hidden nowhere but where somebody decided so."""
    found = {
        place
        for path in FILES
        for place, node in _defined(path)
        if not isinstance(node, ast.ClassDef) and any(map(_swallows, ast.walk(node)))
    }
    assert found == set(BROAD)
