"""Makes docs/commands.md out of the table of flags."""

from collections.abc import Iterator
from pathlib import Path

from exporter.commands.overview import COMMANDS, Command

PAGE = Path(__file__).with_name("commands.md")

INTRODUCTION = """\
# Commands

<!-- Written by docs/generate_commands.py; do not edit. -->

Write a flag as `--flag value` or `--flag=value`, in full, anywhere after the command. `stream-exporter COMMAND --help`
shows this in a terminal, `stream-exporter --version` the version. No flag takes a secret."""


def render() -> str:
    """Return the whole page."""
    told: set[str] = set()
    return "\n\n".join([INTRODUCTION, *(part for one in COMMANDS.values() for part in _command(one, told))]) + "\n"


def _command(command: Command, told: set[str]) -> Iterator[str]:
    """Yield what a command does, and its flags; those of a command before are only named."""
    yield f"## `{command.name}`"
    yield f"{command.does[0].upper()}{command.does[1:]}. {command.epilog}".rstrip()
    lines = list(_lines(command))
    known = [line.split("`")[1] for line in lines if line in told]
    new = [line for line in lines if line not in told]
    told.update(new)
    if known:
        new.append(f"- as above: {', '.join(f'`{flag}`' for flag in known)}")
    if new:
        yield "\n".join(new)


def _lines(command: Command) -> Iterator[str]:
    for flag in command.flags:
        values = flag.takes if isinstance(flag.takes, str) else "|".join(flag.takes or ())
        usage = " ".join(filter(None, (flag.name if flag.name.startswith("--") else "", values)))
        default = command.default(flag)
        default = f" (default `{flag.shown(default)}`)" if default else ""
        yield f"- `{usage}`{default}: {flag.help}"
