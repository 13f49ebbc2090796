"""A project on another database than SQLite or PostgreSQL, with its jobs in Redis, has nothing to put up with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.loader import MigrationLoader

from django_loco.models import StoredJob
from django_loco.models.job import QUEUE_FEATURES

APP = "django_loco"


@pytest.fixture
def like_mysql(monkeypatch: pytest.MonkeyPatch) -> str:
    """The alias of a database without partial indexes and indexes on expressions, as MariaDB is."""
    for feature in QUEUE_FEATURES:
        monkeypatch.setattr(connections["second"].features, feature, False)
    return "second"


def keys_of(model: Any) -> Iterator[models.Index | models.UniqueConstraint | models.Field[Any, Any]]:
    """Every key and index that the table of ``model`` has."""
    yield from model._meta.indexes
    yield from model._meta.constraints
    yield from (field for field in model._meta.local_fields if field.primary_key or field.unique or field.db_index)


def is_impossible(model: Any, key: Any) -> bool:
    """Whether MySQL or MariaDB lacks such a key: one with text of any length, a condition or an expression."""
    if isinstance(key, models.Field):
        return isinstance(key, models.TextField)
    names = [name.lstrip("-") for name in key.fields]
    return bool(
        key.condition or not names or any(isinstance(model._meta.get_field(name), models.TextField) for name in names)
    )


@pytest.mark.django_db(databases=["default", "second"])
def test_no_check_complains_of_its_engine(like_mysql):
    for model in apps.get_app_config(APP).get_models():
        assert not model.check(databases=[like_mysql])


def test_no_migration_makes_a_key_that_its_engine_lacks(like_mysql):
    loader = MigrationLoader(None)
    chain = [loader.project_state(node) for node in sorted(loader.graph.nodes) if node[0] == APP]
    made = [model for state in chain for model in state.apps.get_models() if model._meta.can_migrate(like_mysql)]
    assert {"Schedule", "ScheduleState"} <= {model.__name__ for model in made}
    for model in (*made, *(each for each in apps.get_models() if each._meta.can_migrate(like_mysql))):
        assert [key for key in keys_of(model) if is_impossible(model, key)] == [], model


@pytest.mark.django_db(databases=["default", "second"], transaction=True)
def test_all_migrations_run_without_the_tables_of_jobs(monkeypatch):
    def migrated(to: str | None) -> set[str]:
        call_command("migrate", APP, *filter(None, [to]), database="second", verbosity=0)
        return {name for name in connections["second"].introspection.table_names() if name.startswith(APP)}

    assert migrated("zero") == set()
    with monkeypatch.context() as like_mysql:
        for feature in QUEUE_FEATURES:
            like_mysql.setattr(connections["second"].features, feature, False)
        assert migrated(None) == {"django_loco_schedule", "django_loco_schedule_state"}
        assert migrated("zero") == set()
    assert StoredJob._meta.db_table in migrated(None)
