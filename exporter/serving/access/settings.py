"""The format of `--web.config.file`. It is exporter-toolkit's, so files of other exporters work.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md describes it, and
docs/web-config.md where this server differs.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from exporter.fields import Secret, Shape

# Names in Go's crypto/tls, for TLS 1.2 and below -> names in OpenSSL.
CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
# Go lists these too, but neither Go nor Python can choose among them.
_CIPHERS_OF_TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
VERIFYING = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}
_UNVERIFYING = {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}
# Header name -> allowed values; empty if any is allowed.
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
BCRYPT = re.compile(r"\$2[abxy]\$(?P<cost>0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII)
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def _secret(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return Secret(value) if value else None


def _beside(value: str, info: ValidationInfo) -> str:
    """Resolve a relative path against the directory of the web configuration file."""
    directory = (info.context or {}).get("directory")
    return str(Path(directory) / value) if value and directory else value


def _client_auth(value: str) -> str:
    if value in _UNVERIFYING:
        raise ValueError(
            "asks for a certificate without verifying it, which this server cannot; "
            "use VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        )
    if value not in ("", "NoClientCert", *VERIFYING):
        raise ValueError("is not one of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert")
    return value


def _cipher(value: str) -> str:
    if value not in CIPHERS and value not in _CIPHERS_OF_TLS13:
        raise ValueError("is not a cipher suite of Go's crypto/tls, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    return value


def _curves(value: list[str]) -> list[str]:
    if any(curve not in CURVES for curve in value):
        raise ValueError(f"knows only {', '.join(CURVES)}")
    if len(value) > 1:
        raise ValueError("takes one curve only on this server; leave one, or none for the defaults")
    return value


def _headers(value: Any) -> Any:
    """Check names and allowed values; drop blanks, and fold lines because a header cannot hold a line break."""
    if not isinstance(value, dict):
        return value
    folded = {name: _header(name, text) for name, text in value.items()}
    return {name: text for name, text in folded.items() if text}


def _header(name: str, text: Any) -> str:
    if name not in HEADERS:
        raise ValueError(f"may hold only {', '.join(HEADERS)}")
    if isinstance(text, list | dict):
        raise ValueError(f"{name} is not a text")
    if HEADERS[name] and text not in HEADERS[name]:
        raise ValueError(f"{name} may only be {' or '.join(HEADERS[name])}")
    folded = " ".join(str("" if text is None else text).split())
    if re.search(r"[\x00-\x1f\x7f]", folded):
        raise ValueError(f"{name} holds a control character")
    return folded


def _hash(value: Any) -> Secret:
    if not isinstance(value, str) or not BCRYPT.fullmatch(value):
        raise ValueError("is not a bcrypt hash; make one with: htpasswd -nBC 10 ''")
    return Secret(value)


def _go_duration(value: Any) -> Any:
    """Read a duration in Go's notation (`1s`, `1m30s`, `1.5h`, `250ms`) in seconds."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not value or _GO_PART.sub("", value):
        raise ValueError("is not a duration; write it like 100ms, 1s or 1m30s, or 0 for no limit")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(value))


_Pem = Annotated[Secret | None, BeforeValidator(_secret)]  # certificates too: people paste the key along with them
_Path = Annotated[str, AfterValidator(_beside)]
_Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class _Section(Shape):
    """A section of the file; a key without a value counts as absent."""

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


class TlsServer(_Section):
    """`tls_server_config`: the server's certificate, and what it requires of clients."""

    cert: _Pem = None
    key: _Pem = None
    client_ca: _Pem = None
    cert_file: _Path = ""
    key_file: _Path = ""
    client_ca_file: _Path = ""
    client_auth_type: Annotated[str, AfterValidator(_client_auth)] = ""
    client_allowed_sans: list[str] | None = None
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: list[Annotated[str, AfterValidator(_cipher)]] = Field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: Annotated[list[str], AfterValidator(_curves)] = Field(default_factory=list)

    @property
    def enabled(self) -> bool:
        """Whether the server uses TLS: any key that only makes sense with it turns it on."""
        return bool(self.cert or self.cert_file or self.key or self.key_file or self.has_ca or self.client_auth_type)

    @property
    def has_ca(self) -> bool:
        """Whether a client CA is configured; otherwise the system's are trusted."""
        return bool(self.client_ca or self.client_ca_file)

    @property
    def verifies(self) -> bool:
        """Whether clients' certificates are verified."""
        return self.client_auth_type in VERIFYING

    @property
    def files(self) -> tuple[str, ...]:
        """The files whose change requires a new context."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)

    @model_validator(mode="after")
    def _consistent(self) -> TlsServer:
        sans, suites = self.client_allowed_sans is not None, self.cipher_suites
        problems = {
            "lacks cert or cert_file": self.enabled and not (self.cert or self.cert_file),
            "lacks key or key_file": self.enabled and not (self.key or self.key_file),
            "has a client CA but no client_auth_type that uses it": self.has_ca and not self.verifies,
            "has client_allowed_sans but no client_auth_type that asks for a certificate": sans and not self.verifies,
            "has a min_version above its max_version": self.min_version > self.max_version,
            "has only cipher suites of TLS 1.3, which max_version rules out": (
                self.max_version < "TLS13" and suites and not set(suites) & set(CIPHERS)
            ),
        }
        if any(problems.values()):
            raise ValueError("; ".join(problem for problem, there in problems.items() if there))
        return self


class HttpServer(_Section):
    """`http_server_config`: response headers. `http2` is accepted without effect; the server speaks HTTP/1.1."""

    http2: bool = True
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default_factory=dict)


class RateLimit(_Section):
    """`rate_limit`: one request per `interval` seconds after a `burst`; an interval of 0 means no limit."""

    interval: Annotated[float, BeforeValidator(_go_duration), Field(ge=0, allow_inf_nan=False)] = 0.0
    burst: int = Field(0, ge=0)


class WebConfig(_Section):
    """The whole file. Hashes, keys and certificates are `Secret`."""

    tls_server_config: TlsServer = Field(default_factory=TlsServer)
    http_server_config: HttpServer = Field(default_factory=HttpServer)
    rate_limit: RateLimit = Field(default_factory=RateLimit)
    basic_auth_users: dict[str, Annotated[Secret, BeforeValidator(_hash)]] = Field(default_factory=dict)
