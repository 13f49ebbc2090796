"""The records, other than jobs, of the Redis queue."""
