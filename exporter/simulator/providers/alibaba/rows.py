"""Rows of Alibaba's lists."""

from __future__ import annotations

from typing import Any

from exporter.simulator.answers import format_time
from exporter.simulator.types import Figures


def online_row(figures: Figures, domain: str, began: float, ingest: str, app: str, name: str) -> dict[str, Any]:
    """Return a row of a streaming domain; OnlyStream=yes leaves only the first four fields."""
    return {
        "DomainName": domain, "AppName": app, "StreamName": name, "PublishTime": format_time(began),
        "PublishUrl": f"rtmp://{ingest}/{app}/{name}?auth_key=1700000000-0-0-00000000000000000000000000000000",
        "PublishDomain": ingest, "PublishType": "edge", "Transcoded": "no", "ClientIp": "192.0.2.1",
        "Width": figures.width, "Height": figures.height, "FrameRate": round(figures.frames),
        "VideoDataRate": figures.video_bits // 1000, "AudioDataRate": figures.audio_bits // 1000,
    }  # fmt: skip


def rates_row(figures: Figures, moving: bool, ingest: str, app: str, name: str) -> dict[str, Any]:
    """Return what arrived of a stream; BitRate is in bytes per second."""
    return {
        "VideoFrameRate": figures.frames if moving else 0.0,
        "AudioFrameRate": figures.audio_frames if moving else 0.0,
        "BitRate": (figures.video_bits + figures.audio_bits) / 8 if moving else 0.0,
        "StreamUrl": f"rtmp://{ingest}/{app}/{name}",
    }
