"""Who may use the web server: exporter-toolkit's web.config.file."""

from __future__ import annotations

from exporter.serving.access.guard import WebGuard
from exporter.serving.access.reading import WebConfigError

__all__ = ["WebConfigError", "WebGuard"]
