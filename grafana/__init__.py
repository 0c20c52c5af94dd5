"""Dashboards: Python that writes the JSON which Grafana reads."""
