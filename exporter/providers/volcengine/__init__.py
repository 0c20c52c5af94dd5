"""Volcengine RTC: everything that knows this cloud."""
