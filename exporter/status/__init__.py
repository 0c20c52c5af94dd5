"""The status page: what is known → HTML, from the templates of `templates/`.

Style and script are files of `static/`, so the Content-Security-Policy allows nothing inline. All addresses in the page
are relative: it works behind a proxy that gives it a path of its own.
"""

from exporter.status.assets import ASSETS
from exporter.status.page import CONTENT_SECURITY_POLICY, slices
from exporter.status.selection import Filter, Known

__all__ = ["ASSETS", "CONTENT_SECURITY_POLICY", "Filter", "Known", "slices"]
