"""`dashboards` and `example`, and that what they give is in the package; `pip install` is enough."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest

from exporter import config, providers
from tests.commands.running import run
from tests.deploy.tools import library
from tests.markdown import ROOT

NAMES = ("fleet", "providers", "stream")


def test_the_dashboards_are_listed() -> None:
    """Without a name each dashboard has a line with its title, and what to do next is said."""
    done = run("dashboards")
    assert (done.code, done.err) == (0, "")
    for name in NAMES:
        title = json.loads((ROOT / "grafana" / "dashboards" / f"{name}.json").read_text())["title"]
        assert re.search(rf"^{name} +{re.escape(title)}$", done.out, re.MULTILINE)
    assert "dashboards --output-dir DIRECTORY" in done.out


@pytest.mark.parametrize("name", ["fleet", "fleet.json"])
def test_one_dashboard_is_printed(name: str) -> None:
    """The JSON of a dashboard is what the repository has for Grafana."""
    done = run("dashboards", name)
    assert (done.code, done.err) == (0, "")
    assert done.out == (ROOT / "grafana" / "dashboards" / "fleet.json").read_text()


def test_dashboards_are_written_to_a_folder(tmp_path: Path) -> None:
    """All of them, or the one that is named, are written into a folder that need not be there."""
    folder = tmp_path / "some" / "folder"
    assert run("dashboards", "stream", "--output-dir", str(folder)).code == 0
    assert [path.name for path in folder.iterdir()] == ["stream.json"]
    done = run("dashboards", "--output-dir", str(folder))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [f"written: {folder}/{name}.json" for name in NAMES]
    for name in NAMES:
        assert (folder / f"{name}.json").read_text() == (ROOT / "grafana" / "dashboards" / f"{name}.json").read_text()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """That is told with the path and the reason, without a traceback."""
    (tmp_path / "file").touch()
    done = run("dashboards", "--output-dir", str(tmp_path / "file" / "folder"))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"cannot write {tmp_path}/file/folder: Not a directory\n"


def test_an_unknown_dashboard() -> None:
    """Exits with 2, and names those that there are and the likely one."""
    done = run("dashboards", "flet")
    assert (done.code, done.out) == (2, "")
    assert done.err == "unknown dashboard flet; it is one of fleet, providers, stream; did you mean fleet?\n"


def test_a_dashboard_filters_by_labels() -> None:
    """Each label is a variable that narrows accounts and streams, in every question about streams or alerts, once."""
    flags = [word for label in ("team", "tier", "team", "job") for word in ("--info-label", label)]
    done = run("dashboards", "fleet", *flags)
    assert (done.code, done.err) == (0, "")
    board, shipped = json.loads(done.out), json.loads((ROOT / "grafana/dashboards/fleet.json").read_text())
    variables = {one["name"]: one for one in board["templating"]["list"]}
    names = [one["name"] for one in shipped["templating"]["list"]]
    names[names.index("provider") : names.index("provider")] = ["info_team", "info_tier"]
    assert list(variables) == names
    assert (variables["info_team"]["label"], variables["info_team"]["allValue"]) == ("team", ".*")
    assert "allValue" not in variables["account"]
    filters = 'tier=~"$info_tier", team=~"$info_team", '
    assert re.findall(r"stream_info{(.*?)cluster", str(variables["stream"]["query"])) == [filters]
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert {found for expr in asked for found in re.findall(r"\bstream_info{(.*?)cluster", expr)} == {filters}
    alerts = {found for expr in asked for found in re.findall(r"ALERTS_FOR_STATE{(.*?)alertname", expr)}
    assert alerts == {'tier=~"$info_tier|", team=~"$info_team|", '}


def test_a_dashboard_links_to_your_addresses() -> None:
    """The status page and the runbook are linked where they are; nothing of the shipped addresses is left."""
    page, runbook = "https://streams.example.com/live/", 'https://wiki.example/run"book?id=7'
    done = run("dashboards", "stream", "--page-url", page, "--runbook-url", runbook)
    assert (done.code, done.err) == (0, "")
    board = json.loads(done.out)
    urls = {link["title"]: link["url"] for link in board["links"]}
    assert urls["Status page"].startswith("https://streams.example.com/live/?provider=")
    assert urls["Runbook"] == runbook
    assert f"{json.dumps(runbook)[1:-1]}#${{__value.text}}" in done.out
    assert "github.com" not in done.out
    assert "page" not in [one["name"] for one in board["templating"]["list"]]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--info-label", "a b"], "'a b' is not the name of a label"),
        (["--page-url", "streams.example.com"], "is not an address like"),
        (["--runbook-url", "wiki.example"], "is not an address like"),
    ],
)
def test_what_no_dashboard_can_have_is_refused(argv: list[str], message: str) -> None:
    """A mistake ends with exit code 2 and its reason, and no dashboard is printed."""
    done = run("dashboards", "fleet", *argv)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    """What is printed has an account of each cloud, and is the example of the repository."""
    done = run("example")
    assert (done.code, done.err) == (0, "")
    assert done.out == (ROOT / "stream-exporter.example.yml").read_text()
    file = tmp_path / "c.yml"
    file.write_text(done.out)
    names = {name for one in providers.all_providers().values() for each in one.environment.values() for name in each}
    loaded = config.load(
        file,
        providers.all_providers(),
        dict.fromkeys(names, "made-up"),
        lambda path: path.read_bytes() if path == file else b"s",
    )
    assert {account.provider for account in loaded.accounts} == set(providers.all_providers())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Build the wheel that `pip install` takes."""
    library("hatchling", "pip install hatchling")
    library("hatch_fancy_pypi_readme", "pip install hatch-fancy-pypi-readme")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return ZipFile(path)


