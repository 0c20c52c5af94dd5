"""How panels look: colours, mappings, units and the few shapes that all three dashboards are built from.

The colours are those of Okabe and Ito, told apart with every common kind of colour blindness; wherever colour carries
a meaning, a word says the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # The SDK points at its second schema, which only Grafana's newest storage reads; files on disk are of the first.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, table
    from grafana_foundation_sdk.builders import timeseries as lines
    from grafana_foundation_sdk.models import common as cm
    from grafana_foundation_sdk.models import dashboard as dm
    from grafana_foundation_sdk.models import prometheus as pm

from exporter.providers import all_providers
from grafana.promql import CODES, OFF_AIR

GREEN, RED, PURPLE, ORANGE, BLUE, SKY, GREY, CALM = (
    "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#0072B2", "#56B4E9", "#8E8E8E", "#7A93AC",
)  # fmt: skip

SOURCE = cm.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOK = "https://github.com/stream-exporter/stream-exporter/blob/main/docs/runbook.md"
KEPT = (
    "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "cluster", "job", "instance"))
    + "&${__url_time_range}"
)

Panel = Any  # builders of the SDK, which carries no types that a checker could use
Queries = Mapping[str, str]
"""PromQL with Grafana's variables by what a legend calls its series (`{{label}}` is a label), or a table its column."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a table shows one of its columns.

    Attributes:
        name: The column's heading.
        unit: Grafana's unit.
        mappings: Words and colours for values.
        steps: Colours from thresholds, as (from value, colour) pairs.
        decimals: Digits after the point.
        width: Pixels.
        empty: What stands where there is no value.
        link: Address behind the cell, and its title.
    """

    name: str
    unit: str = "short"
    mappings: Sequence[dm.ValueMap] = ()
    steps: Sequence[tuple[float, str]] = ()
    decimals: int | None = None
    width: int | None = None
    empty: str | None = None
    link: tuple[str, str] | None = None


Meanings = Mapping[int, tuple[str, str | None]] | Mapping[str, tuple[str, str | None]]


def words(meanings: Meanings) -> list[dm.ValueMap]:
    """Map numbers or texts to words and colours."""
    return [
        dm.ValueMap(
            options={
                str(value): dm.ValueMappingResult(text=text, color=color, index=place)
                for place, (value, (text, color)) in enumerate(meanings.items())
            }
        )
    ]


def told_by(metric: str) -> str:
    """Return the names of the clouds that a metric comes from."""
    return ", ".join(one.title for one in all_providers().values() if metric in one.metric_sources)


CALLBACKS = "Callbacks (only for accounts that have a callback secret)"
PLAYBACK = "What viewers get (only for streams that have `playback`)"
STATES = words(
    {
        CODES["active"]: ("live", GREEN),
        CODES["inactive"]: ("inactive", RED),
        CODES["forbidden"]: ("forbidden", PURPLE),
        CODES["not_found"]: ("not found", ORANGE),
        CODES["unknown"]: ("unknown", GREY),
        OFF_AIR: ("off air", CALM),
    }
)
STATE_COLORS = {"live": GREEN, "inactive": RED, "forbidden": PURPLE, "not found": ORANGE, "unknown": GREY}
STATE_COLORS |= {"off air": CALM}
EXPECTED = words({1: ("expected", BLUE), 0: ("not expected", CALM)})


def thresholds(steps: Sequence[tuple[float, str]], base: str) -> dashboard.ThresholdsConfig:
    """Colour values from each step on; below the first one holds the base colour."""
    found = [dm.Threshold(value=None, color=base), *(dm.Threshold(value=value, color=color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(dm.ThresholdsMode.ABSOLUTE).steps(found)


def set_to(name: str, value: object) -> dm.DynamicConfigValue:
    """Set one property of a field."""
    return dm.DynamicConfigValue(id_val=name, value=value)


def _target(place: int, name: str, expr: str, instant: bool, tabular: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(expr).ref_id(chr(ord("A") + place)).datasource(SOURCE)
    target = target.editor_mode(pm.QueryEditorMode.CODE).legend_format("" if tabular else name)
    target = target.format(pm.PromQueryFormat.TABLE if tabular else pm.PromQueryFormat.TIME_SERIES)
    return target.instant() if instant or tabular else target.range()


def _dressed(
    panel: Panel,
    title: str,
    about: str,
    unit: str,
    queries: Queries,
    size: tuple[int, int],
    *,
    instant: bool = False,
    tabular: bool = False,
) -> Panel:
    panel = panel.title(title).description(about).unit(unit).datasource(SOURCE).span(size[0]).height(size[1])
    for place, (name, expr) in enumerate(queries.items()):
        panel = panel.with_target(_target(place, name, expr, instant, tabular))
    return panel


def _legend(calcs: Sequence[str]) -> common.VizLegendOptions:
    mode = cm.LegendDisplayMode.TABLE if calcs else cm.LegendDisplayMode.LIST
    legend = common.VizLegendOptions().show_legend(True).placement(cm.LegendPlacement.BOTTOM)
    return legend.display_mode(mode).calcs(list(calcs))


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING)


def number(
    title: str,
    about: str,
    queries: Queries,
    *,
    unit: str = "short",
    size: tuple[int, int] = (4, 4),
    mappings: Sequence[dm.ValueMap] = (),
    steps: Sequence[tuple[float, str]] = (),
    base: str | None = None,
    empty: str = "no data",
    decimals: int | None = None,
    spark: bool = False,
) -> Panel:
    """Show what holds now as large figures; with `spark` also the way there.

    Below the first of `steps` they have the colour `base`: green, or blue where there are no steps.
    """
    panel = _dressed(stat.Panel(), title, about, unit, queries, size, instant=not spark)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = panel.graph_mode(cm.BigValueGraphMode.AREA if spark else cm.BigValueGraphMode.NONE)
    panel = panel.text_mode(cm.BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 else cm.BigValueTextMode.VALUE)
    panel = panel.color_mode(cm.BigValueColorMode.VALUE).no_value(empty).mappings(list(mappings))
    if decimals is not None:
        panel = panel.decimals(decimals)
    base = base or (GREEN if steps else BLUE)
    return panel.thresholds(thresholds(steps, base)).color_scheme(_by_thresholds())


def _by_thresholds() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(dm.FieldColorModeId.THRESHOLDS)


def curves(
    title: str,
    about: str,
    queries: Queries,
    *,
    unit: str,
    size: tuple[int, int] = (12, 8),
    stacked: bool = False,
    stepped: bool = False,
    colors: dict[str, str] | None = None,
    steps: Sequence[tuple[float, str]] = (),
    bounds: tuple[float | None, float | None] = (0, None),
    calcs: Sequence[str] = (),
    empty: str = "no data",
) -> Panel:
    """Draw values over time; `steps` become dashed lines, `colors` go by the series' name."""
    panel = _dressed(lines.Panel(), title, about, unit, queries, size).legend(_legend(calcs)).tooltip(_tooltip())
    panel = panel.line_width(1).fill_opacity(60 if stacked else 0).show_points(cm.VisibilityMode.NEVER)
    panel = panel.color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel = panel.no_value(empty).span_nulls(False)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(cm.StackingMode.NORMAL).group("A"))
    if stepped:
        panel = panel.line_interpolation(cm.LineInterpolation.STEP_AFTER)
    return _colored(_bounded(_lined(panel, steps), bounds), colors or {})


