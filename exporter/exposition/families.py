"""The table of all metrics, from which docs/metrics.md is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from exporter.providers import sources_of

P: Final = ("provider", "stream")
A: Final = ("provider", "account")
GAUGE: Final = "gauge"
COUNTER: Final = "counter"
HISTOGRAM: Final = "histogram"


Names = frozenset[str] | None
"""Names of families, or of samples of theirs, that a client asks for; None for all."""

SUFFIXES: Final = ("", "_total", "_bucket", "_count", "_sum", "_created")


def is_asked(name: str, names: Names) -> bool:
    """Whether a family is among those asked for; counters go by their name with `_total` or without."""
    base = name.removesuffix("_total")
    return names is None or not names.isdisjoint(base + suffix for suffix in SUFFIXES)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str

    def head(self, openmetrics: bool) -> str:
        """Return the HELP and TYPE lines."""
        name = self.name.removesuffix("_total") if openmetrics and self.kind == COUNTER else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n"


# fmt: off
STREAM_FAMILIES: Final = (
    Family("stream_active", GAUGE, P,
           f"1 live, 0 definitely not live; absent while nobody knows ({sources_of('stream_state')}, or a list of "
           "streams online)."),
    Family("stream_state", GAUGE, (*P, "state"),
           f"1 for the state of the stream, 0 for the other four ({sources_of('stream_state')})."),
    Family("stream_probe_success", GAUGE, P,
           "1 if the last finished attempt got a definite answer from the provider's API, else 0."),
    Family("stream_last_success_timestamp_seconds", GAUGE, P,
           "When the last definite answer of the provider's API came, in Unix time."),
    Family("stream_state_changes_total", COUNTER, P,
           "Changes between definite states that the provider's API told since the exporter started."),
    Family("stream_info", GAUGE, (*P, "account"), "1 for each watched stream, with its configured labels."),
    Family("stream_expected", GAUGE, P,
           "1 while the stream should be live, by its schedule and maintenance in the configuration, else 0."),
    Family("stream_media_active", GAUGE, (*P, "media"),
           f"1 for each media type being published ({sources_of('stream_media_active')})."),
    Family("stream_media_expected", GAUGE, (*P, "media"), "1 for each media type that the configuration expects."),
    Family("stream_inputs", GAUGE, P, f"Inputs being pushed ({sources_of('stream_inputs')})."),
    Family("stream_inputs_expected", GAUGE, P, "Inputs that the configuration expects."),
    Family("stream_primary_input_info", GAUGE, (*P, "domain", "app", "source"),
           f"1 for the input that serves as master ({sources_of('stream_primary_input_info')})."),
    Family("stream_start_timestamp_seconds", GAUGE, P,
           f"When the present push began, in Unix time ({sources_of('stream_start_timestamp_seconds')})."),
    Family("stream_ingest_info", GAUGE, (*P, "type"),
           f"1 for the way the stream comes in, push or pull ({sources_of('stream_ingest_info')})."),
    Family("stream_ingest_bits_per_second", GAUGE, (*P, "media"),
           "Bits of video, of audio or of all media that arrive from a live stream in a second "
           f"({sources_of('stream_ingest_bits_per_second')})."),
    Family("stream_ingest_frames_per_second", GAUGE, P,
           "Frames of video that arrive from a live stream in a second "
           f"({sources_of('stream_ingest_frames_per_second')})."),
    Family("stream_ingest_width_pixels", GAUGE, P,
           f"Width of a live stream's picture ({sources_of('stream_ingest_width_pixels')})."),
    Family("stream_ingest_height_pixels", GAUGE, P,
           f"Height of a live stream's picture ({sources_of('stream_ingest_height_pixels')})."),
    Family("stream_ingest_stalled", GAUGE, P,
           f"1 live, but nothing arrives, 0 it moves ({sources_of('stream_ingest_stalled')})."),
    Family("stream_playback_up", GAUGE, (*P, "playback"),
           "1 viewers get fresh media at the address (HLS or HTTP-FLV), 0 they definitely do not; absent while nobody "
           "knows."),
    Family("stream_playback_segment_age_seconds", GAUGE, (*P, "playback"),
           "Age of the newest media at the address when it was last checked."),
    Family("stream_playback_first_byte_seconds", GAUGE, (*P, "playback"),
           "How long the first byte of the newest media took when the address was last checked."),
    Family("stream_hop_disagreement", GAUGE, P,
           "1 while the cloud says active and viewers get nothing, or providers disagree about streams with the same "
           "label group, else 0; absent while nobody knows."),
)

PLAYBACK_FAMILIES: Final = (
    Family("stream_playback_errors_total", COUNTER, (*P, "playback", "reason"),
           "Failed or late checks of the address, which leave unknown what viewers get, by reason."),
)

CALLBACK_FAMILIES: Final = (
    Family("stream_last_callback_timestamp_seconds", GAUGE, P, "When the last callback was accepted, in Unix time."),
    Family("stream_pushes_ended_total", COUNTER, (*P, "reason"), "Ends of pushes that callbacks told, by reason."),
)

ACCOUNT_FAMILIES: Final = (
    Family("stream_probe_errors_total", COUNTER, (*A, "code", "reason"),
           "Failed attempts by the provider's error code; local failures have their reason as code."),
    Family("stream_provider_responses_total", COUNTER, (*A, "action", "code"),
           "Answers of the provider by API action and code, definite ones too."),
    Family("stream_provider_request_duration_seconds", HISTOGRAM, (*A, "action"),
           "How long calls of the API action took that were answered or failed."),
    Family("stream_provider_up", GAUGE, A,
           "1 if the last round got at least one definite answer from the account, 0 if it tried and got none."),
    Family("stream_provider_quota_per_second", GAUGE, (*A, "action"),
           "Calls per second that the exporter allows itself for the API action; less after throttling."),
    Family("stream_provider_clock_skew_seconds", GAUGE, A, "The provider's Date header minus the exporter's clock."),
    Family("stream_provider_breaker_open", GAUGE, A, "1 while calls are held back after repeated failures, else 0."),
    Family("stream_streams", GAUGE, A, "Watched streams."),
    Family("stream_provider_listed_streams", GAUGE, (*A, "scope"),
           "Streams, watched or not, in the last whole list of a domain, application, room or account."),
    Family("stream_round_duration_seconds", GAUGE, A, "How long the account's last round took."),
    Family("stream_round_unprobed", GAUGE, (*A, "why"),
           "Streams whose turn did not come in the last round: quota, deadline or breaker."),
    Family("stream_callbacks_total", COUNTER, (*A, "event", "outcome"),
           "Callbacks received, by event and what became of them."),
    Family("stream_playback_bytes_total", COUNTER, A,
           "Bytes received by checks of addresses of the account's streams."),
)

EXPORTER_FAMILIES: Final = (
    Family("stream_exporter_build_info", GAUGE, ("version", "python"), "1, with the exporter's version."),
    Family("stream_exporter_config_last_reload_successful", GAUGE, (),
           "1 if the configuration in force is the one last read, 0 if that one was refused."),
    Family("stream_exporter_config_last_reload_success_timestamp_seconds", GAUGE, (),
           "When the configuration in force was read, in Unix time."),
    Family("stream_exporter_log_lines_dropped_total", COUNTER, (),
           "Lines of the log that were dropped because nobody reads it, or because it cannot be written."),
    Family("stream_exporter_store_up", GAUGE, (), "1 while the shared store answers, else 0; absent without one."),
    Family("stream_exporter_replicas", GAUGE, (),
           "Exporters that share the store and are alive; absent while it does not answer."),
)
# fmt: on

FAMILIES: Final = (*STREAM_FAMILIES, *PLAYBACK_FAMILIES, *CALLBACK_FAMILIES, *ACCOUNT_FAMILIES, *EXPORTER_FAMILIES)
