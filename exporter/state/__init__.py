"""What is known of each stream now, what was counted, and what callbacks told."""
