"""The file behind `--web.config.file`: TLS, client certificates, passwords, headers and a rate limit for the server.

Format and order of checks are those of https://github.com/prometheus/exporter-toolkit (docs/web-configuration.md), so
that a file written for another exporter serves here too. `docs/web-config.md` names the few differences.
"""

from __future__ import annotations

import base64
import difflib
import errno
import hashlib
import ipaddress
import os
import re
import secrets
import ssl
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import bcrypt
import yaml
from aiohttp import web
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from exporter import files
from exporter.config.problems import speakable
from exporter.fields import Secret, Shape
from exporter.serving.access.passwords import Busy as _Busy
from exporter.serving.access.passwords import Passwords as _Passwords
from exporter.serving.waiting import kind_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Where = tuple[str | int, ...]

LARGEST_FILE = 1 << 20
LONGEST_PASSWORD = 72  # bytes; bcrypt reads no further

# The names of Go's crypto/tls for TLS 1.2 and below, and what OpenSSL calls them.
_CIPHERS = {
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
# Go lists these too, yet neither Go nor Python lets anyone choose among them.
_CIPHERS_OF_TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFYING = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}
_UNVERIFYING = {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}
# Header name -> the only values it may have; empty where any will do.
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_BCRYPT = re.compile(r"\$2[abxy]\$(?P<cost>0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII)
# Salt and digest of a password that nobody knows; compared against when the user does not exist.
_NOBODY = "1/SP86btkfsxcsbwRTjd/.P.2x.FXYV0L4CbDC4rOBfrE4kD.KAXW"
# What the machine lacks for the moment says nothing about the file.
_SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT)
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class WebConfigError(Exception):
    """The file cannot be used. `errors` holds lines like `file:line:column: path: message`, none with a secret."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class _Refused(Exception):  # noqa: N818 - becomes a WebConfigError once its line is known
    """One key of tls_server_config whose value does not work."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


# ---------------------------------------------------------------------------------------------------- what is written


