"""Checks whether the database of a queue has all migrations of the app."""

from __future__ import annotations

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

from ..timeouts import apply_store_timeout, store_timeout

APP = "django_loco"
#: Parts of the errors of engines for a migration that was not applied: codes of PostgreSQL, words of SQLite.
NO_TABLE = ("42P01", "42703", "no such table", "no such column", "has no column", "no such index")


def migrate_command(database: str) -> str:
    """Return the command that applies the missing migrations."""
    where = "" if database == "default" else f" --database={database}"
    return f"manage.py migrate {APP}{where}"


def is_of_missing_migration(error: Exception) -> bool:
    """Return whether a database has raised ``error`` because a table, a column or an index is missing."""
    said = f"{getattr(error.__cause__, 'sqlstate', '')} {error}"
    return any(sign in said for sign in NO_TABLE)


def is_unmigrated(database: str) -> bool:
    """Return whether migrations of the app are missing; ``False`` if the database cannot be reached."""
    try:
        with store_timeout():
            executor = MigrationExecutor(apply_store_timeout(connections[database]))
            targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
            return bool(executor.migration_plan(targets))
    except Error:
        return False
