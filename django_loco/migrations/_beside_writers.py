"""Operations on the table of jobs beside which jobs are stored and run: a table with millions of rows takes long.

PostgreSQL builds an index ``CONCURRENTLY`` outside of a transaction only, so a migration with one is not atomic
(``atomic = False``). Such a migration may be interrupted anywhere, and can be run again: its other operations are in
one transaction, ``InOneTransaction``, which is skipped if it was committed; and what is left of an index is dropped.

Django takes no module whose name begins with ``_`` for a migration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import migrations
from django.db.migrations.operations.base import Operation


class InOneTransaction(migrations.SeparateDatabaseAndState):
    """Operations that are made together, unless the table has the column that the first of them adds."""

    atomic = True

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__(database_operations=operations, state_operations=operations)
        self._operations = operations

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.collect_sql or not self._is_committed(app_label, schema_editor.connection, to_state):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            # Django would run these after the indexes, and never if one of those is interrupted.
            for statement in schema_editor.deferred_sql:
                schema_editor.execute(statement, None)
            schema_editor.deferred_sql.clear()

    def _is_committed(self, app_label: str, connection: Any, to_state: Any) -> bool:
        added: Any = self._operations[0]
        model = to_state.apps.get_model(app_label, added.model_name)
        table, column = model._meta.db_table, model._meta.get_field(added.name).column  # noqa: SLF001 - documented
        with connection.cursor() as cursor:
            inspect = connection.introspection
            return table in inspect.table_names(cursor) and column in {
                found.name for found in inspect.get_table_description(cursor, table)
            }


class AddIndexBesideWriters(migrations.AddIndex):
    """On PostgreSQL, build the index ``CONCURRENTLY``, so that writers need not wait for it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor not in ("postgresql", "sqlite"):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(connection.alias, model):
            beside = _drop_index(schema_editor, self.index.name)
            schema_editor.add_index(model, self.index, **({"concurrently": True} if beside else {}))


class AddUniqueBesideWriters(migrations.AddConstraint):
    """As ``AddIndexBesideWriters``, for a unique constraint with a condition, which is a unique index."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor not in ("postgresql", "sqlite"):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(connection.alias, model):
            create = str(self.constraint.create_sql(model, schema_editor))
            if _drop_index(schema_editor, self.constraint.name):
                create = create.replace("CREATE UNIQUE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY", 1)
            schema_editor.execute(create, params=None)


def _drop_index(schema_editor: Any, name: str) -> bool:
    """Drop what an interrupted run has left of an index. Return whether to build it ``CONCURRENTLY``."""
    connection = schema_editor.connection
    beside = bool(connection.vendor == "postgresql" and not connection.in_atomic_block)
    quoted = schema_editor.quote_name(name)
    schema_editor.execute(f"DROP INDEX {'CONCURRENTLY ' if beside else ''}IF EXISTS {quoted}", params=None)
    return beside
