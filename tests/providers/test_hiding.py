"""What a provider hides is hidden: its signatures and keys are shown nowhere, whatever the cloud repeats."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.model import Request
from exporter.providers import GROUP, all_providers
from exporter.providers.interface import AnyProvider
from exporter.rounds.transcript import known_secrets, redact, withhold
from testbed.processes import exporter, written

from .parrots import everything, fetch, leaks, parrots, run, signed

TEMPLATE = Path(__file__).parents[2] / "docs" / "provider_template"
EVERY = pytest.mark.parametrize("provider", all_providers().values(), ids=all_providers())


def toy() -> AnyProvider:
    """Return the toy cloud, which no package of ours knows."""
    spec = importlib.util.spec_from_file_location("toy_provider", TEMPLATE / "toy_cloud" / "provider.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    provider: AnyProvider = module.PROVIDER
    return provider


def toy_folder(home: Path) -> Path:
    """Copy the template's cloud, with its recorded exchanges, to a folder of clouds; return its own folder there."""
    folder = home / "clouds" / "toy"
    shutil.copytree(TEMPLATE / "toy_cloud", folder)
    shutil.copy(TEMPLATE / "tests" / "exchanges.yml", folder)
    return folder


def with_clouds(clouds: Path, home: Path) -> dict[str, str]:
    """Return the environment of a process that finds the clouds of one folder more."""
    (home / "site").mkdir()
    hook = f"import exporter.providers\nexporter.providers.__path__.append({str(clouds)!r})\n"
    (home / "site" / "sitecustomize.py").write_text(hook, encoding="utf-8")
    return {"PYTHONPATH": str(home / "site")}


@EVERY
def test_every_place_of_a_signature_is_said_to_be_hidden(provider: AnyProvider) -> None:
    """Whatever of a request depends on the credentials stands in a header or parameter that the provider names."""
    places, hidden = signed(provider), {name.lower() for name in provider.hides}
    assert places.headers | {name.lower() for name in places.parameters} <= hidden
    assert places.headers | places.parameters
    assert not places.bodies, "a body with credentials in it is shown in transcripts"


@pytest.mark.timeout(180)
def test_no_signature_and_no_key_is_shown_that_a_cloud_repeats(tmp_path: Path) -> None:
    """Each cloud repeats each of them as code, message and request id, for each API; no output has any."""
    with parrots(list(all_providers().values())) as (birds, config):
        shown = everything(config, tmp_path, {})
    for bird in birds:
        assert bird.heads >= (20 if bird.provider.single is None else 40)
        assert leaks(shown, bird.said) == []
        assert any("<redacted>" in text for place, text in shown.items() if bird.provider.name in place)
        assert any("<secret>" in text for place, text in shown.items() if bird.provider.name in place)
        asked = re.findall(
            rf'requests?_duration_seconds_count{{account="{bird.provider.name}-.*action="(\w+)"', shown["3 /metrics"]
        )
        assert set(asked) == set(bird.provider.apis())
    assert leaks(shown, {"CANARY0"}) == []


