"""What calls are signed with: the configuration's secrets, and keys that the machine itself vouches for."""

from __future__ import annotations

from exporter.keys.keyring import Keyring

__all__ = ["Keyring"]
