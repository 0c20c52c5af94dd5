"""Makes docs/configuration.md out of the configuration's JSON Schema."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.config import schema
from exporter.model import Account, Stream
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider

PAGE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
# Configuration

<!-- Written by docs/generate_configuration.py; do not edit. -->

One YAML file, by default `stream-exporter.yml`; the [example](../stream-exporter.example.yml), which
`stream-exporter example` prints, has every cloud. `stream-exporter check FILE` lists all errors with line and column.
`stream-exporter schema` prints a JSON Schema for editors.

- **Durations** are Prometheus's: `500ms`, `10s`, `2m`, `1h30m`.
- **Secrets** (\\*) come from `FIELD`, from a file (`FIELD_file`), or from an environment variable (`FIELD_env`); give
  one of the three, or none for [the vendor's variables, files and roles](credentials.md). A file's final newline is
  ignored.
- **Paths** are relative to the configuration. Stream files are read again on each reload, secret files before each
  round.
- **Reading is strict.** Unknown or duplicate keys, wrong types, values out of range, anchors, aliases, merges, tags,
  second documents, more than 64 levels and more than 16 MiB are errors. Quote text that YAML would read as something
  else (`007`, `1:30`, `no`), and write numbers in plain decimal digits (not `0123`, `0x1F`, `1_000`, `1e3`).
- **With any error** `serve` does not start, and a reload keeps the old configuration."""

STORE = """\
Several exporters with the same accounts that share a Redis or Valkey server make no more calls together than one may.

```yaml
store: {url_file: /run/secrets/store, replicas: 2}  # redis://:PASSWORD@cache.example:6379/0
```"""

SHARING = """\
It has to be near (answers within 20 ms), one server without cluster mode or Sentinel, its memory policy `noeviction`.
Behind its `?`, `rediss://` takes `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`. Without the store an exporter makes
no calls for 6 s, until the others must have noticed; then it keeps 1/`replicas` of each quota, in whole calls a second.
Accounts are known there by hashes, and nothing in it is secret. Needs the extra `redis`, which the image has."""

HTTP = """\
Prometheus's words, with its meaning. Each account may have an `http` of its own, which replaces this one as a whole;
`http: {}` goes straight.

```yaml
http:
  proxy_url: http://proxy.example:3128
  tls_config: {ca_file: /etc/ssl/corporate-ca.pem}
```"""

PROXIES = """\
`https://` endpoints are reached by CONNECT: the proxy resolves the name, and sees that and nothing else. For `http://`
endpoints it gets the whole request. Calls to STS go by it too; metadata servers never do. Without `no_proxy`, all else
goes by `proxy_url`; with it, or from the environment, `localhost` and loopback addresses go straight. Variables are
read with the configuration. SOCKS is not spoken.

`ca_file` counts for endpoints and for an `https://` proxy. Without it the system's store counts, which OpenSSL's
variables `SSL_CERT_FILE` and `SSL_CERT_DIR` replace at start. There is no `insecure_skip_verify`. `check` says which
accounts go by which proxy."""

PLAYBACK = """\
How the addresses that viewers use are [checked](playback.md):"""

ADDRESSES = """\
A stream lists URLs, or mappings where there is more to say:

```yaml
streams:
  - name: arena-1
    account: tencent-main
    domain: 5000.livepush.example.com
    playback:
      - https://play.example.com/live/arena-1.m3u8
      - {name: flv, url: "https://play.example.com/live/{stream}.flv", tencent_key_file: /run/secrets/play}
```"""

ORIGINS = """\
Nothing is asked but the hosts of the stream's addresses and their `origins`: what leads elsewhere is unknown. Nor is a
host that resolves to private addresses only, unless it is written as one (`10.0.0.7`, `cdn.internal`, `localhost`) or
`private`; a proxy resolves by itself. The query of an address is shown nowhere; from a file or a variable, or where
a redirect led, only its host is. The account's [`http`](#http) counts here too. `check` says how much traffic it
makes."""

SHARD = """\
This exporter watches its part of the streams, at its part of every quota: [shards](scaling.md#shards). The environment
variable `STREAM_EXPORTER_SHARD=INDEX/COUNT` wins."""

STREAMS = """\
## `streams`

A list. A stream without a label that others have shows it empty; the labels `provider`, `stream`, `account`, `le`,
`quantile` and `__…` are reserved."""

CSV = """\
In CSV the first line names the columns: any keys of a stream, and `labels.NAME` for a label. Each further line is a
stream.

```csv
name,account,domain,app,inputs,labels.team,labels.tier
arena-1,tencent-main,5000.livepush.example.com,live,2,esports,gold
arena-2,tencent-main,5000.livepush.example.com,live,,esports,silver
```

An empty cell is a key that is not there. Text needs no quotes (`007`); a list such as `media` or `playback` has blanks
between its words. The encoding is UTF-8, commas separate. Errors look like
`streams.d/arena.csv:3:54: [1].inputs: is not a whole number in plain digits`.

A script that makes such a file out of an inventory moves it into place when it is whole:

```python
import csv, json, os, sys

inventory, table = sys.argv[1:]  # python streams.py inventory.json streams.d/inventory.csv
with open(inventory, encoding="utf-8") as file:
    channels = json.load(file)
with open(f"{table}.new", "w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["name", "account", "domain", "labels.team"])
    for channel in channels:
        writer.writerow([channel["id"], "tencent-main", channel["push_domain"], channel["owner"]])
os.replace(f"{table}.new", table)
```"""

