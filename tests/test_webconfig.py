"""The web configuration file: real listeners on loopback, certificates made here, promtool as a second opinion."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import os
import re
import resource
import shutil
import ssl
import subprocess
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import bcrypt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exporter.fields import Secret
from exporter.serving.access import WebConfigError, WebGuard
from exporter.serving.access.passwords import Passwords
from exporter.serving.access.reading import ConfigFile
from exporter.serving.access.settings import WebConfig
from exporter.serving.access.tls import temporary

DATA = Path(__file__).parent / "webconfig_data"
GUIDE = Path(__file__).parents[1] / "docs" / "web-config.md"
GOOD = sorted((DATA / "good").glob("*.yml"))
BAD = sorted((DATA / "bad").glob("*.yml"))
# promtool 2.42 is older than client_allowed_sans and rate_limit.
SECONDED = [path for path in (*GOOD, *BAD) if "# promtool: too old" not in path.read_text()]
PASSWORD = "correct-horse-canary"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
USERS = f"basic_auth_users:\n  alice: {HASH}\n"


# ------------------------------------------------------------------------------------------------------- certificates


class Issued(NamedTuple):
    """A certificate and its key."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.cert.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """The key as PEM, in clear unless a passphrase is given."""
        kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)

    def lay(self, folder: Path, stem: str) -> None:
        """Write `stem.crt` and `stem.key`."""
        (folder / f"{stem}.crt").write_bytes(self.cert_pem)
        (folder / f"{stem}.key").write_bytes(self.key_pem())


def issue(
    name: str, by: Issued | None = None, names: tuple[x509.GeneralName, ...] = (), authority: bool = False
) -> Issued:
    """Make a certificate: an authority of its own, or a leaf or authority signed by one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.cert.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority or by is None, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if by and not authority:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


LOOPBACK = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@pytest.fixture(scope="session")
def authority() -> Issued:
    """The authority that everyone here trusts."""
    return issue("authority")


@pytest.fixture(scope="session")
def pki(authority: Issued, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every certificate and non-certificate the files of the tests name."""
    folder = tmp_path_factory.mktemp("pki")
    authority.lay(folder, "ca")
    issue("server", authority, LOOPBACK).lay(folder, "server")
    issue("second", authority, LOOPBACK).lay(folder, "second")
    other = issue("other", authority)
    other.lay(folder, "other")
    (folder / "encrypted.key").write_bytes(other.key_pem(b"passphrase"))
    (folder / "junk.pem").write_text("no certificate\n")
    issue("stranger", issue("strange authority")).lay(folder, "stranger")
    issue("prometheus", authority, (x509.DNSName("prometheus.example"),)).lay(folder, "client")
    return folder


@pytest.fixture
def folder(pki: Path, tmp_path: Path) -> Path:
    """A fresh copy of the certificates that a test may change."""
    return Path(shutil.copytree(pki, tmp_path / "web"))


def load(path: Path) -> WebConfig:
    """Read a web configuration file without opening its certificates."""
    return ConfigFile(path, lambda _now: None).read()


def written(folder: Path, text: str) -> Path:
    """Write a web configuration file beside the certificates."""
    path = folder / "web.yml"
    path.write_text(text)
    return path


# --------------------------------------------------------------------------------------------------- server and client


class Clock:
    """A clock that a test moves by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the seconds that the test has set."""
        return self.now


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(text="stream_active 1\n")


async def _events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"data: {}\n\n")
    return response


async def _bug(_: web.Request) -> web.Response:
    raise RuntimeError("a bug in a handler")


@contextlib.asynccontextmanager
async def serving(guard: WebGuard) -> AsyncIterator[str]:
    """Listen on loopback behind a guard; yields the address."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/events", _events)
    app.router.add_get("/bug", _bug)
    for path in ("/-/healthy", "/-/ready", "/-/reload"):
        app.router.add_get(path, _metrics)
    guard.install(app)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    context = guard.ssl_context()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Got(NamedTuple):
    """What came back."""

    status: int
    headers: Any
    text: str


async def get(
    base: str, path: str = "/metrics", *, tls: ssl.SSLContext | bool = True, headers: dict[str, str] | None = None
) -> Got:
    """Ask once over a new connection."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(base + path, ssl=tls, headers=headers) as response,
    ):
        return Got(response.status, response.headers, await response.text())


def basic(user: str, password: str) -> dict[str, str]:
    """The header for a user and a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def trusting(folder: Path, client: str = "") -> ssl.SSLContext:
    """A client that trusts the authority and may show a certificate of its own."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the certificates here carry no more than they need
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Let a client speak one version of TLS only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def against(guard: WebGuard, check: Callable[[str], Awaitable[None]]) -> None:
    """Run a check against a guarded server."""

    async def run() -> None:
        async with serving(guard) as base:
            await check(base)

    asyncio.run(run())


# --------------------------------------------------------------------------------------------------- the file's format


def _expected(path: Path) -> list[str]:
    return re.findall(r"^# expect: (.*)$", path.read_text(), re.M)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_files_serve(path: Path, folder: Path) -> None:
    """Every file that exporter-toolkit takes and we can serve is taken, certificates and all."""
    copy = Path(shutil.copy(path, folder))
    guard = WebGuard(copy, Clock())
    context = guard.ssl_context()
    assert (context is not None) == load(copy).tls_server_config.enabled


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused_in_words(path: Path, folder: Path) -> None:
    """Every mistake is refused at the start with its line, column, path and words, and quotes no value."""
    copy = shutil.copy(path, folder)
    with pytest.raises(WebConfigError) as caught:
        WebGuard(copy, Clock()).ssl_context()
    assert list(caught.value.errors) == [f"{copy}:{line.replace('{folder}', str(folder))}" for line in _expected(path)]
    assert "canary" not in str(caught.value)
    assert "$2" not in str(caught.value)


def installed(command: str, otherwise: str) -> str:
    """Find a command; without it CI fails, and others are told what stays unproven."""
    found = shutil.which(command)
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{command} is not installed, and CI may skip nothing")
        pytest.skip(f"SKIPPED LOUDLY: {command} is not installed; {otherwise}")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own checker of this format."""
    return installed("promtool", "nobody seconds our reading of the format")


