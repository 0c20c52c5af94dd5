"""`stream-exporter completion`: what a shell needs to complete commands, flags and their values, from the one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from exporter.commands.options import CompletionOptions, Flag, Shell
from exporter.commands.overview import COMMANDS, Command
from exporter.commands.terminal import Terminal
from exporter.commands.version import PROGRAM

DEFAULT: Final = COMMANDS["serve"]
"""The command whose flags may stand without a command."""


def run(options: CompletionOptions, terminal: Terminal) -> int:
    """Write the completion of a shell to standard output."""
    terminal.say("\n".join(_SCRIPTS[options.shell]()))
    return 0


def _choices(flag: Flag) -> tuple[str, ...]:
    """Return the values that a flag or an argument may have; none where there are many."""
    if flag.takes == "COMMAND":
        return tuple(COMMANDS)
    return flag.takes if isinstance(flag.takes, tuple) else ()


def _arguments(command: Command) -> Iterator[Flag]:
    return (flag for flag in command.flags if not flag.name.startswith("--"))


# --- bash ------------------------------------------------------------------------------------------------------------


def _bash() -> Iterator[str]:
    yield f"# bash completion of {PROGRAM}; what is no word of ours is completed as the name of a file."
    yield "_stream_exporter() {"
    yield f"    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command={DEFAULT.name} words="
    yield "    # Bash takes = for a word of its own."
    yield "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    [[ $cur == = ]] && cur="
    yield "    (( COMP_CWORD > 1 )) && case ${COMP_WORDS[1]} in"
    yield f"        {'|'.join(COMMANDS)}) command=${{COMP_WORDS[1]}} ;;"
    yield "    esac"
    yield '    case "$command $prev" in'
    for command in COMMANDS.values():
        for flag in command.flags:
            if flag.name.startswith("--") and flag.takes is not None:
                yield f'        "{command.name} {flag.name}") words="{" ".join(_choices(flag))}" ;;'
    yield '        *) case "$command $cur" in'
    for command in COMMANDS.values():
        yield f'            "{command.name} -"*) words="{" ".join(command.flag_names)}" ;;'
        if choices := [word for flag in _arguments(command) for word in _choices(flag)]:
            yield f'            "{command.name} "*) words="{" ".join(choices)}" ;;'
    yield "        esac"
    yield f'        (( COMP_CWORD == 1 )) && [[ $cur != -* ]] && words="{" ".join(COMMANDS)}" ;;'
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield f"complete -o default -F _stream_exporter {PROGRAM}"


# --- zsh -------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh() -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield f"_{PROGRAM}() {{"
    yield "    local -a commands"
    yield "    commands=("
    for command in COMMANDS.values():
        yield f"        {_quoted(f'{command.name}:{command.does}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then"
    yield "        _describe -t commands command commands"
    yield "        return"
    yield "    fi"
    yield f"    local command={DEFAULT.name}"
    yield "    if (( ${commands[(I)${words[2]}:*]} )); then"
    yield "        command=$words[2]"
    yield "        shift words"
    yield "        (( CURRENT-- ))"
    yield "    fi"
    yield "    case $command in"
    for command in COMMANDS.values():
        specs = [*map(_zsh_spec, command.flags), "'--help[show the help]'"]
        if command is DEFAULT:
            specs.append("'--version[print the version]'")
        yield f"        {command.name})"
        yield "            _arguments \\\n                " + " \\\n                ".join(specs) + " ;;"
    yield "    esac"
    yield "}"
    yield "# Read from a folder of $fpath, it is the function's first call; read by `source`, it is not."
    yield f'if [[ $funcstack[1] == _{PROGRAM} ]]; then _{PROGRAM} "$@"; else compdef _{PROGRAM} {PROGRAM}; fi'


def _zsh_spec(flag: Flag) -> str:
    if choices := _choices(flag):
        values = f"({' '.join(choices)})"
    else:
        values = {"DIRECTORY": "_files -/"}.get(str(flag.takes), "_files" if "FILE" in str(flag.takes) else " ")
    value = "" if flag.takes is None else f":{flag.field}:{values}"
    if not flag.name.startswith("--"):
        return _quoted(f"{'*' if flag.repeat in ('*', '+') else '1'}{value}")
    described = flag.help.replace("[", "\\[").replace("]", "\\]")
    name = flag.name + ("=" if flag.takes is not None else "")
    return _quoted(f"{'*' if flag.repeat else ''}{name}[{described}]{value}")


# --- fish ------------------------------------------------------------------------------------------------------------


def _fish() -> Iterator[str]:
    start = f"complete -c {PROGRAM}"
    others = " ".join(name for name in COMMANDS if name != DEFAULT.name)
    yield f"{start} -f"
    for command in COMMANDS.values():
        yield f"{start} -n __fish_use_subcommand -a {command.name} -d {_fish_quoted(command.does)}"
    for command in COMMANDS.values():
        seen = f"not __fish_seen_subcommand_from {others}" if command is DEFAULT else (
            f"__fish_seen_subcommand_from {command.name}"
        )  # fmt: skip
        for flag in command.flags:
            yield f"{start} -n '{seen}' {_fish_spec(flag)}"
        yield f"{start} -n '{seen}' -l help -d 'show the help'"
        if command is DEFAULT:
            yield f"{start} -n '{seen}' -l version -d 'print the version'"


def _fish_spec(flag: Flag) -> str:
    if choices := _choices(flag):
        values = f"-x -a '{' '.join(choices)}'" if flag.name.startswith("--") else f"-a '{' '.join(choices)}'"
    elif "FILE" in str(flag.takes) or flag.takes == "DIRECTORY":
        values = "-r -F" if flag.name.startswith("--") else "-F"
    else:
        values = "" if flag.takes is None or not flag.name.startswith("--") else "-x"
    name = f"-l {flag.name[2:]} " if flag.name.startswith("--") else ""
    return f"{name}{values} -d {_fish_quoted(flag.help)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS: Final[dict[Shell, Callable[[], Iterator[str]]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
