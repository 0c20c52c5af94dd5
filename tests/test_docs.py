"""The documents hold what they say: links lead somewhere, commands parse, examples load, names exist."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import generate, generate_metrics
from exporter import cli, config, providers
from exporter.commands.options import FLAGS
from exporter.commands.overview import COMMANDS
from exporter.exposition import FAMILIES
from exporter.providers import codes as catalogue
from tests.markdown import ROOT, Page, page, pages

PAGES = list(pages())
EVERY = pytest.mark.parametrize("document", PAGES, ids=[one.name for one in PAGES])
PROVIDERS = providers.all_providers()
HAND_WRITTEN = {"README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}

# Words that look like a metric of ours but name something else: keys, events and families of codes.
NO_METRICS = {
    "stream_files",
    "stream_id",
    "stream_param",
    "stream_seq",
    "stream_create",
    "stream_close",
    "stream_mixing",
    "stream_exporter",
}
# 22,000 for four clouds and one exporter; 5,000 for seven more clouds, a shared store, shards and plug-ins; 2,000 for
# what viewers get.
WORDS = 29_000
SUFFIXES = ("_bucket", "_count", "_sum")
CONFIGURATION_KEYS = {"scrape", "accounts", "streams", "stream_files"}


class Environment(dict[str, str]):
    """An environment in which every variable is set, but for those that choose another way to keys."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "made-up-value"

    def get(self, name: str, default: Any = None) -> Any:
        """Return a made-up value, but for what leads to a profile file or a role, and for the shard."""
        return default if re.search(r"_FILE$|^HOME$|PROFILE|ROLE|METADATA|OIDC|TKE_|SHARD", name) else "made-up-value"


# --- generated documents ----------------------------------------------------------------------------------------------


def test_everything_generated_is_fresh() -> None:
    """Documents, rules, dashboards and the chart's copies say what the code says: run `make docs` after a change."""
    assert [str(path.relative_to(ROOT)) for path in generate.stale(generate.generated())] == []


def test_what_is_stale_is_told(tmp_path: Path) -> None:
    """A changed, a missing and a left-over file are found, and a fresh one is not."""
    names = ("fresh.json", "changed.json", "missing.json", "left-over.json")
    fresh, changed, missing, left_over = (tmp_path / name for name in names)
    for path, text in ((fresh, "as made"), (changed, "edited by hand"), (left_over, "of an older version")):
        path.write_text(text, encoding="utf-8")
    made = dict.fromkeys((fresh, changed, missing), "as made")
    assert generate.stale(made) == [changed, missing, left_over]


def test_every_metric_has_its_origin() -> None:
    """docs/metrics.md says of each metric where it comes from, and of no other."""
    assert set(generate_metrics.COMES) == {family.name for family in FAMILIES}


# --- links ------------------------------------------------------------------------------------------------------------


def broken(document: Page) -> Iterator[str]:
    """Yield the links of a page that lead nowhere in this repository."""
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.path.parent / path).resolve() if path else document.path
        inside = target.exists() and target.is_relative_to(ROOT)
        if not inside or (anchor and not (target.suffix == ".md" and anchor in page(target).anchors)):
            yield link


