"""What is allowed in a configuration and likely not meant: told of with its place, and without any value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.config import Config, ConfigErrors, load
from exporter.config.warnings import blemishes, readable_by_all, variable
from exporter.credentials.fields import configured as credentials
from exporter.providers import all_providers
from tests.cost import LINEAR, Calls, growth, ratio

PROVIDERS = all_providers()
ZEGO = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": "a-secret"}


def loaded(home: Path, account: Mapping[str, Any], environ: Mapping[str, str] | None = None, **more: Any) -> Config:
    """Return a configuration of one account."""
    path = home / "c.yml"
    streams = [{"name": "a", "account": account["name"], **more}]
    path.write_text(json.dumps({"accounts": [account], "streams": streams}, ensure_ascii=False))
    return load(path, PROVIDERS, environ or {})


def told(config: Config) -> list[str]:
    """Return the warnings, without where they stand in the file."""
    return [f"{problem.path}: {problem.message}" for problem in config.warnings]


BLEMISHES = [
    ("CANARY ", "ends with a blank, which counts as part of it"),
    (" CANARY", "begins with a blank, which counts as part of it"),
    ('"CANARY"', "is in quotes, which count as part of it"),
    ("'CANARY'", "is in quotes, which count as part of it"),
    ("“CANARY”", "is in quotes, which count as part of it"),
    ("CAN\u00a0ARY", "holds a no-break space or another space outside ASCII"),
    ("CANARY\u202f", "holds a no-break space or another space outside ASCII"),
    ("\u3000CANARY", "holds a no-break space or another space outside ASCII"),
    ("CAN\u200bARY", "holds an invisible character, such as a zero-width space"),
    ("CANARY\u200d", "holds an invisible character, such as a zero-width space"),
    ("CANARY\ufeff", "holds an invisible character, such as a zero-width space"),
    ("CANARY\u00ad", "holds an invisible character, such as a zero-width space"),
]


@pytest.mark.parametrize("kind", ["file", "variable", "plain", "convention"])
@pytest.mark.parametrize(("text", "doubt"), BLEMISHES)
def test_what_came_along_with_a_copied_secret(text: str, doubt: str, kind: str, tmp_path: Path) -> None:
    """Blanks, quotes and signs that nobody sees are warned of wherever the secret stands, and it is not repeated."""
    account = {key: value for key, value in ZEGO.items() if key != "server_secret"}
    secret = tmp_path / "secret"
    secret.write_text(text + "\n", encoding="utf-8")
    secret.chmod(0o600)
    more, environ, place = {
        "file": ({"server_secret_file": "secret"}, {}, "server_secret_file: the file's content "),
        "variable": (
            {"server_secret_env": "X"},
            {"X": text},
            "server_secret_env: the environment variable's value ",
        ),
        "plain": ({"server_secret": text}, {}, "server_secret: "),
        "convention": ({}, {"ZEGO_SERVER_SECRET": text}, "provider: the environment variable ZEGO_SERVER_SECRET "),
    }[kind]
    warnings = told(loaded(tmp_path, {**account, **more}, environ))
    assert f"accounts[0].{place}{doubt}" in warnings
    assert "CAN" not in "".join(warnings)


@pytest.mark.parametrize("text", ["a", "a b", "ab=", "a'b", "'", "pässword", "$", "a$b", "100%", "{a}", "$ecret"])
def test_odd_secrets_that_are_nobodys_mistake(text: str, tmp_path: Path) -> None:
    """Signs that a chosen secret may well have are not warned of."""
    assert told(loaded(tmp_path, {**ZEGO, "server_secret": text})) == []
    assert list(blemishes(text, "secret_key")) == []


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("${VAR}", "server_secret_env: VAR"),
        ("$VAR", "server_secret_env: VAR"),
        ("{{ VAR }}", "server_secret_env: VAR"),
        ("$ZEGO_SECRET", "server_secret_env: ZEGO_SECRET"),
        ("${zego_secret:-CANARY}", "server_secret_env: zego_secret"),
        ("$(ZEGO_SECRET)", "server_secret_env: ZEGO_SECRET"),
        ('{{ env "ZEGO_SECRET" }}', "server_secret_env: ZEGO_SECRET"),
        ("{{ .Values.zego.CANARY }}", "server_secret_env with its name"),
        ("$CAN4RY", "server_secret_env with its name"),
    ],
)
def test_a_secret_that_looks_like_a_variable(text: str, advice: str, tmp_path: Path) -> None:
    """Nothing fills variables in: the way to have one is told, with its name where that is surely a name."""
    wanted = f"looks like a variable; use {advice}"
    assert told(loaded(tmp_path, {**ZEGO, "server_secret": text})) == [f"accounts[0].server_secret: {wanted}"]
    assert variable(text, "server_secret") == wanted


def test_a_variable_in_place_of_its_name(tmp_path: Path) -> None:
    """`FIELD_env: ${VAR}` wants the name alone, and the error says so."""
    account = {key: value for key, value in ZEGO.items() if key != "server_secret"}
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, {**account, "server_secret_env": "${ZEGO_SECRET}"}, {"ZEGO_SECRET": "x"})
    assert str(caught.value).endswith(
        "server_secret_env: names an environment variable that is not set; it looks like a variable; "
        "use server_secret_env: ZEGO_SECRET"
    )


@pytest.mark.parametrize("text", ["${DOMAIN}", "$DOMAIN", "a.{{ domain }}.example", "$(DOMAIN)"])
def test_a_variable_elsewhere(text: str, tmp_path: Path) -> None:
    """A value that is taken as it is written is warned of; an error that it causes says what it looks like."""
    tencent = {"name": "t", "provider": "tencent", "secret_id": "i", "secret_key": "k"}
    words = "looks like a variable, and none is filled in here: write the value itself"
    assert told(loaded(tmp_path, tencent, labels={"team": text}, domain="d")) == [f"streams[0].labels.team: {words}"]
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, {**ZEGO, "app_id": text})
    assert str(caught.value).endswith(f"app_id: is text; a whole number is expected, without quotes; it {words}")


def test_an_unquoted_template(tmp_path: Path) -> None:
    """`{{ … }}` without quotes is a mapping to YAML; the error says what it likely is."""
    path = tmp_path / "c.yml"
    path.write_text("accounts:\n  - {name: z, provider: zego, app_id: 1, server_secret: {{ CANARY }}}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path, PROVIDERS, {})
    assert "it must be text; {{ … }} of a template is not filled in here" in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_secret_that_everybody_may_read(mode: int, warned: bool, tmp_path: Path) -> None:
    """A secret's file with that mode is warned of by its field, also where a link leads to it."""
    account = {key: value for key, value in ZEGO.items() if key != "server_secret"}
    (tmp_path / "secret").write_text("a-secret")
    (tmp_path / "secret").chmod(mode)
    (tmp_path / "link").symlink_to("secret")
    wanted = ["accounts[0].server_secret_file: names a file that everybody on this machine may read: chmod 600, or 640"]
    assert told(loaded(tmp_path, {**account, "server_secret_file": "link"})) == (wanted if warned else [])


