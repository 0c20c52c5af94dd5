"""The demo under docker compose: valid, hardened, and whole."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from .tools import ROOT, accepts, program

COMPOSE = ROOT / "deploy" / "compose"
FILES = ["compose.yml", "compose.accounts.yml"]


def loaded(path: Path) -> dict[str, Any]:
    """Return a YAML file, merges resolved."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def services() -> dict[str, dict[str, Any]]:
    """Return the services of the demo by name."""
    found: dict[str, dict[str, Any]] = loaded(COMPOSE / "compose.yml")["services"]
    return found


def binds(service: dict[str, Any]) -> dict[str, Path]:
    """Return what a service mounts from the repository, by the path it has in the container."""
    mounts = [volume.split(":") for volume in service.get("volumes", []) if volume.startswith(".")]
    assert all(mode == ["ro"] for _, _, *mode in mounts), "what the repository ships is mounted read-only"
    return {target: (COMPOSE / source).resolve() for source, target, *_ in mounts}


def addresses() -> set[str]:
    """Return where the services reach each other."""
    demo = {name: service for name, service in services().items() if "profiles" not in service}
    return {f"{name}:{port.split(':')[-1]}" for name, service in demo.items() for port in service["ports"]}


def strip_targets(config: dict[str, Any]) -> dict[str, Any]:
    """Blank the addresses of a Prometheus configuration, and where its rules lie."""
    for part in [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]:
        part["static_configs"] = [{"targets": len(group["targets"])} for group in part["static_configs"]]
    return config | {"rule_files": [Path(name).name for name in config["rule_files"]]}


@pytest.mark.parametrize("file", FILES)
def test_schema(file: str) -> None:
    """Every file keeps to the Compose specification."""
    accepts(
        program("check-jsonschema", "pip install check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        COMPOSE / file,
    )


@pytest.mark.parametrize("name", services())
def test_hardened(name: str) -> None:
    """Each service has a pinned image, a read-only root, no capability, no new privileges, and only loopback ports."""
    service = services()[name]
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z/-]+:(local|v?\d+\.\d+\.\d+)\}", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service.get("ports", []))


def test_mounts_exist() -> None:
    """Whatever is mounted from the repository is there: a missing file would silently become an empty folder."""
    mounts = [path for service in services().values() for path in binds(service).values()]
    assert len(mounts) >= 5
    assert [str(path) for path in mounts if not path.exists()] == []


def test_one_prometheus_configuration() -> None:
    """Prometheus is configured as deploy/prometheus ships it; only the addresses are those of compose."""
    ours, shipped = COMPOSE / "prometheus.yml", ROOT / "deploy" / "prometheus" / "prometheus.yml"
    assert strip_targets(loaded(ours)) == strip_targets(loaded(shipped))


def test_addresses_are_services() -> None:
    """Prometheus looks for the exporter and Alertmanager under names and ports that compose gives them."""
    config = loaded(COMPOSE / "prometheus.yml")
    parts = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    targets = [target for part in parts for group in part["static_configs"] for target in group["targets"]]
    assert len(targets) == 2
    assert set(targets) <= addresses()


def test_promtool() -> None:
    """Prometheus accepts its configuration."""
    promtool = program("promtool", "apt-get install prometheus")
    accepts(promtool, "check", "config", "--syntax-only", COMPOSE / "prometheus.yml")


def test_rules_are_found() -> None:
    """The rules are mounted where the configuration looks for them."""
    mounts = binds(services()["prometheus"])
    assert set(loaded(COMPOSE / "prometheus.yml")["rule_files"]) <= set(mounts)


def test_grafana_finds_its_dashboards() -> None:
    """The folder that Grafana is told to load dashboards from is the one that they are mounted in."""
    mounts = binds(services()["grafana"])
    assert mounts["/etc/grafana/provisioning"] == ROOT / "grafana" / "provisioning"
    providers = [
        provider["options"]["path"]
        for path in (ROOT / "grafana" / "provisioning" / "dashboards").glob("*.yml")
        for provider in loaded(path)["providers"]
    ]
    assert providers
    assert [mounts.get(path) for path in providers] == [ROOT / "grafana" / "dashboards"] * len(providers)


def test_grafana_finds_its_sources() -> None:
    """Every datasource is a service of compose, under its port; Prometheus is one of them."""
    paths = (ROOT / "grafana" / "provisioning" / "datasources").glob("*.yml")
    urls = {source["url"] for path in paths for source in loaded(path)["datasources"]}
    assert "http://prometheus:9090" in urls
    assert urls <= {f"http://{address}" for address in addresses()}
