"""Toy Cloud, which exists in this template and in tests only."""
