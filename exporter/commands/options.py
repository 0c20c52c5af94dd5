"""Every flag in one table, and the typed options that the flags become."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from exporter.commands.urls import (
    callbacks_url,
    dashboard_url,
    external_url,
    metrics_path,
    page_url,
    route_prefix,
    trimmed,
)
from exporter.rules.options import RUNBOOK

Level = Literal["debug", "info", "warn", "error"]
LogFormat = Literal["logfmt", "json"]
Output = Literal["table", "json"]
Language = Literal["en", "zh"]
Shell = Literal["bash", "zsh", "fish"]

LONGEST_SOCKET_PATH: Final = 107
"""Bytes that the kernel has room for."""


class Address(NamedTuple):
    """Where to listen; without a host, on all addresses of the machine."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


class SocketFile(NamedTuple):
    """A socket in the file system to listen on."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


CONFIGURATION: Final = Path("stream-exporter.yml")
EXPORTER: Final = Address(None, 10180)
SIMULATOR: Final = Address("127.0.0.1", 10181)

# --- options ---------------------------------------------------------------------------------------------------------

# A field has the name of its flag, with `_` for `.` and `-`.


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Flags of `serve`."""

    config_file: Path = CONFIGURATION
    web_listen_address: tuple[Address | SocketFile, ...] = (EXPORTER,)
    web_config_file: Path | None = None
    web_telemetry_path: str = "/metrics"
    web_enable_lifecycle: bool = False
    web_external_url: str | None = None
    scrape_timeout_offset: float = 0.5
    log_level: Level = "info"
    log_format: LogFormat = "logfmt"
    web_route_prefix: str | None = None
    web_systemd_socket: bool = False
    web_page_title: str = ""
    web_dashboard_url: str = ""
    runbook_url: str = RUNBOOK

    @property
    def title(self) -> str:
        """What the status page calls what is watched; empty for nothing."""
        return self.web_page_title or urlsplit(self.web_external_url or "").hostname or ""

    @property
    def prefix(self) -> str:
        """What stands before every path, as in `/streams`; empty for nothing."""
        return self._outside if self.web_route_prefix is None else self.web_route_prefix

    @property
    def home(self) -> str:
        """The path of the status page as browsers see it, which a proxy may map to another."""
        return f"{self.prefix if self.web_external_url is None else self._outside}/"

    @property
    def _outside(self) -> str:
        return trimmed(urlsplit(self.web_external_url or "").path)


@dataclass(frozen=True, slots=True)
class DemoOptions(ServeOptions):
    """Flags of `demo`: some of those of `serve`."""

    log_level: Level = "warn"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Flags of `check`; `file` is another way to name the configuration."""

    config_file: Path = CONFIGURATION
    file: Path | None = None
    strict: bool = False
    output: Output = "table"

    def __post_init__(self) -> None:
        if self.file is not None:
            if self.config_file not in (CONFIGURATION, self.file):
                raise ValueError("two configurations are named; give one")
            object.__setattr__(self, "config_file", self.file)


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """Flags of `probe`; without targets, all streams are asked for.

    The first target may be the configuration instead, where no flag names one.
    """

    config_file: Path = CONFIGURATION
    targets: tuple[str, ...] = ()
    output: Output = "table"

    def __post_init__(self) -> None:
        if self.config_file == CONFIGURATION and self.targets and _is_file_name(self.targets[0]):
            object.__setattr__(self, "config_file", Path(self.targets[0]))
            object.__setattr__(self, "targets", self.targets[1:])


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """Arguments of `explain`: a code, or a provider and a code."""

    words: tuple[str, ...] = ()
    lang: Language = "en"

    def __post_init__(self) -> None:
        if len(self.words) > 2:
            raise ValueError("give a code, or a provider and a code")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of commands without flags."""


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """Arguments of `completion`."""

    shell: Shell


@dataclass(frozen=True, slots=True)
class HelpOptions:
    """Arguments of `help`."""

    command: str = ""


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """Flags of `simulate`."""

    listen: Address = SIMULATOR
    world: Path | None = None
    callbacks: str | None = None


# --- reading values --------------------------------------------------------------------------------------------------


