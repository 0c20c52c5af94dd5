"""The part `store` of a configuration: where exporters keep what they share, and how many they are."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import Field

from exporter.config.findings import Findings
from exporter.config.problems import Place
from exporter.config.secret_values import SUFFIXES
from exporter.config.sources import Sources
from exporter.config.warnings import variable
from exporter.config.wording import Keys, wrong_type
from exporter.fields import Secret, SecretField, SecretSource, Shape

URL: Final = "url"
URL_KEYS: Final = tuple(f"{URL}{suffix}" for suffix in SUFFIXES.values())
PORT: Final = 6379
MISSING: Final = "needs the package `redis`: pip install 'stream-exporter[redis]'"

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
_FILES: Final = {"ssl_ca_certs": "ca_file", "ssl_certfile": "certificate_file", "ssl_keyfile": "key_file"}


class StoreShape(Shape):
    """Several exporters that share quotas and answers, by a Redis or Valkey server."""

    url: SecretField
    replicas: int = Field(
        2, ge=1, le=64, description="how many exporters share the store; without it each keeps its part of the quota"
    )


KEYS = Keys((*URL_KEYS, "replicas"))


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A server, and how to log in to it.

    Attributes:
        host: Its name or address; empty for a Unix socket.
        port: Its port.
        path: The Unix socket; empty for TCP.
        database: The number of the database.
        username: Empty for the default user.
        password: What it asks for, if anything.
        tls: Whether it is spoken to by TLS; its certificate is always verified.
        ca_file: Certificates (PEM) to trust instead of the system's; empty for the system's.
        certificate_file: The certificate to show to it, if it asks for one.
        key_file: That one's key.
    """

    host: str = ""
    port: int = PORT
    path: str = ""
    database: int = 0
    username: str = ""
    password: Secret | None = None
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The store of a configuration.

    Attributes:
        address: Where it is.
        replicas: How many exporters share it.
        in_plain: Whether the configuration itself holds its password.
        shown: The part of the configuration, without what is secret.
    """

    address: StoreAddress
    replicas: int = 2
    in_plain: bool = field(default=False, compare=False)
    shown: Mapping[str, Any] = field(default_factory=dict, compare=False)


def parse_store(text: str, directory: Path = Path()) -> StoreAddress:
    """Return the server at a URL; raises `ValueError` with a text that repeats nothing of it.

    Args:
        text: `redis://[USER][:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://…` for TLS, or `unix://PATH`.
        directory: Where relative names of files start.
    """
    problem = "is not an address like redis://cache.example:6379/0"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{problem}; write special characters of the password as %XX") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"{problem}; it begins with redis://, with rediss:// for TLS, or with unix://")
    if parts.fragment:
        raise ValueError(f"{problem} (it has a #); write special characters of the password as %XX")
    options = _options(parts, directory)
    options["username"] = unquote(parts.username or "")
    if parts.password:
        options["password"] = Secret(unquote(parts.password))
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.strip("/"):
            raise ValueError("is not an address like unix:///run/redis/redis.sock")
        return StoreAddress(path=unquote(parts.path), **options)
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        raise ValueError(problem)
    if path := parts.path.strip("/"):
        options["database"] = _database(path)
    return StoreAddress(host=parts.hostname, port=port or PORT, tls=parts.scheme == "rediss", **options)


def _options(parts: SplitResult, directory: Path) -> dict[str, Any]:
    """Return what stands behind the question mark."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "db":
            found["database"] = _database(value)
        elif name in _FILES and parts.scheme == "rediss":
            found[_FILES[name]] = str(directory / value)
        else:
            known = ", ".join(("db", *_FILES) if parts.scheme == "rediss" else ("db",))
            raise ValueError(
                f"has an option behind its ? that is not read here ({known}); certificates are always verified"
            )
    return found


def _database(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError("names a database that is no number, such as the 0 in redis://cache.example:6379/0")
    return int(text)


def redis_installed() -> bool:
    """Say whether the package is there that speaks to a store."""
    return importlib.util.find_spec("redis") is not None


class StoreReader:
    """Reads the part `store`."""

    def __init__(
        self, findings: Findings, directory: Path, sources: Sources, installed: Callable[[], bool] = redis_installed
    ) -> None:
        self._findings = findings
        self._installed = installed
        self._directory = directory
        self._sources = sources

    def read(self, raw: Mapping[str, Any]) -> StoreSettings | None:
        """Return the store of a configuration, or None where there is none or something is wrong with it."""
        if "store" not in raw:
            return None
        place, given = ("store",), raw["store"]
        if not isinstance(given, dict):
            self._findings.wrong(place, wrong_type(given, "a mapping"))
            return None
        if not self._installed():
            self._findings.wrong(place, MISSING, at_key=True)
        self._findings.unknown(given, place, KEYS)
        known = {key: value for key, value in given.items() if key in KEYS.own}
        shape = self._findings.validated(StoreShape, self._sources.of(known, (URL,), place), place, KEYS)
        if shape is None:
            return None
        if shape.url is None:
            if not any(key in given for key in URL_KEYS):
                self._findings.wrong((*place, URL), f"is missing: give one of {', '.join(URL_KEYS)}", missing=True)
            return None
        address = self._address(shape.url, place)
        plain = isinstance(shape.url.value, Secret)
        shown = {URL + SUFFIXES[shape.url.kind]: "<secret>" if plain else shape.url.value, "replicas": shape.replicas}
        if address is None:
            return None
        return StoreSettings(address, shape.replicas, plain and address.password is not None, shown)

    def _address(self, source: SecretSource, place: Place) -> StoreAddress | None:
        found = self._sources.fetched(URL, source, place)
        if found is None:
            return None
        try:
            return parse_store(found.reveal(), self._directory)
        except ValueError as error:
            hint = variable(found.reveal(), URL) or variable(found.reveal())
            holds = {"plain": "", "file": "names a file whose content ", "env": "names a variable whose value "}
            message = f"{holds[source.kind]}{error}{hint and f'; it {hint}'}"
            self._findings.wrong((*place, URL + SUFFIXES[source.kind]), message)
        return None
