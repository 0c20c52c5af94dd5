"""The panels about alerts: what Prometheus keeps of its own, which needs no alerting by Grafana."""

from exporter.rules.alerts import ALERTS
from grafana import look
from grafana.look import RUNBOOK, Column, number, rows
from grafana.promql import SITE

OURS = 'cluster=~"$cluster|", job=~"$job|", instance=~"$instance|", alertname=~"Stream.+", alertname!="StreamWatchdog"'
CHOSEN = 'provider=~"$provider|", account=~"$account|", stream=~"$stream|"'
# Equal, not like: names of streams may hold what a regular expression gives a meaning.
OF_ONE = ('provider="$provider", stream="$stream"', 'provider=~"$provider|", account=~"$account|", stream=""')
ANCHORS = {name: name.lower() for name in sorted({alert.name for alert in ALERTS})}


def firing(*chosen: str) -> str:
    """Return since when alerts of the shipped rules fire, in Unix seconds; an alert may lack any label."""
    some = " or ".join(f"ALERTS_FOR_STATE{{{OURS}, {one}}}" for one in chosen)
    firing = f'({some}) and ignoring (alertstate) ALERTS{{alertstate="firing"}}'
    return f"min by (alertname, severity, provider, account, stream, media) ({firing})"


def table(*chosen: str) -> look.Panel:
    """Return the table of the alerts that fire."""
    since = f"{firing(*chosen)} * 1000"
    return rows(
        "Firing alerts",
        "Alerts of the shipped rules that fire, those about an account or the exporter too; the watchdog is not shown. "
        "Silences are Alertmanager's: what it holds back shows here all the same.",
        {"Since": f'label_join({since}, "runbook", "", "alertname")'},
        [
            Column("alertname", unit="none", width=240),
            look.STREAM_CELL,
            look.ACCOUNT_CELL,
            Column("Since", unit="dateTimeAsIso", width=170),
            Column(
                "runbook", unit="none", mappings=look.texts(ANCHORS), link=(RUNBOOK + "#${__value.text}", "Runbook")
            ),
        ],
        size=(24, 6),
        sort=("severity", False),
        empty="No alert fires, or Prometheus does not have the shipped rules",
    )


def count(*chosen: str) -> look.Panel:
    """Return the number of the alerts that fire; it is empty where nobody evaluates the rules."""
    loaded = f"count(provider_account_stream:stream_info:last15m{{{SITE}}})"
    return number(
        "Alerts",
        "Alerts of the shipped rules that fire now.",
        {"firing": f"count({firing(*chosen)}) or 0 * {loaded}"},
        size=(3, 4),
        steps=[(1, look.RED)],
        empty="no rules",
    )
