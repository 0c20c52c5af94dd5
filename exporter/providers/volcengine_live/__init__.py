"""Volcengine Live: everything that knows this cloud."""