def _secret(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return Secret(value) if value else None


def _beside(value: str, info: ValidationInfo) -> str:
    """Take a relative path from the directory of the file it was written in."""
    directory = (info.context or {}).get("directory")
    return str(Path(directory) / value) if value and directory else value


def _client_auth(value: str) -> str:
    if value in _UNVERIFYING:
        raise ValueError(
            "asks for a certificate without verifying it, which this server cannot; "
            "use VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        )
    if value and value != "NoClientCert" and value not in _VERIFYING:
        raise ValueError("is not one of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert")
    return value


def _cipher(value: str) -> str:
    if value not in _CIPHERS and value not in _CIPHERS_OF_TLS13:
        raise ValueError("is not a cipher suite of Go's crypto/tls, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    return value


def _curves(value: list[str]) -> list[str]:
    if any(curve not in _CURVES for curve in value):
        raise ValueError(f"knows only {', '.join(_CURVES)}")
    if len(value) > 1:
        raise ValueError("takes one curve only on this server; leave one, or none for the defaults")
    return value


def _headers(value: Any) -> Any:
    """Check names and enumerated values; drop blanks, and fold lines as a header may not hold a line break."""
    if not isinstance(value, dict):
        return value
    folded = {name: _header(name, text) for name, text in value.items()}
    return {name: text for name, text in folded.items() if text}


def _header(name: str, text: Any) -> str:
    if name not in _HEADERS:
        raise ValueError(f"may hold only {', '.join(_HEADERS)}")
    if _HEADERS[name] and text not in _HEADERS[name]:
        raise ValueError(f"{name} may only be {' or '.join(_HEADERS[name])}")
    folded = " ".join(str("" if text is None else text).split())
    if re.search(r"[\x00-\x1f\x7f]", folded):
        raise ValueError(f"{name} holds a control character")
    return folded


def _hash(value: Any) -> Secret:
    if not isinstance(value, str) or not _BCRYPT.fullmatch(value):
        raise ValueError("is not a bcrypt hash; make one with: htpasswd -nBC 10 ''")
    return Secret(value)


def _go_duration(value: Any) -> Any:
    """Read a duration in Go's notation (`1s`, `1m30s`, `1.5h`, `250ms`) as seconds."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not _GO_PART.sub("", value) == "" or not value:
        raise ValueError("is not a duration; write it like 100ms, 1s or 1m30s, or 0 for no limit")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(value))


_Pem = Annotated[Secret | None, BeforeValidator(_secret)]  # a certificate too: people paste the key along with it
_Path = Annotated[str, AfterValidator(_beside)]
_Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class _Section(Shape):
    """A part of the file; a key without a value counts as not written."""

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


class TlsServer(_Section):
    """`tls_server_config`: the server's certificate, and what it asks of clients."""

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
        """Whether the server speaks TLS: any key that only makes sense with it switches it on."""
        return bool(self.cert or self.cert_file or self.key or self.key_file or self._has_ca or self.client_auth_type)

    @property
    def files(self) -> tuple[str, ...]:
        """The files named, whose change calls for a new context."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)

    @property
    def trusts_the_system(self) -> bool:
        """Whether clients are verified against the system's authorities for want of others."""
        return self.client_auth_type in _VERIFYING and not self._has_ca

    @property
    def _has_ca(self) -> bool:
        return bool(self.client_ca or self.client_ca_file)

    @model_validator(mode="after")
    def _consistent(self) -> TlsServer:
        problems = [*self._missing(), *self._contradictions()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _missing(self) -> Iterator[str]:
        if self.enabled and not (self.cert or self.cert_file):
            yield "lacks cert or cert_file"
        if self.enabled and not (self.key or self.key_file):
            yield "lacks key or key_file"

    def _contradictions(self) -> Iterator[str]:
        verifying = self.client_auth_type in _VERIFYING
        if self._has_ca and not verifying:
            yield "has a client CA but no client_auth_type that uses it"
        if self.client_allowed_sans is not None and not verifying:
            yield "has client_allowed_sans but no client_auth_type that asks for a certificate"
        if self.min_version > self.max_version:
            yield "has a min_version above its max_version"
        if self.max_version < "TLS13" and self.cipher_suites and not set(self.cipher_suites) & set(_CIPHERS):
            yield "has only cipher suites of TLS 1.3, which max_version rules out"


class HttpServer(_Section):
    """`http_server_config`: response headers. `http2` is accepted without effect; the server speaks HTTP/1.1."""

    http2: bool = True
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default_factory=dict)


class RateLimit(_Section):
    """`rate_limit`: one request per `interval` seconds, after `burst` at once; no limit while interval is 0."""

    interval: Annotated[float, BeforeValidator(_go_duration), Field(ge=0, allow_inf_nan=False)] = 0.0
    burst: int = Field(0, ge=0)


class WebConfig(_Section):
    """The whole file. Hashes, keys and certificates are `Secret`."""

    tls_server_config: TlsServer = Field(default_factory=TlsServer)
    http_server_config: HttpServer = Field(default_factory=HttpServer)
    rate_limit: RateLimit = Field(default_factory=RateLimit)
    basic_auth_users: dict[str, Annotated[Secret, BeforeValidator(_hash)]] = Field(default_factory=dict)


NO_FILE = WebConfig()

# ------------------------------------------------------------------------------------------------------ how it is read


class _Loader(yaml.SafeLoader):
    """Builds nodes only, and refuses aliases, with which a short file can grow without bound."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="YAML aliases are not read here", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


@dataclass
class _Document:
    """A file as plain values, with the line and column of each, for messages."""

    name: str
    value: Any = None
    places: dict[Where, tuple[int, int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def error(self, where: Where, message: str) -> str:
        """Return `file:line:column: path: message`."""
        known = next((where[:n] for n in range(len(where), -1, -1) if where[:n] in self.places), ())
        line, column = self.places.get(known, (1, 1))
        path = _spell(where)
        return f"{self.name}:{line}:{column}: {path}: {message}" if path else f"{self.name}:{line}:{column}: {message}"

    def plain(self, node: yaml.Node, where: Where = ()) -> Any:
        """Turn a node into values and remember where they stand; complaints go to `errors`."""
        self.places.setdefault(where, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*where, index)) for index, item in enumerate(node.value)]
        self._check(node.value, where)
        return _scalar(node)

    def _check(self, text: str, where: Where) -> None:
        if re.search(r"[\x00\ud800-\udfff]", text):
            self.errors.append(self.error(where, "holds a character that is none"))

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            text = key.value if isinstance(key, yaml.ScalarNode) else "?"
            here = (*where, text)
            self.places[here] = (key.start_mark.line + 1, key.start_mark.column + 1)
            self._check(text, here)
            if text in found or not isinstance(key, yaml.ScalarNode):
                self.errors.append(self.error(here, "is written twice" if text in found else "is not a plain key"))
                continue
            found[text] = self.plain(value, here)
        return found


def _scalar(node: yaml.Node) -> str | bool | int | None:
    """Only what the format has a use for becomes other than text."""
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind == "int" and re.fullmatch(r"[-+]?(0|[1-9]\d{0,8})", text, re.ASCII):
        return int(text)
    return text


def _spell(where: Where) -> str:
    """Write a path for people. Users' names are withheld: someone may have swapped name and hash."""
    parts = list(where)
    if len(parts) > 1 and parts[0] == "basic_auth_users":
        parts[1:] = ["<user>"]
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            shown = part if part == "<user>" or speakable(part, _known_keys(), bare=True) else "<key>"
            text += f".{shown}" if text else shown
    return text


@cache
def _known_keys() -> frozenset[str]:
    """Return every key that the file may have."""
    sections = [info.annotation for info in WebConfig.model_fields.values()]
    fields = [getattr(section, "model_fields", {}) for section in (WebConfig, *sections)]
    return frozenset({*(name for each in fields for name in each), *_HEADERS})


_WORDS = {
    "bool_type": "is neither true nor false",
    "dict_type": "is not a mapping",
    "int_type": "is not a whole number in plain digits",
    "list_type": "is not a list",
    "model_type": "is not a mapping",
    "string_type": "is not a text; put it in quotes",
}


def _message(error: Any) -> str:
    """Say what pydantic found without ever quoting the value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "is not a known key" + _suggestion(error["loc"])
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"is not one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    if kind == "greater_than_equal":
        return "is negative"
    return _WORDS.get(kind, "is not valid")


def _suggestion(where: Where) -> str:
    sections = {name: info.annotation for name, info in WebConfig.model_fields.items()}
    section: Any = sections.get(str(where[0])) if len(where) > 1 else WebConfig
    near = difflib.get_close_matches(str(where[-1]), getattr(section, "model_fields", {}), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _parse(content: bytes, name: str) -> _Document:
    document = _Document(name)
    try:
        loader = _Loader(content)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        document.value = None if node is None else document.plain(node)
    except yaml.MarkedYAMLError as error:
        document.errors.append(_syntax(name, error))
    except (yaml.YAMLError, ValueError):
        document.errors.append(f"{name}:1:1: is not UTF-8 text")
    except RecursionError:
        document.errors.append(f"{name}:1:1: is nested too deeply")
    if document.errors:
        raise WebConfigError(tuple(document.errors)) from None
    return document


def _syntax(name: str, error: yaml.MarkedYAMLError) -> str:
    """The parser's words, unless they quote the file: the line may hold a secret."""
    mark = error.problem_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    words = error.problem or "is not valid YAML"
    if words.startswith("but ") and error.context:
        words = f"{error.context}, {words}"
    if re.search(r"['\"\\#]", words):
        words = "is not valid YAML"
    return f"{name}:{line}:{column}: {words}"


def _read(path: Path, seconds: float = files.SECONDS) -> bytes:
    return files.read(path, LARGEST_FILE + 1, seconds)


def _load(path: Path, content: bytes) -> tuple[WebConfig, _Document]:
    if len(content) > LARGEST_FILE:
        raise WebConfigError((f"{path}:1:1: is larger than {LARGEST_FILE >> 20} MiB",))
    document = _parse(content, str(path))
    value = {} if document.value is None else document.value
    try:
        return WebConfig.model_validate(value, context={"directory": path.parent}), document
    except ValidationError as error:
        found = [document.error(part["loc"], _message(part)) for part in error.errors(include_input=False)]
    raise WebConfigError(tuple(found))


def load(path: str | os.PathLike[str]) -> WebConfig:
    """Read a web configuration file; certificates are not opened.

    Raises:
        WebConfigError: It cannot be read, is not YAML, or breaks the format; all errors at once.
    """
    try:
        content = _read(Path(path))
    except OSError as error:
        raise WebConfigError((_unreadable(path, error),)) from None
    return _load(Path(path), content)[0]


def _unreadable(path: str | os.PathLike[str], error: OSError) -> str:
    return f"{os.fspath(path)}:1:1: {files.problem(error)}"


class _ConfigFile:
    """The file as it stands now. Its bytes are compared at each look, so no change hides behind a coarse clock."""

    def __init__(self, path: Path, changed: Callable[[WebConfig | WebConfigError], None]) -> None:
        self._path = path
        self._changed = changed
        self._seen: object = None
        self._now: WebConfig | WebConfigError = WebConfig()
        self.document = _Document(str(path))

    def read(self) -> WebConfig:
        """Return what the file says; parsed only when it has changed.

        Raises:
            WebConfigError: It is broken as it stands.
        """
        seen: object
        try:
            # Requests wait for this; while the disk hangs, the last known settings hold.
            content = _read(self._path, files.LOOK_SECONDS if self._seen else files.SECONDS)
            seen = hashlib.sha256(content).digest()
        except OSError as error:
            if error.errno in _SHORTAGE and self._seen:
                return self._known()
            content, seen = b"", _unreadable(self._path, error)
        if seen != self._seen:
            self._seen = seen
            self._now = self._reread(content) if isinstance(seen, bytes) else WebConfigError((str(seen),))
            self._changed(self._now)
        return self._known()

    def _known(self) -> WebConfig:
        if isinstance(self._now, WebConfigError):
            raise WebConfigError(self._now.errors)
        return self._now

    def _reread(self, content: bytes) -> WebConfig | WebConfigError:
        try:
            config, self.document = _load(self._path, content)
        except WebConfigError as error:
            return error
        return config


# ----------------------------------------------------------------------------------------------------------------- TLS


class _RenewedContext(ssl.SSLContext):
    """A context that stands for the newest one: asyncio wraps each new connection by itself."""

    newest: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.newest().wrap_bio(*args, **kwargs)


class _Tls:
    """The TLS side of the file; made anew when the file or a certificate in it has changed."""

    def __init__(self, file: _ConfigFile, config: TlsServer, tell: Callable[[str], None]) -> None:
        self._file = file
        self._tell = tell
        self.config = config
        self._seen: object = self._look(config, files.SECONDS)
        self._context = self._build(config)

    def newest(self) -> ssl.SSLContext:
        """Return the context for a new connection; while the newest does not work, the last one that did."""
        try:
            config = self._file.read().tls_server_config
        except WebConfigError:
            return self._context  # the file's own change was told when it was read
        seen = self._look(config, files.LOOK_SECONDS)
        if config.enabled and seen is not None and seen != self._seen:
            self._seen = seen
            self._renew(config)
        return self._context

    def _look(self, config: TlsServer, seconds: float) -> object:
        """Return what changes with the settings and files, or None while a disk hangs."""
        try:
            return _fingerprint(config, seconds)
        except TimeoutError:
            return None

    def _renew(self, config: TlsServer) -> None:
        try:
            self._context, self.config = self._build(config), config
        except WebConfigError as error:
            self._tell(f"{error}; the last TLS settings that worked stay")
        else:
            self._tell("TLS settings and certificates were read again")

    def _build(self, config: TlsServer) -> ssl.SSLContext:
        try:
            context = _context(config)
        except TimeoutError as error:
            line = self._file.document.error(("tls_server_config",), files.problem(error))
            raise WebConfigError((line,)) from None
        except _Refused as refused:
            line = self._file.document.error(("tls_server_config", refused.key), refused.message)
            raise WebConfigError((line,)) from None
        if config.trusts_the_system:
            self._tell("without a client CA, clients of any authority that this system trusts are let in")
        return context


def _fingerprint(config: TlsServer, seconds: float) -> tuple[TlsServer, tuple[bytes, ...]]:
    return config, tuple(_file_digest(Path(path), seconds) for path in config.files)


def _file_digest(path: Path, seconds: float) -> bytes:
    try:
        return hashlib.sha256(_read(path, seconds)).digest()
    except TimeoutError:
        raise
    except OSError:
        return b""


def _context(config: TlsServer) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _set_versions(context, config)
    _set_ciphers(context, config)
    _set_certificate(context, config)
    _set_clients(context, config)
    return context


def _set_versions(context: ssl.SSLContext, config: TlsServer) -> None:
    with warnings.catch_warnings():  # the stdlib disapproves of TLS 1.0 and 1.1; whoever writes them here means it
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[config.min_version]
        context.maximum_version = _VERSIONS[config.max_version]


def _set_ciphers(context: ssl.SSLContext, config: TlsServer) -> None:
    chosen = [_CIPHERS[name] for name in config.cipher_suites if name in _CIPHERS]
    if config.cipher_suites and not chosen:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if config.min_version < "TLS12":  # OpenSSL 3 has their digests only below its first security level
        chosen = [*(chosen or ["DEFAULT"]), "@SECLEVEL=0"]
    if chosen:
        try:
            context.set_ciphers(":".join(chosen))
        except ssl.SSLError:
            raise _Refused("cipher_suites", "has none that this OpenSSL offers") from None
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in config.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])


def _set_certificate(context: ssl.SSLContext, config: TlsServer) -> None:
    with ExitStack() as stack:
        cert = _on_disk(stack, "cert", config.cert_file, config.cert)
        key = _on_disk(stack, "key", config.key_file, config.key)
        try:
            # A password function keeps OpenSSL from asking at the terminal when the key is encrypted.
            load = partial(context.load_cert_chain, cert, key, password=lambda: b"")
            files.within(files.SECONDS, ("certificate", cert, key), load)
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:
            raise _Refused(*_certificate_problem(config, error)) from None


def _certificate_problem(config: TlsServer, error: Exception) -> tuple[str, str]:
    key = "key_file" if config.key_file else "key"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return key, "does not belong to the certificate"
    return key, "and the certificate are not both PEM, the key without a passphrase"


def _on_disk(stack: ExitStack, key: str, path: str, inline: Secret | None) -> str:
    """Return a path for OpenSSL, which reads certificates from files only."""
    if not path:
        return stack.enter_context(_temporary(key, inline or Secret("")))
    _readable(f"{key}_file", path)
    return path


def _readable(key: str, path: str) -> None:
    """Refuse a file that cannot be read: OpenSSL, which opens it by its name, would wait for a pipe."""
    try:
        _read(Path(path))
    except OSError as error:
        raise _Refused(key, files.problem(error)) from None


@contextmanager
def _temporary(key: str, text: Secret) -> Iterator[str]:
    """Lay a text into a file that only this user can read (mode 0600), gone after use."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="stream-exporter-"))
            file.write(text.reveal().encode())
            file.flush()
        except OSError:
            raise _Refused(key, f"needs a writable temporary directory; use {key}_file instead") from None
        yield file.name


def _set_clients(context: ssl.SSLContext, config: TlsServer) -> None:
    if config.client_auth_type not in _VERIFYING:
        return
    key = "client_ca_file" if config.client_ca_file else "client_ca"
    try:
        if config.client_ca_file:
            _readable(key, config.client_ca_file)
            load = partial(context.load_verify_locations, cafile=config.client_ca_file)
            files.within(files.SECONDS, ("certificate", config.client_ca_file), load)
        elif config.client_ca:
            context.load_verify_locations(cadata=config.client_ca.reveal().encode("ascii", "ignore").decode())
        else:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except (ssl.SSLError, ValueError):
        raise _Refused(key, "holds no PEM certificate") from None
    except OSError as error:
        raise _Refused(key, files.problem(error)) from None
    context.verify_mode = _VERIFYING[config.client_auth_type]
    # As in Go, any certificate of the file is an anchor, also an intermediate one.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _names(peer: dict[str, Any] | None) -> set[str]:
    """Return the subject alternative names of a client's certificate, addresses in their short form."""
    names = set()
    for kind, value in (peer or {}).get("subjectAltName", ()):
        if kind == "IP Address":
            names.add(str(ipaddress.ip_address(value.strip())))
        elif kind in ("DNS", "URI", "email"):
            names.add(value)
    return names


# --------------------------------------------------------------------------------------------------- rate and password


class _Bucket:
    """A token bucket, kept as the time at which it will be full again."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Take a token at a time in seconds, if there is one."""
        limit = self.limit
        if limit.interval == 0:
            return True
        full_at = max(self._full_at, now) + limit.interval
        # A nanosecond of grace: sums of decimal fractions are not exact.
        if full_at - now > limit.burst * limit.interval + 1e-9:
            return False
        self._full_at = full_at
        return True


def _nobody(users: dict[str, Secret]) -> Secret:
    """Return a hash that nothing matches, as costly as the dearest of the users', so that time tells nothing."""
    costs = (_BCRYPT.fullmatch(secret.reveal()) for secret in users.values())
    dearest = max((match["cost"] for match in costs if match), default="10")
    return Secret(f"$2b${dearest}${_NOBODY}")


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    """Read an Authorization header; None where it is not whole Basic credentials."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return None
    return (user, password) if colon else None


# --------------------------------------------------------------------------------------------------------------- guard

_ADDED = web.RequestKey("web_config_headers", dict[str, str])


def _quiet(_: str) -> None:
    pass


def _refusal(status: int, text: str, **headers: str) -> web.Response:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=f"{text}\n", headers={"X-Content-Type-Options": "nosniff"} | spelled)


class WebGuard:
    """Stands before every path of the server and keeps the web configuration file's rules.

    Args:
        path: The file, or None to let everything pass in plain HTTP.
        clock: Seconds that only grow, for the rate limit and the line of passwords.
        tell: Called once for each change worth a line in the log; never given a secret.
        checker: Compares a password with a bcrypt hash; runs in a thread.
        cache_key: Keys the digests under which verdicts are remembered, 16 to 64 bytes.

    Raises:
        WebConfigError: The file or a certificate in it cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        clock: Callable[[], float],
        *,
        tell: Callable[[str], None] = _quiet,
        checker: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
        cache_key: bytes | None = None,
    ) -> None:
        self._clock = clock
        self._tell: Callable[[str], None] = _quiet  # what is wrong at the start is raised, not told
        self._passwords = _Passwords(checker, cache_key or secrets.token_bytes(32), clock)
        self._tls: _Tls | None = None
        self._file = _ConfigFile(Path(path), self._changed) if path else None
        config = self._config()
        self._bucket = _Bucket(config.rate_limit)
        self._tell = tell
        if self._file and config.tls_server_config.enabled:
            self._tls = _Tls(self._file, config.tls_server_config, tell)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context to listen with, or None for plain HTTP; it renews itself for each new connection."""
        if self._tls is None:
            return None
        context = _RenewedContext(ssl.PROTOCOL_TLS_SERVER)
        context.newest = self._tls.newest
        return context

    def install(self, app: web.Application) -> None:
        """Put the guard before everything else in an application; call before it starts."""
        app.middlewares.insert(0, self.middleware)
        app.on_response_prepare.append(self._add_headers)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 500, 403, 429 or 401 in the handler's place, or let the request pass; use `install`."""
        try:
            config = self._config()
        except WebConfigError:
            return _refusal(500, "The web configuration file is broken; the log tells where.")
        refusal = self._refuse(request, config)
        if refusal is None:
            request[_ADDED] = config.http_server_config.headers
            refusal = await self._authenticate(request, config.basic_auth_users)
        return refusal if refusal is not None else await handler(request)

    def _config(self) -> WebConfig:
        return self._file.read() if self._file else NO_FILE

    def _changed(self, now: WebConfig | WebConfigError) -> None:
        """Say what a changed file means for the running server."""
        if isinstance(now, WebConfigError):
            self._tell(f"{now}; requests are answered with 500 until it is mended")
            return
        self._tell("the web configuration file was read again")
        if now.tls_server_config.enabled != (self._tls is not None):
            self._tell(f"TLS stays {'on' if self._tls else 'off'}: switching it takes a restart")

    def _refuse(self, request: web.Request, config: WebConfig) -> web.Response | None:
        if not self._allowed(request, config.tls_server_config):
            return _refusal(403, "The client certificate bears none of the allowed names.", Connection="close")
        if self._bucket.limit != config.rate_limit:
            self._bucket = _Bucket(config.rate_limit)
        if not self._bucket.take(self._clock()):
            return _refusal(429, "Too Many Requests")
        return None

    def _allowed(self, request: web.Request, config: TlsServer) -> bool:
        """Whether the client's certificate bears an allowed name, where names are asked for."""
        if self._tls is None:
            return True
        allowed = (config if config.enabled else self._tls.config).client_allowed_sans
        return allowed is None or not _names(request.get_extra_info("peercert")).isdisjoint(allowed)

    async def _authenticate(self, request: web.Request, users: dict[str, Secret]) -> web.Response | None:
        if not users:
            return None
        given = _credentials(request.headers.get("Authorization", ""))
        try:
            if given and await self._right(*given, users, request):
                return None
        except _Busy:
            return _refusal(503, "Too many passwords wait to be checked.", Retry_After="1")
        return _refusal(401, "Unauthorized", WWW_Authenticate="Basic")

    async def _right(self, user: bytes, password: bytes, users: dict[str, Secret], request: web.Request) -> bool:
        """Tell whether a user has this password; an unknown user costs a comparison too."""
        if len(password) > LONGEST_PASSWORD:
            return False
        known = users.get(user.decode("utf-8", "surrogateescape"))
        hashed = (known or _nobody(users)).reveal().encode()
        kind = kind_of(request.headers)
        return await self._passwords.right(user, password, hashed, request.remote, kind) and known is not None

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in request.get(_ADDED, {}).items():
            response.headers[name] = value
