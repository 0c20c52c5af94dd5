"""ZEGO RTC: everything that knows this cloud."""
