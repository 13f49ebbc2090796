"""The database engines that can store jobs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from django.db import connections
from django.utils.connection import ConnectionDoesNotExist
from django.utils.module_loading import import_string

from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError
from ..listener import QueueListener
from .dialect import Dialect

#: The dialect and the listener of each engine, by its vendor in Django.
ENGINES = {
    "sqlite": (
        "django_loco.queues.database.sqlite.dialect.SQLiteDialect",
        "django_loco.queues.database.sqlite.listener.SQLiteListener",
    ),
    "postgresql": (
        "django_loco.queues.database.postgres.dialect.PostgresDialect",
        "django_loco.queues.database.postgres.listener.PostgresListener",
    ),
}


def engine_of(alias: str, database: str) -> tuple[type[Dialect], Callable[[str, str], QueueListener]]:
    """Return the dialect and the listener for the engine of ``database``. Raises ``LocoConfigurationError``."""
    try:
        connection = connections[database]
    except ConnectionDoesNotExist as error:
        raise LocoConfigurationError(
            f"TASKS[{alias!r}]['OPTIONS']['database'] is {database!r}, which is not in DATABASES."
            f"{did_you_mean(str(database), [*connections])}"
        ) from error
    vendor = connection.vendor
    if vendor not in ENGINES:
        raise LocoConfigurationError(
            f"TASKS[{alias!r}] keeps its jobs in DATABASES[{database!r}], whose engine is {vendor}; it "
            "must be SQLite or PostgreSQL. Name such a database in OPTIONS['database'], or choose another "
            "OPTIONS['queue']."
        )
    try:
        dialect, listener = (import_string(path) for path in ENGINES[vendor])
    except ImportError as error:
        raise LocoConfigurationError(
            f"TASKS[{alias!r}] keeps its jobs in PostgreSQL, which needs psycopg 3 ({error}): "
            'pip install "django-loco[postgres]".'
        ) from error
    if connection.settings_dict["OPTIONS"].get("pool") and find_spec("psycopg_pool") is None:
        raise LocoConfigurationError(
            f"TASKS[{alias!r}] keeps its jobs in DATABASES[{database!r}], whose OPTIONS['pool'] needs psycopg_pool: "
            'pip install "psycopg[pool]".'
        )
    return dialect, listener