@EVERY
def test_links_lead_somewhere(document: Page) -> None:
    """Every relative link has its file, and every anchor its heading."""
    assert list(broken(document)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check above can fail: a missing file and a missing heading are told, code and web addresses are not."""
    text = "# A\n[1](docs/none.md) [2](#a) [3](#b) [4](README.md#no) [5](https://x.example) `[6](none)`\n"
    document = Page(ROOT / "made-up.md", text)
    assert [link for link in broken(document) if link != "#a"] == ["docs/none.md", "#b", "README.md#no"]


def test_every_page_is_reachable() -> None:
    """README.md leads to every page of docs/."""
    readme = {link.partition("#")[0] for link in page(ROOT / "README.md").links}
    assert {one.name for one in PAGES if one.name.startswith("docs/")} <= readme


# --- commands ---------------------------------------------------------------------------------------------------------


def typed(document: Page) -> Iterator[str]:
    """Yield the lines that a reader is told to type, and commands within lines."""
    for block in document.blocks:
        if block.kind in {"console", "sh", "bash", "shell"}:
            lines = block.text.replace("\\\n", " ").splitlines()
            yield from (line[2:] for line in lines if line.startswith("$ "))
            if block.kind != "console":
                yield from (line for line in lines if not line.startswith("$ "))
    yield from (span for span in document.spans if span.startswith(("stream-exporter ", "make ")))


def ours(line: str) -> list[str] | None:
    """Return the arguments of a command line if it runs the exporter, up to a pipe or a redirection."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    while words and (re.match(r"[A-Za-z_]\w*=", words[0]) or words[0] == "sudo"):
        words.pop(0)
    if not words or words[0].rpartition("/")[2] != "stream-exporter":
        return None
    end = next((number for number, word in enumerate(words) if word in {"|", "&", "&&", ">", "2>"}), len(words))
    return words[1:end]


def shown(arguments: list[str]) -> bool:
    """Whether a command only stands for others (COMMAND, ...) or asks for help or the version."""
    return bool({"COMMAND", "...", "…", "--help", "--version", "-h"}.intersection(arguments))


@EVERY
def test_commands_parse(document: Page, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command line of ours is one that the program takes."""
    for line in typed(document):
        arguments = ours(line)
        if arguments is None or shown(arguments):
            continue
        try:
            cli.parse(arguments)
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


def test_commands_are_found() -> None:
    """The check above reads what it should: each command of the program has an example in README.md."""
    lines = (ours(line) for line in typed(page(ROOT / "README.md")))
    assert {line[0] for line in lines if line} >= set(COMMANDS)
    assert ours("sudo A=b .venv/bin/stream-exporter check --config.file f | head") == ["check", "--config.file", "f"]
    assert ours("kubectl rollout restart deployment stream-exporter") is None


def flags() -> set[str]:
    """Return every flag of every command."""
    return {flag.name for flag in FLAGS}


@EVERY
def test_flags_exist(document: Page) -> None:
    """Every flag in the exporter's manner (--web., --scrape., --log.) that a page names is one of the exporter."""
    others = re.compile(r"^.*\b(?:prometheus|alertmanager|promtool|amtool)\b.*$", re.MULTILINE)
    named = set(re.findall(r"--(?:web|scrape|log)\.[a-z][a-z.-]*[a-z]", others.sub("", document.text)))
    assert named - flags() == set()


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md", "docs/deployment.md"])
def test_no_secret_is_typed(name: str) -> None:
    """What a newcomer types leaves no secret in the history of the shell."""
    secret = re.compile(r"secret|[_-]key|token|passw", re.IGNORECASE)
    typing = re.compile(r"(printf|echo|export)\b|[A-Z_]+=")
    assert [line for line in typed(page(ROOT / name)) if typing.match(line) and secret.search(line)] == []


def test_the_first_secrets_are_outside_of_the_repository() -> None:
    """The first steps leave the repository before a secret is written, and come back after the last."""
    steps = page(ROOT / "docs" / "getting-started.md")
    lines = [line for line in typed(steps) if line.startswith(("cd ", "umask ", "cat > "))]
    assert lines[:2] == ["umask 077", "cd ~/.config/stream-exporter"]
    assert len(lines) > 8
    assert all(line.startswith("cat > secrets/") for line in lines[2:-1])


# --- examples ---------------------------------------------------------------------------------------------------------


def documents(one: Page) -> Iterator[Any]:
    """Yield what the YAML blocks of a page hold."""
    for block in one.blocks:
        if block.kind in {"yaml", "yml"} and "{{" not in block.text:
            yield block.text, yaml.safe_load(block.text)


def configurations(one: Page) -> Iterator[str]:
    """Yield the blocks that are configurations of the exporter: accounts, and nothing that is none of its keys."""
    for text, content in documents(one):
        if isinstance(content, dict) and "accounts" in content and set(content) <= CONFIGURATION_KEYS:
            yield text


def read_made_up(path: Path, text: str) -> bytes:
    """Return the configuration itself, or a made-up secret for every other file."""
    return text.encode() if path.name == "stream-exporter.yml" else b"made-up-secret"


CONFIGURATIONS = [(one.name, text) for one in PAGES for text in configurations(one)]


@pytest.mark.parametrize(
    ("name", "text"), CONFIGURATIONS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CONFIGURATIONS)]
)
def test_configurations_load(name: str, text: str) -> None:
    """Every configuration that a page shows is one that the exporter starts with; secrets are made up."""
    whole = text if re.search(r"^(streams|stream_files):", text, re.MULTILINE) else f"{text}\nstreams: []\n"
    loaded = config.load(Path("stream-exporter.yml"), PROVIDERS, Environment(), lambda path: read_made_up(path, whole))
    assert loaded.accounts, name


def test_every_cloud_has_an_example() -> None:
    """README.md and the first steps show a configuration of each cloud."""
    for name in ("README.md", "docs/getting-started.md"):
        accounts = [yaml.safe_load(text)["accounts"][0]["provider"] for shown, text in CONFIGURATIONS if shown == name]
        assert set(accounts) == set(PROVIDERS)


def test_the_example_file_loads() -> None:
    """stream-exporter.example.yml is a configuration of all clouds."""
    text = (ROOT / "stream-exporter.example.yml").read_text(encoding="utf-8")
    loaded = config.load(Path("stream-exporter.yml"), PROVIDERS, Environment(), lambda path: read_made_up(path, text))
    assert {account.provider for account in loaded.accounts} == set(PROVIDERS)


