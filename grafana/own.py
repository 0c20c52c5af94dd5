"""The panels about the exporter's own process."""

from grafana import look
from grafana.look import Column, curves, number, rows, words
from grafana.promql import JOB

OF_EXPORTERS = "and on (cluster, job, instance) stream_exporter_build_info"


PANELS: list[look.Panel] = [
    number(
        "Configuration",
        "Whether the last reload of the configuration succeeded. If not, the one before it is still in force.",
        {"reload": f"min(stream_exporter_config_last_reload_successful{{{JOB}}})"},
        unit="none",
        mappings=words({1: ("loaded", look.GREEN), 0: ("last reload failed", look.RED)}),
    ),
    number(
        "Configuration loaded",
        "How long ago the configuration in force was loaded.",
        {"age": f"time() - max(stream_exporter_config_last_reload_success_timestamp_seconds{{{JOB}}})"},
        unit="dtdurations",
    ),
    number(
        "Log lines lost",
        "Lines of the log in the last hour that were dropped because nobody reads it.",
        {"lines": f"sum(increase(stream_exporter_log_lines_dropped_total{{{JOB}}}[1h]))"},
        unit="none",
        steps=[(1, look.RED)],
        decimals=0,
    ),
    rows(
        "Exporters",
        "The exporters that are seen, with version, Python and time since start.",
        {
            "Build": f"max by (instance, version, python) (stream_exporter_build_info{{{JOB}}})",
            "Running for": f"time() - max by (instance) (process_start_time_seconds{{{JOB}}} "
            f"and on (instance) stream_exporter_build_info{{{JOB}}})",
        },
        [Column("Running for", unit="dtdurations")],
        size=(12, 4),
        empty="No exporter is seen",
        hidden=["Value #A"],
    ),
    curves(
        "Memory",
        "Memory of the exporter's process.",
        {"{{instance}}": f"process_resident_memory_bytes{{{JOB}}} {OF_EXPORTERS}"},
        unit="bytes",
        size=(8, 6),
    ),
    curves(
        "Processor time",
        "Processor time of the exporter's process per second; 100 % is one core.",
        {"{{instance}}": f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]) {OF_EXPORTERS}"},
        unit="percentunit",
        size=(8, 6),
    ),
    curves(
        "Replicas",
        "Exporters that share the store: 0 while it does not answer, 1 without one.",
        {
            "{{instance}}": " or ".join(
                f"max by (instance) (stream_exporter_{what}{{{JOB}}})"
                for what in ("replicas", "store_up", "build_info")
            )
        },
        unit="none",
        size=(8, 6),
    ),
]