def _lined(panel: Panel, steps: Sequence[tuple[float, str]]) -> Panel:
    if not steps:
        return panel
    style = common.GraphThresholdsStyleConfig().mode(cm.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(thresholds(steps, "transparent")).thresholds_style(style)


def _bounded(panel: Panel, bounds: tuple[float | None, float | None]) -> Panel:
    low, high = bounds
    panel = panel if low is None else panel.min(low)
    return panel if high is None else panel.max(high)


def _colored(panel: Panel, colors: dict[str, str]) -> Panel:
    for name, color in colors.items():
        panel = panel.override_by_name(name, [set_to("color", _fixed(color))])
    return panel


def _fixed(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}


def timeline(
    title: str,
    about: str,
    queries: Queries,
    *,
    mappings: Sequence[dm.ValueMap],
    size: tuple[int, int] = (12, 6),
    empty: str = "no data",
    link: tuple[str, str] | None = None,
    counts: Sequence[str] = (),
    others: Mapping[str, Sequence[dm.ValueMap]] | None = None,
) -> Panel:
    """Draw states over time, one lane per series, each state with its word and its colour.

    `counts` stay numbers, `others` have words of their own.
    """
    panel = _dressed(statetimeline.Panel(), title, about, "none", queries, size).mappings(list(mappings))
    panel = panel.merge_values(True).show_value(cm.VisibilityMode.AUTO).row_height(0.85).line_width(0)
    panel = panel.fill_opacity(85).legend(_legend(())).tooltip(_tooltip()).no_value(empty)
    panel = panel.thresholds(thresholds((), GREY)).color_scheme(_by_thresholds())
    for name in counts:
        panel = panel.override_by_name(name, [set_to("mappings", []), set_to("color", _fixed(BLUE))])
    for name, mapped in (others or {}).items():
        panel = panel.override_by_name(name, [set_to("mappings", list(mapped))])
    return panel.data_links([_data_link(*link)]) if link else panel


def _data_link(url: str, title: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).url(url).target_blank(False).placement(None)


def bars(
    title: str, about: str, queries: Queries, *, unit: str, size: tuple[int, int], color: str, empty: str
) -> Panel:
    """Show the present values as horizontal bars, the value beside each."""
    panel = _dressed(bargauge.Panel(), title, about, unit, queries, size, instant=True)
    panel = panel.orientation(cm.VizOrientation.HORIZONTAL).display_mode(cm.BarGaugeDisplayMode.BASIC).min(0)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel = panel.show_unfilled(False).no_value(empty).decimals(0)
    return panel.thresholds(thresholds((), color)).color_scheme(_by_thresholds())


def rows(
    title: str,
    about: str,
    queries: Queries,
    columns: Sequence[Column],
    *,
    size: tuple[int, int] = (12, 8),
    sort: tuple[str, bool] | None = None,
    empty: str,
    hidden: Sequence[str] = (),
) -> Panel:
    """Show a table: one row per label set, one column per label and per query (named by the query)."""
    panel = _dressed(table.Panel(), title, about, "short", queries, size, tabular=True).no_value(empty)
    panel = panel.cell_height(cm.TableCellHeight.SM).max_data_points(500)
    panel = panel.with_transformation(dm.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(dm.DataTransformerConfig(id_val="organize", options=_order(queries, hidden)))
    if sort:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    for column in columns:
        panel = panel.override_by_name(column.name, _properties(column))
    return panel


def _order(queries: Queries, hidden: Sequence[str]) -> dict[str, object]:
    names = ["Value"] if len(queries) == 1 else [f"Value #{chr(ord('A') + place)}" for place in range(len(queries))]
    labels = ["alertname", "severity", "provider", "account", "stream", "media", "playback", "action", "code", "reason"]
    return {
        "excludeByName": dict.fromkeys(["Time", *hidden], True),
        "indexByName": {name: place for place, name in enumerate([*labels, *names])},
        "renameByName": dict(zip(names, queries, strict=True)),
    }


def _properties(column: Column) -> list[dm.DynamicConfigValue]:
    found = [set_to("unit", column.unit)]
    if column.steps or any(one.color for each in column.mappings for one in each.options.values()):
        found += [set_to("custom.cellOptions", {"type": "color-text"})]
    if column.mappings:
        found += [set_to("mappings", list(column.mappings))]
    if column.steps:
        found += [set_to("thresholds", thresholds(column.steps, "text").build())]
        found += [set_to("color", {"mode": "thresholds"})]
    if column.decimals is not None:
        found += [set_to("decimals", column.decimals)]
    if column.width:
        found += [set_to("custom.width", column.width)]
    if column.empty:
        found += [set_to("noValue", column.empty)]
    if column.link:
        found += [set_to("links", [{"title": column.link[1], "url": column.link[0]}])]
    return found


TO_STREAM = "/d/stream-exporter-stream/streams-stream?var-account=$__all&" + KEPT
ROW_TO_STREAM = (
    TO_STREAM
    + "&var-provider=${__data.fields.provider:percentencode}&var-stream=${__data.fields.stream:percentencode}",
    "Open this stream",
)
LANE_TO_STREAM = (
    TO_STREAM + "&var-provider=${__field.labels.provider:percentencode}"
    "&var-stream=${__field.labels.stream:percentencode}",
    "Open this stream",
)
ROW_TO_ACCOUNT = (
    "/d/stream-exporter-providers/streams-providers-and-quota?var-stream=$__all&"
    + KEPT
    + "&var-provider=${__data.fields.provider:percentencode}&var-account=${__data.fields.account:percentencode}",
    "Open this account",
)
STREAM_CELL = Column("stream", unit="none", link=ROW_TO_STREAM)
ACCOUNT_CELL = Column("account", unit="none", link=ROW_TO_ACCOUNT)
ERROR_COLUMNS = [
    ACCOUNT_CELL,
    Column("code", unit="none", link=(RUNBOOK, "Runbook")),
    Column("Last", unit="dateTimeAsIso", width=170),
    Column("Times", decimals=0),
]
