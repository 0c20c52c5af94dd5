"""Who may use the web server: exporter-toolkit's web.config.file."""