@pytest.fixture(scope="session")
def openssl() -> str:
    """What the guide makes its certificates with."""
    return installed("openssl", "the guide's examples stay untried")


@pytest.mark.parametrize("path", SECONDED, ids=lambda path: path.stem)
def test_promtool_agrees(path: Path, folder: Path, promtool: str) -> None:
    """Prometheus's own checker judges each file alike, but for those marked as knowingly stricter here."""
    copy = shutil.copy(path, folder)
    theirs = subprocess.run([promtool, "check", "web-config", copy], capture_output=True, check=False).returncode == 0
    assert theirs == (path in GOOD or "# promtool: accepts" in path.read_text())


@pytest.mark.parametrize(("key", "name"), [("cert", "server.crt"), ("key", "server.key"), ("client_ca", "ca.crt")])
def test_a_pipe_in_place_of_a_certificate_is_refused(key: str, name: str, folder: Path) -> None:
    """OpenSSL would wait for the pipe's other end: the field that names it is told instead."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(WebConfigError) as caught:
        WebGuard(written(folder, MUTUAL), Clock())
    wanted = f"tls_server_config.{key}_file: {folder / name} cannot be read: it is a pipe, not a regular file"
    assert wanted in str(caught.value)


def test_a_key_in_place_of_its_path_is_not_repeated(folder: Path) -> None:
    """A missing file is named by its path, unless that may be a key that somebody pasted there."""
    pasted = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg" * 3
    for value in (pasted, f'"-----BEGIN PRIVATE KEY-----\\n{pasted}\\n-----END PRIVATE KEY-----\\n"'):
        with pytest.raises(WebConfigError) as caught:
            WebGuard(written(folder, f"tls_server_config: {{cert_file: server.crt, key_file: {value}}}\n"), Clock())
        assert "tls_server_config.key_file: cannot be read" in str(caught.value)
        assert pasted not in str(caught.value)


def test_a_file_that_becomes_a_pipe_stops_no_server(folder: Path) -> None:
    """A certificate that is replaced by a pipe leaves the last one that worked; so it is told."""
    told: list[str] = []
    guard = WebGuard(written(folder, MUTUAL), Clock(), report=told.append)
    context = guard.ssl_context()
    assert context is not None
    (folder / "ca.crt").unlink()
    os.mkfifo(folder / "ca.crt")
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert len(told) == 1
    assert f"client_ca_file: {folder / 'ca.crt'} cannot be read: it is a pipe, not a regular file" in told[0]
    assert "the last TLS settings that worked stay" in told[0]


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there stops the start instead of leaving the server open."""
    with pytest.raises(WebConfigError, match=r"web\.yml:1:1: cannot be read: No such file or directory"):
        WebGuard(tmp_path / "web.yml", Clock())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\xff", "is not UTF-8 text"),
        (b"[" * 5000, "is nested too deeply"),
        (b"#" * (1 << 20) + b"\n", "is larger than 1 MiB"),
        (b'basic_auth_users: {"\\ud800": x}', "holds a character that is none"),
        (b'tls_server_config: {cert_file: "\\0"}', "holds a character that is none"),
        (b"? [a]\n: b\n", "is not a plain key"),
        (b'"[key]": canary', "is not a known key"),
        (b'basic_auth_users: {"[key]": canary}', "is not a bcrypt hash"),
        (b"rate_limit: {interval: 5}", "is not a duration"),
        (b"rate_limit: {interval: -1s}", "is not a duration"),
        (b"rate_limit: {interval: 1s, burst: -1}", "is negative"),
        (b"rate_limit: {interval: 1s, burst: 1.5}", "is not a whole number"),
        (b"tls_server_config: {key: [canary]}", "is not a text"),
        (b"http_server_config: {headers: [canary]}", "is not a mapping"),
        (b'http_server_config: {headers: {X-XSS-Protection: "a\\x07"}}', "holds a control character"),
        (b"tls_server_config: {key: 'canary", "found unexpected end of stream"),
        (b'basic_auth_users: {a: "\\q"}', "is not valid YAML"),
        (b"basic_auth_users: {canary: @canary}", "is not valid YAML"),
    ],
)
def test_hostile_content_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """No content makes the reader fail otherwise than by a message that holds nothing of the content."""
    path = tmp_path / "web.yml"
    path.write_bytes(content)
    with pytest.raises(WebConfigError) as caught:
        load(path)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "tls_server_config: {{key, {0}}}",
        "tls_server_config: {{{0}: x}}",
        "tls_server_config:\n  key:\n  {0}",
        "tls_server_config:\n  key\n    {0}",
        "{0}",
        "{0}: x",
        "? {0}",
        "basic_auth_users: {{{0}}}",
        "basic_auth_users:\n  alice {0}",
        "basic_auth_users: {{alice: x, {0}: y, {0}: z}}",
        "http_server_config: {{headers: {{{0}: {0}}}}}",
        "tls_server_config: &{0} x",
        "tls_server_config: !{0}!x y",
        "tls_server_config: *{0}",
        "tls_server_config: {{key: '{0}",
        "rate_limit: {{interval: {0}, burst: {0}}}",
        "rate_limit:\n\t{0}: 1",
    ],
)
@pytest.mark.parametrize("canary", ["hunter0CANARYx", "swordfish", "d41d8cd98f00b204e98", "$2y$10$canarycanary"])
def test_a_secret_out_of_place_is_not_repeated(text: str, canary: str, tmp_path: Path) -> None:
    """A password or key at the place of a key, a user, an anchor or a line of its own is not in the error."""
    path = tmp_path / "web.yml"
    path.write_text(text.format(canary))
    with pytest.raises(WebConfigError) as caught:
        load(path)
    assert canary not in str(caught.value)


