"""The configuration as JSON Schema 2020-12, for editors; `load` also checks how names refer to each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from typing import Any

from exporter.config.http import PROXY_KEYS, PROXY_URL, TLS_CONFIG, HttpShape, TlsShape
from exporter.config.playback import MOST_ADDRESSES, SECRETS, SIGNERS, SIGNING, AddressShape, PlaybackShape
from exporter.config.secret_values import secret_fields
from exporter.config.shards import ShardShape
from exporter.config.store import URL, URL_KEYS, StoreShape
from exporter.config.streams import TAKEN_LABELS
from exporter.config.time_shapes import ExpectedShape, NamedShape, WindowShape
from exporter.config.values import ScrapeShape
from exporter.fields import Shape, format_duration, is_duration
from exporter.providers.interface import AnyProvider

Json = dict[str, Any]

_HTTP = r"^[hH][tT][tT][pP][sS]?://[^\s\\#]+$"

STREAM_FILES = (
    "patterns of further files, relative to this one, each a list of streams: YAML, or CSV where the name ends in .csv"
)

STORE = (
    "Redis 6 or later, or Valkey: redis://HOST:PORT/DATABASE, rediss:// for TLS, unix://PATH; USER:PASSWORD@ stands "
    "before the host"
)
ADDRESS = (
    "its URL, which is a secret if its query holds a token; `{stream}` in path or query stands for the stream's name"
)
SIGNED = "key that signs each check anew, with %s; the URL is written unsigned"
PROXY = "proxy for all requests, such as http://proxy.example:3128, or https://…; USER:PASSWORD@ stands before the host"


def schema(providers: Mapping[str, AnyProvider]) -> Json:
    """Return the JSON Schema of the main file; `$defs/stream_file` is that of a file of `stream_files`."""
    definitions: Json = {
        "account": {
            "type": "object",
            "properties": {"provider": {"enum": list(providers)}},
            "required": ["name", "provider"],
            "allOf": [
                {
                    "if": {"properties": {"provider": {"const": name}}, "required": ["provider"]},
                    "then": {"$ref": f"#/$defs/{name}_account"},
                }
                for name in providers
            ],
        },
        "stream": {"anyOf": [{"$ref": f"#/$defs/{name}_stream"} for name in providers]},
        "stream_file": {"type": "array", "items": {"$ref": "#/$defs/stream"}},
        "http": _http(),
        "playback": {"anyOf": [{"type": "string", "pattern": _HTTP}, _address()]},
    }
    for name, provider in providers.items():
        definitions[f"{name}_account"] = _account(provider)
        definitions[f"{name}_stream"] = _stream(provider)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stream-exporter configuration",
        "type": "object",
        "properties": {
            "scrape": _fields(ScrapeShape),
            "store": _store(),
            "http": {"$ref": "#/$defs/http"},
            "playback": _fields(PlaybackShape),
            "shard": _fields(ShardShape),
            "accounts": _list({"$ref": "#/$defs/account"}, "who asks", minItems=1),
            "streams": _list({"$ref": "#/$defs/stream"}, "what is watched", default=[]),
            "stream_files": _list({"type": "string"}, STREAM_FILES, default=[]),
            **_fields(ExpectedShape)["properties"],
            "time_intervals": _list(_nested(NamedShape), "when `expected` streams should be live", default=[]),
            "maintenance": _list(_nested(WindowShape), "meanwhile no stream that matches is expected", default=[]),
        },
        "required": ["accounts"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _nested(shape: type[Shape]) -> Json:
    """Return the schema of a shape with the shapes in it, written out."""
    described = _fields(shape)
    inner = {f"#/$defs/{name}": each for name, each in described.pop("$defs", {}).items()}

    def written_out(value: Any) -> Any:
        if isinstance(value, dict):
            whole = inner.get(value.get("$ref", ""), value)
            return {key: written_out(each) for key, each in whole.items() if key != "title" or isinstance(each, dict)}
        return [written_out(each) for each in value] if isinstance(value, list) else value

    found: Json = written_out(described)
    if "match" in found["properties"]:
        found["properties"]["match"] = _labels(found["properties"]["match"], ())
    return found


def _list(items: Json, description: str, **more: Any) -> Json:
    return {"type": "array", **more, "items": items, "description": description}


def _fields(shape: type[Shape]) -> Json:
    """Return the schema of a shape, with durations as they are written and without titles made of names."""
    found = shape.model_json_schema()
    found.pop("title", None)
    for name, described in found["properties"].items():
        described.pop("title", None)
        if is_duration(shape.model_fields[name].metadata):
            found["properties"][name] = _duration(described, shape.model_fields[name].metadata)
        elif described.get("default", "") is None:
            described.pop("default")
    return found


def _duration(described: Json, metadata: Iterable[Any]) -> Json:
    low, high = (next(getattr(each, name) for each in metadata if hasattr(each, name)) for name in ("ge", "le"))
    described["description"] += f"; {format_duration(low)} to {format_duration(high)}"
    described["default"] = format_duration(described["default"])
    if low > 0:
        return described
    # A bare 0 needs no unit.
    outer = {key: described.pop(key) for key in ("description", "default")}
    return {"anyOf": [described, {"const": 0}], **outer}


def _account(provider: AnyProvider) -> Json:
    found = _fields(provider.account)
    secrets = secret_fields(provider.account)
    fields: Json = {}
    for name, described in found["properties"].items():
        fields |= _secret(provider, name) if name in secrets else {name: described}
    fields["provider"] = {"const": provider.name, "description": fields["provider"]["description"]}
    fields["http"]["$ref"] = "#/$defs/http"
    fields["quota"]["propertyNames"] = {"enum": list(provider.apis())}
    pairs = (pair for field in secrets for pair in combinations((field, f"{field}_file", f"{field}_env"), 2))
    return {**found, "properties": fields, "allOf": [{"not": {"required": list(pair)}} for pair in pairs]}


def _http() -> Json:
    found = _fields(HttpShape)
    tls = _fields(TlsShape)
    fields = {**found["properties"], **_three_keys(PROXY_URL, PROXY), TLS_CONFIG: tls}
    pairs = [{"not": {"required": list(pair)}} for pair in combinations(PROXY_KEYS, 2)]
    by_environment = {"properties": {"proxy_from_environment": {"const": True}}, "required": ["proxy_from_environment"]}
    alone = {"if": by_environment, "then": {"properties": dict.fromkeys(PROXY_KEYS, False)}}
    needed = {"if": {"required": ["no_proxy"]}, "then": {"anyOf": [{"required": [key]} for key in PROXY_KEYS]}}
    return {**found, "properties": fields, "allOf": [*pairs, alone, needed]}


def _store() -> Json:
    found = _fields(StoreShape)
    found["properties"] = {**_three_keys(URL, STORE), "replicas": found["properties"]["replicas"]}
    return {**found, "oneOf": [{"required": [key]} for key in URL_KEYS]}


def _address() -> Json:
    """Describe an address that viewers use, where it is more than its URL."""
    found = _fields(AddressShape)
    fields = {name: described for name, described in found["properties"].items() if name not in SECRETS}
    fields["interval"].pop("default")
    urls = _three_keys(URL, ADDRESS)
    urls[URL]["pattern"] = _HTTP
    keys = {
        field: _three_keys(field, SIGNED % " and ".join(SIGNERS[signer].parameters))
        for field, signer in SIGNING.items()
    }
    either = [key for three in keys.values() for key in three]
    pairs = [{"not": {"required": list(pair)}} for pair in combinations(either, 2)]
    properties = {**urls, **fields, **{key: each for three in keys.values() for key, each in three.items()}}
    return {**found, "properties": properties, "oneOf": [{"required": [key]} for key in URL_KEYS], "allOf": pairs}


def _secret(provider: AnyProvider, field: str) -> Json:
    """Describe a secret's three keys: what it is for, and where it comes from if none is given."""
    about = "secret of the provider's stream callbacks; opens /callbacks/NAME for this account"
    if field in provider.credentials:
        about = ("key id", "key to sign with", "token of temporary credentials")[provider.credentials.index(field)]
        if variables := provider.environment.get(field, ()):
            about += f"; default: the environment variable {' or '.join(variables)}"
    return _three_keys(field, about)


