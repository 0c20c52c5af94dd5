"""The part `store` of a configuration: an address with a password in it, and a number of exporters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config import Config, ConfigErrors, load, redacted_slices
from exporter.config.document import read_document
from exporter.config.findings import Findings
from exporter.config.secret_values import read_file
from exporter.config.sources import Sources
from exporter.config.store import StoreAddress, StoreReader, parse_store
from exporter.fields import Secret
from exporter.providers import all_providers

PASSWORD = "made-up%2Fpassword"
ACCOUNTS = {"accounts": [{"name": "z", "provider": "zego", "app_id": 1, "server_secret": "0" * 32}]}


def loaded(folder: Path, store: Any, environ: Mapping[str, str] | None = None) -> Config:
    """Return a configuration with a part `store`."""
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({"store": store, **ACCOUNTS}), encoding="utf-8")
    return load(path, all_providers(), environ or {})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", StoreAddress("cache")),
        (f"redis://:{PASSWORD}@cache:7000/3", StoreAddress("cache", 7000, "", 3, "", Secret("made-up/password"))),
        ("redis://app:p@[::1]/", StoreAddress("::1", username="app", password=Secret("p"))),
        ("rediss://cache?ssl_ca_certs=/ca.pem&db=2", StoreAddress("cache", database=2, tls=True, ca_file="/ca.pem")),
        ("unix:///run/redis.sock?db=1", StoreAddress(path="/run/redis.sock", database=1)),
    ],
)
def test_addresses_are_those_of_redis_s_own_clients(url: str, address: StoreAddress) -> None:
    """Scheme, user, password, port, database and the files of TLS are read as redis-py reads them."""
    assert parse_store(url) == address


@pytest.mark.parametrize("key", ["url", "url_file", "url_env"])
def test_the_url_is_a_secret_that_no_page_shows(tmp_path: Path, key: str) -> None:
    """It may be given in three ways, and /config shows at most where it is."""
    url = f"redis://:{PASSWORD}@cache:6379/0"
    (tmp_path / "store.txt").write_text(f"{url}\n")
    given = {"url": url, "url_file": "store.txt", "url_env": "STORE_URL"}[key]
    config = loaded(tmp_path, {key: given, "replicas": 3}, {"STORE_URL": url})
    assert config.store is not None
    assert (config.store.address.host, config.store.replicas) == ("cache", 3)
    shown = "".join(redacted_slices(config))
    assert "made-up" not in shown + repr(config)
    assert yaml.safe_load(shown)["store"]["replicas"] == 3
    if key == "url":
        assert yaml.safe_load(shown)["store"]["url"] == "<secret>"


@pytest.mark.parametrize(
    ("store", "place", "words"),
    [
        ({"replicas": 2}, "store.url", "is missing: give one of url, url_file, url_env"),
        ({"url": "redis://a", "url_env": "B"}, "store.url_env", "stands beside url"),
        ({"url": "http://:hush@a"}, "store.url", "begins with redis://"),
        ({"url": "redis://a:hush#b@c"}, "store.url", "as %XX"),
        ({"url": "redis://a/hush"}, "store.url", "names a database that is no number"),
        ({"url": "rediss://a?ssl_cert_reqs=hush"}, "store.url", "certificates are always verified"),
        ({"url": "redis://a?ssl_ca_certs=hush"}, "store.url", "not read here (db)"),
        ({"url": "unix://hush"}, "store.url", "unix:///run/redis/redis.sock"),
        ({"url": "redis://a", "replicas": 65}, "store.replicas", "64"),
        ({"url": "redis://a", "replica": 2}, "store.replica", "replicas"),
        ("redis://:hush@a", "store", "a mapping"),
    ],
)
def test_errors_say_where_and_repeat_nothing(tmp_path: Path, store: Any, place: str, words: str) -> None:
    """Each has its line, what to write instead, and nothing of the URL."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, store)
    text = str(caught.value)
    assert f" {place}: " in text
    assert words in text
    assert "hush" not in text


def test_without_the_package_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """`store` needs the extra `redis`."""
    document = read_document("config.yml", b"store: {url: redis://a}\n")
    findings = Findings(document, lambda name: Path(name).read_bytes())
    reader = StoreReader(findings, tmp_path, Sources(findings, tmp_path, {}, read_file), lambda: False)
    reader.read(document.value)
    assert ["pip install 'stream-exporter[redis]'" in str(one) for one in findings.errors()] == [True]
