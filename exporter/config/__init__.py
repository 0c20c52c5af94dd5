"""The configuration: YAML to typed values; strict, every error at once with its line, no provider known by name."""

from __future__ import annotations

from exporter.config.loading import Config, Scrape, load
from exporter.config.problems import ConfigErrors, Problem
from exporter.config.redacting import redacted, redacted_slices
from exporter.config.schema import schema
from exporter.config.secret_values import CredentialsMissing, secret

__all__ = [
    "Config",
    "ConfigErrors",
    "CredentialsMissing",
    "Problem",
    "Scrape",
    "load",
    "redacted",
    "redacted_slices",
    "schema",
    "secret",
]