EXPECTED = """\
## When streams are expected

`expected`, at the top for all streams and at each for itself, says when streams should be live: `always` (the default),
`never`, or names of `time_intervals`, one of which has to hold. `check` prints the next changes of each schedule.

```yaml
expected: office
time_intervals:               # Alertmanager's format and meaning
  - name: office
    time_intervals:           # one of these has to hold; in it, all that is given
      - weekdays: ["monday:friday"]
        times: [{start_time: "09:00", end_time: "17:00"}]  # without the end; 24:00 is the end of the day
        days_of_month: ["1:-8"]         # -1 is the month's last day
        months: ["january:june", 9]
        years: ["2026:2028"]
        location: Europe/Berlin         # default UTC; Local is the machine's own zone
maintenance:                  # meanwhile no stream that matches is expected
  - start: 2026-12-01T22:00:00Z         # RFC 3339 with an offset; the end is left out
    end: 2026-12-02T02:00:00Z
    match: {provider: tencent, team: esports}
    comment: new encoders
```

- **Time intervals** are [Alertmanager's](https://prometheus.io/docs/alerting/latest/configuration/#time_interval), but
  what is empty or never comes is an error. A span over midnight is two: to `24:00`, and from `00:00`. The wall clock of
  `location` decides; an hour that a clock change repeats counts twice.
- **`match`** needs all its labels to be equal: `provider`, `account`, `stream`, and streams' own, which are empty where
  a stream lacks them. There are no regular expressions; `match: {}` is all streams.
- **It shows** as `stream_expected`, in `/api/v1/streams` (`expected`, `expected_changes_at`, `maintenance`) and in
  `/sd` (`__meta_stream_expected`: `true`, `false`). The status page calls what is neither live nor expected **off
  air**.
- **Warnings** tell of what no stream follows, what matches none, and what is over."""

ENDPOINTS = """\
## Endpoints

`endpoint` takes the host that a vendor documents for your region or site:

- **Alibaba** ([list](https://www.alibabacloud.com/help/doc-detail/50283.htm)): `https://live.aliyuncs.com`, but
  `https://live.ap-southeast-1.aliyuncs.com` for Singapore and `https://live.eu-central-1.aliyuncs.com` for Germany.
  The vendor's SDKs differ for some regions; take the host that answers for your domain.
- **Tencent** ([list](https://www.tencentcloud.com/document/product/267/30762)): mainland site
  `https://live.tencentcloudapi.com`, international site `https://live.intl.tencentcloudapi.com`. A region's host is
  `https://live.REGION.tencentcloudapi.com`, with `ap-guangzhou`, `ap-shanghai`, `ap-nanjing`, `ap-beijing`,
  `ap-chengdu`, `ap-chongqing`, `ap-hongkong`, `ap-singapore`, `ap-jakarta`, `ap-bangkok`, `ap-seoul`, `ap-tokyo`,
  `na-ashburn`, `na-siliconvalley`, `sa-saopaulo` or `eu-frankfurt`. The key `region` is something else: it opens
  DescribeBackupStreamList (mainland site only), for `ap-bangkok`, `ap-beijing`, `ap-guangzhou`, `ap-hongkong`,
  `ap-seoul`, `ap-shanghai` and `ap-tokyo`.
- **Volcengine** ([page](https://www.volcengine.com/docs/6348/69828)): `https://rtc.volcengineapi.com`; overseas
  `https://open-ap-singapore-1.volcengineapi.com` with `region: ap-southeast-1` (an SDK says `ap-singapore-1`).
  BytePlus, the international brand, documents
  [`https://open.byteplusapi.com`](https://docs.byteplus.com/en/docs/byteplus-rtc/docs-69828), which answers as
  `ap-singapore-1`; the exporter has not been tried with it.
- **ZEGO** ([list](https://docs.zegocloud.com/article/9781)): `https://rtc-api.zego.im` finds the nearest.
  `https://rtc-api-REGION.zego.im` is in Shanghai (`sha`), Hong Kong (`hkg`), Frankfurt (`fra`), California (`lax`),
  Mumbai (`bom`) or Singapore (`sgp`)."""


