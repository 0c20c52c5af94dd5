"""The status page: what is known → HTML, a pure function.

Style and script are files of `static/`, so the Content-Security-Policy allows nothing inline. All addresses in the page
are relative: it works behind a proxy that gives it a path of its own.
"""

from exporter.status.assets import ASSETS, Asset
from exporter.status.page import CONTENT_SECURITY_POLICY, page, slices
from exporter.status.survey import AccountView, Filter, Known, surveying

__all__ = [
    "ASSETS",
    "CONTENT_SECURITY_POLICY",
    "AccountView",
    "Asset",
    "Filter",
    "Known",
    "page",
    "slices",
    "surveying",
]
