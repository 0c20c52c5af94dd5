"""Answers by somebody who means harm: nothing that a cloud can say may break the exporter or make it lie."""
