"""Promises that docs/reliability.md lists, each with its figure."""