@pytest.mark.parametrize("number", ["010", "0x10", "0o10", "0b10", "1_0", "20:30", "1e1"])
def test_odd_numbers_are_refused(number: str, tmp_path: Path) -> None:
    """A number that YAML reads as octal, base 60 or otherwise is refused at its place, never taken for another."""
    path = tmp_path / "web.yml"
    path.write_text(f"rate_limit: {{interval: 1s, burst: {number}}}\n")
    with pytest.raises(WebConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:1:28: rate_limit.burst: is not a whole number in plain digits"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ('"0"', 0), ("1s", 1), ("250ms", 0.25), ("1m30s", 90), ("1.5h", 5400), (".5s", 0.5), ("10us", 1e-5)],
)
def test_interval_reads_go_durations(text: str, seconds: float, tmp_path: Path) -> None:
    """Durations mean what Go's time.ParseDuration takes them for."""
    config = load(written(tmp_path, f"rate_limit: {{interval: {text}, burst: 1}}"))
    assert config.rate_limit.interval == pytest.approx(seconds)


@pytest.mark.parametrize("name", ["123", "yes", "null", "1:30", "<<"])
def test_users_may_have_any_name(name: str, tmp_path: Path) -> None:
    """A user's name is text, whatever else YAML might read it as."""
    assert load(written(tmp_path, f"basic_auth_users:\n  {name}: &anchor {HASH}\n")).basic_auth_users.keys() == {name}


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Keys that stand twice do not hide each other, nor what is no YAML further down."""
    path = written(tmp_path, "rate_limit: {}\nrate_limit: {}\nhttp_server_config: {http2: true, http2: true}\n- x\n")
    with pytest.raises(WebConfigError) as caught:
        load(path)
    assert [line.split(": ")[0] for line in caught.value.errors] == [f"{path}:2:1", f"{path}:3:35", f"{path}:4:1"]


def test_nothing_secret_is_printed(folder: Path) -> None:
    """Hash, inline key and inline certificate print as <secret> in repr, str and a dump."""
    key = (folder / "server.key").read_text()
    text = f"tls_server_config:\n  cert: |\n{_indented(key)}  key: |\n{_indented(key)}{USERS}"
    config = load(written(folder, text))
    printed = f"{config!r} {config} {config.model_dump()} {config.tls_server_config!r}"
    assert "<secret>" in printed
    assert HASH not in printed
    assert "PRIVATE KEY" not in printed
    assert config.basic_auth_users == {"alice": Secret(HASH)}


def _indented(pem: str) -> str:
    return "".join(f"    {line}\n" for line in pem.splitlines())


def test_no_file_lets_all_pass() -> None:
    """Without a file the server is plain and open, as exporters are."""

    async def check(base: str) -> None:
        assert (await get(base)).status == 200

    guard = WebGuard(None, Clock())
    assert guard.ssl_context() is None
    against(guard, check)


# ------------------------------------------------------------------------------------------------------------------ TLS


def test_tls_serves_12_and_13_and_refuses_11(folder: Path) -> None:
    """By default TLS 1.2 and 1.3 are spoken; a client of 1.1 and one of plain HTTP get nothing."""

    async def check(base: str) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert (await get(base, tls=only(trusting(folder), version))).status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(base, tls=only(trusting(folder), ssl.TLSVersion.TLSv1_1))
        with pytest.raises(aiohttp.ClientError):
            await get(base.replace("https", "http"))

    against(WebGuard(written(folder, TLS), Clock()), check)


def test_old_tls_is_spoken_when_asked_for(folder: Path) -> None:
    """`min_version: TLS10` really serves a client of 1.1: so the refusal above is ours and not the client's."""

    async def check(base: str) -> None:
        assert (await get(base, tls=only(trusting(folder), ssl.TLSVersion.TLSv1_1))).status == 200

    against(WebGuard(written(folder, f"{TLS}  min_version: TLS10\n"), Clock()), check)


@pytest.mark.parametrize(
    ("setting", "version"),
    [
        ("min_version: TLS13", ssl.TLSVersion.TLSv1_2),
        ("max_version: TLS12", ssl.TLSVersion.TLSv1_3),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_2),
        ("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_2),
    ],
)
def test_settings_that_rule_a_client_out(setting: str, version: ssl.TLSVersion, folder: Path) -> None:
    """Versions and suites bind: a client that has only others (the server's key is ECDSA) is refused."""

    async def check(base: str) -> None:
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(base, tls=only(trusting(folder), version))

    against(WebGuard(written(folder, f"{TLS}  {setting}\n"), Clock()), check)


