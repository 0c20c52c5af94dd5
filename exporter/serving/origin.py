"""Tells which requests to sensitive paths another site's page may have sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

# Nobody can register a public name under these, so no stranger's name service can answer for them.
_PRIVATE: Final = frozenset((".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa"))
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(method: str, headers: Mapping[str, str], *, secure: bool, names: frozenset[str]) -> str | None:
    """Return why a request is refused, or None.

    Another site's page can reach us in two ways. It may have its reader's browser send us a request: then the browser
    names the page's site. Or it may point its own name at our address ("DNS rebinding"): then the browser takes the
    page for ours, and only the foreign name in `Host` gives it away. No header tells reliably whether a browser sent a
    request, so the rule about `Host` holds for all clients. Over TLS our certificate has settled the question.

    Args:
        method: The request's method.
        headers: Its headers, whatever the case of their names.
        secure: Whether it came over TLS to us.
        names: Host names in lower case at which the exporter is reached, besides those that are always good; `.NAME`
            stands for all names that end in it.
    """
    if _foreign_page(method, headers, names):
        return "this request comes from another site's page"
    if not secure and not ours(headers.get("Host", ""), names):
        return (
            "the exporter does not know this host name as its own; use its address, or name it with "
            "--web.external-url, or serve TLS"
        )
    return None


def _foreign_page(method: str, headers: Mapping[str, str], names: frozenset[str]) -> bool:
    site = headers.get("Sec-Fetch-Site")
    if site in ("same-origin", "none"):
        return False
    if site is not None:
        # A link on another page is no attack: what it leads to cannot be read from there.
        return method not in _SAFE or headers.get("Sec-Fetch-Mode") != "navigate"
    source = headers.get("Origin") or ("" if method in _SAFE else headers.get("Referer", ""))
    if not source:
        return False
    sender = _authority(source)
    own = _host_and_port(headers.get("Host", ""))
    return sender is None or own is None or not _same(sender, own, names)


def _same(sender: tuple[str, int | None], own: tuple[str, int | None], names: frozenset[str]) -> bool:
    """Compare hosts, and ports where both are given: without one, either scheme's default may be meant.

    If a proxy has replaced the host that the browser knows, that one is among our names. Another port of the same host
    is another program's.
    """
    if sender[0] != own[0]:
        return sender[0] in names
    return sender[1] == own[1] or own[1] is None


def ours(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header can only mean this exporter: an address, a name that is private, or one of ours.

    A request without `Host` does not come from a browser.
    """
    if not host:
        return True
    found = _host_and_port(host)
    if found is None:
        return False
    name = found[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        ends = {name[at:] for at, sign in enumerate(name) if sign == "."}
        return "." not in name or name in names or not names.isdisjoint(ends) or not _PRIVATE.isdisjoint(ends)
    return True


def _authority(url: str) -> tuple[str, int | None] | None:
    """Return the host and port of a page's address, or None where it has no host, as in `null`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    return host.rstrip("."), port or (443 if parts.scheme == "https" else 80)


def _host_and_port(host: str) -> tuple[str, int | None] | None:
    """Return the host and port of a `Host` header, or None where it is not valid."""
    if any(sign in host for sign in "/@\\?# ,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (name.rstrip("."), port) if name else None
