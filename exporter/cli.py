"""The command line: flags to typed options, and each command to its exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import io
import math
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO
from urllib.parse import urlsplit

from exporter import __version__
from exporter.commands.common import Terminal, advise_if_missing
from exporter.commands.logs import LEVELS
from exporter.commands.options import (
    CheckOptions,
    DemoOptions,
    ExplainOptions,
    ProbeOptions,
    ServeOptions,
    SimulateOptions,
)
from exporter.spelling import closest

PROGRAM: Final = "stream-exporter"
VERSION: Final = f"{PROGRAM} {__version__} (Python {platform.python_version()})"
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    # Started without a standard output, as by `>&-`, there is None.
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
        # Whoever read us has gone (`| head`); Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


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
        The exit code; 2 where the command line itself is wrong.
    """
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            command, flags = parse(argv)
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 2
        return command.run(flags, Terminal(stdout, stderr, environ))


# --- the commands ----------------------------------------------------------------------------------------------------

# Each is imported when it runs: `explain` need not wait for an HTTP server.


def _serve(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands.serve import serve

    options = serve_options(flags)
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        code = runner.run(serve(options))
    if code:
        advise_if_missing(Path(options.config_file), terminal)
    return code


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop where the extra `uvloop` is installed; it costs about a seventh less CPU."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    loop: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return loop


def serve_options(flags: argparse.Namespace) -> ServeOptions:
    """Return the flags of `serve` as a typed value."""
    return ServeOptions(
        config_file=flags.config_file,
        listen=_listen(flags),
        web_config=flags.web_config,
        telemetry_path=flags.telemetry_path,
        enable_lifecycle=flags.enable_lifecycle,
        timeout_offset=flags.timeout_offset,
        log_level=flags.log_level,
        log_format=flags.log_format,
        external_url=flags.external_url,
    )


def _check(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import check

    return check.run(CheckOptions(Path(flags.config_file)), terminal)


def _probe(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import probe

    return asyncio.run(probe.run(ProbeOptions(Path(flags.config_file), tuple(flags.targets), flags.output), terminal))


def _explain(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import explain

    *provider, code = flags.words
    return explain.run(ExplainOptions(code, provider[0] if provider else None, flags.lang), terminal)


def _schema(_flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import schema

    return schema.run(terminal)


def _simulate(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import simulate

    world = None if flags.world is None else Path(flags.world)
    return asyncio.run(simulate.run(SimulateOptions(flags.listen, world, flags.callbacks), terminal))


def _demo(flags: argparse.Namespace, terminal: Terminal) -> int:
    from exporter.commands import demo

    return asyncio.run(demo.run(DemoOptions(_listen(flags), flags.log_level, flags.log_format), terminal))


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the program: its name, what it does, its flags, and what runs it."""

    name: str
    does: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Terminal], int]
    epilog: str = ""


def _serve_flags(parser: argparse.ArgumentParser) -> None:
    _config_file(parser)
    _listen_address(parser)
    add = parser.add_argument
    add("--web.config.file", dest="web_config", metavar="FILE", help="TLS and users, in exporter-toolkit's format")
    add("--web.telemetry-path", dest="telemetry_path", metavar="PATH", type=_path, default="/metrics",
        help="path of the metrics (default: %(default)s)")  # fmt: skip
    add("--web.enable-lifecycle", dest="enable_lifecycle", action="store_true", help="open POST /-/reload")
    add("--web.external-url", dest="external_url", metavar="URL", type=_outside,
        help="where people reach the exporter, such as https://streams.example.com; without TLS, /config and "
        "/-/reload refuse all other public host names")  # fmt: skip
    add("--scrape.timeout-offset", dest="timeout_offset", metavar="SECONDS", type=_seconds, default=0.5,
        help="answer this long before Prometheus's timeout (default: %(default)s)")  # fmt: skip
    _log_flags(parser, "info")
    _version(parser)


def _check_flags(parser: argparse.ArgumentParser) -> None:
    _config_file(parser)


def _probe_flags(parser: argparse.ArgumentParser) -> None:
    _config_file(parser)
    parser.add_argument("targets", nargs="*", metavar="PROVIDER/STREAM", help="streams to ask for (default: all)")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="default: %(default)s")


def _explain_flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [-h] [--lang {en,zh}] [PROVIDER] CODE"
    parser.add_argument("words", nargs="+", metavar="[PROVIDER] CODE", action=_OneOrTwo,
                        help="a provider's code, a state, or a reason of stream_probe_errors_total")  # fmt: skip
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="language (default: %(default)s)")


def _no_flags(_parser: argparse.ArgumentParser) -> None:
    """Do nothing: the command has no flags."""


def _simulate_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", type=_address, default="127.0.0.1:10181",
                        help="where; port 0 takes a free one (default: %(default)s)")  # fmt: skip
    parser.add_argument("--world", metavar="FILE", help="accounts, streams and faults (default: the demo's world)")
    parser.add_argument("--callbacks", metavar="URL", type=_url,
                        help="where callbacks go: URL/ACCOUNT, as http://127.0.0.1:10180/callbacks")  # fmt: skip


def _demo_flags(parser: argparse.ArgumentParser) -> None:
    _listen_address(parser)
    _log_flags(parser, "warn")


def _config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config.file", dest="config_file", metavar="FILE", default="stream-exporter.yml",
                        help="the configuration (default: %(default)s)")  # fmt: skip


def _listen_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--web.listen-address", dest="listen", metavar="ADDRESS", action="append", type=_address,
                        help="HOST:PORT or :PORT to listen on; repeatable (default: :10180)")  # fmt: skip


def _log_flags(parser: argparse.ArgumentParser, level: str) -> None:
    parser.add_argument("--log.level", dest="log_level", choices=tuple(LEVELS), default=level,
                        help="log this and worse (default: %(default)s)")  # fmt: skip
    parser.add_argument("--log.format", dest="log_format", choices=("logfmt", "json"), default="logfmt",
                        help="default: %(default)s")  # fmt: skip


def _version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=VERSION, help="print the version and exit")


COMMANDS: Final = {
    command.name: command
    for command in (
        Command("serve", "run the exporter (also with no command)", _serve_flags, _serve),
        Command("check", "tell every error of the configuration, then its capacity plan", _check_flags, _check,
                "Exit code: 0, or 1 with errors; warnings do not fail."),
        Command("probe", "ask for streams now and say what came back", _probe_flags, _probe,
                "Exit code: 0 if every stream got a definite answer, 1 if not, 2 for a wrong target or configuration."),
        Command("explain", "say what a code means and what to do", _explain_flags, _explain,
                "Examples: explain zego 41004; explain AuthFailure.SignatureExpire; explain throttled.\n"
                "Exit code: 0, or 1 for an unknown code."),
        Command("schema", "print the JSON Schema of the configuration", _no_flags, _schema),
        Command("demo", "run the exporter on simulated clouds; needs no account", _demo_flags, _demo),
        Command("simulate", "run the simulated clouds alone", _simulate_flags, _simulate),
    )
}  # fmt: skip


# --- parsing ---------------------------------------------------------------------------------------------------------


def _command(argv: Sequence[str]) -> tuple[Command, list[str]]:
    """Return the command and its own arguments; exits where there is none."""
    first = argv[0] if argv else ""
    if first in COMMANDS:
        return COMMANDS[first], list(argv[1:])
    if first in ("-h", "--help"):
        _overview().print_help()
        raise SystemExit(0)
    if first and not first.startswith("-"):
        close = _suggested(first, COMMANDS)
        _overview().error(f"unknown command {first!r}{close}")
    return COMMANDS["serve"], list(argv)


def parse(argv: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """Return the command and its flags.

    Raises:
        SystemExit: After help or the version (0), or after saying what is wrong and likely meant (2).
    """
    command, rest = _command(argv)
    parser = _parser(f"{PROGRAM} {command.name}", f"{command.does[0].upper()}{command.does[1:]}.", command.epilog)
    command.add_flags(parser)
    flags, extra = parser.parse_known_intermixed_args(rest)
    if extra:
        flags_only = [word for word in extra if word.startswith("-")]
        parser.error("; ".join(_complaint(word, parser) for word in flags_only or extra))
    return command, flags


def _complaint(word: str, parser: argparse.ArgumentParser) -> str:
    flag = word.partition("=")[0]
    if flag.startswith("-"):
        return f"unknown flag {flag}{_suggested(flag, _flags_of(parser))}"
    if word in COMMANDS:
        return f"the command comes first: {PROGRAM} {word} ..."
    return f"unexpected argument {word!r}"


def _flags_of(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings]


def _suggested(word: str, options: Sequence[str] | Mapping[str, Any]) -> str:
    """Return `; did you mean x?` for a misspelt or abbreviated word."""
    close = [option for option in options if len(word) > 2 and option.startswith(word)]
    close = close or closest(word, options)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {command.does}" for name, command in COMMANDS.items())
    parser = _parser(
        PROGRAM,
        "Prometheus exporter that tells which live streams are up.",
        f"commands:\n{lines}\n\n`{PROGRAM} COMMAND --help` lists a command's flags; without a command, serve's hold.",
        usage=f"{PROGRAM} [COMMAND] [FLAGS]",
    )
    _version(parser)
    return parser


def _parser(program: str, description: str, epilog: str, usage: str | None = None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=program,
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


class _OneOrTwo(argparse.Action):
    """Takes one or two words."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if not values or len(values) > 2:
            parser.error("give a code, or a provider and a code")
        setattr(namespace, self.dest, values)


def _listen(flags: argparse.Namespace) -> tuple[str, ...]:
    return tuple(flags.listen or (":10180",))


def _address(text: str) -> str:
    from exporter.commands.serve import addresses

    try:
        addresses(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or set(text) & set(" ?#"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address like http://127.0.0.1:10180/callbacks")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 120")
    return seconds


TAKEN_PATHS: Final = ("/", "/probe", "/sd", "/config", "/api/", "/callbacks/", "/-/")


def _outside(text: str) -> str:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        known = False
    if not known:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address like https://streams.example.com")
    return text


def _path(text: str) -> str:
    plain = text.startswith("/") and text.isascii() and not set(text) & set(" ?#%{}\\\t\r\n")
    if not plain:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path like /metrics")
    if text in TAKEN_PATHS or text.startswith(tuple(path for path in TAKEN_PATHS if path != "/" and path[-1] == "/")):
        raise argparse.ArgumentTypeError(f"{text!r} is taken by another page")
    return text