async def shaken(base: str, context: ssl.SSLContext) -> tuple[str, str]:
    """Shake hands; the cipher suite, and the name in the server's certificate."""
    host, port = base.removeprefix("https://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    suite: str = writer.get_extra_info("cipher")[0]
    subject = dict(pair for part in writer.get_extra_info("peercert")["subject"] for pair in part)
    writer.close()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return suite, subject["commonName"]


@pytest.mark.parametrize(("prefer", "wanted"), [("true", "AES256"), ("false", "AES128")])
def test_cipher_order(prefer: str, wanted: str, folder: Path) -> None:
    """The server's order of suites wins, unless prefer_server_cipher_suites is false."""

    async def check(base: str) -> None:
        client = only(trusting(folder), ssl.TLSVersion.TLSv1_2)
        client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
        assert wanted in (await shaken(base, client))[0]

    suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    text = f"{TLS}  cipher_suites: [{suites}]\n  prefer_server_cipher_suites: {prefer}\n"
    against(WebGuard(written(folder, text), Clock()), check)


def test_one_curve_binds(folder: Path) -> None:
    """A client that has only another curve cannot connect."""

    async def check(base: str) -> None:
        client = trusting(folder)
        client.set_ecdh_curve("secp384r1")
        assert (await shaken(base, client))[1] == "server"
        client.set_ecdh_curve("prime256v1")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shaken(base, client)

    against(WebGuard(written(folder, f"{TLS}  curve_preferences: [CurveP384]\n"), Clock()), check)


def test_inline_certificates_leave_no_file(folder: Path, tmp_path: Path) -> None:
    """Certificate, key and authority written into the file serve, and nothing stays in the temporary directory."""
    pems = {"cert": "server.crt", "key": "server.key", "client_ca": "ca.crt"}
    parts = "".join(f"  {name}: |\n{_indented((folder / file).read_text())}" for name, file in pems.items())
    text = f"tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n{parts}"
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("stream-exporter-*"))

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder, "client"))).status == 200

    against(WebGuard(written(folder, text), Clock()), check)
    assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("stream-exporter-*")) <= before


def test_no_room_for_an_inline_certificate_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary file can be written, the error says so at the key, and what to use instead."""
    monkeypatch.setattr("tempfile.tempdir", str(folder / "none"))
    path = written(folder, f"tls_server_config:\n  cert: |\n{_indented('x')}  key_file: server.key\n")
    with pytest.raises(WebConfigError) as caught:
        WebGuard(path, Clock())
    message = "tls_server_config.cert: needs a writable temporary directory; use cert_file instead"
    assert str(caught.value) == f"{path}:2:3: {message}"


def test_inline_key_is_readable_by_its_user_only() -> None:
    """The temporary file of an inline key has mode 0600 while it lives, and lives no longer than its use."""
    with temporary(Secret("text")) as name:
        assert Path(name).stat().st_mode & 0o777 == 0o600
        assert Path(name).read_text() == "text"
    assert not Path(name).exists()


def test_client_certificates_are_required(folder: Path) -> None:
    """Only a client whose certificate the authority signed gets in: not one without, not a stranger's."""

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder, "client"))).status == 200
        for client in ("", "stranger"):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await get(base, tls=trusting(folder, client))

    against(WebGuard(written(folder, MUTUAL), Clock()), check)


def test_any_certificate_of_the_authority_file_is_an_anchor(folder: Path, authority: Issued) -> None:
    """As in Go, an intermediate authority alone in client_ca_file lets its clients in, though its root is not there."""
    middle = issue("middle", authority, authority=True)
    middle.lay(folder, "middle")
    issue("below", middle).lay(folder, "below")

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder, "below"))).status == 200

    against(WebGuard(written(folder, MUTUAL.replace("ca.crt", "middle.crt")), Clock()), check)


def test_without_an_authority_the_system_s_are_trusted(folder: Path) -> None:
    """As in Go, a policy without client CA asks the system's authorities, who know none of ours; the log warns."""
    told: list[str] = []

    async def check(base: str) -> None:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await get(base, tls=trusting(folder, "client"))

    text = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n"
    against(WebGuard(written(folder, text), Clock(), report=told.append), check)
    assert told == ["without a client CA, clients of any authority that this system trusts are let in"]


def test_client_certificates_if_given(folder: Path) -> None:
    """With VerifyClientCertIfGiven a client without a certificate gets in, a stranger's does not."""

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder))).status == 200
        assert (await get(base, tls=trusting(folder, "client"))).status == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await get(base, tls=trusting(folder, "stranger"))

    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    against(WebGuard(written(folder, text), Clock()), check)


NAMES: list[tuple[x509.GeneralName, str]] = [
    (x509.DNSName("prometheus.example"), "prometheus.example"),
    (x509.IPAddress(ipaddress.ip_address("192.0.2.7")), "192.0.2.7"),
    (x509.IPAddress(ipaddress.ip_address("2001:db8::7")), "'2001:db8::7'"),
    (x509.RFC822Name("ops@example.com"), "ops@example.com"),
    (x509.UniformResourceIdentifier("spiffe://example.com/p"), "spiffe://example.com/p"),
]


