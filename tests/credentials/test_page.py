"""The page on credentials: what it tells to write is read as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from exporter import providers
from exporter.credentials import keyring
from exporter.credentials.chain import choose
from exporter.providers import all_providers
from exporter.providers.sources import Machine

PAGE = Path(__file__).parents[2] / "docs" / "credentials.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(ini|json|yaml)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = [(content.partition("\n")[0].removeprefix("# "), content) for kind, content in BLOCKS if kind == "ini"]
FILES += [("~/.volc/config", content) for kind, content in BLOCKS if kind == "json"]


@pytest.mark.parametrize(("path", "content"), FILES, ids=[path for path, _ in FILES])
def test_profile_files(path: str, content: str) -> None:
    """Each profile file in the documentation works at the path shown there."""
    place = path.replace("~", "/home/me")
    machine = Machine({"HOME": "/home/me"}, lambda file: str(file) == place)
    keys = []
    for provider in all_providers().values():
        source = choose(machine, provider, ())
        if source is not None:
            steps = source.obtain(machine, 0.0)
            assert next(steps) == Path(place)
            with pytest.raises(StopIteration) as end:
                steps.send(content.encode())
            keys.append(end.value.value.credentials)
    assert {(made.key_id[-7:], made.key_secret.reveal()) for made in keys} == {("example", "example")}


def test_every_provider_has_its_profile_file() -> None:
    """The documentation shows six files: two for Volcengine, one for each other cloud that has one."""
    assert len(FILES) == 6


def test_accounts() -> None:
    """Each account in the documentation is valid for its provider."""
    accounts = [one for kind, content in BLOCKS if kind == "yaml" for one in yaml.safe_load(content)["accounts"]]
    assert len(accounts) == 2
    for account in accounts:
        fields = {re.sub(r"_(file|env)$", "", key) for key in account}
        assert fields <= set(all_providers()[account["provider"]].account.model_fields)


def test_variables() -> None:
    """The variables and figures in the documentation are those of the code."""
    code = "".join(path.read_text() for path in Path(providers.__file__).parent.rglob("*.py"))
    known = {name for provider in all_providers().values() for names in provider.environment.values() for name in names}
    for name in re.findall(r"\b(?:AWS|HUAWEICLOUD|TENCENTCLOUD|ALIBABA_CLOUD|TKE|VOLC|ZEGO)_[A-Z_]+\b", TEXT):
        assert name in known or name in code, name
    early = {name: {source.early for source in all_providers()[name].sources} for name in ("tencent", "alibaba", "ivs")}
    assert early == {"tencent": {300.0}, "alibaba": {900.0}, "ivs": {300.0}}
    assert "300 s (Alibaba: 900 s) before" in TEXT
    assert f"at most {keyring.LONGEST_PAUSE:.0f} s |" in TEXT
    assert f"at most {keyring.ATTEMPT_SECONDS:.0f} s over all its calls, {keyring.LARGEST_REPLY >> 10} KiB" in TEXT
