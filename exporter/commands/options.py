"""The commands' flags as typed values; what each means stands in `exporter.cli`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from exporter.commands.logs import Level


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Flags of `serve`.

    Attributes:
        config_file: The configuration.
        listen: Addresses to listen on, `HOST:PORT` or `:PORT`.
        web_config: File with TLS and users, in exporter-toolkit's format.
        telemetry_path: Path of the metrics.
        enable_lifecycle: Whether `POST /-/reload` is open.
        timeout_offset: Seconds by which an answer comes before Prometheus's timeout.
        log_level: From which level on to log.
        log_format: How a line of the log is written.
        external_url: Where people reach the exporter, if not by the machine's own name.
    """

    config_file: str = "stream-exporter.yml"
    listen: tuple[str, ...] = (":10180",)
    web_config: str | None = None
    telemetry_path: str = "/metrics"
    enable_lifecycle: bool = False
    timeout_offset: float = 0.5
    log_level: Level = "info"
    log_format: Literal["logfmt", "json"] = "logfmt"
    external_url: str | None = None


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Flags of `check`."""

    config_file: Path


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """Flags of `probe`; `targets` are `PROVIDER/STREAM`, none meaning all."""

    config_file: Path
    targets: tuple[str, ...] = ()
    output: Literal["table", "json"] = "table"


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """Arguments of `explain`; without a provider, every one that knows the code is asked."""

    code: str
    provider: str | None = None
    lang: Literal["en", "zh"] = "en"


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """Flags of `simulate`; callbacks go to `callbacks`/ACCOUNT, where it is given."""

    listen: str = "127.0.0.1:10181"
    world: Path | None = None
    callbacks: str | None = None


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Flags of `demo`."""

    listen: tuple[str, ...] = (":10180",)
    log_level: Level = "warn"
    log_format: Literal["logfmt", "json"] = "logfmt"
