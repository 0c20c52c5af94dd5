"""The command line: flags to typed options, and each command to its exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import math
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from exporter import __version__
from exporter.commands.common import Terminal
from exporter.commands.logs import LEVELS
from exporter.commands.options import (
    CheckOptions,
    DemoOptions,
    ExplainOptions,
    ProbeOptions,
    ServeOptions,
    SimulateOptions,
)

PROGRAM: Final = "stream-exporter"
VERSION: Final = f"{PROGRAM} {__version__} (Python {platform.python_version()})"
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A stream's name may hold characters that the terminal's encoding lacks.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:], sys.stdout, sys.stderr, os.environ)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone (`| head`); Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def main(argv: Sequence[str], stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> int:
    """Run a command.

    Args:
        argv: The arguments after the program's name.
        stdout: For results.
        stderr: For errors, warnings and progress.
        environ: The environment variables.

    Returns:
        The exit code; 2 where the command line itself is wrong.
    """
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            command, rest = _command(argv)
            flags = _parse(command, rest)
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 2
        return command.run(flags, Terminal(stdout, stderr, environ))


# --- the commands ----------------------------------------------------------------------------------------------------

# Each is imported when it runs: `explain` need not wait for an HTTP server.


def _serve(flags: argparse.Namespace, _terminal: Terminal) -> int:
    from exporter.commands.serve import serve

    options = ServeOptions(
        config_file=flags.config_file,
        listen=_listen(flags),
        web_config=flags.web_config,
        telemetry_path=flags.telemetry_path,
        enable_lifecycle=flags.enable_lifecycle,
        timeout_offset=flags.timeout_offset,
        log_level=flags.log_level,
        log_format=flags.log_format,
    )
    code = asyncio.run(serve(options))
    if code and not Path(options.config_file).exists():
        _terminal.complain(_no_file(options.config_file))
    return code


def _check(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import check

    return check.run(CheckOptions(Path(flags.config_file)), terminal)


def _probe(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import probe

    return asyncio.run(
        probe.run(ProbeOptions(Path(flags.config_file), tuple(flags.targets), flags.output), terminal)
    )


def _explain(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import explain

    return explain.run(ExplainOptions(flags.words[-1], *flags.words[:-1], lang=flags.lang), terminal)


def _schema(_flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import schema

    return schema.run(terminal)


def _simulate(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import simulate

    world = None if flags.world is None else Path(flags.world)
    return asyncio.run(simulate.run(SimulateOptions(flags.listen, world), terminal))


def _demo(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import demo

    return asyncio.run(demo.run(DemoOptions(_listen(flags), flags.log_level, flags.log_format), terminal))
