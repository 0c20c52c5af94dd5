"""The part `http` of the configuration: proxies, authorities, and what is shown of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import config, providers
from exporter.commands.warnings import readable_secrets
from exporter.config import Config, ConfigErrors, redacted_slices
from exporter.routes import STRAIGHT, Route
from testbed.certificates import Authority

PROVIDERS = providers.all_providers()
ZEGO = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": "made-up"}
URL = "https://live.example.test"


def load(directory: Path, http: Any, *accounts: dict[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """Load a configuration with this part `http` that stands in a directory."""
    path = directory / "c.yml"
    document = {"http": http, "accounts": list(accounts or [ZEGO]), "streams": [{"name": "s", "account": "z"}]}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    path.chmod(0o600)
    return config.load(path, PROVIDERS, environ or {})


def wrong(directory: Path, http: Any, environ: Mapping[str, str] | None = None) -> str:
    """Return the errors of a configuration with this part `http`."""
    with pytest.raises(ConfigErrors) as caught:
        load(directory, http, environ=environ)
    return str(caught.value).replace(str(directory), "HERE")


def page(loaded: Config) -> dict[str, Any]:
    """Return what /config shows."""
    shown: dict[str, Any] = yaml.safe_load("".join(redacted_slices(loaded)))
    return shown


# --- whose settings hold ----------------------------------------------------------------------------------------------


def test_an_accounts_own_part_replaces_the_tops_as_a_whole(tmp_path: Path) -> None:
    """Nothing of the top's is added to it; an empty one goes straight and trusts the system's authorities."""
    file = Authority(tmp_path).file.name
    top = {"proxy_url": "http://one.example:3128", "tls_config": {"ca_file": file}}
    own = {"proxy_url": "http://two.example:3128"}
    accounts = [ZEGO, {**ZEGO, "name": "y", "http": own}, {**ZEGO, "name": "x", "http": {}}]
    first, second, third = (account.http.route(URL) for account in load(tmp_path, top, *accounts).accounts)
    assert str(first.proxy) == "one.example:3128"
    assert first.authorities.startswith("-----BEGIN CERTIFICATE-----")
    assert (str(second.proxy), second.authorities) == ("two.example:3128", "")
    assert third == STRAIGHT


def test_a_password_may_stand_in_a_file_or_a_variable(tmp_path: Path) -> None:
    """`proxy_url` is a secret like any other: `proxy_url_file`, which is watched, and `proxy_url_env`."""
    (tmp_path / "proxy").write_text("http://user:word@proxy.example:3128\n")
    (tmp_path / "proxy").chmod(0o600)
    by_file = load(tmp_path, {"proxy_url_file": "proxy"})
    by_variable = load(
        tmp_path, {"proxy_url_env": "PROXY_URL"}, environ={"PROXY_URL": "http://user:word@proxy.example:3128"}
    )
    assert by_file.accounts[0].http.route(URL) == by_variable.accounts[0].http.route(URL) != STRAIGHT
    assert tmp_path / "proxy" in by_file.files
    assert page(by_file)["http"] == {"proxy_url_file": str(tmp_path / "proxy")}
    assert page(by_variable)["http"] == {"proxy_url_env": "PROXY_URL"}


# --- the environment --------------------------------------------------------------------------------------------------

BY_ENVIRONMENT: list[tuple[dict[str, str], str, str]] = [
    ({}, "None", "None"),
    ({"HTTPS_PROXY": "http://a:1"}, "a:1", "None"),
    ({"https_proxy": "http://a:1"}, "a:1", "None"),
    ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}, "a:1", "None"),
    ({"HTTPS_PROXY": "", "https_proxy": "http://b:2"}, "b:2", "None"),
    ({"HTTP_PROXY": "http://a:1"}, "None", "a:1"),
    ({"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "b:2"}, "b:2", "a:1"),
    ({"ALL_PROXY": "http://a:1"}, "None", "None"),
    ({"HTTPS_PROXY": "user:word@a:1"}, "a:1", "None"),
    ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "example.test"}, "None", "None"),
    ({"HTTPS_PROXY": "http://a:1", "no_proxy": "live.example.test:443"}, "None", "None"),
    ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "other.example", "no_proxy": "*"}, "a:1", "None"),
]


@pytest.mark.parametrize(("environ", "https", "http"), BY_ENVIRONMENT)
def test_proxies_of_the_environment(environ: dict[str, str], https: str, http: str, tmp_path: Path) -> None:
    """The variables that Go reads, upper case first; a value without a scheme is an http:// proxy."""
    settings = load(tmp_path, {"proxy_from_environment": True}, environ=environ).accounts[0].http
    assert str(settings.route(URL).proxy) == https
    assert str(settings.route("http://live.example.test").proxy) == http
    assert settings.route("https://localhost:1").proxy is None
    assert settings.route("https://127.0.0.1:1").proxy is None


def test_the_environment_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """As in Prometheus, variables alone change nothing."""
    loaded = load(tmp_path, {}, environ={"HTTPS_PROXY": "http://a:1", "https_proxy": "http://a:1"})
    assert loaded.accounts[0].http.route(URL) == STRAIGHT


def test_variables_that_name_no_proxy(tmp_path: Path) -> None:
    """A wrong one is named, and its value is not; none at all is worth a warning."""
    told = wrong(tmp_path, {"proxy_from_environment": True}, {"https_proxy": "http://canary:port#x"})
    assert told == (
        "HERE/c.yml:2:27: http.proxy_from_environment: the environment variable https_proxy is not an address like "
        "http://proxy.example:3128; write special characters of the password as %XX"
    )
    (warning,) = load(tmp_path, {"proxy_from_environment": True}).warnings
    assert warning.message == "neither HTTPS_PROXY nor HTTP_PROXY is set, so nothing goes by a proxy"


