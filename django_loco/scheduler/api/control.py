"""Lists, runs, pauses and resumes the schedules of code, settings and database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction

from ...core.compat import TaskResult
from ...core.validation import did_you_mean, short
from ...exceptions import LocoConfigurationError, QueueUnavailable
from ...log.safe import get_logger
from ...queues.database.availability import unusable
from ..entry import Problem
from ..registry import Registry, default
from ..sources import tables
from ..sources.database import Pause, ScheduleReader, StoredSchedules
from .upcoming import Upcoming, upcoming_in

T = TypeVar("T")

logger = get_logger("django_loco.scheduler")


class Current(NamedTuple):
    """The schedules of code, settings and database, as they are now."""

    registry: Registry
    pauses: Mapping[str, Pause]

    def is_paused(self, name: str) -> bool:
        """Return whether the schedule ``name`` is paused."""
        return name in self.pauses and self.pauses[name].since is not None

    def upcoming(self, runs: int, *, after: datetime | None = None, tags: Collection[str] = ()) -> list[Upcoming]:
        """Return the schedules as the function ``upcoming`` does."""
        rows = upcoming_in(self.registry, runs, after=after, tags=tags)
        return [row._replace(paused=self.is_paused(row.name)) for row in rows]


def current() -> Current:
    """Return all schedules. If the database cannot be read, its schedules are left out."""
    try:
        return read_current()
    except DatabaseError as error:
        logger.warning("The schedules in the database cannot be read and are ignored: %s", error)
        return Current(default.combined_with(()), {})


def read_current() -> Current:
    """Return all schedules.

    Raises the errors of the database, but ignores it if it only lacks the tables of schedules.
    """
    try:
        stored = _read(ScheduleReader.read)
    except tables.MissingTable:
        stored = StoredSchedules()
    return Current(default.combined_with(stored.rows), stored.pauses)


def upcoming(runs: int = 1, *, after: datetime | None = None, tags: Collection[str] = ()) -> list[Upcoming]:
    """Return the schedules sorted by name, each with its first ``runs`` ticks after ``after``, by default now.

    With ``tags``, only the schedules that have one of the tags. A paused schedule is listed with the ticks that it
    would have if it were not paused.
    """
    return current().upcoming(runs, after=after, tags=tags)


def problems() -> list[Problem]:
    """Return the errors of the schedules that are off."""
    return current().registry.problems()


@contextmanager
def _reached() -> Iterator[None]:
    """Read the newest schedules.

    Turn an error of the database into ``QueueUnavailable``, unless stored data cause it.
    """
    with tables.up_to_date():
        try:
            yield
        except (DataError, IntegrityError, transaction.TransactionManagementError):
            raise
        except (DatabaseError, InterfaceError) as error:
            name = tables.database_alias()
            where = f"The schedules and pauses are in DATABASES[{name!r}]"
            raise QueueUnavailable(unusable(where, name, error)) from error


def run(name: str) -> TaskResult[..., Any]:
    """Enqueue a job of the schedule ``name`` now, even if it is paused; return its result.

    Raises ``LocoConfigurationError`` if the schedule does not exist or is off, and the errors of ``enqueue()``.
    """
    return registry_with(name).run(name)


@_reached()
def pause(name: str, *, by: str = "") -> bool:
    """Pause the schedule ``name``; return whether it was not paused already.

    Its ticks are skipped until it is resumed. Schedulers see it within 5 seconds. ``by`` says who paused it, and is
    shown in the admin. Raises ``LocoConfigurationError`` if the schedule does not exist, or the database has no table
    of schedules; ``QueueUnavailable`` if the database cannot be used.
    """
    _require_state(name)
    return mark_paused(name, by=by)


@_reached()
def resume(name: str) -> bool:
    """Resume the schedule ``name``; return whether it was paused. Skipped ticks are not fired later.

    Raises the same errors as ``pause``.
    """
    _require_state(name)
    return mark_resumed(name)


def mark_paused(name: str, *, by: str) -> bool:
    """Do what ``pause`` does, for a schedule that is known to exist. Raises the errors of the database."""
    states = tables.model("ScheduleState").objects
    states.get_or_create(name=name)
    changed = states.filter(name=name, paused_at__isnull=True).update(paused_at=tables.now(), paused_by=by[:200])
    return bool(changed)


def mark_resumed(name: str) -> bool:
    """Do what ``resume`` does, for a schedule that is known to exist. Raises the errors of the database."""
    paused = tables.model("ScheduleState").objects.filter(name=name, paused_at__isnull=False)
    return bool(paused.update(paused_at=None, paused_by="", resumed_at=tables.now()))


@_reached()
def registry_with(name: str) -> Registry:
    """Return a registry that has the schedule ``name``: the code's registry, or one with the database's schedule added.

    If the schedule runs after a schedule of the database, the registry has all schedules of the database. Raises
    ``LocoConfigurationError`` if the schedule does not exist, ``QueueUnavailable`` if the database cannot be used.
    """
    if not isinstance(name, str):
        raise LocoConfigurationError(f"{short(name)} is not the name of a schedule.")
    found = default if default.has(name) else _with_row(name)
    if name not in found.dependency_problems():
        return found
    with suppress(tables.MissingTable):
        found = default.combined_with(_read(ScheduleReader.read).rows)
    return found


def _with_row(name: str) -> Registry:
    try:
        found = default.combined_with(_read(lambda reader: reader.filter(name=name)))
        rows = [] if found.has(name) else list(_read(lambda _: tables.stored("Schedule").values_list("name")))
    except tables.MissingTable:
        found, rows = default, []
    if not found.has(name):
        names = sorted({entry.name for entry in default.entries()} | {name for (name,) in rows})
        raise LocoConfigurationError(f"there is no schedule {name!r}.{did_you_mean(name, names)}")
    return found


def _require_state(name: str) -> None:
    """Raise ``LocoConfigurationError`` as ``pause`` does."""
    registry_with(name)
    if not tables.has_database() or tables.tables_missing():
        raise LocoConfigurationError(tables.no_tables())


def _read(read: Callable[[ScheduleReader], T]) -> T:
    """Return the result of ``read``. Raises ``MissingTable`` without breaking the caller's transaction."""
    if not tables.has_database():
        raise tables.MissingTable
    inside = connections[tables.database_alias()].in_atomic_block
    with tables.require_tables(), transaction.atomic(using=tables.database_alias()) if inside else nullcontext():
        return read(ScheduleReader(default.allow_list))
