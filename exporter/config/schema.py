"""The configuration as JSON Schema 2020-12, for editors; `load` also checks how names refer to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.config.loading import ScrapeShape
from exporter.config.secret_values import secret_fields
from exporter.config.streams import TAKEN_LABELS
from exporter.fields import Shape, format_duration, is_duration
from exporter.providers.interface import AnyProvider

Json = dict[str, Any]


def schema(providers: Mapping[str, AnyProvider]) -> Json:
    """Return the JSON Schema of the main file; `$defs/stream_file` is that of a file of `stream_files`."""
    definitions: Json = {
        "account": _account(providers),
        "stream": {"anyOf": [{"$ref": f"#/$defs/{name}_stream"} for name in providers]},
        "stream_file": {"type": "array", "items": {"$ref": "#/$defs/stream"}},
    }
    for name, provider in providers.items():
        definitions[f"{name}_account"] = _provider_account(provider)
        definitions[f"{name}_stream"] = _provider_stream(provider)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stream-exporter configuration",
        "type": "object",
        "properties": {
            "scrape": _fields(ScrapeShape),
            "accounts": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/account"},
                "description": "who asks",
            },
            "streams": {
                "type": "array",
                "default": [],
                "items": {"$ref": "#/$defs/stream"},
                "description": "what is watched",
            },
            "stream_files": {
                "type": "array",
                "default": [],
                "items": {"type": "string"},
                "description": "patterns of further files, relative to this one, each a list of streams",
            },
        },
        "required": ["accounts"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _fields(shape: type[Shape]) -> Json:
    """Return the schema of a shape, with durations as they are written and without titles made of names."""
    found = shape.model_json_schema()
    found.pop("title", None)
    for name, described in found["properties"].items():
        described.pop("title", None)
        if is_duration(shape.model_fields[name].metadata):
            found["properties"][name] = _duration(described, shape, name)
        elif described.get("default", "") is None:
            described.pop("default")
    return found


def bounds(shape: type[Shape], name: str) -> dict[str, float]:
    """Return the bounds of a field by their kind: ge, gt, le, lt, as far as there are."""
    found: dict[str, float] = {}
    for each in shape.model_fields[name].metadata:
        found |= {
            kind: getattr(each, kind) for kind in ("ge", "gt", "le", "lt") if getattr(each, kind, None) is not None
        }
    return found


def _duration(described: Json, shape: type[Shape], name: str) -> Json:
    limits = bounds(shape, name)
    low, high = format_duration(limits["ge"]), format_duration(limits["le"])
    described["description"] += f"; {low} to {high}"
    described["default"] = format_duration(described["default"])
    if limits["ge"] > 0:
        return described
    # A bare 0 needs no unit.
    outer = {key: described.pop(key) for key in ("description", "default")}
    return {"anyOf": [described, {"const": 0}], **outer}


def _account(providers: Mapping[str, AnyProvider]) -> Json:
    return {
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
    }


def _provider_account(provider: AnyProvider) -> Json:
    found = _fields(provider.account)
    fields = found["properties"]
    fields["provider"] = {"const": provider.name, "description": fields["provider"]["description"]}
    fields["quota"]["propertyNames"] = {"enum": list(provider.apis())}
    exclusive = []
    for field in secret_fields(provider.account):
        place = list(fields).index(field)
        entries = list(fields.items())
        entries[place : place + 1] = _secret(provider, field)
        fields = dict(entries)
        exclusive += [{"not": {"required": pair}} for pair in _pairs(field)]
    return {**found, "properties": fields, "allOf": exclusive}


def about_secret(provider: AnyProvider, field: str) -> str:
    """Say what a secret field is for, and where it is taken from where it is not given."""
    if field in provider.credentials:
        role = ("key id", "key to sign with", "token of temporary credentials")[provider.credentials.index(field)]
        variables = " or ".join(provider.environment.get(field, ()))
        return role + (f"; default: the environment variable {variables}" if variables else "")
    return "secret of the provider's stream callbacks; opens /callbacks/NAME for this account"


def _secret(provider: AnyProvider, field: str) -> list[tuple[str, Json]]:
    text = {"type": "string", "minLength": 1}
    return [
        (field, {**text, "description": about_secret(provider, field)}),
        (f"{field}_file", {**text, "description": f"file that holds {field}"}),
        (f"{field}_env", {**text, "description": f"environment variable that holds {field}"}),
    ]


def _pairs(field: str) -> list[list[str]]:
    plain, file, env = field, f"{field}_file", f"{field}_env"
    return [[plain, file], [plain, env], [file, env]]


def _provider_stream(provider: AnyProvider) -> Json:
    found = _fields(provider.stream)
    fields = found["properties"]
    fields["labels"] = _labels(fields["labels"])
    names = {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {key: value for key, value in fields["name"].items() if key != "description"},
        "description": "short form: one stream for each name, alike in all else",
    }
    required = [name for name in found["required"] if name != "name"]
    return {
        **found,
        "properties": {"name": fields.pop("name"), "names": names, **fields},
        "required": required,
        "oneOf": [{"required": ["name"]}, {"required": ["names"]}],
    }


def _labels(described: Json) -> Json:
    """Say it by the names that are allowed: pydantic's patternProperties would let all other names pass."""
    ((pattern, value),) = described["patternProperties"].items()
    names = {
        **described["propertyNames"],
        "pattern": pattern,
        "not": {"anyOf": [{"enum": sorted(TAKEN_LABELS)}, {"pattern": "^__"}]},
    }
    return {
        "type": "object",
        "description": described["description"],
        "propertyNames": names,
        "additionalProperties": value,
    }
