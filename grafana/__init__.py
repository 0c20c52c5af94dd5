"""Dashboards: Python that writes the JSON which Grafana reads, and draws pictures of what it shows."""