def _three_keys(field: str, about: str) -> Json:
    text = {"type": "string", "minLength": 1}
    return {
        field: {**text, "description": about},
        f"{field}_file": {**text, "description": f"file that holds {field}"},
        f"{field}_env": {**text, "description": f"environment variable that holds {field}"},
    }


def _stream(provider: AnyProvider) -> Json:
    found = _fields(provider.stream)
    fields = found["properties"]
    fields["playback"] = _list({"$ref": "#/$defs/playback"}, fields["playback"]["description"], maxItems=MOST_ADDRESSES)
    fields["labels"] = _labels(fields["labels"], [{"enum": sorted(TAKEN_LABELS)}, {"pattern": "^__"}])
    item = {key: value for key, value in fields["name"].items() if key != "description"}
    names = _list(item, "short form: one stream for each name, alike in all else", minItems=1, uniqueItems=True)
    return {
        **found,
        "properties": {"name": fields.pop("name"), "names": names, **fields},
        "required": [name for name in found["required"] if name != "name"],
        "oneOf": [{"required": ["name"]}, {"required": ["names"]}],
    }


def _labels(described: Json, taken: Collection[Json]) -> Json:
    """Say it by the names that are allowed: pydantic's patternProperties would let all other names pass."""
    ((pattern, value),) = described["patternProperties"].items()
    names = {**described["propertyNames"], "pattern": pattern, **({"not": {"anyOf": list(taken)}} if taken else {})}
    return {
        "type": "object",
        "description": described["description"],
        "propertyNames": names,
        "additionalProperties": value,
    }