def test_the_wheel_has_all_that_the_commands_give(wheel: ZipFile) -> None:
    """Rules, dashboards and the example come with the package alone."""
    names = set(wheel.namelist())
    shipped = {f"exporter/commands/shipped/dashboards/{name}.json" for name in NAMES}
    shipped |= {"exporter/commands/shipped/stream-exporter.example.yml", "exporter/rules/alerts.py"}
    assert shipped <= names


def test_the_commands_work_from_the_wheel_alone(wheel: ZipFile, tmp_path: Path) -> None:
    """Away from the repository, the package gives rules, dashboards and the example."""
    wheel.extractall(tmp_path / "site")
    for argv, begins in ((["example"], "# A conf"), (["dashboards", "fleet"], "{"), (["rules"], "")):
        code = "import sys; sys.path.insert(0, 'site'); from exporter.cli import run; import exporter; run()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *argv], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(begins)
        assert len(done.stdout) > 1000


def test_the_page_of_an_index_has_no_dead_links(wheel: ZipFile) -> None:
    """The description leads to the repository wherever README.md leads to its files, and pictures are raw files."""
    [name] = [each for each in wheel.namelist() if each.endswith("METADATA")]
    metadata = message_from_string(wheel.read(name).decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert dict(each.split(", ") for each in metadata.get_all("Project-URL", [])) == project
    text = str(metadata.get_payload())
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert [link for _, link in links if not link.startswith("https://")] == []
    raw = "https://raw.githubusercontent.com/stream-exporter/stream-exporter/main/"
    page = f"{project['Homepage']}/blob/main/"
    for picture, link in links:
        if (start := raw if picture else page) and link.startswith(start):
            assert (ROOT / link.removeprefix(start).partition("#")[0]).exists()
    assert any(picture for picture, _ in links)


def test_what_holds_secrets_is_not_committed() -> None:
    """Git passes over the folder of secrets and the configuration, wherever somebody follows the first steps."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    git = ["git", "-c", "safe.directory=*"]
    for name in ("secrets/zego-server-secret", "stream-exporter.yml"):
        done = subprocess.run([*git, "check-ignore", "-q", name], cwd=ROOT, check=False)
        assert done.returncode == 0, name
    tracked = subprocess.run([*git, "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    assert tracked.stdout == b""


def test_the_schema_leads_into_no_page() -> None:
    """What an editor shows of a key has no links: the page that they lead into is not there."""
    done = run("schema")
    assert "which are checked too" in done.out
    assert re.findall(r'"description": "[^"]*\]\([^"]*"', done.out) == []
