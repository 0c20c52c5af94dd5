"""What exporters that share a store do together: one of them asks, and all of them know."""
