"""Makes docs/commands.md out of the table of flags."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from exporter.commands.options import COMMANDS, Command

PAGE = Path(__file__).with_name("commands.md")

INTRODUCTION = """\
# Commands

<!-- Written by docs/generate_commands.py; do not edit. -->

Write a flag as `--flag value` or `--flag=value`, in full, anywhere after the command. `stream-exporter COMMAND --help`
shows this in a terminal, `stream-exporter --version` the version. No flag takes a secret."""


def render() -> str:
    """Return the whole page."""
    return "\n\n".join([INTRODUCTION, *(part for command in COMMANDS.values() for part in _command(command))]) + "\n"


def _command(command: Command) -> Iterator[str]:
    yield f"## `{command.name}`"
    yield f"{command.does[0].upper()}{command.does[1:]}. {command.epilog}".rstrip()
    if command.flags:
        yield "\n".join(_lines(command))


def _lines(command: Command) -> Iterator[str]:
    defaults = {field.name: field.default for field in fields(command.options)}
    for flag in command.flags:
        values = flag.takes if isinstance(flag.takes, str) else "|".join(flag.takes or ())
        usage = " ".join(filter(None, (flag.name if flag.name.startswith("--") else "", values)))
        default = f" (default `{flag.shown(defaults[flag.field])}`)" if defaults[flag.field] else ""
        yield f"- `{usage}`{default}: {flag.help}"
