"""The command line: arguments to a command and its options, and how the process ends."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

from exporter.commands import version
from exporter.commands.options import Flag, HelpOptions
from exporter.commands.overview import COMMANDS, Command
from exporter.spelling import closest

PROGRAM: Final = version.PROGRAM
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    # Started with a closed standard output, as by `>&-`, Python has None there.
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # A stream's name may hold characters that the terminal's encoding lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:], sys.stdout, sys.stderr, os.environ)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as with `| head`.
        _discard_output()
        code = BROKEN_PIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _discard_output()
        print(f"{PROGRAM}: cannot write: {error.strerror}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _discard_output() -> None:
    """Give up what is not written yet: Python would complain again when it closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def main(argv: Sequence[str], stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> int:
    """Run a command.

    Args:
        argv: The arguments after the program's name.
        stdout: For results.
        stderr: For errors, warnings and progress.
        environ: The environment variables.

    Returns:
        The exit code; 2 if the command line itself is wrong.
    """
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            command, parsed = parse(argv)
            if isinstance(parsed, HelpOptions):
                return _help(parsed.command)
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 2
        # What a command needs is imported when it runs: `--version` and `explain` need no HTTP server.
        from exporter.commands.terminal import Terminal

        module = importlib.import_module(f"exporter.commands.{command.name}")
        code: int = module.run(parsed, Terminal(stdout, stderr, environ))
        return code


def parse(argv: Sequence[str]) -> tuple[Command, Any]:
    """Return the command and its options.

    Raises:
        SystemExit: After printing help or the version (0), or what is wrong with the arguments (2).
    """
    command, rest = _command(argv)
    parser = _command_parser(command)
    found, extra = parser.parse_known_intermixed_args(rest)
    if extra := [word for word in extra if word != "--"]:
        unknown = [word for word in extra if word.startswith("-")]
        parser.error("; ".join(_complaint(word, command) for word in unknown or extra))
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(found).items()}
    try:
        return command, command.options(**given)
    except ValueError as error:
        parser.error(str(error))


def _command(argv: Sequence[str]) -> tuple[Command, list[str]]:
    """Return the command and its own arguments."""
    first = argv[0] if argv else ""
    if first in COMMANDS:
        return COMMANDS[first], list(argv[1:])
    if first in ("-h", "--help"):
        _overview().print_help()
        raise SystemExit(0)
    if first and not first.startswith("-"):
        _overview().error(_unknown(first))
    return COMMANDS["serve"], list(argv)


def _help(name: str) -> int:
    """Print the help of a command, or the overview; return the exit code, or raise SystemExit for an unknown one."""
    if name and name not in COMMANDS:
        _overview().error(_unknown(name))
    (_command_parser(COMMANDS[name]) if name else _overview()).print_help()
    return 0


def _unknown(name: str) -> str:
    hint = _suggestion(name, COMMANDS) or f"; `{PROGRAM} --help` lists them all"
    return f"unknown command {name!r}{hint}"


def _complaint(word: str, command: Command) -> str:
    """Say what is wrong with a surplus word, without the value of a flag: it may be a secret."""
    flag = word.partition("=")[0]
    if flag.startswith("-"):
        return f"unknown flag {flag}{_suggestion(flag, command.flag_names)}"
    if word in COMMANDS:
        return f"the command comes first: {PROGRAM} {word} ..."
    return f"unexpected argument {word!r}"


def _suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?` for a misspelt or abbreviated word, such as --config or --file for --config.file."""
    last = f".{word.lstrip('-')}"
    close = [one for one in known if len(word) > 2 and (one.startswith(word) or one.endswith(last))]
    close = close or closest(word, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _overview() -> argparse.ArgumentParser:
    """Return a parser that only prints: the help, and what is wrong with a command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [COMMAND] [FLAGS]",
        description="Prometheus exporter that tells which live streams are up.",
        epilog=f"`{PROGRAM} COMMAND --help` lists a command's flags; without a command, `serve` runs.",
    )
    _add_version(parser)
    group = parser.add_argument_group("commands")
    for command in COMMANDS.values():
        group.add_argument(command.name, help=command.does)
    return parser


def _command_parser(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {command.name}",
        usage=command.usage,
        description=f"{command.does[0].upper()}{command.does[1:]}.",
        epilog=command.epilog,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for flag in command.flags:
        _add_flag(parser, flag, command.default(flag))
    if command.name == "serve":
        _add_version(parser)
    return parser


def _add_flag(parser: argparse.ArgumentParser, flag: Flag, default: Any) -> None:
    settings: dict[str, Any] = {"help": flag.help + (f" (default: {flag.shown(default)})" if default else "")}
    if flag.takes is None:
        settings["action"] = "store_true"
    elif isinstance(flag.takes, tuple):
        settings["choices"] = flag.takes
    else:
        settings |= {"metavar": flag.takes, "type": flag.read}
    if flag.repeat:
        settings["action" if flag.repeat == "append" else "nargs"] = flag.repeat
    if flag.repeat == "?":
        settings["default"] = default  # argparse takes SUPPRESS here for a value
    if flag.name.startswith("--"):
        settings["dest"] = flag.field
    parser.add_argument(flag.name, **settings)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=version.line(), help="print the version and exit")