@pytest.mark.parametrize(("name", "allowed"), NAMES, ids=[allowed for _, allowed in NAMES])
def test_allowed_names(name: x509.GeneralName, allowed: str, folder: Path, authority: Issued) -> None:
    """Each kind of name lets its bearer in when listed exactly, and a valid certificate without it gets 403."""
    issue("bearer", authority, (name,)).lay(folder, "bearer")
    issue("near", authority, (x509.DNSName("sub.prometheus.example"),)).lay(folder, "near")

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder, "bearer"))).status == 200
        refused = await get(base, tls=trusting(folder, "near"))
        assert refused.status == 403
        assert refused.headers["Connection"] == "close"

    against(WebGuard(written(folder, f"{MUTUAL}  client_allowed_sans: [{allowed}]\n"), Clock()), check)


def test_allowed_names_without_a_certificate(folder: Path) -> None:
    """Where names are asked for, a client that showed no certificate is refused, even with the mildest policy."""

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder))).status == 403

    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    against(WebGuard(written(folder, f"{text}  client_allowed_sans: [prometheus.example]\n"), Clock()), check)


def test_certificates_rotate_without_restart(folder: Path) -> None:
    """New connections get a new certificate as soon as the pair is whole; half a rotation keeps the old one."""
    told: list[str] = []

    async def check(base: str) -> None:
        assert (await shaken(base, trusting(folder)))[1] == "server"
        shutil.copy(folder / "second.crt", folder / "server.crt")
        for _ in range(3):
            assert (await shaken(base, trusting(folder)))[1] == "server"
        assert len(told) == 1
        assert "tls_server_config.key_file: does not belong to the certificate; the last TLS" in told[0]
        shutil.copy(folder / "second.key", folder / "server.key")
        assert (await shaken(base, trusting(folder)))[1] == "second"

    against(WebGuard(written(folder, TLS), Clock(), report=told.append), check)
    assert told[1:] == ["TLS settings and certificates were read again"]


def test_authority_and_policy_rotate_without_restart(folder: Path) -> None:
    """A client authority added to the file binds the next connection."""
    path = written(folder, TLS)

    async def check(base: str) -> None:
        assert (await get(base, tls=trusting(folder))).status == 200
        path.write_text(MUTUAL)
        assert (await get(base, tls=trusting(folder, "client"))).status == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await get(base, tls=trusting(folder))

    against(WebGuard(path, Clock()), check)


def test_tls_is_not_switched_at_run_time(folder: Path, authority: Issued) -> None:
    """TLS stays as it was at the start, with its allowed names, and the change that asked for another is told."""
    told: list[str] = []
    path = written(folder, f"{MUTUAL}  client_allowed_sans: [prometheus.example]\n")
    issue("other", authority, (x509.DNSName("other.example"),)).lay(folder, "other")

    async def stays_on(base: str) -> None:
        path.write_text("")
        assert (await get(base, tls=trusting(folder, "client"))).status == 200
        assert (await get(base, tls=trusting(folder, "other"))).status == 403

    async def stays_off(base: str) -> None:
        path.write_text(f"{MUTUAL}  client_allowed_sans: [nobody]\n{USERS}")
        assert (await get(base)).status == 401

    against(WebGuard(path, Clock(), report=told.append), stays_on)
    against(WebGuard(path, Clock(), report=told.append), stays_off)
    read = "the web configuration file was read again"
    switched = [f"TLS stays {state}: switching it takes a restart" for state in ("on", "off")]
    assert told == [read, switched[0], read, switched[1]]


# ------------------------------------------------------------------------------------------------------------- password


class Counted:
    """bcrypt, counting its work and noticing two at once."""

    def __init__(self) -> None:
        self.hashes: list[bytes] = []
        self.threads: set[int] = set()
        self.at_once = 0
        self.most_at_once = 0
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        """Compare once `go` is set."""
        with self._lock:
            self.hashes.append(hashed)
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.go.wait(30)
        try:
            return bcrypt.checkpw(password, hashed)
        finally:
            with self._lock:
                self.at_once -= 1


def test_basic_auth_guards_every_path(folder: Path) -> None:
    """The right password opens every path; without it even unknown paths answer 401 with the challenge."""

    async def check(base: str) -> None:
        for path, open_status in (("/metrics", 200), ("/events", 200), ("/nowhere", 404), ("/bug", 500)):
            assert (await get(base, path, headers=basic("alice", PASSWORD))).status == open_status
            refused = await get(base, path)
            assert (refused.status, refused.text) == (401, "Unauthorized\n")
            assert refused.headers["WWW-Authenticate"] == "Basic"

    against(WebGuard(written(folder, USERS), Clock()), check)


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_probes_of_a_cluster_need_no_password(path: str, folder: Path) -> None:
    """Liveness and readiness answer without a password, beyond the limit, with a broken file; nothing else does."""
    text = f"{USERS}rate_limit:\n  interval: 1h\n  burst: 2\n"
    config, counted = written(folder, text), Counted()

    async def check(base: str) -> None:
        for _ in range(5):
            probed = await get(base, path)
            assert (probed.status, "WWW-Authenticate" in probed.headers) == (200, False)
        beside = ("/-/reload", f"{path}/", f"/{path}", path.upper(), f"{path};x", "/metrics")
        assert [(await get(base, other)).status for other in beside] == [401, 401, 429, 429, 429, 429]
        config.write_text("basic_auth_users: [")
        assert (await get(base, "/metrics")).status == 500
        assert (await get(base, path)).status == 200

    against(WebGuard(config, Clock(), checker=counted), check)
    assert counted.hashes == []


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_probes_of_a_cluster_need_the_certificate_that_is_asked_for(path: str, folder: Path) -> None:
    """A rule for client certificates holds for every path: without an allowed name liveness is refused, too."""
    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    text += "  client_allowed_sans: [prometheus.example]\n"

    async def check(base: str) -> None:
        assert (await get(base, path, tls=trusting(folder))).status == 403

    against(WebGuard(written(folder, text), Clock()), check)


