"""Rounds: who is asked when, with what, and what comes of it. A scrape, a probe and a callback all use the same one."""
