"""The metrics that dashboards may use: the exporter's own table, and the contract's copy of it to hold it to."""

from __future__ import annotations

from exporter.exposition import FAMILIES
from exporter.rules.building import GROUPS
from exporter.rules.model import Record

P = frozenset({"provider", "stream"})
A = frozenset({"provider", "account"})
NONE: frozenset[str] = frozenset()

Metrics = dict[str, tuple[str, frozenset[str]]]

# Written down by hand from the documentation of the public face: a renamed metric or label has to be renamed here too.
CONTRACT: Metrics = {
    "stream_active": ("gauge", P),
    "stream_state": ("gauge", P | {"state"}),
    "stream_probe_success": ("gauge", P),
    "stream_last_success_timestamp_seconds": ("gauge", P),
    "stream_state_changes_total": ("counter", P),
    "stream_info": ("gauge", P | {"account"}),  # and the labels of the configuration
    "stream_expected": ("gauge", P),
    "stream_media_active": ("gauge", P | {"media"}),
    "stream_media_expected": ("gauge", P | {"media"}),
    "stream_inputs": ("gauge", P),
    "stream_inputs_expected": ("gauge", P),
    "stream_primary_input_info": ("gauge", P | {"domain", "app", "source"}),
    "stream_start_timestamp_seconds": ("gauge", P),
    "stream_ingest_info": ("gauge", P | {"type"}),
    "stream_ingest_bits_per_second": ("gauge", P | {"media"}),
    "stream_ingest_frames_per_second": ("gauge", P),
    "stream_ingest_width_pixels": ("gauge", P),
    "stream_ingest_height_pixels": ("gauge", P),
    "stream_ingest_stalled": ("gauge", P),
    "stream_probe_errors_total": ("counter", A | {"code", "reason"}),
    "stream_provider_responses_total": ("counter", A | {"action", "code"}),
    "stream_provider_request_duration_seconds": ("histogram", A | {"action"}),
    "stream_provider_up": ("gauge", A),
    "stream_provider_quota_per_second": ("gauge", A | {"action"}),
    "stream_provider_clock_skew_seconds": ("gauge", A),
    "stream_provider_breaker_open": ("gauge", A),
    "stream_streams": ("gauge", A),
    "stream_provider_listed_streams": ("gauge", A | {"scope"}),
    "stream_round_duration_seconds": ("gauge", A),
    "stream_round_unprobed": ("gauge", A | {"why"}),
    "stream_callbacks_total": ("counter", A | {"event", "outcome"}),
    "stream_last_callback_timestamp_seconds": ("gauge", P),
    "stream_pushes_ended_total": ("counter", P | {"reason"}),
    "stream_playback_up": ("gauge", P | {"playback"}),
    "stream_playback_segment_age_seconds": ("gauge", P | {"playback"}),
    "stream_playback_first_byte_seconds": ("gauge", P | {"playback"}),
    "stream_playback_errors_total": ("counter", P | {"playback", "reason"}),
    "stream_playback_bytes_total": ("counter", A),
    "stream_hop_disagreement": ("gauge", P),
    "stream_exporter_build_info": ("gauge", frozenset({"version", "python"})),
    "stream_exporter_config_last_reload_successful": ("gauge", NONE),
    "stream_exporter_config_last_reload_success_timestamp_seconds": ("gauge", NONE),
    "stream_exporter_log_lines_dropped_total": ("counter", NONE),
    "stream_exporter_replicas": ("gauge", NONE),
    "stream_exporter_store_up": ("gauge", NONE),
}

# Those of prometheus-client that the dashboards use.
CLIENT: Metrics = {
    "process_cpu_seconds_total": ("counter", NONE),
    "process_resident_memory_bytes": ("gauge", NONE),
    "process_start_time_seconds": ("gauge", NONE),
}

METRICS: Metrics = {family.name: (family.kind, frozenset(family.labels)) for family in FAMILIES} | CLIENT

# What Prometheus itself makes of them: alerts, and what the shipped rules record.
ALERTS = P | A | {"alertname", "alertstate", "media", "playback"}
RECORDS: Metrics = {rule.name: ("gauge", P | A) for group in GROUPS for rule in group.rules if isinstance(rule, Record)}
MADE: Metrics = {"ALERTS": ("gauge", ALERTS), "ALERTS_FOR_STATE": ("gauge", ALERTS), **RECORDS}


def samples(metrics: Metrics = METRICS) -> dict[str, frozenset[str]]:
    """Return the names of all samples with their labels: a histogram has three kinds of them."""
    found: dict[str, frozenset[str]] = {}
    for name, (kind, labels) in metrics.items():
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    return found