@pytest.mark.timeout(120)
def test_a_provider_that_hides_nothing_is_caught(tmp_path: Path) -> None:
    """The search above has no hole: with an empty `hides` it finds the signature in what is shown."""
    folder = toy_folder(tmp_path)
    file = folder / "provider.py"
    code = file.read_text(encoding="utf-8")
    hides = 'hides=("X-Toy-Seal", "seal", "X-Toy-Token", "stamp")'
    assert hides in code
    file.write_text(code.replace(hides, "hides=()"), encoding="utf-8")
    with parrots([toy()], folder.parent) as ((bird,), config):
        shown = everything(config, tmp_path, with_clouds(folder.parent, tmp_path))
    assert bird.signed.headers == {"x-toy-seal", "x-toy-token"}
    assert bird.signed.parameters == {"stamp"}
    # The first of four rounds may bring no answer where the machine is busy.
    places = {leak.partition(":")[0].lstrip("0123 ") for leak in leaks(shown, bird.said)}
    assert {"probe", "probe --output json", "probe toy/single-0", "/api/v1/streams", "/"} <= places


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and install the template as whoever copies it does; return the folder that has it."""
    home = tmp_path_factory.mktemp("template")
    shutil.copytree(TEMPLATE, home / "template", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "."]
    subprocess.run([*build, "./template"], cwd=home, check=True)
    (wheel,) = home.glob("*.whl")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--target", "site"]
    subprocess.run([*uv, str(wheel)], cwd=home, check=True)
    return home / "site"


def installed(home: Path, package: Path, **modules: str) -> dict[str, str]:
    """Copy the package from outside; return the environment of a process that has it, with other entry points."""
    site = shutil.copytree(package, home / "site")
    (points,) = site.glob("*.dist-info/entry_points.txt")
    if modules:
        points.write_text("\n".join([f"[{GROUP}]", *(f"{name} = {value}" for name, value in modules.items()), ""]))
    return {"PYTHONPATH": str(site)}


@pytest.mark.timeout(120)
def test_the_template_is_built_installed_and_passes_its_own_tests(package: Path, tmp_path: Path) -> None:
    """Whoever copies the template has a package with its catalogue, a fake cloud, and tests that pass."""
    environ = installed(tmp_path, package)
    tests = tmp_path / "copy"
    shutil.copytree(TEMPLATE / "tests", tests / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=tests, env={"PATH": "", **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^[0-9]+ passed in", done.stdout, re.MULTILINE)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["folder", "package"])
def test_a_cloud_is_added_by_one_folder_or_package(way: str, package: Path, tmp_path: Path) -> None:
    """Configured, asked, exposed and explained, with a label and a code of its own: nothing else is edited."""
    folder = toy_folder(tmp_path).parent
    environ = installed(tmp_path, package) if way == "package" else with_clouds(folder, tmp_path)
    with parrots([toy()], folder) as ((bird,), config):
        bird.truth = {"playing": True, "ticket": "t-1"}
        with exporter({"scrape": {"reuse": "0s"}, **config}, folder=tmp_path, environ=environ) as server:
            metrics, page = fetch(server, "/metrics"), fetch(server, "/")
        probed = run(tmp_path / "config.yml", environ, "probe", "--output", "json")
        checked = run(tmp_path / "config.yml", environ, "check")
    assert 'stream_active{provider="toy",stream="single-0"} 1' in metrics
    assert 'stream_provider_up{account="toy-single",provider="toy"} 1' in metrics
    assert 'stream_media_active{provider="toy",stream="single-0",media="toy"} 1' in metrics
    assert "Toy Cloud" in page
    assert (probed.returncode, checked.returncode) == (0, 0), checked.stderr
    assert {one["state"] for one in json.loads(probed.stdout)} == {"active"}
    explained = run(tmp_path / "config.yml", environ, "explain", "toy", "toy_broke")
    assert "The toy broke." in explained.stdout
    assert "toy_token" in json.dumps(json.loads(run(tmp_path / "config.yml", environ, "schema").stdout))
    (tmp_path / "world.yml").write_text("accounts: [{name: a, provider: toy}]")
    simulated = run(tmp_path / "world.yml", environ, "simulate", "--world", str(tmp_path / "world.yml"))
    assert simulated.returncode != 0
    assert "toy" in simulated.stderr.splitlines()[-1]
    assert "Traceback" not in simulated.stderr


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"toy": "toy_cloud.elsewhere:PROVIDER"},
            "toy_cloud lacks elsewhere.py, which ends in PROVIDER = Provider",
        ),
        ({"toy": "toy_cloud.provider:ToyStream"}, "toy_cloud/provider.py does not end in ToyStream = Provider(...)"),
        ({"toys": "toy_cloud.provider:PROVIDER"}, "toy_cloud/provider.py is named toy, and has to be toys"),
        (
            {"zego": "toy_cloud.provider:PROVIDER"},
            "two providers are named zego: exporter.providers.zego.provider",
        ),
    ],
)
def test_what_is_wrong_with_a_package_is_reported(
    entry: dict[str, str], told: str, package: Path, tmp_path: Path
) -> None:
    """A cloud that is installed and not as it should be is told at once, before it is missed in a configuration."""
    done = run(tmp_path, installed(tmp_path, package, **entry), "schema")
    assert done.returncode != 0
    assert told in done.stderr.splitlines()[-1]


def test_a_cloud_without_codes_is_asked_all_the_same(tmp_path: Path) -> None:
    """Its errors have the code `other` with the cloud's own words, until its folder has a file of codes."""
    folder = toy_folder(tmp_path)
    (folder / "codes.yml").unlink()
    environ = with_clouds(folder.parent, tmp_path)
    with parrots([toy()], folder.parent) as ((bird,), config):
        written(tmp_path, config)
        bird.truth = {"broken": "toy_broke", "why": "no battery", "ticket": "t-2"}
        probed = run(tmp_path / "config.yml", environ, "probe", "--output", "json")
    assert probed.returncode == 1, probed.stderr
    errors = [one["error"] for one in json.loads(probed.stdout)]
    assert {(one["code"], one["reason"]) for one in errors} == {("other", "provider_error")}
    assert all("toy_broke: no battery" in one["message"] for one in errors)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "exporter/providers/toy lacks provider.py, which ends in PROVIDER = Provider(...)"),
        ("", "exporter/providers/toy/provider.py does not end in PROVIDER = Provider(...)"),
        ("from exporter.providers.zego.provider import PROVIDER", "toy/provider.py is named zego, and has to be toy"),
        ("import made_up", "No module named 'made_up'"),
    ],
)
def test_missing_parts_of_a_clouds_folder_are_reported(tmp_path: Path, code: str | None, told: str) -> None:
    """Whoever begins a cloud reads what is missing in the last line, wherever the program looks for providers."""
    folder = tmp_path / "clouds" / "toy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    if code is not None:
        (folder / "provider.py").write_text(code + "\n", encoding="utf-8")
    done = run(tmp_path, with_clouds(tmp_path / "clouds", tmp_path), "schema")
    assert done.returncode != 0
    assert told in done.stderr.splitlines()[-1]