def test_wrong_and_unknown_cost_the_same(folder: Path) -> None:
    """A wrong password and an unknown user both cost one comparison of the same price, off the event loop."""
    counted = Counted()

    async def check(base: str) -> None:
        for user, password in (("alice", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD)):
            assert (await get(base, headers=basic(user, password))).status == 401

    dear = f"basic_auth_users:\n  alice: {HASH}\n  bob: {HASH.replace('$04$', '$05$')}\n"
    against(WebGuard(written(folder, dear), Clock(), checker=counted), check)
    assert [hashed[:7] for hashed in counted.hashes] == [b"$2b$04$", b"$2b$05$", b"$2b$05$"]
    assert threading.get_ident() not in counted.threads


def test_unknown_users_and_long_passwords_never_match(folder: Path) -> None:
    """Not even a comparison that always agrees lets in a user who is not listed, or a password bcrypt would cut."""

    def agreeing(_: bytes, __: bytes) -> bool:
        return True

    async def check(base: str) -> None:
        assert (await get(base, headers=basic("alice", "a" * 72))).status == 200
        assert (await get(base, headers=basic("alice", "a" * 73))).status == 401
        assert (await get(base, headers=basic("nobody", "a" * 72))).status == 401

    against(WebGuard(written(folder, USERS), Clock(), checker=agreeing), check)


def test_digests_of_verdicts_keep_their_parts_apart() -> None:
    """Text moved from the password to the user is another login, and another key gives other digests."""
    passwords, others = Passwords(bcrypt.checkpw, b"k" * 32), Passwords(bcrypt.checkpw, b"l" * 32)
    digests = {passwords._digest(b"ab", b"c"), passwords._digest(b"a", b"bc"), others._digest(b"ab", b"c")}
    assert len(digests) == 3


def test_the_guard_stands_before_other_middlewares(folder: Path) -> None:
    """Whatever an application does by itself, the guard asks for the password first."""

    @web.middleware
    async def eager(request: web.Request, handler: Any) -> web.StreamResponse:
        return web.Response(text="secret page")

    async def run() -> int:
        app = web.Application(middlewares=[eager])
        WebGuard(written(folder, USERS), Clock()).install(app)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return (await get(f"http://127.0.0.1:{runner.addresses[0][1]}")).status
        finally:
            await runner.cleanup()

    assert asyncio.run(run()) == 401


def test_verdicts_are_remembered_without_the_password(folder: Path) -> None:
    """Right and wrong are each computed once, and no password stays in the guard's memory."""
    counted = Counted()
    guard = WebGuard(written(folder, USERS), Clock(), checker=counted)

    async def check(base: str) -> None:
        for _ in range(3):
            assert (await get(base, headers=basic("alice", PASSWORD))).status == 200
            assert (await get(base, headers=basic("alice", "wrong-canary"))).status == 401

    against(guard, check)
    assert len(counted.hashes) == 2
    kept = repr(vars(guard)) + repr(vars(guard._passwords))
    assert "canary" not in kept


def test_memory_of_verdicts_is_bounded_and_keeps_the_right_ones(folder: Path) -> None:
    """A flood of wrong passwords neither grows the memory nor pushes out a user who is logged in."""
    calls: list[bytes] = []

    def fast(password: bytes, hashed: bytes) -> bool:
        calls.append(password)
        return password == PASSWORD.encode()

    guard = WebGuard(written(folder, USERS), Clock(), checker=fast)

    async def check(base: str) -> None:
        async with aiohttp.ClientSession() as session:
            for password in (PASSWORD, *map(str, range(300)), PASSWORD):
                async with session.get(f"{base}/metrics", headers=basic("alice", password)) as response:
                    assert response.status == (200 if password == PASSWORD else 401)

    against(guard, check)
    assert len(calls) == 301
    assert {verdict: len(kept) for verdict, kept in guard._passwords._verdicts.items()} == {True: 1, False: 128}


def test_bcrypt_never_holds_up_the_server(folder: Path) -> None:
    """While one password is compared others wait in line, and requests that need none are answered at once."""
    counted = Counted()
    counted.go.clear()

    async def check(base: str) -> None:
        waiting = [asyncio.create_task(get(base, headers=basic("alice", f"wrong{n}"))) for n in range(5)]
        twins = [asyncio.create_task(get(base, headers=basic("alice", PASSWORD))) for _ in range(3)]
        for _ in range(20):
            assert (await get(base)).status == 401
        assert len(counted.hashes) == 1
        counted.go.set()
        assert {got.status for got in await asyncio.gather(*waiting)} == {401}
        assert {got.status for got in await asyncio.gather(*twins)} == {200}

    against(WebGuard(written(folder, USERS), Clock(), checker=counted), check)
    assert counted.most_at_once == 1
    assert len(counted.hashes) == 6


