"""Guards every path of the server: client certificates, rate limit, headers, passwords.

The checks run in the order of https://github.com/prometheus/exporter-toolkit/blob/master/web/handler.go.
"""

from __future__ import annotations

import base64
import os
import secrets
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import bcrypt
from aiohttp import web

from exporter.fields import Secret
from exporter.serving.access.passwords import Busy, Passwords
from exporter.serving.access.reading import ConfigFile, WebConfigError
from exporter.serving.access.settings import BCRYPT, RateLimit, TlsServer, WebConfig
from exporter.serving.access.tls import Tls, names
from exporter.serving.paths import OPEN
from exporter.serving.waiting import client_kind

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LONGEST_PASSWORD = 72  # bytes; bcrypt reads no further
NO_FILE = WebConfig()

# Salt and digest of an unknown password, for the comparison when the user does not exist.
_DUMMY = "1/SP86btkfsxcsbwRTjd/.P.2x.FXYV0L4CbDC4rOBfrE4kD.KAXW"
_ADDED_HEADERS = web.RequestKey("web_config_headers", dict[str, str])


class _Bucket:
    """A token bucket, stored as the time at which it will be full again."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Take a token if there is one; `now` is in seconds."""
        limit = self.limit
        if limit.interval == 0:
            return True
        full_at = max(self._full_at, now) + limit.interval
        # Allow a nanosecond for rounding.
        if full_at - now > limit.burst * limit.interval + 1e-9:
            return False
        self._full_at = full_at
        return True


def _dummy_hash(users: dict[str, Secret]) -> Secret:
    """Return a hash that nothing matches, as costly as the users' costliest, so that timing reveals nothing."""
    costs = (BCRYPT.fullmatch(secret.reveal()) for secret in users.values())
    highest = max((match["cost"] for match in costs if match), default="10")
    return Secret(f"$2b${highest}${_DUMMY}")


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    """Return user and password of a Basic Authorization header, or None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return None
    return (user, password) if colon else None


def _refusal(status: int, text: str, **headers: str) -> web.Response:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=f"{text}\n", headers={"X-Content-Type-Options": "nosniff"} | spelled)


class WebGuard:
    """Applies the web configuration file to every request.

    Args:
        path: The file, or None for plain HTTP without restrictions.
        clock: Monotonic seconds, for the rate limit and the password queue.
        report: Called with a line for the log for each noteworthy change; the line holds no secret.
        checker: Compares a password with a bcrypt hash; runs in a thread.
        cache_key: Key of the digests that identify cached password checks, 16 to 64 bytes.

    Raises:
        WebConfigError: The file or a certificate in it cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        clock: Callable[[], float],
        *,
        report: Callable[[str], None] = lambda _line: None,
        checker: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
        cache_key: bytes | None = None,
    ) -> None:
        self._clock = clock
        self._report: Callable[[str], None] = lambda _line: None  # errors at the start are raised instead
        self._passwords = Passwords(checker, cache_key or secrets.token_bytes(32), clock)
        self._tls: Tls | None = None
        self._open = OPEN
        self._file = ConfigFile(Path(path), self._changed) if path else None
        config = self._config()
        self._bucket = _Bucket(config.rate_limit)
        self._report = report
        if self._file and config.tls_server_config.enabled:
            self._tls = Tls(self._file, config.tls_server_config, report)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context to listen with, or None for plain HTTP; each new connection uses the newest settings."""
        return self._tls.context if self._tls else None

    def install(self, app: web.Application, prefix: str = "") -> None:
        """Put the guard before everything else in an application whose paths have a prefix; call before it starts."""
        self._open = OPEN | {prefix + path for path in OPEN}
        app.middlewares.insert(0, self.middleware)
        app.on_response_prepare.append(self._add_headers)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Respond with 500, 403, 429, 401 or 503, or pass the request on to the handler."""
        try:
            config = self._config()
        except WebConfigError:
            if request.path in self._open:
                return await handler(request)
            return _refusal(500, "The web configuration file is broken; the log tells where.")
        refusal = self._refuse(request, config)
        if refusal is None:
            request[_ADDED_HEADERS] = config.http_server_config.headers
            if request.path not in self._open:
                refusal = await self._authenticate(request, config.basic_auth_users)
        return refusal if refusal is not None else await handler(request)

    def _config(self) -> WebConfig:
        return self._file.read() if self._file else NO_FILE

    def _changed(self, now: WebConfig | WebConfigError) -> None:
        """Report what a changed file means for the running server."""
        if isinstance(now, WebConfigError):
            self._report(f"{now}; requests are answered with 500 until it is mended")
            return
        self._report("the web configuration file was read again")
        if now.tls_server_config.enabled != (self._tls is not None):
            self._report(f"TLS stays {'on' if self._tls else 'off'}: switching it takes a restart")

    def _refuse(self, request: web.Request, config: WebConfig) -> web.Response | None:
        if not self._allowed(request, config.tls_server_config):
            return _refusal(403, "The client certificate bears none of the allowed names.", Connection="close")
        if request.path in self._open:
            return None
        if self._bucket.limit != config.rate_limit:
            self._bucket = _Bucket(config.rate_limit)
        if not self._bucket.take(self._clock()):
            return _refusal(429, "Too Many Requests")
        return None

    def _allowed(self, request: web.Request, config: TlsServer) -> bool:
        """Whether the client's certificate has an allowed name, if `client_allowed_sans` is set."""
        if self._tls is None:
            return True
        allowed = (config if config.enabled else self._tls.config).client_allowed_sans
        return allowed is None or not names(request.get_extra_info("peercert")).isdisjoint(allowed)

    async def _authenticate(self, request: web.Request, users: dict[str, Secret]) -> web.Response | None:
        if not users:
            return None
        given = _credentials(request.headers.get("Authorization", ""))
        try:
            if given and await self._is_valid(*given, users, request):
                return None
        except Busy:
            return _refusal(503, "Too many passwords wait to be checked.", Retry_After="1")
        return _refusal(401, "Unauthorized", WWW_Authenticate="Basic")

    async def _is_valid(self, user: bytes, password: bytes, users: dict[str, Secret], request: web.Request) -> bool:
        """Whether a user has this password; an unknown user costs a comparison too."""
        if len(password) > LONGEST_PASSWORD:
            return False
        known = users.get(user.decode("utf-8", "surrogateescape"))
        hashed = (known or _dummy_hash(users)).reveal().encode()
        kind = client_kind(request.headers)
        return await self._passwords.check(user, password, hashed, request.remote, kind) and known is not None

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in request.get(_ADDED_HEADERS, {}).items():
            response.headers[name] = value
