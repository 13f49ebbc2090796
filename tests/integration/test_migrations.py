"""The migrations of the table of jobs, which may have millions of rows while workers use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from django_loco.migrations import _beside_writers
from django_loco.migrations._beside_writers import AddIndexBesideWriters, AddUniqueBesideWriters, InOneTransaction

MIGRATIONS = [
    migration for (app, _), migration in sorted(MigrationLoader(None).disk_migrations.items()) if app == "django_loco"
]
NAMES = [migration.name for migration in MIGRATIONS]
#: Those that may stop between two of their operations.
INTERRUPTIBLE = [migration.name for migration in MIGRATIONS if not migration.atomic]


def operations(migration: Any) -> Iterator[Operation]:
    for operation in migration.operations:
        yield from operation.database_operations if isinstance(operation, InOneTransaction) else [operation]


@pytest.mark.parametrize("migration", MIGRATIONS, ids=NAMES)
def test_no_index_of_the_table_of_jobs_keeps_writers_waiting(migration: Any) -> None:
    made = [
        operation
        for operation in operations(migration)
        if isinstance(operation, migrations.AddIndex | migrations.AddConstraint)
        and operation.model_name_lower == "storedjob"
    ]
    for operation in made:
        assert isinstance(operation, AddIndexBesideWriters | AddUniqueBesideWriters), operation.describe()
        assert not migration.atomic


@pytest.mark.parametrize("name", INTERRUPTIBLE)
def test_what_is_not_atomic_can_be_repeated(name: str) -> None:
    """What is left has no trace of its own: one transaction first, then nothing but indexes."""
    first, *rest = MIGRATIONS[NAMES.index(name)].operations
    assert isinstance(first, InOneTransaction | AddIndexBesideWriters)
    assert all(isinstance(operation, AddIndexBesideWriters | AddUniqueBesideWriters) for operation in rest)
    if isinstance(first, InOneTransaction):
        assert isinstance(first.database_operations[0], migrations.AddField)


def migrate(name: str = "") -> None:
    call_command("migrate", "django_loco", *filter(None, [name]), verbosity=0)


def schema() -> dict[str, Any]:
    """Return the columns and the indexes of each table."""
    inspect = connection.introspection
    with connection.cursor() as cursor:
        tables = [table for table in inspect.table_names(cursor) if table.startswith("django_loco")]
        return {
            table: (
                {column.name for column in inspect.get_table_description(cursor, table)},
                {key for key in inspect.get_constraints(cursor, table) if key.startswith("django_loco")},
            )
            for table in tables
        }


class Interrupted(Exception):
    """The process is killed."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", INTERRUPTIBLE)
def test_a_migration_that_was_interrupted_is_run_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = schema()
    indexes = [each for each in MIGRATIONS[NAMES.index(name)].operations if not isinstance(each, InOneTransaction)]
    drop = _beside_writers._drop_index
    try:
        migrate(NAMES[NAMES.index(name) - 1])
        for stop in range(len(indexes)):
            made: list[str] = []

            def drop_or_stop(editor: Any, index: str, made: list[str] = made, stop: int = stop) -> bool:
                if len(made) == stop:
                    raise Interrupted
                made.append(index)
                return drop(editor, index)

            with monkeypatch.context() as patch, pytest.raises(Interrupted):
                patch.setattr(_beside_writers, "_drop_index", drop_or_stop)
                migrate(name)
    finally:
        migrate()
    assert schema() == whole
