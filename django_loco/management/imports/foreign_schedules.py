"""A schedule of another system in django-loco's terms, and helpers to read such schedules from a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError, QueueUnavailable
from ...queues.database.availability import unusable


class Unconvertible(ValueError):
    """The reason why a schedule has no equivalent here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSchedule:
    """One schedule of another system."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """The fields of ``models.Schedule``, except ``name``."""

    is_paused: bool = False
    notes: tuple[str, ...] = ()
    """The differences from the original, in sentences."""

    problem: str = ""
    """Why it cannot be converted; empty if it can."""


def attempted(name: str, convert: Callable[[], ForeignSchedule]) -> ForeignSchedule:
    """Return the result of ``convert``, or the reason why it failed: a wrong row must not hide the others."""
    try:
        return convert()
    except Unconvertible as reason:
        return ForeignSchedule(name=name, problem=str(reason))
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        return ForeignSchedule(name=name, problem=f"it cannot be read: {error!r}.")


def rows_of(database: str, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dictionaries, in the order of their ids.

    The columns depend on the version of the other system. Raises ``LocoConfigurationError`` if there is no such
    database or table, ``QueueUnavailable`` if the database cannot be used.
    """
    if database not in connections:
        raise LocoConfigurationError(f"DATABASES[{database!r}] does not exist.{did_you_mean(database, [*connections])}")
    try:
        yield from _rows_of(connections[database], table)
    except DatabaseError as error:
        where = f"The schedules to import are in DATABASES[{database!r}]"
        raise QueueUnavailable(unusable(where, database, error)) from error


def _rows_of(connection: BaseDatabaseWrapper, table: str) -> Iterator[dict[str, Any]]:
    if table not in connection.introspection.table_names():
        raise LocoConfigurationError(
            f"DATABASES[{connection.alias!r}] has no table {table}. Name the database that has it with --database."
        )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY id")  # noqa: S608 - our own names
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    for row in rows:
        yield dict(zip(columns, row, strict=True))


def moment(value: Any) -> datetime | None:
    """Return a stored time as an aware datetime.

    A time without a zone is in UTC, as Django stores it in SQLite. Without ``USE_TZ`` it is on the clock of
    ``TIME_ZONE``.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None or value.tzinfo:
        return value  # type: ignore[no-any-return]
    return timezone.make_aware(value, UTC if settings.USE_TZ else timezone.get_default_timezone())


def every(count: int, unit: str) -> str:
    """Return the words of an interval; ``unit`` is a plural."""
    return f"every {unit.removesuffix('s')}" if count == 1 else f"every {count} {unit}"


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` without empty ones."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