def test_a_client_that_leaves_does_not_free_the_line(folder: Path) -> None:
    """A client gone in the middle of a comparison does not let a second one start beside it."""
    counted = Counted()
    counted.go.clear()

    async def check(base: str) -> None:
        leaving = asyncio.create_task(get(base, headers=basic("alice", "wrong")))
        while not counted.hashes:
            assert (await get(base)).status == 401
        leaving.cancel()
        staying = asyncio.create_task(get(base, headers=basic("alice", PASSWORD)))
        for _ in range(20):
            assert (await get(base)).status == 401
        assert len(counted.hashes) == 1
        counted.go.set()
        assert (await staying).status == 200

    against(WebGuard(written(folder, USERS), Clock(), checker=counted), check)
    assert counted.most_at_once == 1


def test_a_flood_of_passwords_is_turned_away(folder: Path) -> None:
    """Beyond 64 waiting comparisons the next gets 503, so the line cannot grow without end."""
    counted = Counted()
    counted.go.clear()

    async def check(base: str) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def status(number: int) -> int:
                async with session.get(f"{base}/metrics", headers=basic("alice", str(number))) as response:
                    return response.status

            tasks = [asyncio.create_task(status(number)) for number in range(70)]
            turned_away, pending = set[asyncio.Task[int]](), set(tasks)
            while len(turned_away) < 6:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                turned_away |= done
            counted.go.set()
            assert {await task for task in turned_away} == {503}
            assert [await task for task in pending] == [401] * 64

    against(WebGuard(written(folder, USERS), Clock(), checker=counted), check)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWxpY2U",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(b"alice:" + b"a" * 73).decode(),
        "Basic " + base64.b64encode(b"alice:" + PASSWORD.encode() + b"\0").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic \udcff\udcfe",
        "Basic ümläut",
        "Bearer " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode(),
        "Basic  " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode(),
    ],
)
def test_malformed_credentials_are_401(header: str, folder: Path) -> None:
    """No Authorization header, however broken, gets in or causes a 500."""

    async def check(base: str) -> None:
        host, port = base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        line = b"Authorization: " + header.encode("utf-8", "surrogateescape")
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n")
        status = (await reader.read()).split(b" ", 2)[1]
        writer.close()
        await writer.wait_closed()
        assert status == b"401"

    against(WebGuard(written(folder, USERS), Clock()), check)


def test_a_checker_that_cannot_judge_is_401(folder: Path) -> None:
    """A hash or password that bcrypt refuses to compare is a failed login, not a failed server."""

    def picky(password: bytes, hashed: bytes) -> bool:
        raise ValueError("cannot compare")

    async def check(base: str) -> None:
        assert (await get(base, headers=basic("alice", PASSWORD))).status == 401

    against(WebGuard(written(folder, USERS), Clock(), checker=picky), check)


def test_scheme_is_read_in_any_case_and_password_may_hold_colons(folder: Path) -> None:
    """RFC 7617 details: `basic` in any case, the first colon ends the user, UTF-8 in both."""
    password = "a:b:ключ"
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")

    async def check(base: str) -> None:
        headers = {"Authorization": basic("Zoë", password)["Authorization"].replace("Basic", "bAsIc")}
        assert (await get(base, headers=headers)).status == 200

    against(WebGuard(written(folder, f"basic_auth_users:\n  Zoë: {hashed}\n"), Clock()), check)


# ------------------------------------------------------------------------------------------------ headers, rate, reload


def test_headers_are_on_every_response(folder: Path) -> None:
    """The five headers reach good, refused, missing, broken and streamed responses, folded to one line."""
    text = (
        f"{USERS}http_server_config:\n  headers:\n    Content-Security-Policy: |\n      default-src 'self';\n"
        "      img-src *\n    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n"
        "    X-XSS-Protection: ''\n    Strict-Transport-Security: max-age=1\n"
    )

    async def check(base: str) -> None:
        for path in ("/metrics", "/events", "/nowhere", "/bug"):
            for headers in ({}, basic("alice", PASSWORD)):
                got = (await get(base, path, headers=headers)).headers
                assert got["Content-Security-Policy"] == "default-src 'self'; img-src *"
                assert (got["X-Frame-Options"], got["X-Content-Type-Options"]) == ("deny", "nosniff")
                assert got["Strict-Transport-Security"] == "max-age=1"
                assert "X-XSS-Protection" not in got

    against(WebGuard(written(folder, text), Clock()), check)


def test_rate_limit_comes_before_the_password(folder: Path) -> None:
    """A burst passes, then 429 without any bcrypt, then one request for each interval, never more than the burst."""
    clock, counted = Clock(), Counted()
    headers = basic("alice", PASSWORD)

    async def check(base: str) -> None:
        async def statuses(count: int) -> list[int]:
            return [(await get(base, headers=headers)).status for _ in range(count)]

        assert await statuses(4) == [200, 200, 200, 429]
        compared = len(counted.hashes)
        assert (await get(base, headers=basic("alice", "wrong"))).status == 429
        assert len(counted.hashes) == compared == 1
        clock.now += 0.09
        assert await statuses(1) == [429]
        clock.now += 0.01
        assert await statuses(2) == [200, 429]
        clock.now += 3600
        assert await statuses(4) == [200, 200, 200, 429]

    text = f"{USERS}rate_limit:\n  interval: 100ms\n  burst: 3\n"
    against(WebGuard(written(folder, text), clock, checker=counted), check)


