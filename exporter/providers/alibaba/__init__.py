"""Alibaba ApsaraVideo Live: everything that knows this cloud."""
