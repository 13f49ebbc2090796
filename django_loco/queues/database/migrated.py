"""Checks whether the database of a queue has all migrations of the app."""

from __future__ import annotations

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

from ..timeouts import apply_store_timeout, store_timeout

APP = "django_loco"


def migrate_command(database: str) -> str:
    """Return the command that applies the missing migrations."""
    where = "" if database == "default" else f" --database={database}"
    return f"manage.py migrate {APP}{where}"


def is_unmigrated(database: str) -> bool:
    """Return whether migrations of the app are missing; ``False`` if the database cannot be reached."""
    try:
        with store_timeout():
            executor = MigrationExecutor(apply_store_timeout(connections[database]))
            targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
            return bool(executor.migration_plan(targets))
    except Error:
        return False