@pytest.mark.timeout(120)
def test_the_signature_of_an_added_cloud_is_shown_nowhere(tmp_path: Path) -> None:
    """A header and a parameter that no other cloud has are hidden because the cloud's own folder says so."""
    folder = toy_folder(tmp_path).parent
    with parrots([toy()], folder) as ((bird,), config):
        shown = everything(config, tmp_path, with_clouds(folder, tmp_path))
    assert bird.heads > 20
    assert "X-Toy-Seal: <redacted>" in shown["probe toy/single-0"]
    assert "&stamp=<redacted>" in shown["probe toy/single-0"]
    assert leaks(shown, bird.said | {"CANARY0"}) == []


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("c2VhbA==", ["c2VhbA=="]),
        ("Bearer aaa.bbb-c.ddd_", ["aaa.bbb-c.ddd_"]),
        ("Basic dXNlcjpwYXNz", ["dXNlcjpwYXNz"]),
        ("Basic dXNlcjpwYXM=", ["dXNlcjpwYXM="]),
        ("Basic dXNlcjpwYQ==", ["dXNlcjpwYQ=="]),
        ('Toy owner="ada", seal="ab+c/d=="', ["ab+c/d=="]),
        ("Toy Owner=ada,SEAL=abcd;Seal=efgh", ["abcd", "efgh"]),
        ("v1=abcd, v2=ef/gh=", ["abcd", "ef/gh="]),
        ("ab%2Bcd", ["ab%2Bcd", "ab+cd"]),
    ],
)
def test_what_is_secret_in_a_hidden_header(value: str, secret: list[str]) -> None:
    """The hidden parameters of a header, all of them where none is named, or its last word."""
    request = Request("GET", "https://toys.example/?a=b", {"x-toy-SEAL": value, "X-Other": "seen"})
    assert known_secrets(None, request, ("X-Toy-Seal", "seal")) == secret
    shown = redact(request, ("X-Toy-Seal", "seal"))
    assert shown == "GET https://toys.example/?a=b\nx-toy-SEAL: <redacted>\nX-Other: seen"


def test_what_is_secret_in_an_address() -> None:
    """Parameters are hidden by their whole name, in any case, as they were sent and decoded."""
    request = Request("GET", "https://toys.example/?seal=ab%2B&Sealed=seen&no.seal=seen&SEAL=cd#f", {}, b"body")
    assert known_secrets(None, request, ("Seal",)) == ["ab%2B", "cd", "ab+"]
    assert redact(request, ("Seal",)) == (
        "GET https://toys.example/?seal=<redacted>&Sealed=seen&no.seal=seen&SEAL=<redacted>#f\n\nbody"
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"toy_key": "ab\\"cd", "n": "seen"}', '{"toy_key": "<redacted>", "n": "seen"}'),
        ('[{"TOY_KEY":"a"},{"toy_key" :\n"b"}]', '[{"TOY_KEY":"<redacted>"},{"toy_key" :\n"<redacted>"}]'),
        ('{"toy_key":"cut sho', '{"toy_key":"<redacted>"'),
        ('{"toy_key":"cut \\', '{"toy_key":"<redacted>"'),
        ('{"toy_key":null,"no_toy_key":"seen","toy_keys":"seen"}',) * 2,
        ("toy_key: no JSON",) * 2,
    ],
)
def test_what_is_secret_in_an_answer(body: str, shown: str) -> None:
    """Texts of hidden fields are not shown, wherever they stand, in any case, and also if the answer is cut short."""
    assert withhold(body, ("Toy-Seal", "toy_key")) == shown


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "Cookie"])
def test_the_places_of_http_are_always_hidden(name: str) -> None:
    """Whatever a provider says, credentials in the header that HTTP has for them are not shown."""
    request = Request("GET", "https://toys.example/", {name: "Bearer abcdef"})
    assert redact(request, ()) == f"GET https://toys.example/\n{name}: <redacted>"
    assert known_secrets(None, request, ()) == ["abcdef"]
