"""The part `http` of a configuration, and of each account: the proxy, and the authorities that vouch for servers."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from exporter import files
from exporter.config.document import LARGEST
from exporter.config.findings import Findings
from exporter.config.problems import Place
from exporter.config.secret_values import SUFFIXES, Read
from exporter.config.sources import Sources
from exporter.config.warnings import variable
from exporter.config.wording import Keys, wrong_type
from exporter.fields import SecretField, SecretSource, Shape
from exporter.providers.reading import printable
from exporter.routes import Exempt, Http, Proxy, parse_proxy

PROXY_URL = "proxy_url"
TLS_CONFIG = "tls_config"
PROXY_KEYS = tuple(f"{PROXY_URL}{suffix}" for suffix in SUFFIXES.values())

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_DER = b"\x30\x82"


class TlsShape(Shape):
    """By whose certificates servers are known."""

    ca_file: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="certificates (PEM) of the authorities to trust instead of the system's; read again when changed",
    )


class HttpShape(Shape):
    """How providers are reached."""

    proxy_url: SecretField
    proxy_from_environment: bool = Field(
        False, description="take the proxy from HTTPS_PROXY, HTTP_PROXY and NO_PROXY, upper or lower case"
    )
    no_proxy: str | None = Field(
        None,
        max_length=4096,
        description="what goes straight all the same, with commas between: `example.com` (and all below it), "
        "`.example.com` (only what is below) or an address, also with `:PORT`; a network such as `10.0.0.0/8`; `*`",
    )


_ALWAYS_VERIFIED = "certificates are always verified; name the authority that signs them in ca_file"
TLS_KEYS = Keys(tuple(TlsShape.model_fields), retired={"insecure_skip_verify": _ALWAYS_VERIFIED})
KEYS = Keys(
    (*PROXY_KEYS, *(name for name in HttpShape.model_fields if name != PROXY_URL), TLS_CONFIG),
    retired={
        "ca_file": "it belongs into tls_config",
        "insecure_skip_verify": _ALWAYS_VERIFIED,
        "proxy_connect_header": "user and password of the proxy belong into proxy_url",
    },
)


class HttpSettings:
    """Reads the parts `http`; an account without one of its own has the top's."""

    def __init__(
        self, findings: Findings, directory: Path, environ: Mapping[str, str], read: Read, sources: Sources
    ) -> None:
        self._findings = findings
        self._directory = directory
        self._environ = environ
        self._read = read
        self._sources = sources
        self.top = Http()

    def read(self, raw: Mapping[str, Any]) -> None:
        """Read the one at the top of the configuration."""
        self.top = self.own(raw, ())

    def own(self, raw: Mapping[str, Any], place: Place) -> Http:
        """Return what holds for a mapping: its own part `http` as a whole, else the top's."""
        if "http" not in raw:
            return self.top
        place = (*place, "http")
        if not isinstance(raw["http"], dict):
            self._findings.wrong(place, wrong_type(raw["http"], "a mapping"))
            return self.top
        self._findings.unknown(raw["http"], place, KEYS)
        known = {key: value for key, value in raw["http"].items() if key in KEYS.own}
        prepared = self._sources.of(known, (PROXY_URL,), place)
        shown: dict[str, Any] = {}
        authorities = self._authorities(prepared.pop(TLS_CONFIG, {}), (*place, TLS_CONFIG), shown)
        shape = self._findings.validated(HttpShape, prepared, place, KEYS)
        if shape is None:
            return self.top
        self._check_pairs(shape, next((key for key in PROXY_KEYS if key in raw["http"]), ""), place)
        return self._settings(shape, place, authorities, shown)

    def _check_pairs(self, shape: HttpShape, given: str, place: Place) -> None:
        """Refuse what stands beside a key with which it does not go."""
        if shape.proxy_from_environment and given:
            why = f"stands beside {given}; give one of the two"
            self._findings.wrong((*place, "proxy_from_environment"), why, at_key=True)
        elif shape.no_proxy is not None and not given:
            why = "NO_PROXY is read instead" if shape.proxy_from_environment else "there is no proxy_url"
            self._findings.wrong((*place, "no_proxy"), f"does nothing here: {why}", at_key=True)

    def _settings(self, shape: HttpShape, place: Place, authorities: str, tls: dict[str, Any]) -> Http:
        shown: dict[str, Any] = {}
        proxies: tuple[tuple[str, Proxy], ...] = ()
        exempt = None
        if shape.proxy_url is not None:
            proxy = self._proxy(shape.proxy_url, place)
            proxies = () if proxy is None else (("https", proxy), ("http", proxy))
            shown[PROXY_URL + SUFFIXES[shape.proxy_url.kind]] = _shown(shape.proxy_url, proxy)
            if shape.no_proxy:  # Prometheus, too, spares loopback only where there is a list
                exempt, shown["no_proxy"] = Exempt.of(shape.no_proxy), shape.no_proxy
        elif shape.proxy_from_environment:
            proxies, exempt = self._of_environment((*place, "proxy_from_environment"))
            shown["proxy_from_environment"] = True
        return Http(proxies, exempt, authorities, {**shown, **tls})

    # --- the proxy ---------------------------------------------------------------------------------------------------

    def _proxy(self, source: SecretSource, place: Place) -> Proxy | None:
        found = self._sources.fetched(PROXY_URL, source, place)
        if found is None:
            return None
        try:
            return parse_proxy(found.reveal())
        except ValueError as error:
            hint = variable(found.reveal(), PROXY_URL) or variable(found.reveal())
            self._findings.wrong(
                (*place, PROXY_URL + SUFFIXES[source.kind]), f"{_HOLDS[source.kind]}{error}{hint and f'; it {hint}'}"
            )
        return None

    def _of_environment(self, place: Place) -> tuple[tuple[tuple[str, Proxy], ...], Exempt]:
        """Return the proxies that the environment names, by the scheme of what is asked, and what goes straight."""
        proxies: list[tuple[str, Proxy]] = []
        for scheme in ("https", "http"):
            name, value = self._variable(f"{scheme}_proxy")
            if not value:
                continue
            try:
                proxies.append((scheme, parse_proxy(value if "://" in value else f"http://{value}")))
            except ValueError as error:
                self._findings.wrong(place, f"the environment variable {name} {error}")
        if not proxies:
            self._findings.warn(place, "neither HTTPS_PROXY nor HTTP_PROXY is set, so nothing goes by a proxy")
        return tuple(proxies), Exempt.of(self._variable("no_proxy")[1])

    def _variable(self, name: str) -> tuple[str, str]:
        """Return name and value of an environment variable; in upper case it counts first."""
        return next(((each, self._environ[each]) for each in (name.upper(), name) if self._environ.get(each)), ("", ""))

    # --- the authorities ---------------------------------------------------------------------------------------------

    def _authorities(self, raw: Any, place: Place, shown: dict[str, Any]) -> str:
        """Return the certificates of `ca_file` in PEM; an empty text where it is not given, or wrong."""
        tls = self._findings.validated(TlsShape, raw, place, TLS_KEYS)
        if tls is None or tls.ca_file is None:
            return ""
        shown[TLS_CONFIG] = {"ca_file": tls.ca_file}
        place = (*place, "ca_file")
        if "-----BEGIN" in tls.ca_file:
            self._findings.wrong(place, "holds a certificate or key itself; write it to a file, and name that")
            return ""
        path = self._directory / tls.ca_file
        which = f"names the file {printable(os.path.abspath(path), 4096)}, which"
        try:
            data = self._read(path)
        except (OSError, ValueError) as error:
            self._findings.wrong(place, f"{which} {files.problem(error)}")
            return ""
        certificates, problem = _certificates(data)
        if problem:
            self._findings.wrong(place, f"{which} {problem}")
        return certificates


