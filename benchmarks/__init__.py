"""Figures as ratios against a named baseline measured in the same run: `python -m benchmarks [NAME ...]`."""
