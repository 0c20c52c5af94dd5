"""TLS as configured in the web configuration file: the context is renewed when the settings or files change."""

from __future__ import annotations

import ipaddress
import re
import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from exporter import files
from exporter.fields import Secret
from exporter.serving.access.reading import LARGEST, ConfigFile, WebConfigError
from exporter.serving.access.settings import CIPHERS, CURVES, VERIFYING, TlsServer

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_NAME = re.compile(r"[\w. @+~:=,-]{0,100}")

Refuse = Callable[[str, str], WebConfigError]
"""Returns an error for a key of tls_server_config (empty for the whole section) and a message."""


class _RenewedContext(ssl.SSLContext):
    """Delegates to the newest context: asyncio wraps each new connection separately."""

    newest: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.newest().wrap_bio(*args, **kwargs)


class Tls:
    """The server's TLS context, renewed with the file; `report` gets a line for the log for each noteworthy change.

    Raises:
        WebConfigError: A certificate cannot be used.
    """

    def __init__(self, file: ConfigFile, config: TlsServer, report: Callable[[str], None]) -> None:
        self._file = file
        self._report = report
        self.config = config
        self._seen = _signature(config, files.SECONDS)
        self._newest = self._build(config)
        self.context = _RenewedContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.newest = self.newest

    def newest(self) -> ssl.SSLContext:
        """Return the context for a new connection: the newest that works."""
        try:
            config = self._file.read().tls_server_config
        except WebConfigError:
            return self._newest  # reported when the file was read
        seen = _signature(config, files.LOOK_SECONDS)
        if config.enabled and seen is not None and seen != self._seen:
            self._seen = seen
            self._renew(config)
        return self._newest

    def _renew(self, config: TlsServer) -> None:
        try:
            self._newest, self.config = self._build(config), config
        except WebConfigError as error:
            self._report(f"{error}; the last TLS settings that worked stay")
        else:
            self._report("TLS settings and certificates were read again")

    def _build(self, config: TlsServer) -> ssl.SSLContext:
        context = _context(config, self._refuse)
        if config.verifies and not config.has_ca:
            self._report("without a client CA, clients of any authority that this system trusts are let in")
        return context

    def _refuse(self, key: str, message: str) -> WebConfigError:
        return self._file.error(("tls_server_config", key) if key else ("tls_server_config",), message)


def _signature(config: TlsServer, seconds: float) -> object:
    """Return a value that changes with the settings and their files, or None while a disk hangs."""
    try:
        return config, [files.signature(Path(path), seconds) for path in config.files]
    except TimeoutError:
        return None


def _context(config: TlsServer, refuse: Refuse) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    with warnings.catch_warnings():  # the stdlib warns about TLS 1.0 and 1.1, which the file asks for
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[config.min_version]
        context.maximum_version = _VERSIONS[config.max_version]
    _set_ciphers(context, config, refuse)
    _set_certificate(context, config, refuse)
    if config.verifies:
        _set_clients(context, config, refuse)
    return context


def _set_ciphers(context: ssl.SSLContext, config: TlsServer, refuse: Refuse) -> None:
    chosen = [CIPHERS[name] for name in config.cipher_suites if name in CIPHERS]
    if config.cipher_suites and not chosen:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if config.min_version < "TLS12":  # OpenSSL 3 allows their digests only at level 0
        chosen = [*(chosen or ["DEFAULT"]), "@SECLEVEL=0"]
    if chosen:
        try:
            context.set_ciphers(":".join(chosen))
        except ssl.SSLError:
            raise refuse("cipher_suites", "has none that this OpenSSL offers") from None
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in config.curve_preferences:
        context.set_ecdh_curve(CURVES[curve])


def _set_certificate(context: ssl.SSLContext, config: TlsServer, refuse: Refuse) -> None:
    with ExitStack() as stack:
        cert = _on_disk(stack, "cert", config.cert_file, config.cert, refuse)
        key = _on_disk(stack, "key", config.key_file, config.key, refuse)
        # A password function keeps OpenSSL from prompting at the terminal for an encrypted key.
        load = partial(context.load_cert_chain, cert, key, password=lambda: b"")
        try:
            files.within(files.SECONDS, ("certificate", cert, key), load)
        except TimeoutError as error:
            raise refuse("", files.problem(error)) from None
        except (OSError, ValueError) as error:
            message = "and the certificate are not both PEM, the key without a passphrase"
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                message = "does not belong to the certificate"
            raise refuse("key_file" if config.key_file else "key", message) from None


def _on_disk(stack: ExitStack, key: str, path: str, inline: Secret | None, refuse: Refuse) -> str:
    """Return a path: OpenSSL reads certificates from files only."""
    if path:
        _check_readable(f"{key}_file", path, refuse)
        return path
    try:
        return stack.enter_context(temporary(inline or Secret("")))
    except OSError:
        raise refuse(key, f"needs a writable temporary directory; use {key}_file instead") from None


@contextmanager
def temporary(text: Secret) -> Iterator[str]:
    """Write a text to a temporary file that only this user can read (mode 0600), and yield its path; raises OSError."""
    with tempfile.NamedTemporaryFile(prefix="stream-exporter-") as file:
        file.write(text.reveal().encode())
        file.flush()
        yield file.name


def _check_readable(key: str, path: str, refuse: Refuse) -> None:
    """Refuse a file that cannot be read: OpenSSL, which opens it by name, would block on a pipe."""
    try:
        files.read(Path(path), LARGEST)
    except OSError as error:
        raise refuse(key, f"{_shown(path)}{files.problem(error)}") from None


def _shown(path: str) -> str:
    """Return a path with a space after it; nothing where it may be a key that was pasted in its place."""
    return f"{path} " if all(_NAME.fullmatch(part) for part in path.split("/")) else ""


def _set_clients(context: ssl.SSLContext, config: TlsServer, refuse: Refuse) -> None:
    key = "client_ca_file" if config.client_ca_file else "client_ca"
    try:
        if config.client_ca_file:
            _check_readable(key, config.client_ca_file, refuse)
            load = partial(context.load_verify_locations, cafile=config.client_ca_file)
            files.within(files.SECONDS, ("certificate", config.client_ca_file), load)
        elif config.client_ca:
            context.load_verify_locations(cadata=config.client_ca.reveal().encode("ascii", "ignore").decode())
        else:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except (ssl.SSLError, ValueError):
        raise refuse(key, "holds no PEM certificate") from None
    except OSError as error:
        raise refuse(key, files.problem(error)) from None
    context.verify_mode = VERIFYING[config.client_auth_type]
    # As in Go, any certificate in the file is a trust anchor, even an intermediate one.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def names(peer: dict[str, Any] | None) -> set[str]:
    """Return the subject alternative names of a client's certificate, with IP addresses compressed."""
    alternatives = set()
    for kind, value in (peer or {}).get("subjectAltName", ()):
        if kind == "IP Address":
            alternatives.add(str(ipaddress.ip_address(value.strip())))
        elif kind in ("DNS", "URI", "email"):
            alternatives.add(value)
    return alternatives
