"""The chart lets no secret into a ConfigMap."""

import re
from typing import Any

import pytest

from exporter.config.playback import AddressShape
from exporter.fields import _CREDENTIAL, SecretSource, carries_credential
from exporter.providers import all_providers

from .chart import CHART, account, helm, refusal, rendered


def secret_fields() -> list[str]:
    """Return the secret fields of all providers' accounts, and of addresses that viewers use."""
    fields = [field for provider in all_providers().values() for field in provider.account.model_fields.items()]
    fields += [(name, field) for name, field in AddressShape.model_fields.items() if name != "url"]
    return sorted({name for name, field in fields if field.annotation == SecretSource | None})


def test_plain_secrets_are_refused() -> None:
    """No secret field of any provider can be written into the ConfigMap, and the refusal does not repeat its value."""
    fields = secret_fields()
    assert {"tencent_key", "server_secret", "secret_key", "access_key_secret", "secret_access_key"} <= set(fields)
    for field in fields:
        assert rendered(account(**{f"{field}_file": "/run/secrets/stream-exporter/x"}))
        with pytest.raises(helm().HelmRenderError, match=f"give {field}_file or {field}_env") as refusal:
            rendered(account(**{field: "hush-hush"}))
        assert "hush-hush" not in str(refusal.value)


HUSH = "hush0Hush1HUSH2"


def nested(**fields: Any) -> list[dict[str, Any]]:
    """Return values with the fields in an account, deeper in it, in a stream and in a further file of streams."""
    stream = {"name": "b", "account": "main", "domain": "d.example"}
    return [
        account(**fields),
        account(http=fields),
        account(playback=[{"name": "x", "deep": [fields]}]),
        {**account(), "config": {**account()["config"], "streams": [{**stream, **fields}]}},
        {**account(), "config": {**account()["config"], "scrape": fields}},
        {**account(), "streamFiles": {"more.yml": [{**stream, **fields}]}},
        {**account(), "streamFiles": {"more.yml": [{**stream, "labels": fields}]}},
    ]


LEAKS: dict[str, dict[str, Any]] = {
    "capitals": {"SECRET_KEY": HUSH},
    "mixed case": {"Secret_Key": HUSH},
    "camel case": {"secretKey": HUSH},
    "a dash": {"secret-key": HUSH},
    "a number": {"TOKEN": 20240101},
    "a list": {"token": [HUSH]},
    "a mapping": {"password": {"value": HUSH}},
    "a misspelt key": {"secret_keyy": HUSH},
    "a key of no provider": {"my_password": HUSH},
    "user and password": {"endpoint": f"https://user:{HUSH}@host.example"},
    "a user alone": {"endpoint": f"https://{HUSH}@host.example"},
    "an address in capitals": {"endpoint": f"HTTPS://USER:{HUSH}@HOST.EXAMPLE"},
    "a proxy": {"proxy_url": f"http://user:{HUSH}@proxy.example:3128"},
    "a proxy without a scheme": {"proxy_url": f"user:{HUSH}@proxy.example:3128"},
    "a store": {"url": f"redis://:{HUSH}@cache:6379/0"},
    "a push address": {"stream": f"rtmp://d.example/live/a?txSecret={HUSH}&txTime=6F000000"},
    "a stream with its key": {"stream": f"a?auth_key={HUSH}"},
    "a playback address": {"url": f"https://cdn.example/a.m3u8?token={HUSH}"},
    "a variable that is none": {"secret_key_env": f"{HUSH}/+="},
    "a file that is none": {"secret_key_file": HUSH},
    "a private key": {"key": f"-----BEGIN PRIVATE KEY-----\n{HUSH}\n"},
    "an access key": {"region": f"AKID{HUSH}"},
    "an access key as a key": {f"LTAI{HUSH}": None},
}  # fmt: skip


@pytest.mark.parametrize("fields", LEAKS.values(), ids=LEAKS.keys())
def test_no_secret_reaches_a_config_map(fields: dict[str, Any]) -> None:
    """Whatever its key is called and wherever it stands, a secret stops the rendering and is not repeated."""
    for given in nested(**fields):
        with pytest.raises(helm().HelmRenderError, match="config becomes a ConfigMap") as refusal:
            rendered(given)
        assert HUSH not in str(refusal.value)


