"""The database queue on SQLite."""
