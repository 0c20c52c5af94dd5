"""Recognises requests that another site's page may have sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

# No public name can be registered under these, so no outsider's DNS can resolve them.
_PRIVATE: Final = frozenset((".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa"))
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(method: str, headers: Mapping[str, str], *, secure: bool, names: frozenset[str]) -> str | None:
    """Return why a request is refused, or None.

    Another site's page can attack in two ways. It can make the reader's browser send a request: then the browser names
    the page's origin. Or it can point its own host name at the exporter's address ("DNS rebinding"): then the browser
    sees one origin, and only the unknown name in `Host` reveals the attack. No header tells reliably whether a browser
    sent a request, so the check of `Host` applies to all clients. With TLS the certificate has settled the question.

    Args:
        method: HTTP method.
        headers: Case-insensitive headers.
        secure: Whether the connection uses TLS.
        names: Host names of the exporter in lower case, besides those always accepted; `.NAME` matches every name that
            ends in it.
    """
    if _is_cross_site(method, headers, names):
        return "this request comes from another site's page"
    if not secure and not ours(headers.get("Host", ""), names):
        return (
            "the exporter does not know this host name as its own; use its address, or name it with "
            "--web.external-url, or serve TLS"
        )
    return None


def _is_cross_site(method: str, headers: Mapping[str, str], names: frozenset[str]) -> bool:
    site = headers.get("Sec-Fetch-Site")
    if site in ("same-origin", "none"):
        return False
    if site is not None:
        # Following a link is no attack: the linking page cannot read the response.
        return method not in _SAFE or headers.get("Sec-Fetch-Mode") != "navigate"
    source = headers.get("Origin") or ("" if method in _SAFE else headers.get("Referer", ""))
    if not source:
        return False
    sender = _authority(source)
    own = _host_and_port(headers.get("Host", ""))
    return sender is None or own is None or not _same(sender, own, names)


def _same(sender: tuple[str, int | None], own: tuple[str, int | None], names: frozenset[str]) -> bool:
    """Compare hosts, and ports where both are given: a missing port may be either scheme's default.

    Behind a proxy that replaces `Host`, the browser's host is one of `names`. Another port of the same host belongs to
    another program.
    """
    if sender[0] != own[0]:
        return sender[0] in names
    return sender[1] == own[1] or own[1] is None


def ours(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header can only mean this exporter: an address, a private name, or one of `names`.

    A request without `Host` does not come from a browser.
    """
    if not host:
        return True
    parts = _host_and_port(host)
    if parts is None:
        return False
    name = parts[0]
    ends = {name[at:] for at, sign in enumerate(name) if sign == "."}
    return not ends or name in names or not ends.isdisjoint(names | _PRIVATE) or is_address(name)


def is_address(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _authority(url: str) -> tuple[str, int | None] | None:
    """Return the host and port of a page's URL, or None if it has no host, as in `null`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    return host.rstrip("."), port or (443 if parts.scheme == "https" else 80)


def _host_and_port(host: str) -> tuple[str, int | None] | None:
    """Return the host and port of a `Host` header, or None if it is invalid."""
    if any(sign in host for sign in "/@\\?# ,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (name.rstrip("."), port) if name else None