def test_what_only_looks_like_a_secret_is_rendered() -> None:
    """Names of files, of variables and of streams, plain addresses and everything else stay possible."""
    for fields in (
        {"secret_key_env": "TENCENT_KEY", "secret_id_file": "/run/secrets/stream-exporter/id"},
        {"token_file": "/var/run/token", "endpoint": "http://proxy.example:8080/", "region": "ap-guangzhou"},
        {"labels": {"team": "esports", "keyframe": "2s", "mail": "ops@example.org"}},
        {"stream": "arena-1_main:0", "app": "live", "url": "https://cdn.example/a.m3u8?session=1"},
        {"quota": {"DescribeLiveStreamState": 100}, "tls_config": {"ca_file": "/etc/ca.pem", "key_file": "/etc/key"}},
    ):
        assert rendered(account(**fields))["configmap.yaml"]


TOKENS = (
    "txSecret", "wsSecret", "hwSecret", "volcSecret", "auth_key", "auth_info", "authkey", "accesskey", "sign", "my_sig",
    "signature", "key", "pwd", "passwd", "txTime", "wsTime", "hw_time", "volctime", "x-token",
)  # fmt: skip
QUERIES = {
    **{name: f"https://h.example/a.m3u8?x=1&{name}={HUSH}" for name in TOKENS},
    "a path": f"https://h.example/auth_key={HUSH}/a.flv",
    "an encoded name": f"https://h.example/a.flv?%74%6F%6Ben={HUSH}",
    "an encoded address": f"https://h.example/?u=https%3A%2F%2Fh%2Fa.flv%3Fsig%3D{HUSH}",
    "one encoded twice": f"https://h.example/?u=a.flv%253Fsig%253D{HUSH}",
}  # fmt: skip


@pytest.mark.parametrize("url", QUERIES.values(), ids=QUERIES.keys())
def test_a_playback_address_with_a_token_is_refused(url: str) -> None:
    """What the exporter takes for a credential reaches no ConfigMap, and the refusal names every way around it."""
    assert carries_credential(url)
    table = f"name,account,domain,playback\na,main,d.example,https://h.example/a.flv {url}\n"
    given = {**account(), "streamFiles": {"more.csv": table}}
    told = refusal(given)
    given["streamFiles"] = {}
    given["config"]["streams"][0]["playback"] = [{"name": "flv", "url": url}]
    assert "config.streams[0].playback[0].url: config becomes a ConfigMap; " in refusal(given)
    assert all(way in told for way in ("url_file", "url_env", "tencent_key_file", "alibaba_key_file"))
    assert HUSH not in told + refusal(given)


def test_the_chart_knows_what_the_exporter_takes_for_a_credential() -> None:
    """Go knows no lookbehind, so the chart has an expression of its own: it has every word of the exporter's."""
    template = (CHART / "templates" / "_secrets.tpl").read_text(encoding="utf-8")
    own = template.partition("$signs :=")[2].partition("$like :=")[0]
    assert set(re.findall("[a-z]{2,}", _CREDENTIAL.pattern)) <= set(re.findall("[a-z]{2,}", own))


def test_secrets_of_the_environment_come_from_secrets() -> None:
    """No variable that a cloud takes a secret from stands in the pod, nor an address with a token or a password."""
    names = {name for cloud in all_providers().values() for names in cloud.environment.values() for name in names}
    assert {"TENCENTCLOUD_SECRET_KEY", "AWS_SESSION_TOKEN", "HUAWEICLOUD_SDK_SK", "NGINX_RTMP_PASSWORD"} <= names
    plain = {**dict.fromkeys(sorted(names), HUSH), "PLAY_URL": f"https://h.example/a.flv?key={HUSH}",
             "HTTPS_PROXY": f"http://user:{HUSH}@proxy.example:3128"}  # fmt: skip
    for name, value in plain.items():
        told = refusal({**account(), "extraEnv": [{"name": name, "value": value}]})
        assert f"extraEnv {name}: its value stands in the pod; take it from a Secret, by valueFrom" in told
        assert HUSH not in told
    secret = {"secretKeyRef": {"name": "tencent", "key": "id"}}
    fine = {"TZ": "Asia/Shanghai", "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/x", "AWS_REGION": "eu-west-1", "TOKEN": "$(T)"}
    given = [{"name": "T", "valueFrom": secret}, *({"name": name, "value": value} for name, value in fine.items())]
    assert rendered({**account(), "extraEnv": given})["configmap.yaml"]