def render() -> str:
    """Return the whole page."""
    providers = all_providers()
    whole = schema(providers)
    definitions, first = whole["$defs"], next(iter(providers))
    stream_fields = {**Stream.model_fields, "names": 0}
    parts = [INTRODUCTION, "## `scrape`", _list(whole["properties"]["scrape"])]
    parts += ["## `store`", STORE, _list(whole["properties"]["store"]), SHARING]
    parts += ["## `http`", HTTP, _list(_flat(definitions["http"])), PROXIES]
    parts += ["## `playback`", PLAYBACK, _list(whole["properties"]["playback"]), ADDRESSES]
    parts += [_list(definitions["playback"]["anyOf"][1]), ORIGINS]
    parts += ["## `shard`", SHARD, _list(whole["properties"]["shard"])]
    parts += ["## `accounts`", "A list. These keys are the same [for all clouds](#clouds)."]
    parts.append(_list(_only(definitions[f"{first}_account"], Account.model_fields)))
    parts += [STREAMS, _list(_only(definitions[f"{first}_stream"], stream_fields))]
    parts += ["## `stream_files`", _stream_files(whole), EXPECTED, "## Clouds"]
    for name, provider in providers.items():
        parts += [
            f"### {provider.title} (`provider: {name}`)",
            "An account has:",
            _list(_without(definitions[f"{name}_account"], Account.model_fields)),
            "A stream has:",
            _list(_without(definitions[f"{name}_stream"], stream_fields)),
            _limits(provider),
        ]
    return "\n\n".join([*parts, ENDPOINTS]) + "\n"


def _limits(provider: AnyProvider) -> str:
    """Return the documented limits of a provider's APIs, which `quota` and `quota_share` refer to."""
    limits = ", ".join(f"`{api.action}` {api.limit(_any(provider.account)):.3g}" for api in provider.apis().values())
    newer = provider.single.newer if provider.single else 0
    more = f" Newer pages allow {newer:.3g} for the first; the default keeps the lower." if newer else ""
    return f"Documented calls per second (for `quota`): {limits}.{more}"


def _any(account: Any) -> Any:
    """Return an account of which only the defaults matter, for the documented limits."""
    return account.model_construct()


def _stream_files(whole: Mapping[str, Any]) -> str:
    described = whole["properties"]["stream_files"]["description"]
    return f"A list: {described}. `**` goes into folders. A pattern that matches nothing is a warning.\n\n{CSV}"


def _flat(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the keys of the mappings in it among its own, as `outer.inner`."""
    fields: dict[str, Any] = {}
    for name, field in described["properties"].items():
        inner = {f"{name}.{each}": own for each, own in field.get("properties", {}).items()}
        fields |= inner or {name: field}
    return {**described, "properties": fields}


def _only(described: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: field for name, field in described["properties"].items() if name in fields and name != "endpoint"}
    return {**described, "properties": kept}


def _without(described: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: field for name, field in described["properties"].items() if name not in fields or name == "endpoint"}
    return {**described, "properties": kept}


def _list(described: Mapping[str, Any]) -> str:
    fields = described["properties"]
    variants = {f"{name}_{kind}" for name in fields for kind in ("file", "env") if f"{name}_env" in fields}
    required = described.get("required", [])
    return "\n".join(
        _line(name, field, name in required, f"{name}_env" in fields)
        for name, field in fields.items()
        if name not in variants
    )


def _line(name: str, field: Mapping[str, Any], required: bool, secret: bool) -> str:
    allowed = "; ".join(_allowed(field))
    kind = "" if secret or allowed else _type(field)
    facts = "; ".join(filter(None, (kind, "required" if required else _default(field), allowed)))
    mark = " \\*" if secret else ""
    return f"- `{name}`{mark}{f' ({facts})' if facts else ''}: {_meaning(field)}"


def _meaning(field: Mapping[str, Any]) -> str:
    described = str(field.get("description", ""))
    described = described.replace("default: the environment variable ", "else from ")
    return described.rpartition("; ")[0] if _type(field) == "duration" else described


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if isinstance(default, float):
        default = f"{default:g}"
    return "" if default is None else f"default `{str(default).lower() if isinstance(default, bool) else default}`"


def _inner(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field is where it is given: the first alternative; the others are null or a bare 0."""
    return field["anyOf"][0] if "anyOf" in field else field


def _type(field: Mapping[str, Any]) -> str:
    inner = _inner(field)
    if "examples" in inner:
        return "duration"
    words = {
        "string": "",
        "integer": "whole number",
        "number": "number",
        "boolean": "true, false",
        "array": "list",
        "object": "mapping",
    }
    return "word" if "enum" in inner or "const" in inner else words[inner["type"]]


def _allowed(field: Mapping[str, Any]) -> Iterator[str]:
    inner = _inner(field)
    if _type(field) == "duration":
        yield field["description"].rpartition("; ")[2]
    choices = inner.get("enum") or inner.get("items", {}).get("enum")
    if choices:
        yield ", ".join(f"`{choice}`" for choice in choices)
    numbers = inner.get("additionalProperties") or inner
    if isinstance(numbers, dict) and numbers.get("type") in ("integer", "number"):
        low, high = numbers.get("minimum"), numbers["maximum"]
        yield f"{low:,} to {high:,}" if low is not None else f"above {numbers['exclusiveMinimum']} to {high:,}"