def test_rate_limit_follows_the_file(folder: Path) -> None:
    """A changed limit binds at once; other changes leave the bucket as empty as it was."""
    path = written(folder, "rate_limit: {interval: 1h, burst: 1}\n")

    async def check(base: str) -> None:
        assert [(await get(base)).status for _ in range(2)] == [200, 429]
        path.write_text("rate_limit: {interval: 1h, burst: 1}\nhttp_server_config: {http2: false}\n")
        assert (await get(base)).status == 429
        path.write_text("rate_limit: {interval: 0}\n")
        assert [(await get(base)).status for _ in range(3)] == [200, 200, 200]

    against(WebGuard(path, Clock()), check)


def test_users_follow_the_file(folder: Path) -> None:
    """A changed password, a removed and an added user bind the next request, remembered verdicts or not."""
    path = written(folder, USERS)
    new = bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()

    async def check(base: str) -> None:
        assert (await get(base, headers=basic("alice", PASSWORD))).status == 200
        path.write_text(USERS.replace(HASH, new))
        assert (await get(base, headers=basic("alice", PASSWORD))).status == 401
        assert (await get(base, headers=basic("alice", "new"))).status == 200
        path.write_text(USERS.replace("alice", "bob"))
        assert (await get(base, headers=basic("alice", PASSWORD))).status == 401
        assert (await get(base, headers=basic("bob", PASSWORD))).status == 200
        path.write_text("")
        assert (await get(base)).status == 200

    against(WebGuard(path, Clock()), check)


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "unknown key": lambda path: path.write_text(USERS + "surprise: canary\n"),
    "syntax": lambda path: path.write_text("basic_auth_users: {alice: 'canary"),
    "gone": lambda path: path.unlink(),
    "plain password": lambda path: path.write_text("basic_auth_users: {alice: canary}"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_file_is_500_until_mended(breakage: str, scheme: str, folder: Path) -> None:
    """A file broken at run time answers 500 in plain text, told once and without its content, and then recovers."""
    told: list[str] = []
    text = (TLS if scheme == "https" else "") + USERS
    path = written(folder, text)

    async def check(base: str) -> None:
        async def ask() -> Got:
            return await get(base, tls=trusting(folder), headers=basic("alice", PASSWORD))

        assert (await ask()).status == 200
        BREAKAGES[breakage](path)
        for _ in range(3):
            broken = await ask()
            assert (broken.status, broken.headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
            assert broken.text == "The web configuration file is broken; the log tells where.\n"
        assert len(told) == 1
        path.write_text(text)
        assert (await ask()).status == 200

    against(WebGuard(path, Clock(), report=told.append), check)
    assert told[0].startswith(f"{path}:")
    assert told[1:] == ["the web configuration file was read again"]
    assert "canary" not in told[0]


def test_lack_of_descriptors_is_not_a_broken_file(folder: Path) -> None:
    """With every file descriptor in use, requests are judged by what the file said before instead of 500."""
    told: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def check(base: str) -> None:
        async with aiohttp.ClientSession(headers=basic("alice", PASSWORD)) as session:
            async with session.get(f"{base}/metrics") as response:
                await response.read()
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                with pytest.raises(OSError, match="Too many open files"):
                    (folder / "web.yml").read_bytes()
                async with session.get(f"{base}/metrics") as response:
                    assert response.status == 200
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    against(WebGuard(written(folder, USERS), Clock(), report=told.append), check)
    assert told == []


def test_symlink_swap_is_noticed(folder: Path) -> None:
    """A ConfigMap's way of changing a file, a swapped symlink with equal size and time, is a change."""
    for name, user in (("one", "alice"), ("two", "carol")):
        (folder / name).mkdir()
        written(folder / name, USERS.replace("alice", user))
        os.utime(folder / name / "web.yml", (1, 1))
    (folder / "data").symlink_to("one")

    async def check(base: str) -> None:
        assert (await get(base, headers=basic("carol", PASSWORD))).status == 401
        (folder / "next").symlink_to("two")
        (folder / "next").rename(folder / "data")
        assert (await get(base, headers=basic("carol", PASSWORD))).status == 200

    against(WebGuard(folder / "data" / "web.yml", Clock()), check)


# ------------------------------------------------------------------------------------------------------------ the guide


def _blocks(kind: str) -> Iterator[str]:
    yield from re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)


@pytest.mark.usefixtures("openssl")
def test_examples_of_the_guide_work(tmp_path: Path) -> None:
    """The commands of docs/web-config.md make the certificates, and every example there is a file that serves."""
    for commands in _blocks("sh"):
        subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, check=True, capture_output=True)
    examples = [*_blocks("yaml"), (tmp_path / "inline.yml").read_text()]
    assert len(examples) == 8
    for example in examples:
        guard = WebGuard(written(tmp_path, example), Clock())
        assert (guard.ssl_context() is not None) == ("tls_server_config" in example)


@pytest.mark.usefixtures("openssl")
def test_passwords_and_names_of_the_guide_work(tmp_path: Path) -> None:
    """The guide's password opens its example, and its client certificate bears the name its example allows."""
    users = next(block for block in _blocks("yaml") if "basic_auth_users" in block)
    named = next(block for block in _blocks("yaml") if "client_allowed_sans" in block)
    for commands in _blocks("sh"):
        subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, check=True, capture_output=True)

    async def check(base: str) -> None:
        tls = trusting(tmp_path, "client")
        assert (await get(base, tls=tls, headers=basic("prometheus", "correct horse"))).status == 200
        assert (await get(base, tls=tls)).status == 401

    against(WebGuard(written(tmp_path, named + users), Clock()), check)
