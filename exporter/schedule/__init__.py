"""When streams should be live: Alertmanager's time intervals, maintenance, and when the verdict changes next.

Time is an argument, and time zones are handed in.
"""

from exporter.schedule.expectations import ALWAYS, NEVER, Expectation, Expectations, Schedule, Verdicts, Window
from exporter.schedule.intervals import Interval

__all__ = ["ALWAYS", "NEVER", "Expectation", "Expectations", "Interval", "Schedule", "Verdicts", "Window"]