_HOLDS = {
    "plain": "",
    "file": "names a file whose content ",
    "env": "names an environment variable whose value ",
}


def _shown(source: SecretSource, proxy: Proxy | None) -> str:
    """Return where a proxy's URL is, or the URL itself without user and password."""
    if isinstance(source.value, str):
        return source.value
    url = "" if proxy is None else proxy.url
    return url if proxy is None or proxy.authorization is None else url.replace("://", "://<secret>@", 1)


def _certificates(data: bytes) -> tuple[str, str]:
    """Return the certificates of a file in PEM, and what is wrong with it, or an empty text."""
    found = _CERTIFICATE.findall(data)
    if len(data) > LARGEST:
        return "", f"is larger than {LARGEST >> 20} MiB"
    if not found and _KEY.search(data):
        return "", "holds a private key and no certificate: name the file of the authority's certificate"
    if not found and data.startswith(_DER):
        return "", "is not PEM but DER: convert it with openssl x509 -inform der"
    if not found:
        return "", "holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for number, each in enumerate(found, 1):
        try:
            context.load_verify_locations(cadata=each.decode("ascii"))
        except (ssl.SSLError, ValueError):
            which = f"{number}. certificate" if len(found) > 1 else "certificate"
            return "", f"is broken: its {which} cannot be read"
    return b"\n".join(found).decode(), ""
