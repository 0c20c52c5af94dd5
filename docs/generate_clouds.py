"""Makes the README's table of what each cloud or server tells, out of the providers themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider

README = Path(__file__).resolve().parents[1] / "README.md"
CHINESE = README.with_name("README.zh-CN.md")
BEGIN, END = "<!-- what each tells: generated -->\n", "<!-- end -->\n"

COLUMNS: Mapping[str, tuple[str, str]] = {
    "start": ("since when", "开始时间"),
    "media": ("media", "音视频"),
    "inputs": ("inputs", "输入路数"),
    "rates": ("bit rate", "码率"),
    "frames": ("frame rate", "帧率"),
    "stalled": ("stalls", "卡顿"),
    "callbacks": ("callbacks", "回调"),
}
SOURCES: Mapping[str, str] = {
    "start": "stream_start_timestamp_seconds",
    "media": "stream_media_active",
    "inputs": "stream_inputs",
    "rates": "stream_ingest_bits_per_second",
    "frames": "stream_ingest_frames_per_second",
    "stalled": "stream_ingest_stalled",
}
HEADS = ("provider", "asked by"), ("provider", "查询接口")


def _asked(provider: AnyProvider) -> str:
    """Return the actions that set states, as code."""
    actions = dict.fromkeys(api.action for api in (provider.main, *provider.listings))
    return ", ".join(f"`{action}`" for action in actions)


def _told(provider: AnyProvider, column: str) -> str:
    if column != "callbacks":
        return "✓" if SOURCES[column] in provider.metric_sources else ""
    return "✓" if provider.callbacks is not None else ""


def table(of: Callable[[tuple[str, str]], str], heads: tuple[str, str]) -> str:
    """Return the table in one language."""
    names = [*heads, *map(of, COLUMNS.values())]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for name, provider in sorted(all_providers().items(), key=lambda item: item[1].title.lower()):
        cells = [f"{provider.title} (`{name}`)", _asked(provider), *(_told(provider, column) for column in COLUMNS)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _with(path: Path, made: str) -> str:
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path.name} has no place for the table")
    return before + BEGIN + made + END + after


def generated() -> dict[Path, str]:
    """Return both READMEs with their tables."""
    return {
        README: _with(README, table(lambda words: words[0], HEADS[0])),
        CHINESE: _with(CHINESE, table(lambda words: words[1], HEADS[1])),
    }
