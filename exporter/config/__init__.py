"""The configuration: YAML to typed values; strict, every error at once with its line, no provider known by name."""

from __future__ import annotations

from exporter.config.loading import load
from exporter.config.problems import ConfigErrors, Problem
from exporter.config.schema import schema
from exporter.config.secret_values import CredentialsMissing, secret, variable_of
from exporter.config.values import Config, Scrape, redacted_slices

__all__ = [
    "Config",
    "ConfigErrors",
    "CredentialsMissing",
    "Problem",
    "Scrape",
    "load",
    "redacted_slices",
    "schema",
    "secret",
    "variable_of",
]
