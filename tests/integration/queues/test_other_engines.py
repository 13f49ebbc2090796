"""A project on another database than SQLite or PostgreSQL, with its jobs in Redis, has nothing to put up with."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from django_loco.models import StoredJob


@pytest.fixture
def like_mysql(monkeypatch: pytest.MonkeyPatch) -> str:
    """The alias of a database without partial indexes."""
    monkeypatch.setattr(connections["second"].features, "supports_partial_indexes", False)
    return "second"


@pytest.mark.django_db(databases=["default", "second"])
def test_no_check_complains_of_its_engine(like_mysql):
    for model in apps.get_app_config("django_loco").get_models():
        assert not model.check(databases=[like_mysql])


def test_only_the_table_of_jobs_is_not_made(like_mysql):
    state = MigrationLoader(None).project_state(("django_loco", "0004_schedule"))
    made = {model.__name__ for model in state.apps.get_models() if model._meta.can_migrate(like_mysql)}
    assert {"Schedule", "ScheduleState"} <= made
    assert StoredJob.__name__ not in made
    assert StoredJob._meta.can_migrate("default")
