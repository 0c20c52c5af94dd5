"""World, scrape, samples: the whole exporter over loopback against the simulated clouds."""
