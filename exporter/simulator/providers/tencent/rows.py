"""Rows of Tencent's lists."""

from __future__ import annotations

from typing import Any

from exporter.simulator.answers import format_time
from exporter.simulator.types import Figures, Input, Stream


def _inputs(stream: Stream, now: float) -> list[Input]:
    own = Input(stream.address["domain"], stream.address["app"])
    return [push for push in stream.inputs or (own,) if push.is_up(now)]


def _backup_row(push: Input, place: int, began: float) -> dict[str, Any]:
    return {
        "DomainName": push.domain,
        "AppName": push.app,
        "PublishTime": format_time(began),
        "UpstreamSequence": str(710313341080024595 + place),
        "SourceFrom": "直推流" if push.source == "push" else f"拉流转推({place})",
        "MasterFlag": 1 if place == 0 else 0,
    }


def backup_group(name: str, pushes: list[Input], began: float, group: str) -> dict[str, Any]:
    """Return a stream's inputs of one host group."""
    rows = [_backup_row(push, place, began) for place, push in enumerate(pushes)]
    rows.reverse()  # the vendor's example has the master last: the order means nothing
    return {"StreamName": name, "BackupList": rows, "OptimalEnable": 0, "HostGroupName": group}


def backup_groups(stream: Stream, now: float) -> list[dict[str, Any]]:
    """Return a stream's inputs, one group for each host group; each group has its own master."""
    pushes, began = _inputs(stream, now), stream.script.started(now)
    return [
        backup_group(stream.address["stream"], [push for push in pushes if push.group == name], began, name)
        for name in dict.fromkeys(push.group for push in pushes)
    ]


def online_row(began: float, domain: str, app: str, name: str) -> dict[str, Any]:
    """Return a row of the list of streams online."""
    return {
        "StreamName": name,
        "PublishTimeList": [{"PublishTime": format_time(began)}],
        "AppName": app,
        "DomainName": domain,
        "PushToDelay": 0,
    }


def push_row(figures: Figures, moving: bool, began: float, domain: str, app: str, name: str) -> dict[str, Any]:
    """Return a push with what arrives of it; times are in China's time zone."""
    return {
        "StreamName": name,
        "AppName": app,
        "ClientIp": "192.0.2.2",
        "ServerIp": "192.0.2.1",
        "VideoFps": round(figures.frames) if moving else 0,
        "VideoSpeed": figures.video_bits if moving else 0,
        "AudioFps": round(figures.audio_frames) if moving else 0,
        "AudioSpeed": figures.audio_bits if moving else 0,
        "PushDomain": domain,
        "BeginPushTime": format_time(began + 8 * 3600, "%Y-%m-%d %H:%M:%S"),
        "Acodec": "AAC",
        "Vcodec": "H264",
        "Resolution": f"{figures.width}*{figures.height}",
        "AsampleRate": 48000,
        "MetaAudioSpeed": figures.audio_bits,
        "MetaVideoSpeed": figures.video_bits,
        "MetaFps": round(figures.frames),
    }
