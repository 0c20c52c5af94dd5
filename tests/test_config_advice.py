"""What errors of the configuration name so that they can be mended: clouds, accounts, variables and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import config, providers
from exporter.config import ConfigErrors
from exporter.config.secret_values import shown_path, shown_variable

PROVIDERS = providers.all_providers()
ZEGO = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": "made-up"}


def errors(directory: Path, *accounts: dict[str, Any], streams: list[dict[str, Any]] | None = None) -> str:
    """Return the errors of a configuration that stands in a directory."""
    path = directory / "c.yml"
    path.write_text(yaml.safe_dump({"accounts": list(accounts), "streams": streams or []}))
    with pytest.raises(ConfigErrors) as caught:
        config.load(path, PROVIDERS, {})
    return str(caught.value)


ALIASES = [(alias, name) for name, provider in PROVIDERS.items() for alias in provider.aliases]


@pytest.mark.parametrize(("word", "meant"), [*ALIASES, ("Aliyun", "alibaba"), ("tencnt", "tencent")])
def test_a_cloud_is_known_by_its_other_names(word: str, meant: str, tmp_path: Path) -> None:
    """A cloud that is called by another of its names is suggested by its word of the configuration."""
    assert f"; did you mean '{meant}'?" in errors(tmp_path, {"name": "a", "provider": word})


def test_common_names_of_clouds() -> None:
    """The names by which people know two clouds best are among the others."""
    assert {("aliyun", "alibaba"), ("qcloud", "tencent")} <= set(ALIASES)
    assert not {alias for alias, _ in ALIASES} & set(PROVIDERS)


def test_the_accounts_there_are(tmp_path: Path) -> None:
    """A stream without an account, or with one that is not there, is told which there are; the first of many."""
    streams = [{"name": "s"}, {"name": "t", "account": "elsewhere"}]
    told = errors(tmp_path, ZEGO, {**ZEGO, "name": "y"}, streams=streams)
    assert "streams[0].account: is missing; the accounts are z, y\n" in told
    assert told.endswith("streams[1].account: no account has this name; the accounts are z, y")
    many = [{**ZEGO, "name": f"n{count}"} for count in range(20)]
    assert "the accounts are n0, n1, n2, n3, n4, n5, n6, n7 and 12 more\n" in errors(tmp_path, *many, streams=streams)


def test_an_account_that_is_named_by_a_credential_is_not_repeated(tmp_path: Path) -> None:
    """A push address in the place of an account's name is shown in no list of accounts."""
    odd = {**ZEGO, "name": "live/a?txSecret=canary&txTime=1"}
    assert "canary" not in errors(tmp_path, odd, ZEGO, streams=[{"name": "s"}])


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    """The variable that is not set is named where its name cannot be a secret."""
    account = {key: value for key, value in ZEGO.items() if key != "server_secret"}
    told = errors(tmp_path, {**account, "server_secret_env": "ZEGO_SERVER_SECRET"})
    assert told.endswith("_env: names the environment variable ZEGO_SERVER_SECRET, which is not set")


@pytest.mark.parametrize(
    "written", ["secrets/zego-secret", "./zego.key", "../secrets/zego_secret.txt", "zego-main.txt"]
)
def test_a_missing_file_is_named_as_resolved(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is the one that was looked at, from the root, also where the configuration was named relatively."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "c.yml").write_text(
        f"accounts: [{{name: z, provider: zego, app_id: 1, server_secret_file: {written}}}]\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigErrors) as caught:
        config.load(Path("conf/c.yml"), PROVIDERS, {})
    whole = (tmp_path / "conf" / written).resolve()
    assert str(caught.value).endswith(f"names the file {whole}, which cannot be read: No such file or directory")


@pytest.mark.parametrize(
    "secret",
    [
        "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EX",
        "d41d8cd98f00b204e9800998ecf842ff",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "/wJalrXUtn/bPxRfiCYEXAMPLEKEY",
        "correct-horse-battery-staple",
        "hunter2",
        "SWORDFISH",
        "sk_live_abcdef",
    ],
)
def test_a_secret_in_place_of_its_source_is_not_named(secret: str, tmp_path: Path) -> None:
    """Whoever writes the secret itself for its file or its variable does not see it in the error."""
    assert (shown_variable(secret), shown_path(secret, tmp_path / secret)) == ("", "")
    account = {key: value for key, value in ZEGO.items() if key != "server_secret"}
    for kind in ("file", "env"):
        told = errors(tmp_path, {**account, f"server_secret_{kind}": secret})
        assert secret not in told
        assert (f"relative names start at {tmp_path}" in told) == (kind == "file")
