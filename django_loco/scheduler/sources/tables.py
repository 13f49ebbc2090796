"""The tables of schedules: which database has them, and whether they are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connections, router
from django.utils import timezone

from ...core.job import utcnow
from ...queues.database.availability import what_is_missing

_is_up_to_date: ContextVar[bool] = ContextVar("is_up_to_date", default=False)


class MissingTable(Exception):
    """The database has no table of schedules; a project that keeps its jobs elsewhere does not need it."""


@contextmanager
def require_tables() -> Iterator[None]:
    """Raise ``MissingTable`` instead of ``DatabaseError`` if a missing table is the cause."""
    try:
        yield
    except DatabaseError as error:
        if tables_missing():
            raise MissingTable from error
        raise


def tables_missing() -> bool:
    """Return whether the database answers, and lacks the tables of schedules."""
    try:
        present = connections[database_alias()].introspection.table_names()
    except DatabaseError:
        return False
    return not {model(name)._meta.db_table for name in ("Schedule", "ScheduleState")} <= set(present)  # noqa: SLF001


def no_tables() -> str:
    """Return a sentence on why the database lacks the tables of schedules, with the remedy."""
    return f"The schedules in the database cannot be read: {': '.join(what_is_missing(database_alias()))}."


def has_database() -> bool:
    """Return whether the project has a database at all."""
    return str(connections[database_alias()].settings_dict["ENGINE"]) != "django.db.backends.dummy"


def model(name: str) -> Any:
    """Return a model of the app. Schedules are declared before the models are loaded, so it is looked up late."""
    return apps.get_model("django_loco", name)


def stored(name: str) -> Any:
    """Return the query for the rows of a model."""
    return model(name).objects.using(database_alias())


def database_alias() -> str:
    """Return the alias of the database with the schedules. It may be a replica, but not within ``up_to_date``."""
    return writable_alias() if _is_up_to_date.get() else router.db_for_read(model("Schedule"))


@contextmanager
def up_to_date() -> Iterator[None]:
    """Read from the database to which schedules are written, because a replica may lag behind it."""
    before = _is_up_to_date.set(True)
    try:
        yield
    finally:
        _is_up_to_date.reset(before)


def writable_alias() -> str:
    """Return the alias of the database to which schedules are written."""
    return router.db_for_write(model("Schedule"))


def now() -> datetime:
    """Return the present time as the database stores it."""
    return utcnow() if settings.USE_TZ else timezone.make_naive(utcnow(), timezone.get_default_timezone())
