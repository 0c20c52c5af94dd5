"""Makes what the Helm chart says: the table of its values, and the inhibitions as values of Alertmanager's chart."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "stream-exporter"
README = CHART / "README.md"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
BEGIN, END = "<!-- Written by python -m docs.generate from values.yaml -->\n", "<!-- End -->\n"
SHORT = 40
EXAMPLE = """\
# Written by python -m docs.generate: the inhibitions of deploy/alertmanager/alertmanager.yml as values of
# kube-prometheus-stack. Helm replaces lists as a whole: add the rules that you have already.
"""


class Value(NamedTuple):
    """One value of the chart: its dotted name, its default, and what it is for."""

    name: str
    default: Any
    purpose: str


def purposes(text: str) -> dict[str, str]:
    """Return what the comments `##` of values.yaml say, by the dotted name of the key below them.

    A key without one means what the same key meant in a group before.
    """
    found: dict[str, str] = {}
    known: dict[str, str] = {}
    path: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        if comment := re.fullmatch(r" *## (.*)", line):
            said.append(comment[1])
        elif key := re.match(r"( *)([a-zA-Z]+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            purpose = found[".".join(path)] = " ".join(said) or known.get(key[2], "")
            if purpose:
                known.setdefault(key[2], purpose)
            said = []
        else:
            said = []
    return found


def values(schema: dict[str, Any], defaults: dict[str, Any], said: dict[str, str], before: str = "") -> Iterator[Value]:
    """Yield the values of the chart in order; a map whose keys the chart does not know itself is one value."""
    for key, default in defaults.items():
        name = f"{before}{key}"
        inner = resolve(schema, schema_of(schema, name))
        group = isinstance(default, dict) and "properties" in inner and not said.get(name)
        if group:
            yield from values(schema, default, said, f"{name}.")
        else:
            yield Value(name, default, said.get(name, ""))


def resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the schema, or the definition that it refers to."""
    reference = part.get("$ref")
    found: dict[str, Any] = schema["definitions"][reference.rpartition("/")[2]] if reference else part
    return found


def schema_of(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the schema says of a value."""
    part = schema
    for key in name.split("."):
        part = resolve(schema, part)["properties"][key]
    return part


def chart_values() -> list[Value]:
    """Return every value of the chart."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return list(values(schema, yaml.safe_load(text), purposes(text)))


def row(value: Value) -> str:
    """Return one row of the table."""
    default = value.default if isinstance(value.default, str) else json.dumps(value.default)
    shown = {"": "", "{}": "", "[]": "", "null": ""}.get(default, f"`{default}`")
    return f"| `{value.name}` | {shown if len(shown) <= SHORT else 'see `values.yaml`'} | {value.purpose} |\n"


def readme() -> str:
    """Return the chart's README with its table of values renewed."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = "".join(["| value | default | |\n|---|---|---|\n", *map(row, chart_values())])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def example() -> str:
    """Return the shipped inhibitions as values of the chart that many run Alertmanager with."""
    text = ALERTMANAGER.read_text(encoding="utf-8")
    [inhibitions] = re.findall(r"^inhibit_rules:\n(?:(?: .*)?\n)*", text, flags=re.MULTILINE)
    return EXAMPLE + "alertmanager:\n  config:\n" + indent(inhibitions.rstrip() + "\n", "    ")


def generated() -> dict[Path, str]:
    """Return the generated files of the chart, apart from its copies of rules and dashboards."""
    return {
        README: readme(),
        CHART / "files" / "alertmanager.yml": ALERTMANAGER.read_text(encoding="utf-8"),
        CHART / "examples" / "alertmanager-values.yaml": example(),
    }