def test_a_secret_that_kubernetes_laid_there(tmp_path: Path) -> None:
    """A Secret's volume is 0644 by default and seen by its container alone: nobody is warned of it."""
    real = tmp_path / "..2026_01_01_00_00_00.1"
    real.mkdir()
    (real / "key").write_text("a-secret")
    (real / "key").chmod(0o644)
    (tmp_path / "..data").symlink_to(real.name)
    (tmp_path / "key").symlink_to("..data/key")
    assert not readable_by_all(tmp_path / "key")
    assert not readable_by_all(tmp_path / "gone")


def test_volcengines_older_name_of_the_token(tmp_path: Path) -> None:
    """VOLC_SESSIONTOKEN goes with VOLC_ACCESSKEY and VOLC_SECRETKEY, as the vendor's tools have it."""
    environ = {"VOLC_ACCESSKEY": "id", "VOLC_SECRETKEY": "key", "VOLC_SESSIONTOKEN": "token"}
    account = {"name": "v", "provider": "volcengine", "app_id": "1"}
    (only,) = loaded(tmp_path, account, environ, room_id="r", user_id="u").accounts
    held = credentials(only, PROVIDERS["volcengine"], environ)
    assert held.token is not None
    assert held.token.reveal() == "token"


# --- many mistakes at once -------------------------------------------------------------------------------------------

