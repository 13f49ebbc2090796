"""What the queue in memory stores beside jobs."""
