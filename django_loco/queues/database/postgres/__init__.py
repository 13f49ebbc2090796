"""The database queue on PostgreSQL."""