MANY = 20_000
ACCOUNTS = [{**ZEGO, "name": f"account-number-{number}"} for number in range(600)]


def mistakes(path: Path) -> int:
    """Return how many errors a configuration has that are told."""
    try:
        load(path, PROVIDERS, {})
    except ConfigErrors as found:
        return len(found.problems)
    return 0


def stream(**fields: Any) -> dict[str, Any]:
    """Return a stream of the account."""
    return {"account": "z", **fields}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration of as many streams without a mistake."""
    path = tmp_path_factory.mktemp("plain") / "plain.yml"
    path.write_text(json.dumps({"accounts": [ZEGO], "streams": [stream(name=f"s{number}") for number in range(MANY)]}))
    return path


@pytest.fixture(scope="module")
def usual(plain: Path) -> int:
    """Return how many functions reading it calls."""
    with Calls() as counted:
        assert mistakes(plain) == 0
    return counted.count


@pytest.mark.parametrize(
    "document",
    [
        {"accounts": [ZEGO], "streams": [stream(names=[f"s{number // 2}" for number in range(MANY)])]},
        {"accounts": [ZEGO], "streams": [stream(names=[f"s{number}" for number in range(MANY)]) for _ in range(2)]},
        {"accounts": [ZEGO], "streams": [stream(name="same") for _ in range(MANY)]},
        {"accounts": [ZEGO], "streams": [stream(name="a", **{f"namx{number}": 1 for number in range(MANY)})]},
        {"accounts": ACCOUNTS, "streams": [{"account": f"acount-nr-{n}", "name": f"s{n}"} for n in range(MANY)]},
        {"accounts": [{**ZEGO, "quota": {f"DescribeSimpleStreamLis{n}": 1 for n in range(MANY)}}]},
        {"accounts": [ZEGO], **{f"stream{number}": 1 for number in range(MANY)}},
    ],
    ids=["twice in one", "twice in two", "long form", "unknown keys", "unknown accounts", "unknown actions", "top"],
)
def test_many_mistakes_take_little_longer_than_none(document: Any, plain: Path, usual: int, tmp_path: Path) -> None:
    """Each is found in the same time however many there are, and is not compared with all the others."""
    path = tmp_path / "many.yml"
    path.write_text(json.dumps(document))
    with Calls() as counted:  # first, as what was likely meant is remembered
        assert mistakes(path) == 1001
    assert counted.count < 8 * usual
    assert ratio(lambda: mistakes(path), lambda: mistakes(plain), 5) < 5


@pytest.mark.parametrize("opening", ["{{", "{{ ", "${", "$(A", "$AB", "{{$"])
def test_many_openings_of_variables_take_no_longer(opening: str, tmp_path: Path) -> None:
    """What opens a template thousands of times and never closes it is read at once, not in the square of that."""

    def make(size: int) -> Callable[[], int]:
        path = tmp_path / f"{size}.yml"
        path.write_text(json.dumps({"accounts": [ZEGO], "streams": [stream(name=opening * size)]}))
        assert mistakes(path) == 1
        return lambda: mistakes(path)

    assert growth(make, 50_000) < LINEAR
