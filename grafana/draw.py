"""Panels and their data as HTML and SVG: what a dashboard shows, without Grafana. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby, pairwise
from typing import Any

from grafana.ask import Window
from grafana.queries import filled

WIDTH, ROW = 1440, 36  # pixels: of the page, and of one row of Grafana's grid
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A7A00", "#5B5BA5", "#8E8E8E", "#3F7F5F")
INK, FAINT, RULE = "#24292F", "#6B727A", "#E3E6E9"

STYLE = f"""
* {{ box-sizing: border-box; margin: 0 }}
body {{ width: {WIDTH}px; background: #F4F5F6; color: {INK}; font: 13px/1.35 'DejaVu Sans', sans-serif }}
header {{ padding: 14px 16px 6px }} header h1 {{ font-size: 20px }} header p, footer {{ color: {FAINT} }}
footer {{ padding: 4px 16px 14px; font-size: 12px }}
main {{ position: relative; margin: 0 8px }}
section {{ position: absolute; padding: 4px }}
.card {{ background: #fff; border: 1px solid {RULE}; border-radius: 3px; height: 100%; padding: 6px 8px;
  display: flex; flex-direction: column; overflow: hidden }}
.card h2 {{ font-size: 13px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }}
.head {{ font-weight: bold; font-size: 15px; padding: 9px 6px; border-bottom: 1px solid {RULE} }}
.body {{ flex: 1; min-height: 0; position: relative }}
.figures {{ display: flex; align-items: center; justify-content: space-around; height: 100%; position: relative }}
.figure {{ text-align: center; font-size: 28px; font-weight: bold; line-height: 1.1 }}
.figure small {{ display: block; font-size: 12px; font-weight: normal; color: {FAINT} }}
.empty {{ color: {FAINT}; display: flex; height: 100%; align-items: center; justify-content: center }}
table {{ border-collapse: collapse; width: 100%; font-size: 12px }}
th, td {{ text-align: left; padding: 3px 6px; border-bottom: 1px solid {RULE}; white-space: nowrap }}
th {{ color: {FAINT}; font-weight: normal }} td.n, th.n {{ text-align: right }}
.legend {{ font-size: 11px; max-height: 45px; overflow: hidden; line-height: 15px }}
.legend span {{ margin-right: 10px; white-space: nowrap; display: inline-block; height: 15px; vertical-align: top }}
.legend i {{ display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 4px }}
svg text {{ font: 11px 'DejaVu Sans', sans-serif; fill: {FAINT} }}
"""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of one query: its legend, its labels, and (Unix seconds, value) pairs."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with the answers to its queries, in the order of the queries."""

    panel: dict[str, Any]
    answers: list[list[Series]]
    window: Window

    @property
    def series(self) -> list[Series]:
        """All series of all queries."""
        return [series for answer in self.answers for series in answer]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height that the panel has for its drawing, in pixels."""
        place = self.panel["gridPos"]
        return place["w"] * (WIDTH - 16) / 24 - 26, place["h"] * ROW - 42


def duration(seconds: float) -> str:
    """Say a duration in its two largest units."""
    rest, found = abs(seconds), []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            found.append(f"{int(count)} {unit}")
    return ("-" if seconds < 0 else "") + " ".join(found[:2]) if found else "0 s"


def _short(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (size if sign != 'k' else 1e3):.3g} {sign}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def said(value: float, unit: str, decimals: int | None = None) -> str:
    """Write a value in Grafana's unit."""
    if math.isnan(value):
        return "–"
    if decimals is not None and unit == "short":
        return f"{value:.{decimals}f}"
    match unit:
        case "percentunit":
            return f"{value * 100:.{decimals if decimals is not None else 1}f} %".replace(".0 %", " %")
        case "dtdurations":
            return duration(value)
        case "dateTimeAsIso":
            return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        case "s":
            return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.3g} s" if value < 300 else duration(value)
        case "bytes":
            return f"{value / 2**20:.1f} MiB"
        case "reqps":
            return f"{_short(value)}/s"
        case "cpm":
            return f"{_short(value)}/min"
    return _short(value)


def _word(value: float, mappings: Iterable[dict[str, Any]]) -> tuple[str, str] | None:
    for mapping in mappings:
        found = mapping["options"].get(f"{value:.0f}")
        if found:
            return found["text"], found["color"]
    return None


def _threshold(value: float, config: dict[str, Any] | None) -> str:
    color = INK
    for step in (config or {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            color = INK if step["color"] == "text" else step["color"]
    return color


def _empty(shown: Shown) -> str:
    return f'<div class="empty">{escape(shown.panel["fieldConfig"]["defaults"]["noValue"])}</div>'


def figures(shown: Shown) -> str:
    """Draw a stat panel."""
    defaults, found = shown.panel["fieldConfig"]["defaults"], []
    for series in shown.series:
        value = series.points[-1][1]
        word = _word(value, defaults.get("mappings", []))
        text, color = word or (said(value, defaults["unit"], defaults.get("decimals")), "")
        color = color or _threshold(value, defaults["thresholds"])
        name = f"<small>{escape(series.name)}</small>" if len(shown.series) > 1 else ""
        found.append(f'<div class="figure" style="color:{color}">{escape(text)}{name}</div>')
    spark = _spark(shown) if shown.panel["options"]["graphMode"] == "area" else ""
    return f'{spark}<div class="figures">{"".join(found)}</div>'


def _spark(shown: Shown) -> str:
    points = shown.series[0].points
    color = _threshold(points[-1][1], shown.panel["fieldConfig"]["defaults"]["thresholds"])
    width, height = shown.size
    top = max(value for _, value in points) or 1
    line = " ".join(
        f"{_x(at, shown.window, width):.1f},{height - value / top * height * 0.22:.1f}" for at, value in points
    )
    return (
        f'<svg width="{width}" height="{height}" style="position:absolute;left:0;top:0;opacity:.35">'
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/></svg>'
    )


def _x(at: float, window: Window, width: float) -> float:
    return (at - window.start) / (window.end - window.start) * width


def _runs(points: Sequence[tuple[float, float]], step: float) -> list[list[tuple[float, float]]]:
    """Cut a series where samples are missing: a gap is shown as a gap."""
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if found and point[0] - found[-1][-1][0] <= 1.5 * step:
            found[-1].append(point)
        else:
            found.append([point])
    return found


def _nice(top: float) -> float:
    if top <= 0:
        return 1.0
    power: float = 10 ** math.floor(math.log10(top))
    return next(factor * power for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if factor * power >= top * 0.999)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where values go on a chart."""

    window: Window
    left: float
    width: float
    height: float
    low: float
    high: float

    def x(self, at: float) -> float:
        """Place a moment."""
        return self.left + _x(at, self.window, self.width)

    def y(self, value: float) -> float:
        """Place a value."""
        return self.height - (value - self.low) / (self.high - self.low) * (self.height - 8)


def _stacked(series: Sequence[Series]) -> list[tuple[Series, list[tuple[float, float]]]]:
    """Return each series with the line under it."""
    below: dict[float, float] = {}
    found = []
    for one in series:
        found.append((one, [(at, below.get(at, 0.0)) for at, _ in one.points]))
        below |= {at: below.get(at, 0.0) + value for at, value in one.points}
    return found


def _path(plane: Plane, points: Sequence[tuple[float, float]], *, stepped: bool) -> str:
    found = [f"{plane.x(points[0][0]):.1f},{plane.y(points[0][1]):.1f}"]
    for before, point in pairwise(points):
        if stepped:
            found.append(f"{plane.x(point[0]):.1f},{plane.y(before[1]):.1f}")
        found.append(f"{plane.x(point[0]):.1f},{plane.y(point[1]):.1f}")
    return " ".join(found)


def _bounds(shown: Shown, stacked: bool) -> tuple[float, float]:
    defaults = shown.panel["fieldConfig"]["defaults"]
    values = [value for series in shown.series for _, value in series.points]
    if stacked:
        sums: dict[float, float] = {}
        for series in shown.series:
            for at, value in series.points:
                sums[at] = sums.get(at, 0.0) + value
        values = list(sums.values())
    high = defaults.get("max") or _nice(max([*values, *_marks(shown, max(values))]))
    if min(values) >= 0:
        return defaults.get("min", 0), high
    furthest = max(high, _nice(-min(values)))
    return -furthest, furthest


def _marks(shown: Shown, top: float) -> list[float]:
    """Return the thresholds worth a line: one far above all values would flatten them."""
    defaults = shown.panel["fieldConfig"]["defaults"]
    steps = defaults.get("thresholds", {}).get("steps", []) if "thresholdsStyle" in defaults.get("custom", {}) else []
    return [step["value"] for step in steps if step["value"] is not None and step["value"] <= 3 * top]


def _rule(plane: Plane, value: float, style: str) -> str:
    y = plane.y(value)
    return f'<line x1="{plane.left}" x2="{plane.left + plane.width}" y1="{y}" y2="{y}" {style}/>'


def _axes(plane: Plane, unit: str) -> str:
    found = []
    for part in range(5):
        value = plane.low + (plane.high - plane.low) * part / 4
        found.append(_rule(plane, value, f'stroke="{RULE}"'))
        found.append(
            f'<text x="{plane.left - 5}" y="{plane.y(value) + 4}" text-anchor="end">{escape(said(value, unit))}</text>'
        )
    return "".join(found) + _clock(plane)


def _clock(plane: Plane) -> str:
    count = max(2, int(plane.width // 130))
    span = plane.window.end - plane.window.start
    form = "%H:%M" if span >= 600 else "%H:%M:%S"
    found = []
    for part in range(count + 1):
        at = plane.window.start + span * part / count
        anchor = "start" if part == 0 else "end" if part == count else "middle"
        text = datetime.fromtimestamp(at, UTC).strftime(form)
        found.append(f'<text x="{plane.x(at)}" y="{plane.height + 15}" text-anchor="{anchor}">{text}</text>')
    return "".join(found)


def _colors(shown: Shown) -> dict[str, str]:
    fixed = {
        override["matcher"]["options"]: prop["value"]["fixedColor"]
        for override in shown.panel["fieldConfig"].get("overrides", [])
        for prop in override["properties"]
        if prop["id"] == "color" and "fixedColor" in prop["value"]
    }
    names = dict.fromkeys(series.name for series in shown.series)
    return {name: fixed.get(name, PALETTE[place % len(PALETTE)]) for place, name in enumerate(names)}


def lines(shown: Shown) -> str:
    """Draw a time series panel."""
    custom = shown.panel["fieldConfig"]["defaults"]["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    stepped = custom.get("lineInterpolation") == "stepAfter"
    low, high = _bounds(shown, stacked)
    width, height = shown.size
    plane = Plane(shown.window, 62, width - 66, height - 66, low, high)
    colors, parts = _colors(shown), [_axes(plane, shown.panel["fieldConfig"]["defaults"]["unit"])]
    parts += [_rule(plane, value, 'stroke="#D55E00" stroke-dasharray="6 4"') for value in _marks(shown, high / 3)]
    for series, floor in _stacked(shown.series) if stacked else [(series, []) for series in shown.series]:
        parts.append(_curve(plane, series, floor, colors[series.name], stepped))
    return f'<svg width="{width}" height="{height - 46}">{"".join(parts)}</svg>{_legend(shown, colors)}'


def _curve(plane: Plane, series: Series, floor: Sequence[tuple[float, float]], color: str, stepped: bool) -> str:
    if floor:
        under = dict(floor)
        upper = _path(plane, [(at, value + under[at]) for at, value in series.points], stepped=stepped)
        lower = " ".join(reversed(_path(plane, floor, stepped=stepped).split()))
        return f'<polygon points="{upper} {lower}" fill="{color}" fill-opacity=".75"/>'
    return "".join(
        f'<polyline points="{_path(plane, run, stepped=stepped)}" fill="none" stroke="{color}" stroke-width="1.6"/>'
        for run in _runs(series.points, plane.window.step)
    )


def _legend(shown: Shown, colors: dict[str, str]) -> str:
    unit = shown.panel["fieldConfig"]["defaults"]["unit"]
    last = {series.name: series.points[-1][1] for series in shown.series}
    entries = (
        f'<span><i style="background:{color}"></i>{escape(name)} <b>{escape(said(last[name], unit))}</b></span>'
        for name, color in colors.items()
    )
    return f'<div class="legend">{"".join(entries)}</div>'


def lanes(shown: Shown) -> str:
    """Draw a state timeline."""
    defaults = shown.panel["fieldConfig"]["defaults"]
    width, height = shown.size
    series = sorted(shown.series, key=lambda one: one.name)
    left = 16 + 6.6 * max(len(one.name) for one in series)
    plane = Plane(shown.window, left, width - left - 6, height - 40, 0, 1)
    lane = min(34.0, plane.height / len(series))
    parts = []
    for place, one in enumerate(series):
        y = place * lane
        size = min(11.0, lane - 2)
        text = f'x="{left - 8}" y="{y + lane / 2 + 4}" text-anchor="end" style="font-size:{size:.1f}px"'
        parts.append(f"<text {text}>{escape(one.name)}</text>")
        parts.append(_lane(plane, one, (y + 1, lane - 2), defaults["mappings"]))
    words = {
        option["text"]: option["color"] for mapping in defaults["mappings"] for option in mapping["options"].values()
    }
    legend = "".join(f'<span><i style="background:{color}"></i>{escape(text)}</span>' for text, color in words.items())
    bottom = Plane(plane.window, left, plane.width, lane * len(series), 0, 1)
    svg = f'<svg width="{width}" height="{bottom.height + 20}">{"".join(parts)}{_clock(bottom)}</svg>'
    return f'{svg}<div class="legend">{legend}</div>'


def _lane(plane: Plane, series: Series, place: tuple[float, float], mappings: Sequence[dict[str, Any]]) -> str:
    found = []
    for run in _runs(series.points, plane.window.step):
        for value, group in groupby(run, key=lambda point: point[1]):
            points = list(group)
            start, end = plane.x(points[0][0]), plane.x(min(points[-1][0] + plane.window.step, plane.window.end))
            text, color = _word(value, mappings) or (said(value, "short"), "#8E8E8E")
            found.append(
                f'<rect x="{start:.1f}" y="{place[0]}" width="{end - start:.1f}" height="{place[1]}" fill="{color}"/>'
            )
            if end - start > 7.5 * len(text) + 4 and place[1] > 12:
                middle = place[0] + place[1] / 2 + 4
                found.append(f'<text x="{start + 4:.1f}" y="{middle}" style="fill:#fff">{escape(text)}</text>')
    return "".join(found)


def bars(shown: Shown) -> str:
    """Draw a bar gauge, as many bars as there is room for."""
    room = int(shown.size[1] // 23)
    series = sorted(shown.series, key=lambda one: -one.points[-1][1])[:room]
    defaults = shown.panel["fieldConfig"]["defaults"]
    top = max(one.points[-1][1] for one in series) or 1
    found = [
        f'<tr><td>{escape(one.name)}</td><td style="width:55%"><div style="height:12px;'
        f"width:{one.points[-1][1] / top * 100:.0f}%;background:{_threshold(one.points[-1][1], defaults['thresholds'])}"
        f'"></div></td><td class="n">{escape(said(one.points[-1][1], defaults["unit"], 0))}</td></tr>'
        for one in series
    ]
    return f"<table>{''.join(found)}</table>"


Cell = float | str


def _merged(shown: Shown) -> list[dict[str, Cell]]:
    """Join the answers as Grafana's `merge` does: rows that agree in the labels all queries have become one."""
    sets = [set(series.labels) for answer in shown.answers for series in answer[:1]]
    shared = set.intersection(*sets) if sets else set()
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    for place, answer in enumerate(shown.answers):
        name = "Value" if len(shown.answers) == 1 else f"Value #{chr(ord('A') + place)}"
        for series in answer:
            key = tuple(series.labels[label] for label in sorted(shared))
            found.setdefault(key, {}).update({**series.labels, name: series.points[-1][1]})
    return list(found.values())


def _columns(shown: Shown, table: Sequence[dict[str, Cell]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return key, heading and properties of the columns that are shown, in their order."""
    organize = next(one["options"] for one in shown.panel["transformations"] if one["id"] == "organize")
    keys = [key for key in dict.fromkeys(key for row in table for key in row) if key not in organize["excludeByName"]]
    keys.sort(key=lambda key: (organize["indexByName"].get(key, 5.5), key))
    properties = {
        override["matcher"]["options"]: {one["id"]: one["value"] for one in override["properties"]}
        for override in shown.panel["fieldConfig"].get("overrides", [])
    }
    headings = [organize["renameByName"].get(key, key) for key in keys]
    return [(key, heading, properties.get(heading, {})) for key, heading in zip(keys, headings, strict=True)]


def _cell(value: Cell | None, properties: dict[str, Any]) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    if value is None or math.isnan(value):
        return f'<td class="n" style="color:{FAINT}">{escape(properties.get("noValue", ""))}</td>'
    word = _word(value, properties.get("mappings", []))
    if word:
        return f'<td class="n"><b style="color:{word[1]}">{escape(word[0])}</b></td>'
    color = _threshold(value, properties.get("thresholds"))
    text = said(value, properties.get("unit", "short"), properties.get("decimals"))
    return f'<td class="n" style="color:{color}">{escape(text)}</td>'


def table(shown: Shown) -> str:
    """Draw a table, as many rows as there is room for."""
    merged = _merged(shown)
    columns = _columns(shown, merged)
    for one in shown.panel["options"].get("sortBy", []):
        key = next((key for key, heading, _ in columns if heading == one["displayName"]), None)
        merged.sort(key=lambda row: _rank(row.get(key or ""), descending=bool(one.get("desc"))))
    labels = {key for row in merged for key, value in row.items() if isinstance(value, str)}
    head = "".join(f"<th{'' if key in labels else ' class=n'}>{escape(heading)}</th>" for key, heading, _ in columns)
    room = int(shown.size[1] // 24) - 1
    body = "".join(
        f"<tr>{''.join(_cell(row.get(key), properties) for key, _, properties in columns)}</tr>"
        for row in merged[:room]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _rank(value: Cell | None, *, descending: bool) -> tuple[bool, float]:
    number = value if isinstance(value, (int, float)) else math.nan
    return math.isnan(number), -number if descending else number


KINDS = {
    "stat": figures,
    "timeseries": lines,
    "state-timeline": lanes,
    "bargauge": bars,
    "table": table,
}


def card(shown: Shown, values: dict[str, str]) -> str:
    """Draw a panel with its title at its place in the grid."""
    title = f"<h2>{escape(filled(shown.panel['title'], values))}</h2>"
    body = KINDS[shown.panel["type"]](shown) if shown.series else _empty(shown)
    return _placed(shown.panel, f'<div class="card">{title}<div class="body">{body}</div></div>')


def _placed(panel: dict[str, Any], inner: str) -> str:
    place, column = panel["gridPos"], (WIDTH - 16) / 24
    corner = f"left:{place['x'] * column}px;top:{place['y'] * ROW}px"
    return f'<section style="{corner};width:{place["w"] * column}px;height:{place["h"] * ROW}px">{inner}</section>'


def _height(dashboard: dict[str, Any]) -> int:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    return ROW * max(int(place["y"] + place["h"]) for place in places)


def height(dashboard: dict[str, Any]) -> int:
    """Return the height of the drawn page in pixels."""
    return 90 + _height(dashboard)


def page(dashboard: dict[str, Any], shown: Sequence[Shown], values: dict[str, str], caption: str) -> str:
    """Draw a whole dashboard as one HTML page that needs nothing else."""
    heads = [
        _placed(panel, f'<div class="head">{escape(panel["title"])}</div>')
        for panel in dashboard["panels"]
        if panel["type"] == "row"
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(dashboard["title"])}</title>'
        f"<style>{STYLE}</style><header><h1>{escape(dashboard['title'])}</h1><p>{escape(dashboard['description'])}</p>"
        f'</header><main style="height:{_height(dashboard)}px">{"".join(heads)}'
        f"{''.join(card(one, values) for one in shown)}</main><footer>{escape(caption)}</footer></html>"
    )
