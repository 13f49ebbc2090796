"""What the database queue stores beside jobs."""
