"""What the three dashboards share around their panels: the links between them, and the variables to choose by."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from grafana.look import RUNBOOK, SOURCE, Panel

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see grafana/look.py
    from grafana_foundation_sdk.builders import dashboard
    from grafana_foundation_sdk.models import dashboard as dm

Board = Any


def _link(title: str, url: str, icon: str, outside: bool) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(dm.DashboardLinkType.LINK).url(url).icon(icon).as_dropdown(False)
    link = link.placement(None)  # the SDK's default hides links in a menu
    return link.include_vars(not outside).keep_time(not outside).target_blank(outside).tags([])


LINKS = {
    "stream-exporter-fleet": _link("Fleet", "/d/stream-exporter-fleet/fleet", "dashboard", False),
    "stream-exporter-stream": _link("Stream", "/d/stream-exporter-stream/stream", "dashboard", False),
    "stream-exporter-providers": _link(
        "Providers and quota", "/d/stream-exporter-providers/providers-and-quota", "dashboard", False
    ),
    "runbook": _link("Runbook", RUNBOOK, "doc", True),
}


def _choice(name: str, label: str, query: str, about: str, *, multi: bool) -> dashboard.QueryVariable:
    """Return a variable whose values Prometheus tells; with `multi` several or all may be chosen."""
    found = dashboard.QueryVariable(name).label(label).description(about).datasource(SOURCE)
    found = found.allow_custom_value(multi).query({"query": query, "refId": f"variable-{name}"}).definition(query)
    found = found.refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dm.VariableSort.NATURAL_ASC)
    if not multi:
        return found.multi(False).include_all(False)
    everything = dm.VariableOption(selected=True, text=["All"], value=["$__all"])
    return found.multi(True).include_all(True).all_value(".+").current(everything)


def _source() -> dashboard.DatasourceVariable:
    found = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return found.description("The Prometheus that scrapes the exporter")


def _variables(several: bool) -> list[Any]:
    job, at = 'job=~"$job"', 'provider=~"$provider"' if several else 'provider="$provider"'
    return [
        _source(),
        _choice("job", "Job", "label_values(stream_info, job)", "Scrape jobs of the exporter", multi=True),
        _choice("provider", "Provider", f"label_values(stream_info{{{job}}}, provider)", "Clouds", multi=several),
        _choice("account", "Account", f"label_values(stream_info{{{job}, {at}}}, account)", "Accounts", multi=True),
        _choice(
            "stream",
            "Stream",
            f'label_values(stream_info{{{job}, {at}, account=~"$account"}}, stream)',
            "Watched streams" if several else "The stream to look at",
            multi=several,
        ),
    ]


def grouping(query: str) -> dashboard.QueryVariable:
    """Return the variable that names a label of `stream_info`, without the labels that every scrape adds."""
    found = _choice("label", "Group by", query, "A label from the configuration of the streams", multi=False)
    found = found.regex("/^(?!(__.*|stream|job|instance|namespace|pod|service|endpoint|container|node)$).*$/")
    return found.current(dm.VariableOption(selected=True, text="account", value="account"))


def board(
    uid: str,
    title: str,
    about: str,
    parts: Mapping[str, Sequence[Panel]],
    *,
    several: bool = True,
    more: Sequence[Any] = (),
) -> Board:
    """Make a dashboard: groups of panels under their headings, numbered from 1 in reading order.

    Args:
        uid: Grafana's name for it, which links use.
        title: Its heading.
        about: What it is for.
        parts: Panels by the heading they stand under.
        several: Whether any number of streams may be chosen, or one.
        more: Variables besides those that every dashboard has.
    """
    found = dashboard.Dashboard(title).uid(uid).description(about).tags(["stream-exporter", "live-streaming"])
    found = found.timezone("browser").refresh("30s").time("now-6h", "now").tooltip(dm.DashboardCursorSync.CROSSHAIR)
    found = found.links([link for name, link in LINKS.items() if name != uid]).editable()
    for variable in [*_variables(several), *more]:
        found = found.with_variable(variable)
    number = 0
    for heading, panels in parts.items():
        number += 1
        found = found.with_row(dashboard.Row(heading).id(number))
        for panel in panels:
            number += 1
            found = found.with_panel(panel.id(number))
    return found
