"""The systemd unit, judged by systemd's own tools; none of them needs a running systemd."""

import re
import sys
from pathlib import Path

import yaml

from .tools import ROOT, accepts, program, tracked

UNIT = ROOT / "deploy" / "systemd" / "stream-exporter.service"
WORST_EXPOSURE = 1.5


def settings(name: str) -> list[str]:
    """Return the values of a setting, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_verify(tmp_path: Path) -> None:
    """Every setting is one that systemd knows, and it can start the command, were it installed where the unit says."""
    systemd = program("systemd-analyze", "apt-get install systemd")
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/opt/stream-exporter/bin/stream-exporter", sys.executable), encoding="utf-8")
    assert accepts(systemd, "verify", "--man=no", unit) == ""


def test_exposure() -> None:
    """Judged by systemd, the service is exposed no more than it has to be."""
    systemd = program("systemd-analyze", "apt-get install systemd")
    said = accepts(systemd, "security", "--offline=true", "--no-pager", UNIT)
    [exposure] = re.findall(r"Overall exposure level for stream-exporter\.service: ([0-9.]+)", said)
    assert float(exposure) <= WORST_EXPOSURE


def test_the_service_says_how_it_is() -> None:
    """Systemd waits until the exporter listens, as the exporter tells it; it may reach the socket to tell it by."""
    assert settings("Type") == ["notify"]
    assert settings("NotifyAccess") == []
    assert "AF_UNIX" in settings("RestrictAddressFamilies")[0].split()


def test_reload_and_restart() -> None:
    """A reload is the signal that rereads the configuration; a crash is followed by a new start."""
    assert settings("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert settings("Restart") == ["on-failure"]


def test_secrets_are_credentials() -> None:
    """Secrets come as credentials, and the documents name them by the path that systemd gives them."""
    [credential] = settings("LoadCredential")
    prefix, _, folder = credential.partition(":")
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    named = set(re.findall(r"/run/credentials/[\w.-]+/(\w+?)_", page))
    assert named == {prefix}
    assert f"{folder}/" in page


def test_yamllint() -> None:
    """All YAML that is shipped keeps to one style."""
    files = [*tracked(ROOT / "deploy", [".yml", ".yaml"]), *tracked(ROOT / "grafana", [".yml", ".yaml"])]
    shipped = [path for path in files if path.parent.name != "templates"]
    assert len(shipped) > 5
    assert all(yaml.safe_load(path.read_text(encoding="utf-8")) for path in shipped)
    accepts(program("yamllint", "pip install yamllint"), "--strict", "-c", ROOT / ".yamllint.yml", *shipped)
