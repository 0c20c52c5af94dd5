"""Which way a request goes: straight or by a proxy, and by whose certificates its server is known.

The rules are those of Prometheus: https://github.com/prometheus/common/blob/main/config/http_config.go, and for
`no_proxy` https://pkg.go.dev/golang.org/x/net/http/httpproxy.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from exporter.fields import Secret

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


class Proxy(NamedTuple):
    """A proxy; as text `HOST:PORT`, which holds no secret.

    Attributes:
        scheme: `http` or `https`: how the proxy itself is spoken to.
        host: Its name or address.
        port: Its port.
        authorization: What `Proxy-Authorization` says, if it wants a user and a password.
        secrets: What must never be shown: the password, and user and password as they are sent.
    """

    scheme: str
    host: str
    port: int
    authorization: Secret | None = None
    secrets: tuple[Secret, ...] = ()

    @property
    def url(self) -> str:
        """Where it is, without user and password."""
        return f"{self.scheme}://{self}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_proxy(text: str) -> Proxy:
    """Return the proxy at a URL; raises `ValueError` with a text that repeats nothing of it."""
    problem = "is not an address like http://proxy.example:3128"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{problem}; write special characters of the password as %XX") from None
    if parts.scheme.startswith("socks"):
        raise ValueError("names a SOCKS proxy; only http:// and https:// are spoken here")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        raise ValueError(problem)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{problem} (no path, no query); write special characters of the password as %XX")
    proxy = Proxy(parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port)
    if parts.username is None:
        return proxy
    packed = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
    written = parts.password or parts.username  # a user alone is a token
    secrets = tuple(Secret(each) for each in dict.fromkeys((written, unquote(written), packed)) if each)
    return proxy._replace(authorization=Secret(f"Basic {packed}"), secrets=secrets)


_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)


# --- no_proxy --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exempt:
    """What goes straight all the same: loopback, and what `no_proxy` names.

    Attributes:
        everything: Whether a `*` stands there.
        networks: Addresses and networks, each with its port or an empty text.
        domains: `.example.com`, whether `example.com` itself counts too, and the port or an empty text.
    """

    everything: bool = False
    networks: tuple[tuple[IPv4Network | IPv6Network, str], ...] = ()
    domains: tuple[tuple[str, bool, str], ...] = ()

    @classmethod
    def of(cls, no_proxy: str) -> Exempt:
        """Read a list of hosts, domains, addresses and networks, separated by commas."""
        networks: list[tuple[IPv4Network | IPv6Network, str]] = []
        domains: list[tuple[str, bool, str]] = []
        for entry in filter(None, (each.strip().lower() for each in no_proxy.split(","))):
            if entry == "*":
                return cls(everything=True)
            if (network := _network(entry)) is not None:
                networks.append((network, ""))
                continue
            host, port = _split_port(entry)
            if (address := _address(host)) is not None:
                networks.append((ip_network(address), port))
            elif host:
                bare = host.removeprefix("*") if host.startswith("*.") else host
                domains.append((bare if bare.startswith(".") else f".{bare}", not bare.startswith("."), port))
        return cls(networks=tuple(networks), domains=tuple(domains))

    def covers(self, host: str, port: str) -> bool:
        """Say whether a host is not to be asked by a proxy."""
        address = _address(host)
        if host == "localhost" or self.everything or (address is not None and address.is_loopback):
            return True
        if address is not None:
            return any(address in network and wanted in ("", port) for network, wanted in self.networks)
        return any(
            (host.endswith(domain) or (itself and host == domain[1:])) and wanted in ("", port)
            for domain, itself, wanted in self.domains
        )


def _address(text: str) -> Address | None:
    """Return an address; one of IPv4 that is written as IPv6 is one of IPv4."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _network(text: str) -> IPv4Network | IPv6Network | None:
    if not re.search(r"/\d{1,3}\Z", text, re.ASCII):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _split_port(entry: str) -> tuple[str, str]:
    """Return host and port of `host:port` or `[address]:port`; anything else is a host."""
    found = re.fullmatch(r"\[([^\[\]]*)\]:(.*)|([^:\[\]]*):([^:]*)", entry)
    if found is None:
        return entry, ""
    return (found[1] or "", found[2]) if found[2] is not None else (found[3], found[4])


# --- what an account is set to ---------------------------------------------------------------------------------------


class Route(NamedTuple):
    """The way to one server.

    Attributes:
        proxy: The proxy, or None where it is straight.
        authorities: Certificates in PEM that vouch for the server and the proxy; the system's where it is empty.
    """

    proxy: Proxy | None = None
    authorities: str = ""


STRAIGHT: Final = Route()


@dataclass(frozen=True, slots=True)
class Http:
    """What a part `http` of the configuration says.

    Attributes:
        proxies: The proxy by the scheme of what is asked.
        exempt: What goes straight all the same; None where nothing does.
        authorities: As in a Route.
        shown: The part as it may be shown.
    """

    proxies: tuple[tuple[str, Proxy], ...] = ()
    exempt: Exempt | None = None
    authorities: str = ""
    shown: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def in_plain(self) -> bool:
        """Whether the configuration itself holds a proxy's password."""
        return "@" in self.shown.get("proxy_url", "")

    def route(self, url: str) -> Route:
        """Return the way to a URL."""
        return _route(self, url) if self.proxies or self.authorities else STRAIGHT

    def route_of_keys(self, url: str) -> Route:
        """Return the way to a server that hands out keys.

        Those that are spoken to in clear text are the machine's own, such as 169.254.169.254, and no proxy may see
        what they say.
        """
        return self.route(url) if url.startswith("https:") else STRAIGHT

    def secrets(self) -> Iterator[str]:
        """Yield what must never be shown."""
        for _, proxy in self.proxies:
            yield from (secret.reveal() for secret in proxy.secrets)


UNSET: Final = Http()


@lru_cache(maxsize=256)
def _route(http: Http, url: str) -> Route:
    parts = urlsplit(url)
    proxy = dict(http.proxies).get(parts.scheme)
    port = str(parts.port or DEFAULT_PORTS[parts.scheme])
    if proxy is not None and http.exempt is not None and http.exempt.covers(parts.hostname or "", port):
        proxy = None
    return Route(proxy, http.authorities)
