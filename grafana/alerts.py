"""The panels about alerts: what Prometheus keeps of its own, which needs no alerting by Grafana."""

from exporter.rules.accounts import WATCHDOG
from exporter.rules.alerts import ALERTS
from grafana import look
from grafana.look import RUNBOOK, Column, number, rows
from grafana.promql import ONE, SITE

ANCHORS = {name: (name.lower(), None) for name in sorted({alert.name for alert in ALERTS} - {WATCHDOG.name})}
SEVERITIES = {"critical": ("critical", look.RED), "warning": ("warning", look.ORANGE), "info": ("info", look.BLUE)}
OURS = f'alertname=~"{"|".join(ANCHORS)}", cluster=~"$cluster|", job=~"$job|", instance=~"$instance|"'


def ours(chosen: str) -> str:
    """Return since when alerts of the shipped rules fire or may come to; any label may be lacking."""
    return f"ALERTS_FOR_STATE{{{OURS}, {chosen}}}"


CHOSEN = ours('provider=~"$provider|", account=~"$account|", stream=~"$stream|"')
# Names are compared as they are: they may hold what a regular expression gives a meaning. The hour is for an account
# whose exporter is gone.
OF_ITS_ACCOUNT = ours('provider="$provider", account!="", stream=""')
OF_ONE = " or ".join(
    [
        ours('provider="$provider", stream="$stream"'),
        f"({OF_ITS_ACCOUNT} and on (provider, account) last_over_time(stream_info{{{ONE}}}[1h]))",
        ours('provider=~"$provider|", account="", stream=""'),
    ]
)


def firing(some: str) -> str:
    """Return since when some alerts fire, in Unix seconds."""
    kept = f'({some}) and ignoring (alertstate) ALERTS{{alertstate="firing"}}'
    return f"min by (alertname, severity, provider, account, stream, media, playback) ({kept})"


def table(some: str) -> look.Panel:
    """Return the table of the alerts that fire."""
    since = f"{firing(some)} * 1000"
    return rows(
        "Firing alerts",
        "Alerts of the shipped rules that fire, those about an account or the exporter too; the watchdog is not shown. "
        "Silences are Alertmanager's: what it holds back shows here all the same.",
        {"Since": f'label_join({since}, "runbook", "", "alertname")'},
        [
            Column("alertname", unit="none", width=240),
            Column("severity", unit="none", mappings=look.words(SEVERITIES), width=100),
            look.STREAM_CELL,
            look.ACCOUNT_CELL,
            Column("Since", unit="dateTimeAsIso", width=170),
            Column(
                "runbook", unit="none", mappings=look.words(ANCHORS), link=(RUNBOOK + "#${__value.text}", "Runbook")
            ),
        ],
        size=(24, 6),
        sort=("severity", False),
        empty="No alert fires, or Prometheus does not have the shipped rules",
    )


def count(some: str) -> look.Panel:
    """Return the number of the alerts that fire; it is empty where nobody evaluates the rules."""
    loaded = f"count(provider_account_stream:stream_info:last15m{{{SITE}}})"
    return number(
        "Alerts",
        "Alerts of the shipped rules that fire now.",
        {"firing": f"count({firing(some)}) or 0 * {loaded}"},
        steps=[(1, look.RED)],
        empty="no rules",
    )
