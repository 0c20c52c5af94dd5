"""Wheel, sdist and .deb, built and installed for real; with $PACKAGES, those that lie in that folder."""

import os
import re
import signal
import stat
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from exporter import __version__
from testbed.processes import running
from testbed.web import fetch

from .tools import ROOT, accepts, library, program

UNIT = ROOT / "deploy" / "systemd" / "stream-exporter.service"
BUILDER = ROOT / "deploy" / "debian" / "build.py"
LISTENS = re.compile(r"msg=listening .*addresses=(\S+)")
CONFIGURATION = """\
accounts: [{name: main, provider: tencent, secret_id: an-id, secret_key: a-key, endpoint: "http://127.0.0.1:9"}]
streams: [{name: arena-1, account: main, domain: push.example}]
"""


def given() -> Path | None:
    """Return the folder with packages that were built before, dependencies and all."""
    return ROOT / os.environ["PACKAGES"] if os.environ.get("PACKAGES") else None


def build(folder: Path, kind: str, source: Path = ROOT) -> Path:
    """Build the wheel or the sdist."""
    library("hatchling", "pip install hatchling")
    accepts(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    [made] = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def borrow(environment: Path) -> Path:
    """Lend an environment what this one has installed, as its own dependencies would need a network; return by what."""
    [site] = environment.glob("lib/python3.*/site-packages")
    file = site / "borrowed.pth"
    file.write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel."""
    folder = given()
    return next(folder.glob("*.whl")) if folder else build(tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def deb(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the .deb; one built here is for the Python that runs the tests, and has no dependencies."""
    program("dpkg-deb", "only Debian and its like have it")
    if folder := given():
        return next(folder.glob("*.deb"))
    folder, python = tmp_path_factory.mktemp("deb"), Path(sys.executable).resolve()
    accepts(sys.executable, BUILDER, wheel, "--no-dependencies", "--python", python, "--output", folder)
    return next(folder.glob("*.deb"))


class System:
    """A folder that dpkg takes for the root of a system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("info", "updates", "triggers"):
            (root / "var/lib/dpkg" / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        self._user = [] if os.geteuid() == 0 else [program("fakeroot", "apt-get install fakeroot")]

    def dpkg(self, *arguments: str | Path) -> str:
        """Run dpkg there; nothing else is installed, and nothing runs outside."""
        force = ["--force-not-root", "--force-script-chrootless", "--force-depends", "--force-bad-path"]
        return accepts(*self._user, program("dpkg", "only Debian and its like have it"), f"--root={self.root}", *force,
                       *arguments)  # fmt: skip

    def files(self) -> set[str]:
        """Return the files that are installed, but for dpkg's own."""
        found = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if not path.is_dir()}
        return {name for name in found if not name.startswith("var/")}


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return a system on which nothing is installed."""
    return System(tmp_path / "root")


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own the wheel gives the command, which finds all the files that it reads."""
    uv, python, command = (
        program("uv", "pip install uv"),
        tmp_path / "env/bin/python",
        tmp_path / "env/bin/stream-exporter",
    )
    accepts(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env", cwd=tmp_path)
    accepts(uv, "pip", "install", "--python", python, "--no-deps", "--offline", wheel, cwd=tmp_path)
    borrow(tmp_path / "env")
    assert accepts(command, "--version", cwd=tmp_path).startswith(f"stream-exporter {__version__} ")
    code = "from exporter import cli, rules; print(rules.__file__); cli.run()"
    said = accepts(python, "-c", code, "rules", cwd=tmp_path)
    assert said.startswith(str(tmp_path / "env"))
    assert "alert: StreamDown" in said


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds from the sdist gets what the wheel has, byte for byte."""
    folder = given()
    sdist = next(folder.glob("*.tar.gz")) if folder else build(tmp_path / "sdist", "sdist")
    accepts("tar", "-xzf", sdist, "-C", tmp_path)
    [source] = tmp_path.glob("stream_exporter-*/")
    with ZipFile(build(tmp_path / "again", "wheel", source)) as again, ZipFile(wheel) as first:
        assert again.namelist() == first.namelist()
        assert [name for name in first.namelist() if again.read(name) != first.read(name)] == []


def serves(system: System, folder: Path) -> None:
    """What the unit starts serves, from the files of the package alone, and ends when it is told to."""
    home, configuration = system.root / "opt/stream-exporter", system.root / "etc/stream-exporter/stream-exporter.yml"
    configuration.write_text(CONFIGURATION)
    configuration.chmod(0o600)
    [(script, flags)] = re.findall(r"^ExecStart=/(\S+) (.*) \$ARGS$", UNIT.read_text(), re.MULTILINE)
    assert (system.root / script).read_text().startswith("#!/opt/stream-exporter/bin/python\n")
    command = [home / "bin/python", "-s", system.root / script, *flags.replace("=/etc", f"={system.root}/etc").split()]
    with running([*command, "--web.listen-address=127.0.0.1:0"], folder, LISTENS) as server:
        assert 'stream="arena-1"' in fetch(f"{server.url}/metrics")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    configuration.unlink()


def test_the_deb_works(deb: Path, system: System, tmp_path: Path) -> None:
    """It is installed whole, says what to do next, and serves; removed, it leaves what its owner may have changed."""
    assert "systemctl enable --now stream-exporter" in system.dpkg("--install", deb)
    assert system.dpkg("--verify", "stream-exporter") == ""
    assert (system.root / "usr/lib/systemd/system" / UNIT.name).read_bytes() == UNIT.read_bytes()
    assert stat.S_IMODE((system.root / "etc/stream-exporter/secrets").stat().st_mode) == 0o700
    assert os.readlink(system.root / "usr/bin/stream-exporter") == "/opt/stream-exporter/bin/stream-exporter"
    borrowed = [] if given() else [borrow(system.root / "opt/stream-exporter")]
    serves(system, tmp_path / "log")
    for path in borrowed:
        path.unlink()
    system.dpkg("--remove", "stream-exporter")
    assert system.files() == {"etc/default/stream-exporter"}
    system.dpkg("--purge", "stream-exporter")
    assert system.files() == set()


def test_the_deb_says_what_it_needs(deb: Path) -> None:
    """It is for one minor version of Python, that of its dependencies, and its version follows the exporter's."""
    fields = accepts("dpkg-deb", "--field", deb)
    assert f"\nVersion: {__version__}-1." in fields
    needed = re.search(r"^Depends: python3 \(>= 3\.(\d+)\), python3 \(<< 3\.(\d+)\)$", fields, re.MULTILINE)
    assert needed
    oldest, first_not = int(needed[1]), int(needed[2])
    assert (oldest >= 11, first_not) == (True, oldest + 1)
    assert f"./opt/stream-exporter/lib/python3.{oldest}/site-packages/exporter/" in accepts("dpkg-deb", "-c", deb)
