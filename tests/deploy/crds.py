"""Schemas of the custom resources that the chart renders, and how they were made from their authors' files.

`python -m tests.deploy.crds FILE ...` reads CustomResourceDefinitions and writes `schemas/KIND-VERSION.json`: without
descriptions, and closed, so that a field that the API server would silently drop is an error here.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

KINDS = (
    "AlertmanagerConfig", "HTTPRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor", "VerticalPodAutoscaler",
)  # fmt: skip
SCHEMAS = Path(__file__).parent / "schemas"
KEPT = {
    "type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "anyOf", "allOf", "oneOf", "not", "nullable",
}  # fmt: skip


class Loader(yaml.SafeLoader):
    """Reads the text `=`, an operator of matchers, as text: YAML 1.1 has a meaning for it that nobody uses."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a structural schema as plain JSON Schema that refuses unknown fields."""
    kept = {key: value for key, value in schema.items() if key in KEPT}
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
        kept.pop("anyOf", None)
    if "items" in schema:
        kept["items"] = closed(schema["items"])
    if "properties" in schema:
        kept["properties"] = {name: closed(field) for name, field in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = closed(schema["additionalProperties"])
    return kept


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return what is wrong with a custom resource, by the definition of its authors."""
    schema = read(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])
    found = [*Draft7Validator(schema).iter_errors(manifest)]
    # The definition leaves nested routes open: the operator reads them as routes.
    if manifest["kind"] == "AlertmanagerConfig":
        route = schema["properties"]["spec"]["properties"]["route"]
        for inner in manifest["spec"].get("route", {}).get("routes", []):
            found += Draft7Validator(route).iter_errors(inner)
    return [f"{error.json_path}: {error.message}" for error in found]


@cache
def read(kind: str, version: str) -> dict[str, Any]:
    """Return the schema of a kind."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{kind}-{version}.json").read_text(encoding="utf-8"))
    return found


def main(paths: list[str]) -> None:
    """Write the schema of the stored version of these definitions."""
    for path in paths:
        for definition in yaml.load_all(Path(path).read_text(encoding="utf-8"), Loader):
            spec = definition["spec"]
            if spec["names"]["kind"] not in KINDS:
                continue
            for version in (version for version in spec["versions"] if version["storage"]):
                schema = closed(version["schema"]["openAPIV3Schema"])
                # The definition leaves metadata to Kubernetes.
                schema["properties"]["metadata"] = {"type": "object"}
                file = SCHEMAS / f"{spec['names']['kind']}-{version['name']}.json"
                file.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