# --- authorities ------------------------------------------------------------------------------------------------------


def test_authorities_of_a_file(tmp_path: Path) -> None:
    """All certificates of the file count, whatever stands between them; the file is watched."""
    one, two = Authority(tmp_path, "one"), Authority(tmp_path, "two")
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(b"# Aut\xc3\xb3ridad one\r\n" + one.pem.replace(b"\n", b"\r\n") + b"\xff\n" + two.pem)
    loaded = load(tmp_path, {"tls_config": {"ca_file": "bundle.crt"}})
    authorities = loaded.accounts[0].http.authorities
    assert authorities.count("BEGIN CERTIFICATE") == 2
    assert loaded.accounts[0].http.route(URL) == Route(None, authorities)
    assert bundle in loaded.files
    assert page(loaded)["http"] == {"tls_config": {"ca_file": "bundle.crt"}}


def _key(folder: Path) -> bytes:
    issued = Authority(folder, "issuer").issue("host.example").read_bytes()
    return issued[: issued.index(b"-----BEGIN CERTIFICATE-----")]


NO_AUTHORITIES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", "holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"),
    "text": (lambda _: b"canary\n", "holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"),
    "key": (_key, "holds a private key and no certificate: name the file of the authority's certificate"),
    "DER": (lambda _: b"\x30\x82\x01\x01\x30", "is not PEM but DER: convert it with openssl x509 -inform der"),
    "cut": (
        lambda folder: Authority(folder, "cut").pem[:-40],
        "holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----",
    ),
    "broken": (
        lambda _: b"-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n",
        "is broken: its certificate cannot be read",
    ),
    "second broken": (
        lambda folder: (
            Authority(folder, "good").pem + b"-----BEGIN CERTIFICATE-----\nY2Fu\n-----END CERTIFICATE-----\n"
        ),
        "is broken: its 2. certificate cannot be read",
    ),
}


@pytest.mark.parametrize("what", NO_AUTHORITIES)
def test_a_file_without_certificates(what: str, tmp_path: Path) -> None:
    """What cannot be trusted is an error with its place and the whole path, and shows nothing of the file."""
    content, why = NO_AUTHORITIES[what]
    (tmp_path / "ca.pem").write_bytes(content(tmp_path))
    told = wrong(tmp_path, {"tls_config": {"ca_file": "ca.pem"}})
    assert told == f"HERE/c.yml:3:14: http.tls_config.ca_file: names the file HERE/ca.pem, which {why}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A directory, a pipe and nothing at all are told apart; a pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name, why in (
        ("missing.pem", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("pipe", "cannot be read: it is a pipe, not a regular file"),
    ):
        told = wrong(tmp_path, {"tls_config": {"ca_file": name}})
        assert told.endswith(f"which {why}")
        assert "HERE" in told.partition("names the file ")[2]


def test_a_key_in_place_of_a_files_name_is_not_repeated(tmp_path: Path) -> None:
    """Somebody may paste the content; what is pasted may be the wrong file's."""
    told = wrong(tmp_path, {"tls_config": {"ca_file": _key(tmp_path).decode()}})
    assert told.endswith("holds a certificate or key itself; write it to a file, and name that")


def test_a_reload_that_changes_nothing_keeps_the_ways(tmp_path: Path) -> None:
    """Connections are kept by their way: read twice, it is the same; another certificate makes it another."""
    http = {"proxy_url": "http://user:word@proxy.example:3128", "tls_config": {"ca_file": "one.pem"}}
    one, two = Authority(tmp_path, "one"), Authority(tmp_path, "two")
    first, again = (load(tmp_path, http).accounts[0].http.route(URL) for _ in range(2))
    one.file.write_bytes(two.pem)
    changed = load(tmp_path, http).accounts[0].http.route(URL)
    assert first == again
    assert len({first, again, changed}) == 2


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_page_shows_where_a_proxy_is_and_no_password(tmp_path: Path) -> None:
    """The address stands there, user and password do not; an account shows its own settings alone."""
    http = {"proxy_url": "http://canary-user:canary-word@proxy.example:3128/", "no_proxy": "a.example"}
    own = {"proxy_url": "https://plain.example"}
    loaded = load(tmp_path, http, ZEGO, {**ZEGO, "name": "y", "http": own}, {**ZEGO, "name": "x", "http": {}})
    shown = page(loaded)
    assert shown["http"] == {"proxy_url": "http://<secret>@proxy.example:3128", "no_proxy": "a.example"}
    assert [account.get("http") for account in shown["accounts"]] == [
        None,
        {"proxy_url": "https://plain.example:443"},
        {},
    ]
    assert "canary" not in repr(loaded) + str(shown) + repr(loaded.accounts[0])


def test_a_readable_password_is_worth_a_warning(tmp_path: Path) -> None:
    """A configuration that everybody may read is warned of where a proxy's password is its only secret."""
    keys = {"name": "z", "provider": "zego", "app_id": 1, "server_secret_env": "SECRET"}
    http = {"proxy_url": "http://user:word@proxy.example:3128"}
    loaded = load(tmp_path, http, keys, environ={"SECRET": "made-up"})
    path = tmp_path / "c.yml"
    assert list(readable_secrets(loaded, path)) == []
    path.chmod(0o644)
    (warning,) = readable_secrets(loaded, path)
    assert "holds the secrets of http.proxy_url" in warning
