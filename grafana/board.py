"""What the three dashboards share around their panels: the links between them, and the variables to choose by."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from grafana.look import RUNBOOK, SOURCE, Panel
from grafana.promql import JOB

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see grafana/look.py
    from grafana_foundation_sdk.builders import dashboard
    from grafana_foundation_sdk.models import dashboard as dm

Board = Any
PAGE = "http://${page:raw}/"
"""The status page, at the address that Prometheus scrapes; `dashboards --page-url` writes another in its place."""


def _link(title: str, url: str, icon: str, outside: bool) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(dm.DashboardLinkType.LINK).url(url).icon(icon).as_dropdown(False)
    link = link.placement(None)  # the SDK's default hides links in a menu
    return link.include_vars(not outside).keep_time(not outside).target_blank(outside).tags([])


LINKS = {
    "stream-exporter-fleet": _link("Fleet", "/d/stream-exporter-fleet/streams-fleet", "dashboard", False),
    "stream-exporter-stream": _link("Stream", "/d/stream-exporter-stream/streams-stream", "dashboard", False),
    "stream-exporter-providers": _link(
        "Providers and quota", "/d/stream-exporter-providers/streams-providers-and-quota", "dashboard", False
    ),
}


def _choice(
    name: str, label: str, query: str, about: str, *, multi: bool = True, everything: str = ".+"
) -> dashboard.QueryVariable:
    """Return a variable whose values Prometheus tells; with `multi` several or all may be chosen."""
    found = dashboard.QueryVariable(name).label(label).description(about).datasource(SOURCE)
    found = found.query({"query": query, "refId": f"variable-{name}"}).definition(query)
    found = found.refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dm.VariableSort.NATURAL_ASC)
    if not multi:
        return found.multi(False).include_all(False)
    chosen = dm.VariableOption(selected=True, text=["All"], value=["$__all"])
    return found.multi(True).include_all(True).all_value(everything).current(chosen)


def _source() -> dashboard.DatasourceVariable:
    found = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return found.description("The Prometheus that scrapes the exporter")


def _variables(several: bool) -> list[Any]:
    """Return the variables; each narrows those after it, and those of the exporters ask for no stream's labels."""
    build, cluster, job = "stream_exporter_build_info", 'cluster=~"$cluster"', 'job=~"$job"'
    at = f'{JOB}, provider=~"$provider"' if several else f'{JOB}, provider="$provider"'
    watched, one = "Watched streams" if several else "The stream to look at", f'{at}, account=~"$account"'
    page = _choice(
        "page", "Page", f"label_values({build}{{{JOB}}}, instance)", "Whose status page is linked", multi=False
    )
    return [
        _source(),
        _choice("cluster", "Cluster", f"label_values({build}, cluster)", "Clusters, if named", everything=".*"),
        _choice("job", "Job", f"label_values({build}{{{cluster}}}, job)", "Scrape jobs of the exporters"),
        _choice("instance", "Instance", f"label_values({build}{{{cluster}, {job}}}, instance)", "Exporters"),
        page.hide(dm.VariableHide.HIDE_VARIABLE),
        _choice("provider", "Provider", f"label_values(stream_info{{{JOB}}}, provider)", "Clouds", multi=several),
        _choice("account", "Account", f"label_values(stream_info{{{at}}}, account)", "Accounts"),
        _choice("stream", "Stream", f"label_values(stream_info{{{one}}}, stream)", watched, multi=several),
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
    folded: Mapping[str, Sequence[Panel]],
    *,
    several: bool = True,
    more: Sequence[Any] = (),
    page: str = "",
) -> Board:
    """Make a dashboard: groups of panels under their headings, numbered from 1 in reading order.

    Args:
        uid: Grafana's name for it, which links use.
        title: Its heading, after that of all.
        about: What it is for.
        parts: Panels by the heading they stand under.
        folded: The same, at the end and closed at first: what not everybody has.
        several: Whether any number of streams may be chosen, or one.
        more: Variables besides those that every dashboard has.
        page: What is added to the address of the status page.
    """
    found = dashboard.Dashboard(f"Streams / {title}").uid(uid).description(about)
    found = found.tags(["stream-exporter", "live-streaming"]).tooltip(dm.DashboardCursorSync.CROSSHAIR).editable()
    found = found.timezone("browser").refresh("30s").time("now-6h", "now")
    outside = [_link("Status page", PAGE + page, "external link", True), _link("Runbook", RUNBOOK, "doc", True)]
    found = found.links([*(link for name, link in LINKS.items() if name != uid), *outside])
    for variable in [*_variables(several), *more]:
        found = found.with_variable(variable)
    numbers = count(1)
    for heading, panels in parts.items():
        found = found.with_row(dashboard.Row(heading).id(next(numbers)))
        for panel in panels:
            found = found.with_panel(panel.id(next(numbers)))
    for heading, panels in folded.items():
        row = dashboard.Row(heading).id(next(numbers))
        for panel in panels:
            row = row.with_panel(panel.id(next(numbers)))
        found = found.with_row(row)
    return found