def _address(text: str) -> Address:
    """Read `:10180`, `127.0.0.1:10180` or `[::1]:10180`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ArgumentTypeError(f"{text!r} is not HOST:PORT or :PORT")
    return Address(host.removeprefix("[").removesuffix("]") or None, int(port))


def _listen_address(text: str) -> Address | SocketFile:
    """Read what `_address` reads, or `unix:PATH`."""
    if not text.startswith("unix:"):
        return _address(text)
    path = text.removeprefix("unix:")
    if not path or "\0" in path or len(path.encode(errors="surrogateescape")) > LONGEST_SOCKET_PATH:
        raise ArgumentTypeError(f"the path of a socket has 1 to {LONGEST_SOCKET_PATH} bytes")
    return SocketFile(Path(path))


def _file(text: str) -> Path:
    if not text:
        raise ArgumentTypeError("the name of a file is empty")
    return Path(text)


def _file_or_none(text: str) -> Path | None:
    return Path(text) if text else None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 120:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 120")
    return seconds


def _is_file_name(text: str) -> bool:
    """Whether a word is the name of a configuration, rather than PROVIDER/STREAM."""
    return text.startswith(("/", "./", "../", "~/")) or text.lower().endswith((".yml", ".yaml"))


# --- flags -----------------------------------------------------------------------------------------------------------


class Flag(NamedTuple):
    """A flag, or an argument where the name has no dashes.

    Attributes:
        name: How it is written.
        commands: The commands that take it.
        help: What it is for.
        takes: What stands for its value in the help, or the values that there are; None for a switch.
        read: Turns the value's text into what the options hold; raises `ArgumentTypeError`.
        repeat: `?`, `*` or `+` for an argument that takes so many values; `append` for a flag that may be repeated.
    """

    name: str
    commands: str
    help: str
    takes: str | tuple[str, ...] | None = None
    read: Callable[[str], Any] = str
    repeat: Literal["", "?", "*", "+", "append"] = ""

    @property
    def field(self) -> str:
        """The field of the options that holds its value."""
        return self.name.lstrip("-").replace(".", "_").replace("-", "_")

    def shown(self, default: Any) -> str:
        """Return a default as it would be written."""
        return " ".join(map(str, default)) if isinstance(default, tuple) and self.repeat else str(default)


FLAGS: Final = (
    Flag("--config.file", "serve check probe", "the configuration", "FILE", _file),
    Flag("file", "check", "the configuration, in place of --config.file", "FILE", _file, "?"),
    Flag("targets", "probe", "streams to ask for, such as 'PROVIDER/*' (default: all); the configuration may come "
         "first, in place of --config.file", "[FILE] PROVIDER/STREAM", repeat="*"),
    Flag("--strict", "check", "fail with warnings, too"),
    Flag("words", "explain", "a provider's code, a state, or a reason of stream_probe_errors_total", "[PROVIDER] CODE",
         repeat="+"),
    Flag("--web.listen-address", "serve demo", "HOST:PORT, :PORT or unix:PATH to listen on; repeatable", "ADDRESS",
         _listen_address, "append"),
    Flag("--web.systemd-socket", "serve", "listen on the sockets that a socket unit passes, instead of an address"),
    Flag("--web.config.file", "serve", "TLS and users, in exporter-toolkit's format", "FILE", _file_or_none),
    Flag("--web.telemetry-path", "serve", "path of the metrics", "PATH", metrics_path),
    Flag("--web.enable-lifecycle", "serve", "open POST /-/reload"),
    Flag("--web.external-url", "serve demo", "where people reach the exporter, such as https://streams.example.com; "
         "without TLS, /config and /-/reload refuse all other public host names", "URL", external_url),
    Flag("--web.route-prefix", "serve demo", "what stands before every path, such as /streams (default: the path of "
         "--web.external-url)", "PATH", route_prefix),
    Flag("--web.page-title", "serve", "what the status page calls what is watched, such as its environment (default: "
         "the host of --web.external-url)", "TEXT"),
    Flag("--web.dashboard-url", "serve", "a stream's dashboard, to which the status page links; {provider}, {account} "
         "and {stream} stand for the stream's", "URL", dashboard_url),
    Flag("--scrape.timeout-offset", "serve", "answer this long before Prometheus's timeout", "SECONDS", _seconds),
    Flag("--log.level", "serve demo", "log this and worse", get_args(Level)),
    Flag("--log.format", "serve demo", "how to write a line of the log", get_args(LogFormat)),
    Flag("--output", "check probe", "how to print the result", get_args(Output)),
    Flag("--lang", "explain", "language", get_args(Language)),
    Flag("--info-label", "rules dashboards", "label of your streams that alerts about a stream carry, and that "
         "dashboards filter by; repeatable", "LABEL", str, "append"),
    Flag("--severity-label", "rules", "label of your streams whose value replaces the severity critical", "LABEL"),
    Flag("--job", "rules", "regular expression that matches the exporter's scrape job", "REGEX"),
    Flag("--replica-label", "rules", "target label in which replicas of one exporter differ; repeatable", "LABEL", str,
         "append"),
    Flag("--runbook-url", "serve rules dashboards", "your runbook; alerts and the rows of the status page add "
         "#name-of-the-alert, rows also #reason", "URL", page_url),
    Flag("--page-url", "dashboards", "where people open the status page, such as https://streams.example.com (default: "
         "where Prometheus scrapes the exporter, by plain HTTP)", "URL", external_url),
    Flag("--listen", "simulate", "where; port 0 takes a free one", "HOST:PORT", _address),
    Flag("--world", "simulate", "accounts, streams and faults (default: the demo's world)", "FILE", _file),
    Flag("--callbacks", "simulate", "where callbacks go: URL/ACCOUNT, as http://127.0.0.1:10180/callbacks", "URL",
         callbacks_url),
    Flag("name", "dashboards", "which one (default: all)", "NAME", repeat="?"),
    Flag("--output-dir", "dashboards", "write them into this folder; without it, one is printed, and all are listed",
         "DIRECTORY", _file),
    Flag("shell", "completion", "the shell", get_args(Shell)),
    Flag("command", "help", "the command (default: all, in short)", "COMMAND", repeat="?"),
)  # fmt: skip
"""All flags but `--help` and `--version`, in the order of the help."""
