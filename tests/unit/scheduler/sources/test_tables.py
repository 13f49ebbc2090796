"""Which database has the tables of schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError

from django_loco.scheduler.sources import tables


class Replicas:
    """Reads from another database than it writes to."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: type, **hints: Any) -> str:
        return "primary"


def test_a_replica_is_read_unless_the_answer_has_to_be_up_to_date(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Replicas()]
    assert (tables.database_alias(), tables.writable_alias()) == ("replica", "primary")
    with tables.up_to_date():
        assert tables.database_alias() == "primary"
    assert tables.database_alias() == "replica"


@pytest.mark.parametrize("is_missing", [True, False])
def test_an_error_of_a_missing_table_is_another_one(monkeypatch: Any, is_missing: bool) -> None:
    monkeypatch.setattr(tables, "tables_missing", lambda: is_missing)
    with pytest.raises(tables.MissingTable if is_missing else DatabaseError), tables.require_tables():
        raise DatabaseError("no such table")


def test_the_time_is_as_the_database_stores_it(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "utcnow", lambda: datetime(2026, 7, 1, 12, tzinfo=UTC))
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    assert tables.now() == datetime(2026, 7, 1, 14)  # noqa: DTZ001 - the site's time, as without USE_TZ
    settings.USE_TZ = True
    assert tables.now() == datetime(2026, 7, 1, 12, tzinfo=UTC)
