"""Makes docs/commands.md out of the table of flags."""

from collections.abc import Iterator
from pathlib import Path

from exporter.commands.options import COMMANDS, Command

PAGE = Path(__file__).with_name("commands.md")

INTRODUCTION = """\
# Commands

<!-- Written by docs/generate_commands.py; do not edit. -->

A flag is written `--flag value` or `--flag=value`, and never abbreviated. Flags may stand before and after other
arguments; the command comes first. `stream-exporter COMMAND --help` lists the same in a terminal, and
`stream-exporter --version` prints the version. No flag takes a secret: those come from the
[configuration](configuration.md)."""

HEADER = "| flag | value | default | meaning |\n|---|---|---|---|"


def render() -> str:
    """Return the whole page."""
    return "\n\n".join([INTRODUCTION, *(part for command in COMMANDS.values() for part in _command(command))]) + "\n"


def _command(command: Command) -> Iterator[str]:
    yield f"## `{command.name}`"
    yield f"{command.does[0].upper()}{command.does[1:]}. {command.epilog}".rstrip()
    if command.flags:
        yield "\n".join([HEADER, *_rows(command)])


def _rows(command: Command) -> Iterator[str]:
    for flag in command.flags:
        name = f"`{flag.name}`" if flag.name.startswith("--") else ""
        choices = (flag.takes,) if isinstance(flag.takes, str) else flag.takes or ()
        value = ", ".join(f"`{choice}`" for choice in choices)
        default = command.default(flag)
        default = f"`{flag.shown(default)}`" if default else ""
        yield f"| {name} | {value} | {default} | {flag.help} |"
