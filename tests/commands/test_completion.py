"""`completion`: commands, flags and their values, from the table that the parser is made of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.commands.options import FLAGS
from exporter.commands.overview import COMMANDS
from tests.commands.running import run

SHELLS = ("bash", "zsh", "fish")
CASES = [
    ("che", {"check"}),
    ("check --str", {"--strict"}),
    ("check --output ", {"table", "json"}),
    ("probe --output j", {"json"}),
    ("--web.listen", {"--web.listen-address"}),
    ("serve --log.level w", {"warn"}),
    ("--log.format l", {"logfmt"}),
    ("completion ", set(SHELLS)),
    ("help simu", {"simulate"}),
    ("schema --", {"--help"}),
]


def script(shell: str) -> str:
    """Return the completion of a shell, which has to be there."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = run("completion", shell)
    assert (done.code, done.err) == (0, "")
    return done.out


def said(shell: str, code: str, directory: Path) -> list[str]:
    """Run code in a shell that reads none of its settings; return what it says."""
    plain = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell]
    home = {"HOME": str(directory), "PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(directory)}
    done = subprocess.run([*plain, "-c", code], capture_output=True, text=True, check=True, cwd=directory, env=home)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_flag_is_there(shell: str) -> None:
    """No command, flag or choice of the table is forgotten."""
    text = run("completion", shell).out
    dashes = "-l " if shell == "fish" else "--"
    assert [name for name in COMMANDS if name not in text] == []
    assert [flag.name for flag in FLAGS if flag.name.startswith("--") and dashes + flag.name[2:] not in text] == []
    assert [one for flag in FLAGS if isinstance(flag.takes, tuple) for one in flag.takes if one not in text] == []


@pytest.mark.parametrize(("line", "words"), CASES)
def test_bash(line: str, words: set[str], tmp_path: Path) -> None:
    """Bash completes commands, flags and values."""
    typed = f"stream-exporter {line}"
    parts = typed.split() + [""] * typed.endswith(" ")
    array = " ".join(f"'{part}'" for part in parts)
    call = f"COMP_WORDS=({array}); COMP_CWORD={len(parts) - 1}; _stream_exporter; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    assert set(said("bash", f"{script('bash')}\n{call}", tmp_path)) == words


@pytest.mark.parametrize(("before", "word", "found"), [("check", "--output=", "table"), ("", "--log.level=d", "debug")])
def test_bash_takes_an_equals_sign_for_a_word(before: str, word: str, found: str, tmp_path: Path) -> None:
    """A value after `=` is completed, too."""
    flag, _, value = word.partition("=")
    parts = ["stream-exporter", *before.split(), flag, "=", *([value] if value else [])]
    array = " ".join(f"'{part}'" for part in parts)
    call = f"COMP_WORDS=({array}); COMP_CWORD={len(parts) - 1}; _stream_exporter; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    assert found in said("bash", f"{script('bash')}\n{call}", tmp_path)


@pytest.mark.parametrize(("line", "words"), CASES)
def test_fish(line: str, words: set[str], tmp_path: Path) -> None:
    """Fish completes the same."""
    found = said("fish", f"{script('fish')}\ncomplete -C 'stream-exporter {line}'", tmp_path)
    assert {each.partition("\t")[0] for each in found} == words


def test_fish_names_files(tmp_path: Path) -> None:
    """Where a file is wanted, files are named, and nowhere else."""
    (tmp_path / "conf.yml").touch()
    ask = "complete -C 'stream-exporter check con'; complete -C 'stream-exporter schema con'"
    assert said("fish", f"{script('fish')}\n{ask}", tmp_path) == ["conf.yml"]


def test_zsh(tmp_path: Path) -> None:
    """Zsh takes the completion after compinit, and as a file of a folder of $fpath."""
    text = script("zsh")
    start = "autoload -Uz compinit; compinit -u -D"
    show = "print -- $_comps[stream-exporter]"
    assert said("zsh", f"{start}\n{text}\n{show}", tmp_path) == ["_stream-exporter"]
    (tmp_path / "_stream-exporter").write_text(text)
    assert said("zsh", f"fpath+=({tmp_path})\n{start}\n{show}", tmp_path) == ["_stream-exporter"]
