"""Whether the database in which jobs wait has all migrations of the app."""

from __future__ import annotations

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

from ..timeouts import apply_store_timeout, store_timeout

APP = "django_loco"


def migrate_command(database: str) -> str:
    """Return the command that applies what is missing."""
    where = "" if database == "default" else f" --database={database}"
    return f"manage.py migrate {APP}{where}"


def is_unmigrated(database: str) -> bool:
    """Whether migrations of the app are missing; not if the database is away for now."""
    try:
        with store_timeout():
            executor = MigrationExecutor(apply_store_timeout(connections[database]))
            targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
            return bool(executor.migration_plan(targets))
    except Error:
        return False
