"""Tencent Cloud CSS: everything that knows this cloud."""
