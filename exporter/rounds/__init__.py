"""Rounds: who is asked when, with what, and what comes of it. A scrape, a probe and a callback all use the same one."""

from exporter.rounds.account import AccountProber
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock, Shared, place

__all__ = ["AccountProber", "Clock", "Prober", "Shared", "place"]
