"""Build the .deb: the exporter and its locked dependencies in /opt/stream-exporter, and the unit.

    python3 deploy/debian/build.py dist/stream_exporter-0.1.0-py3-none-any.whl

It needs pip, venv and dpkg-deb, and only the standard library. The package fits what it is built on: one distribution,
whose Python it uses, and one architecture.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from platform import freedesktop_os_release
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = Path("/usr/bin/python3")
HOME = Path("opt/stream-exporter")
SHIPPED = {
    "usr/lib/systemd/system/stream-exporter.service": ROOT / "deploy/systemd/stream-exporter.service",
    "etc/default/stream-exporter": HERE / "default",
    "usr/share/doc/stream-exporter/copyright": HERE / "copyright",
    "usr/share/doc/stream-exporter/CHANGELOG.md": ROOT / "CHANGELOG.md",
    "usr/share/doc/stream-exporter/stream-exporter.example.yml": ROOT / "stream-exporter.example.yml",
}
SCRIPTS = ("postinst", "prerm", "postrm")


def environment(home: Path, wheel: Path, python: Path, *, dependencies: bool) -> None:
    """Install the wheel into a virtual environment that works at its place in the package."""
    _run(python, "-m", "venv", "--without-pip", home)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["--python", home / "bin/python", "install", "--no-compile"]
    if dependencies:
        locked = ROOT / "deploy/docker/requirements.txt"
        _run(*pip, "--require-hashes", "--only-binary", ":all:", "--requirement", locked)
    _run(*pip, "--no-deps", "--no-index", wheel)
    for path in (home / "bin").iterdir():
        if not path.name.startswith("python") and path.name != "stream-exporter":
            path.unlink()
    command = home / "bin/stream-exporter"
    _, _, body = command.read_text(encoding="utf-8").partition("\n")
    command.write_text(f"#!/{HOME}/bin/python\n{body}", encoding="utf-8")
    settings = home / "pyvenv.cfg"
    kept = [line for line in settings.read_text(encoding="utf-8").splitlines() if not line.startswith("command")]
    settings.write_text("\n".join(kept) + "\n", encoding="utf-8")
    # Byte code goes by hashes that nobody checks: times would be those of this build.
    _run(home / "bin/python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
         "-s", home.parents[1], "-p", "/", home / "lib")  # fmt: skip


def control(root: Path, version: str, python: tuple[int, int]) -> str:
    """Return what dpkg is told about the package."""
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    architecture = _run("dpkg", "--print-architecture").strip()
    (major, minor) = python
    return f"""\
Package: stream-exporter
Version: {version}
Architecture: {architecture}
Maintainer: The authors of stream-exporter <maintainers@stream-exporter.invalid>
Installed-Size: {size}
Depends: python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1})
Section: net
Priority: optional
Description: Prometheus exporter that tells which live streams are up
 It asks live streaming clouds and media servers whether your streams are live,
 and tells Prometheus. It comes with the Python packages that it needs, in
 /opt/stream-exporter, and with a systemd unit.
"""


def build(wheel: Path, folder: Path, python: Path = PYTHON, *, dependencies: bool = True) -> Path:
    """Build the package into a folder, and return its file."""
    os.umask(0o022)
    release = freedesktop_os_release()
    version = f"{wheel.name.split('-')[1]}-1.{release['ID']}{release.get('VERSION_ID', '')}"
    with TemporaryDirectory() as temporary:
        root = Path(temporary) / "root"
        environment(root / HOME, wheel.resolve(), python, dependencies=dependencies)
        for place, source in SHIPPED.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / place)
        (root / "usr/bin").mkdir()
        (root / "usr/bin/stream-exporter").symlink_to(f"/{HOME}/bin/stream-exporter")
        # The unit hands the files of this folder to the service, and does not start without the folder.
        (root / "etc/stream-exporter/secrets").mkdir(parents=True)
        (root / "etc/stream-exporter/secrets").chmod(0o700)
        told = control(root, version, _version(python))
        sums = [f"{_md5(path)}  {path.relative_to(root)}\n" for path in sorted(root.rglob("*")) if _is_plain(path)]
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(told, encoding="utf-8")
        (root / "DEBIAN/md5sums").write_text("".join(sums), encoding="utf-8")
        (root / "DEBIAN/conffiles").write_text("/etc/default/stream-exporter\n", encoding="utf-8")
        for name in SCRIPTS:
            shutil.copyfile(HERE / name, root / "DEBIAN" / name)
            (root / "DEBIAN" / name).chmod(0o755)
        folder.mkdir(parents=True, exist_ok=True)
        said = _run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, folder)
    return Path(said.rpartition(" in '")[2].rstrip("'.\n"))


def _version(python: Path) -> tuple[int, int]:
    major, minor = _run(python, "-c", "import sys; print(*sys.version_info[:2])").split()
    return int(major), int(minor)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and "etc" not in path.parts[-3:-1]


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def main() -> None:
    """Read the command line, build, and print where the package is."""
    parser = argparse.ArgumentParser(description="Build the .deb.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", type=Path, default=PYTHON, help="the Python that the package uses (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="where to put it (%(default)s)")
    parser.add_argument("--no-dependencies", action="store_true", help="leave them out, to try the package offline")
    given = parser.parse_args()
    print(build(given.wheel, given.output, given.python, dependencies=not given.no_dependencies))


if __name__ == "__main__":
    main()
