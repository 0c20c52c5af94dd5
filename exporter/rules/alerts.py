"""All alerts, in the order of the rule file."""

from __future__ import annotations

from typing import Final

from exporter.rules import accounts, streams

ALERTS: Final = (
    accounts.EXPORTER_DOWN,
    accounts.REPLICA_DOWN,
    accounts.UNWATCHED,
    accounts.PROVIDER_BLIND,
    streams.STREAM_DOWN,
    streams.STREAM_LATE,
    streams.STREAM_UNEXPECTED,
    streams.STREAM_FORBIDDEN,
    streams.STREAM_BLIND,
    streams.STREAM_FLAPPING,
    streams.REDUNDANCY_LOST,
    streams.MEDIA_MISSING,
    streams.MEDIA_LOST,
    streams.STALLED,
    streams.NOT_PLAYABLE,
    streams.PLAYBACK_BLIND,
    accounts.THROTTLED,
    accounts.UNPROBED,
    accounts.CREDENTIALS_REJECTED,
    accounts.WATCHES_NOTHING,
    accounts.RELOAD_FAILED,
    accounts.STORE_DOWN,
    accounts.CLOCK_SKEW,
    accounts.CALLBACKS_STOPPED,
    accounts.WATCHDOG,
)
