"""What the Redis queue stores beside jobs."""
