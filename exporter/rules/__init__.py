"""The alerting and recording rules for Prometheus; docs/alerting.md gives the reasons for their forms."""
