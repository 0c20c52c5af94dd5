"""Toy Cloud: a cloud that exists in tests only."""
