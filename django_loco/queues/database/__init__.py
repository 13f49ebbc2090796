"""The queue in a database: SQLite or PostgreSQL."""

from .queue import DatabaseQueue

__all__ = ["DatabaseQueue"]
