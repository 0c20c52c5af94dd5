"""The families with a sample per stream, built from strings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from exporter.exposition.families import STREAM_FAMILIES, Names, is_asked
from exporter.model import Answer, Figures, State
from exporter.providers.reading import printable
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Row

SLICE: Final = 1000  # streams or lines rendered before the event loop may run

_STATES: Final = tuple(State)

# `provider="…",stream="…"`, escaped, and the further labels of `stream_info`.
Labels = tuple[str, str]
Labelled = tuple[Labels, Row]
R = TypeVar("R")
Lines = Iterator[str]
Render = Callable[[str, Sequence[Labelled]], Lines]


def parted(rows: Sequence[R]) -> Iterator[Sequence[R]]:
    """Yield rows in parts that are rendered at once."""
    return (rows[start : start + SLICE] for start in range(0, len(rows), SLICE))


def escape(value: str) -> str:
    """Escape a label value for both text formats."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _active(name: str, rows: Sequence[Labelled]) -> Lines:
    live, unknown = State.ACTIVE, State.UNKNOWN
    for (labels, _), row in rows:
        if row.state is not unknown:
            yield f"{name}{{{labels}}} {'1.0' if row.state is live else '0.0'}\n"


def _state(name: str, rows: Sequence[Labelled]) -> Lines:
    for (labels, _), row in rows:
        head, shown = f"{name}{{{labels},state=", row.state
        yield "".join([f'{head}"{state}"}} {"1.0" if state is shown else "0.0"}\n' for state in _STATES])


def _last_success(name: str, rows: Sequence[Labelled]) -> Lines:
    return (f"{name}{{{labels}}} {row.answered!r}\n" for (labels, _), row in rows if row.answer is not None)


def _inputs_expected(name: str, rows: Sequence[Labelled]) -> Lines:
    told = [(labels, count) for (labels, _), row in rows if (count := row.stream.expected_inputs) is not None]
    return (f"{name}{{{labels}}} {count}.0\n" for labels, count in told)


def _media_expected(name: str, rows: Sequence[Labelled]) -> Lines:
    told = [(labels, media) for (labels, _), row in rows if (media := row.stream.expected_media)]
    return (f'{name}{{{labels},media="{escape(one)}"}} 1.0\n' for labels, media in told for one in media)


def _expected(name: str, rows: Sequence[Labelled]) -> Lines:
    return (f"{name}{{{own}}} {row.expectation.expected:d}.0\n" for (own, _), row in rows)


# Families with a sample for every stream: by far the most lines, so they call no function per line.
CORE: Final[Mapping[str, Render]] = {
    "stream_active": _active,
    "stream_state": _state,
    "stream_probe_success": lambda name, rows: (f"{name}{{{own}}} {row.succeeded:d}.0\n" for (own, _), row in rows),
    "stream_last_success_timestamp_seconds": _last_success,
    "stream_state_changes_total": lambda name, rows: (f"{name}{{{own}}} {row.changes}.0\n" for (own, _), row in rows),
    "stream_info": lambda name, rows: (f"{name}{{{own},{info}}} 1.0\n" for (own, info), _ in rows),
    "stream_expected": _expected,
    "stream_inputs_expected": _inputs_expected,
    "stream_media_expected": _media_expected,
}

Samples = Iterable[tuple[str, object]]
T = TypeVar("T")


def _primary(answer: Answer) -> Samples:
    primaries = {
        f',domain="{escape(printable(one.domain))}",app="{escape(printable(one.app))}",source="{one.source}"'
        for one in answer.inputs or ()
        if one.primary
    }
    return ((primary, 1.0) for primary in sorted(primaries))


def _started(answer: Answer) -> Samples:
    return [("", answer.started)] if answer.started is not None and answer.state is State.ACTIVE else ()


# Families that depend on the details of an answer: each returns (further labels, value).
DETAILS: Final[Mapping[str, Callable[[Answer], Samples]]] = {
    "stream_media_active": lambda answer: ((f',media="{escape(media)}"', float(on)) for media, on in answer.media),
    "stream_inputs": lambda answer: [("", float(len(answer.inputs)))] if answer.inputs is not None else (),
    "stream_primary_input_info": _primary,
    "stream_start_timestamp_seconds": _started,
    "stream_ingest_info": lambda answer: [(f',type="{answer.ingest}"', 1.0)] if answer.ingest else (),
}


def _one(value: float | None) -> Samples:
    return [("", float(value))] if value is not None else ()


# Families of what arrives of a live stream: likewise.
FIGURES: Final[Mapping[str, Callable[[Figures], Samples]]] = {
    "stream_ingest_bits_per_second": lambda told: ((f',media="{escape(kind)}"', rate) for kind, rate in told.bits),
    "stream_ingest_frames_per_second": lambda told: _one(told.frames),
    "stream_ingest_width_pixels": lambda told: _one(told.width),
    "stream_ingest_height_pixels": lambda told: _one(told.height),
    "stream_ingest_stalled": lambda told: _one(told.stalled),
}


def _checked(of: Callable[[PlaybackCheck], float | None]) -> Callable[[Row], Samples]:
    """Return what tells of each address whose outcome counts."""
    return lambda row: (
        (f',playback="{escape(one.name)}"', float(value))
        for one in row.playback
        if one.check is not None and (value := of(one.check)) is not None
    )


# Families of what viewers get, and whether hops agree: likewise.
PLAYED: Final[Mapping[str, Callable[[Row], Samples]]] = {
    "stream_playback_up": _checked(lambda check: check.up),
    "stream_playback_segment_age_seconds": _checked(lambda check: check.age),
    "stream_playback_first_byte_seconds": _checked(lambda check: check.first_byte),
    "stream_hop_disagreement": lambda row: _one(row.hop_disagreement),
}


def _detailed(rows: Sequence[Labelled]) -> list[tuple[str, Answer]]:
    """Return the labels and answer of each row whose current answer has details beside its state."""
    return [
        (labels, answer)
        for (labels, _), row in rows
        if (answer := row.answer) is not None
        and row.state is not State.UNKNOWN
        and (answer.started is not None or answer.media or answer.inputs is not None or answer.ingest)
    ]


def slices(rows: Sequence[Labelled], openmetrics: bool, names: Names = None) -> Iterator[bytes]:
    """Yield the per-stream families in slices."""
    detailed: list[tuple[str, Answer]] = []
    figured: list[tuple[str, Figures]] = []
    played: list[tuple[str, Row]] = []
    for part in parted(rows):
        detailed += _detailed(part)
        figured += [(labels, row.figures) for (labels, _), row in part if row.figures is not None]
        played += [(labels, row) for (labels, _), row in part if row.playback or row.hop_disagreement is not None]
        yield b""
    for family in STREAM_FAMILIES:
        if not is_asked(family.name, names):
            continue
        yield family.head(openmetrics).encode()
        if render := CORE.get(family.name):
            yield from ("".join(render(family.name, part)).encode() for part in parted(rows))
            continue
        if told := FIGURES.get(family.name):
            yield from _further(family.name, figured, told)
        elif shown := PLAYED.get(family.name):
            yield from _further(family.name, played, shown)
        else:
            yield from _further(family.name, detailed, DETAILS[family.name])


def _further(name: str, told: Sequence[tuple[str, T]], samples: Callable[[T], Samples]) -> Iterator[bytes]:
    """Yield a family that not every stream has, in slices."""
    for some in parted(told):
        yield "".join(
            f"{name}{{{labels}{extra}}} {value!r}\n" for labels, details in some for extra, value in samples(details)
        ).encode()