def test_scrape_jobs_are_the_shipped_ones() -> None:
    """What the pages tell Prometheus to do is what the files under deploy/ do, which the real server is tested with."""
    shipped = [
        job
        for file in ("prometheus.yml", "per-stream.yml")
        for job in yaml.safe_load((ROOT / "deploy" / "prometheus" / file).read_text(encoding="utf-8"))["scrape_configs"]
    ]
    for name in ("README.md", "docs/getting-started.md"):
        found = [content for _, content in documents(page(ROOT / name)) if "scrape_configs" in content]
        assert found
        assert [job for content in found for job in content["scrape_configs"] if job not in shipped] == []


# --- length -----------------------------------------------------------------------------------------------------------


def test_pages_are_short() -> None:
    """The pages under docs/ together stay within their budget of words: each thing is said once."""
    words = {one.name: len(one.text.split()) for one in PAGES if one.name.startswith("docs/")}
    assert sum(words.values()) <= WORDS, words


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_codes_are_listed_once(name: str) -> None:
    """The page has each code that the exporter's calls can get, under its reason; a number also has its meaning."""
    text = page(ROOT / "docs" / "codes.md").text.replace("\\", "")
    [section] = [part for part in text.split("\n## ") if f"(`{name}`)" in part.partition("\n")[0]]
    codes = catalogue.load(name)
    called = {catalogue.GATEWAY, *(codes.family(api.action) for api in PROVIDERS[name].apis().values())}
    for one in codes.entries():
        found = [line for line in section.splitlines() if f"`{one.code}`" in line]
        if one.family not in called:
            continue
        assert len(found) == 1
        assert f"**{one.reason}**" in found[0] if one.reason else one.meaning.removesuffix(".") in found[0]
        assert not one.code.isdigit() or one.meaning.removesuffix(".") in found[0]
    assert [one.code for one in codes.fallbacks if f"`{one.code}…`" not in section] == []


# --- names ------------------------------------------------------------------------------------------------------------


def metrics_named(text: str) -> set[str]:
    """Return the words of a text that look like a metric of ours, without the ends that a histogram adds."""
    words = set(re.findall(r"(?<![\w./-])stream_[a-z_]*[a-z](?![\w(*-]|_\*)", text)) - NO_METRICS
    return {next((word.removesuffix(end) for end in SUFFIXES if word.endswith(end)), word) for word in words}


@EVERY
def test_metrics_exist(document: Page) -> None:
    """Every metric that a page names is one that the exporter shows."""
    code = [block.text for block in document.blocks if block.kind not in {"yaml", "yml", "python"}]
    assert metrics_named("\n".join([*code, *document.spans])) - {family.name for family in FAMILIES} == set()


def test_metrics_are_found() -> None:
    """The check above reads names in queries, in rules and with a histogram's ends."""
    text = 'max_over_time(stream_activ[5m]) provider:stream_up:avg5m stream_x_bucket{le="1"} stream_files'
    assert metrics_named(text) == {"stream_activ", "stream_up", "stream_x"}


def test_design_shows_the_floors() -> None:
    """The floors of docs/design.md are those that import-linter keeps."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    kept = [set(layer.split(" | ")) for layer in layers]
    block = next(one for one in page(ROOT / "docs" / "design.md").blocks if one.text.startswith("__main__"))
    drawn = [set(line.split(" · ")) for line in block.text.splitlines()]
    assert drawn[0] == set().union(*kept[:3])
    assert drawn[1:] == kept[3:]


def test_design_shows_the_documented_limits() -> None:
    """The table of what a round reaches follows from the limits in the code."""
    text = page(ROOT / "docs" / "design.md").text
    for name, limit in re.findall(r"^\| (\w+) \| (\d+)/s", text, re.MULTILINE):
        account = PROVIDERS[name.lower()].account.model_construct()
        assert PROVIDERS[name.lower()].main.limit(account) == float(limit)


def test_design_says_the_window() -> None:
    """The window of the quota in docs/design.md is the one in the code."""
    source = ast.parse((ROOT / "exporter" / "window.py").read_text(encoding="utf-8"))
    names = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert f"A window of {names['WINDOW']} s" in page(ROOT / "docs" / "design.md").text


@EVERY
def test_no_page_names_a_machine(document: Page) -> None:
    """The documents speak of the project alone: no folder of somebody's machine, no host of a package index."""
    found = re.findall(r"/work/|/root/|/home/(?!you)\w+|pypi\.|pythonhosted|registry\.npm|file://", document.text)
    assert found == []


def test_first_pages_are_there() -> None:
    """Readers, reporters and contributors find the page they look for."""
    assert {one.name for one in PAGES} >= HAND_WRITTEN


@EVERY
def test_make_targets_exist(document: Page) -> None:
    """Every `make` that a page names is a target of the Makefile."""
    named = [re.match(r"make ([a-z]+)", line) for line in typed(document)]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {found[1] for found in named if found} - targets == set()
