"""The made-up exporter says nothing that the real one could not say, and the real one what the contract says."""

from prometheus_client.parser import text_string_to_metric_families

from grafana.promql import CODES

from .contract_metrics import CLIENT, CONTRACT, METRICS
from .sample import SAMPLE, exposition

CONFIGURED = {"team", "tier"}


def test_exporter_has_the_metrics_of_the_contract() -> None:
    """Names, types and labels that people build alerts on do not change by accident."""
    assert {name: metric for name, metric in METRICS.items() if name not in CLIENT} == CONTRACT


def test_sample_is_true_to_the_exporter() -> None:
    """Every family has the exporter's type and labels, and every metric of the exporter is in the sample."""
    families = list(text_string_to_metric_families(exposition(SAMPLE.read_text(encoding="utf-8"), 0, 1e9)))
    seen = set()
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        kind, labels = METRICS[name]
        assert family.type == kind
        extra = CONFIGURED if name == "stream_info" else {"le"} if kind == "histogram" else set()
        for sample in family.samples:
            assert set(sample.labels) - extra == labels
        seen.add(name)
    assert seen == set(METRICS)


def test_sample_keeps_the_rules_of_unknown() -> None:
    """At each scrape a stream has one state of five, and stream_active exactly where the state is definite."""
    text = SAMPLE.read_text(encoding="utf-8")
    for scrape in range(60):
        families = {family.name: family for family in text_string_to_metric_families(exposition(text, scrape, 1e9))}
        states: dict[tuple[str, str], list[str]] = {}
        for sample in families["stream_state"].samples:
            stream = (sample.labels["provider"], sample.labels["stream"])
            states.setdefault(stream, []).extend([sample.labels["state"]] if sample.value else [])
        active = {(s.labels["provider"], s.labels["stream"]): s.value for s in families["stream_active"].samples}
        assert all(len(state) == 1 and state[0] in CODES for state in states.values())
        assert active == {k: float(v == ["active"]) for k, v in states.items() if v != ["unknown"]}


def test_notes_change_values() -> None:
    """The four notes do what the sample's reader is told: grow, follow the clock, repeat, and stay."""
    text = "a 1 # grows 2\nb # ago 10\nc # cycle 2: 1 -\nd # once 1: 5 6\ne 7"
    assert exposition(text, 0, 100.0) == "a 1.0\nb 90.0\nc 1\nd 5\ne 7\n"
    assert exposition(text, 3, 100.0) == "a 7.0\nb 90.0\nd 6\ne 7\n"
