"""The commands there are, with their options and flags."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Final, NamedTuple

from exporter.commands.options import (
    FLAGS,
    CheckOptions,
    CompletionOptions,
    DemoOptions,
    ExplainOptions,
    Flag,
    HelpOptions,
    NoOptions,
    ProbeOptions,
    ServeOptions,
    SimulateOptions,
)
from exporter.rules.options import DashboardsOptions, RulesOptions


class Command(NamedTuple):
    """A command: its name, which is that of its module, what it does, its options, and what its help adds."""

    name: str
    does: str
    options: type
    epilog: str = ""
    usage: str | None = None

    @property
    def flags(self) -> list[Flag]:
        """The flags that it takes."""
        return [flag for flag in FLAGS if self.name in flag.commands.split()]

    @property
    def flag_names(self) -> list[str]:
        """The names of its flags, without its arguments."""
        version = ["--version"] if self.options is ServeOptions else []
        return [*(flag.name for flag in self.flags if flag.name.startswith("--")), *version, "--help"]

    def default(self, flag: Flag) -> Any:
        """Return the value of a flag that is not given; None where it has to be."""
        (field,) = (field for field in fields(self.options) if field.name == flag.field)
        return None if field.default is MISSING else field.default


COMMANDS: Final = {
    command.name: command
    for command in (
        Command("serve", "run the exporter (also with no command)", ServeOptions),
        Command("check", "tell every error of the configuration, then its capacity plan", CheckOptions,
                "Exit code: 0, or 1 with errors; warnings, on standard error, do not fail without --strict."),
        Command("probe", "ask for streams now and say what came back", ProbeOptions,
                "Exit code: 0 if every stream got a definite answer, 1 if not, 2 for a wrong target or configuration."),
        Command("explain", "say what a code means and what to do", ExplainOptions,
                "Examples: explain throttled; explain CODE; explain PROVIDER CODE. "
                "Exit code: 0, or 1 for an unknown code.", "%(prog)s [-h] [--lang {en,zh}] [PROVIDER] CODE"),
        Command("schema", "print the JSON Schema of the configuration", NoOptions),
        Command("dashboards", "print the Grafana dashboards, or write them to files", DashboardsOptions,
                "Examples: dashboards --output-dir /var/lib/grafana/dashboards; dashboards fleet > fleet.json."),
        Command("example", "print a configuration to begin with", NoOptions),
        Command("rules", "print the alerting and recording rules for Prometheus", RulesOptions),
        Command("demo", "run the exporter on simulated clouds; needs no account", DemoOptions),
        Command("simulate", "run the simulated clouds alone", SimulateOptions),
        Command("completion", "print the completion of a shell", CompletionOptions,
                "Load it with: source <(stream-exporter completion bash); the same for zsh, after compinit; or "
                "stream-exporter completion fish | source."),
        Command("version", "print the version", NoOptions),
        Command("help", "list the commands, or the flags of one", HelpOptions),
    )
}  # fmt: skip
