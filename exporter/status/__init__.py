"""The status page, rendered from the templates in `templates/`.

Style and script are files in `static/`, so the Content-Security-Policy allows nothing inline. All URLs in the page are
relative, so it works behind a proxy under any path.
"""

from exporter.status.assets import ASSETS
from exporter.status.filter import Filter
from exporter.status.page import CONTENT_SECURITY_POLICY, slices
from exporter.status.selection import Site, Snapshot

__all__ = ["ASSETS", "CONTENT_SECURITY_POLICY", "Filter", "Site", "Snapshot", "slices"]
