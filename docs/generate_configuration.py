"""Makes docs/configuration.md out of the configuration's JSON Schema: prints the page, or writes it with `--write`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.config import schema
from exporter.model import Account, Stream
from exporter.providers import found

PAGE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
# Configuration

<!-- Written by docs/generate_configuration.py; do not edit. -->

One YAML file, by default `stream-exporter.yml`; [stream-exporter.example.yml](../stream-exporter.example.yml), which
`stream-exporter example` prints, has an account and a stream of each cloud. `stream-exporter check FILE` tells every
error at once as `file:line:column: path: message`, and `stream-exporter schema` prints a JSON Schema for editors.

- **Durations** are written as in Prometheus: `500ms`, `10s`, `2m`, `1h30m`.
- **Secrets** (marked \\*) stand in `FIELD` itself, in a file that `FIELD_file` names, or in an environment variable
  that `FIELD_env` names: one of the three. Where a credential is given in none of them, the vendor's own environment
  variable is used; a token of the environment only goes with keys of the environment. One newline at the end of a
  file does not count. No error, log or page ever shows a secret.
- **Paths** (`FIELD_file`, `stream_files`) are relative to the directory of the configuration. Secrets' files and stream
  files are read again on each reload.
- **Reading is strict**: unknown or duplicate keys, wrong types, values out of range, anchors, aliases, merges, tags, a
  second document, more than 64 levels or 16 MiB are errors. Text that looks like a number, a date's part or a truth
  value to YAML (`007`, `1:30`, `no`) needs quotes. Numbers are written in plain decimal digits: `0123`, `20:30`,
  `0x1F`, `1_000` and `1e3`, which YAML may read as others, are errors.
- With any error, `serve` does not start, and a reload keeps the configuration that was there."""

STREAMS = """\
## `streams`

A list; the files of `stream_files` hold more such lists. Which keys an entry has depends on its account's provider.
`names: [a, b, c]` instead of `name` is the short form for streams that are alike in all else. Names are unique per
provider. Label names may not be `provider`, `stream`, `account`, `le` or `quantile`, nor begin with `__`; streams that
lack a label which others have show it empty."""

STREAM_FILES = """\
Files are read in the order of their names; `**` goes into folders. A pattern that matches nothing is a warning.

In CSV the first line names the columns: any keys of a stream, and `labels.NAME` for a label. Each further line is one
stream.

```csv
name,account,domain,app,inputs,labels.team,labels.tier
arena-1,tencent-main,5000.livepush.example.com,live,2,esports,gold
arena-2,tencent-main,5000.livepush.example.com,live,,esports,silver
```

An empty cell is a key that is not there; columns that only other clouds have stay empty. Everything is text where text
is expected, `007` too. A list such as `media` has blanks between its words. Cells with commas, quotes or line breaks
stand in double quotes, and a quote within is doubled. Separators are commas, the encoding is UTF-8, with or without a
byte order mark. Errors are told as in YAML, such as
`streams.d/arena.csv:3:54: [1].inputs: is not a whole number in plain digits`.

A script that turns an inventory into such a file writes it beside the old one and moves it into place, so that the
exporter never reads half of it. The exporter notices the change by itself; a file with errors changes nothing.

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

HEADER = "| key | type | default | allowed | meaning |\n|---|---|---|---|---|"


def render() -> str:
    """The whole page."""
    providers = found()
    whole = schema(providers)
    parts = [INTRODUCTION, "## `scrape`", _table(whole["properties"]["scrape"])]
    parts += ["## `accounts`", "A list; these keys are common to all providers, and names are unique over all of them."]
    common = whole["$defs"][f"{next(iter(providers))}_account"]
    parts.append(_table(_only(common, Account.model_fields)))
    for name, provider in providers.items():
        described = whole["$defs"][f"{name}_account"]
        parts += [f"### {provider.title} (`provider: {name}`)", _table(_without(described, Account.model_fields))]
        limits = ", ".join(
            f"`{api.action}` {api.limit(_any(provider.account)):.3g}" for api in provider.apis().values()
        )
        newer = provider.single.newer if provider.single else 0
        more = (
            f" Newer documentation allows {newer:.3g} for the first; the default stays with the older." if newer else ""
        )
        parts.append(f"Actions for `quota`, with the documented limit in calls per second: {limits}.{more}")
    parts += [
        STREAMS,
        _table(_only(whole["$defs"][f"{next(iter(providers))}_stream"], {**Stream.model_fields, "names": 0})),
    ]
    for name, provider in providers.items():
        described = _without(whole["$defs"][f"{name}_stream"], {**Stream.model_fields, "names": 0})
        parts += [f"### {provider.title} (account with `provider: {name}`)", _table(described)]
    parts += ["## `stream_files`", _stream_files(whole)]
    return "\n\n".join(parts) + "\n"


def _any(account: Any) -> Any:
    """An account of which only the defaults matter, for the documented limits."""
    return account.model_construct()


def _stream_files(whole: Mapping[str, Any]) -> str:
    described = whole["properties"]["stream_files"]["description"]
    return f"A list: {described}.\n{STREAM_FILES}"


def _only(described: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: field for name, field in described["properties"].items() if name in fields and name != "endpoint"}
    return {**described, "properties": kept}


def _without(described: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: field for name, field in described["properties"].items() if name not in fields or name == "endpoint"}
    return {**described, "properties": kept}


def _table(described: Mapping[str, Any]) -> str:
    fields = described["properties"]
    variants = {f"{name}_{kind}" for name in fields for kind in ("file", "env") if f"{name}_env" in fields}
    rows = [
        _row(name, field, name in described.get("required", []), f"{name}_env" in fields)
        for name, field in fields.items()
        if name not in variants
    ]
    return "\n".join([HEADER, *rows])


def _row(name: str, field: Mapping[str, Any], required: bool, secret: bool) -> str:
    default = "required" if required else _default(field)
    allowed = "; ".join(_allowed(field))
    mark = " \\*" if secret else ""
    return f"| `{name}`{mark} | {_type(field)} | {default} | {allowed} | {_meaning(field)} |"


def _meaning(field: Mapping[str, Any]) -> str:
    described = str(field.get("description", ""))
    return described.rpartition("; ")[0] if _type(field) == "duration" else described


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _inner(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a field is where it is given: the first of alternatives, the others being null or a bare 0."""
    return field["anyOf"][0] if "anyOf" in field else field


def _type(field: Mapping[str, Any]) -> str:
    inner = _inner(field)
    if "examples" in inner:
        return "duration"
    words = {
        "string": "text",
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


def main(write: bool) -> int:
    """Writes the page to its place, or prints it."""
    if write:
        PAGE.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
