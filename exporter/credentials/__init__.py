"""Credentials: from an account's fields, the environment, and its cloud's profiles, pod identities and roles."""

from __future__ import annotations

from exporter.credentials.chain import chooser
from exporter.credentials.fields import configured
from exporter.credentials.keyring import Keyring

__all__ = ["Keyring", "chooser", "configured"]
