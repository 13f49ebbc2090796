"""Reads schedules and pauses from the database, and makes a schedule of each row."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from django.db.models import Q

from ...core.job import aware, utcnow
from ...exceptions import LocoConfigurationError
from ...log.plain_text import shown
from ...log.safe import get_logger
from ..entry import Problem, ScheduleEntry, SourceLocation
from ..misfire import keys_kept
from ..options import COLUMNS, OPTIONS
from ..triggers.trigger import EPOCH
from .allow_list import AllowList
from .changed_row import changed_row
from .mapping import entry_from
from .tables import now, require_tables, stored
from .targets import words_of_run

T = TypeVar("T")

logger = get_logger("django_loco.scheduler")

DATABASE_LOCATION = SourceLocation("", "database", 0)
HINT = "Correct it in the admin. Until then this schedule is off; the others run."

#: A row, field by field.
Row = Mapping[str, Any]


class Pause(NamedTuple):
    """The pause of a schedule that is paused now or was paused until recently."""

    since: datetime | None
    """When the present pause began; ``None`` if the schedule is not paused now."""

    by: str
    until: datetime | None
    """When its last pause ended; ticks up to then are not fired."""

    def covers(self, tick: datetime) -> bool:
        """Return whether to skip ``tick``."""
        return self.since is not None or (self.until is not None and tick <= self.until)


class StoredSchedules(NamedTuple):
    """The schedules and pauses of the database."""

    rows: tuple[ScheduleEntry | Problem, ...] = ()
    pauses: Mapping[str, Pause] = {}
    read_at: datetime | None = None
    """When they were read. They include all changes from before that time."""


class ScheduleReader:
    """Reads the schedules of the database. Unchanged rows give the same objects as before. For one thread."""

    def __init__(self, allow_list: AllowList, now: Callable[[], datetime] = utcnow) -> None:
        self._allow_list = allow_list
        self._now = now
        self._read_at: datetime | None = None
        self._by_id: dict[int, tuple[Row, ScheduleEntry | Problem]] = {}
        self._version: tuple[Any, ...] | None = None
        self._rows: tuple[ScheduleEntry | Problem, ...] = ()

    def read(self, *, full: bool = False) -> StoredSchedules:
        """Return the current schedules and pauses. With ``full``, also find changes that were made by SQL.

        Schedules that have not changed are the same objects as before. Raises ``MissingTable`` and ``DatabaseError``.
        """
        with require_tables():
            read_at = self._now()
            version = _version()
            if full or version is None or version != self._version:
                self._rows = self._read_rows(read_at)
                self._version = version
            found = StoredSchedules(self._rows, pauses(), read_at)
            self._read_at = read_at
            return found

    def filter(self, *conditions: Q, **lookup: Any) -> list[ScheduleEntry | Problem]:
        """Return the schedules that ``filter(*conditions, **lookup)`` finds. Raises the same errors as ``read``."""
        with require_tables():
            rows = _rows(stored("Schedule").filter(*conditions, **lookup))
            return [self._entry_or_problem(row) for row in rows]

    def _read_rows(self, read_at: datetime) -> tuple[ScheduleEntry | Problem, ...]:
        previous = self._by_id
        self._by_id = {}
        for row in _rows(stored("Schedule").order_by("name")):
            before, schedule = previous.get(row["id"], (None, None))
            if schedule is None or row != before:
                schedule = self._changed(row, schedule, read_at)
            self._by_id[row["id"]] = row, schedule
        found = tuple(schedule for _, schedule in self._by_id.values())
        # By identity: 1 and True are equal, but not the same argument.
        return self._rows if [*map(id, found)] == [*map(id, self._rows)] else found

    def _changed(self, row: Row, before: ScheduleEntry | Problem | None, read_at: datetime) -> ScheduleEntry | Problem:
        """Return the schedule of a row that is new, or that differs from ``before``."""
        found = self._entry_or_problem(row)
        if self._read_at is None or isinstance(found, Problem):
            return found
        return changed_row(found, before, aware(row["changed_at"]), (self._read_at, read_at))

    def _entry_or_problem(self, row: Row) -> ScheduleEntry | Problem:
        try:
            if "error" in row:
                raise row["error"]
            entry = entry_of_row(row, self._allow_list, is_stored=True)
            return replace(entry, changed_at=aware(row["changed_at"]))
        except LocoConfigurationError as error:
            return Problem(f"Schedule {row['name']!r}: {error}", HINT, str(row["name"]))
        except Exception as error:
            # An error of one row must not affect the others.
            logger.exception("Schedule %r in the database is invalid", row["name"])
            return Problem(f"Schedule {row['name']!r} is invalid: {shown(error)}", HINT, str(row["name"]))


def _version() -> tuple[Any, ...] | None:
    """Return a value that changes with every change of a row; ``None`` if a row cannot be read."""
    schedules = stored("Schedule")
    try:
        return schedules.version()  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001 - a converter may raise anything
        _require_database()
        return None


def _rows(found: Any) -> list[Row]:
    """Return the rows of a query. A row that cannot be read has an ``error`` instead of values.

    Raises ``DatabaseError``.
    """
    return [row for row in each_readable(found.values(), lambda pk: _row(found, pk)) if row]


def each_readable(found: Any, read_one: Callable[[Any], T]) -> list[T]:
    """Return the results of a query. If SQL has written a row that cannot be read, ``read_one(pk)`` reads each row.

    Raises ``DatabaseError``.
    """
    try:
        return list(found)
    except Exception:  # noqa: BLE001 - as above
        _require_database()
        rows = [read_one(pk) for pk in found.values_list("pk", flat=True)]
        _require_database()  # otherwise every row would seem invalid
        return rows


def _row(found: Any, pk: int) -> Row | None:
    try:
        return found.filter(pk=pk).values().first()  # type: ignore[no-any-return]
    except Exception as error:  # noqa: BLE001 - as above
        return {"id": pk, "name": _name(pk), "error": error}


def _name(pk: int) -> str:
    try:
        return str(stored("Schedule").values_list("name", flat=True).get(pk=pk))
    except Exception:  # noqa: BLE001 - as above
        return f"row {pk}"


def _require_database() -> None:
    """Raise ``DatabaseError`` if the database itself is the cause of an error."""
    stored("Schedule").values_list("pk").first()


def entry_of_row(row: Row, allow_list: AllowList, *, is_stored: bool = False) -> ScheduleEntry:
    """Return the schedule of ``row``. Raises ``LocoConfigurationError`` with the ``field`` that is wrong.

    A stored row may have a time zone that its interval does not need, because earlier versions accepted it.
    """
    allow_list.require(row["run"])
    item = _with_all_words(item_of(row))
    common = {"timezone": item.pop("timezone")} if is_stored and "timezone" in item else {}
    return entry_from(row["name"], item, DATABASE_LOCATION, common)


def _with_all_words(item: dict[str, Any]) -> dict[str, Any]:
    """Return ``item`` with all arguments of a management command in ``run``, so that its parser checks them."""
    words = words_of_run(item["run"])
    if "." in words[0] or not isinstance(item.get("args"), list):
        return item
    rest = {key: value for key, value in item.items() if key != "args"}
    return rest | {"run": shlex.join([*words, *map(str, item["args"])])}


def item_of(row: Row) -> dict[str, Any]:
    """Return ``row`` as it would be written in ``LOCO["SCHEDULE"]``."""
    return {
        key: aware(row[key]) if isinstance(row[key], datetime) else row[key]
        for key in COLUMNS
        if row[key] not in (None, "", [], {}, OPTIONS[key].default)
    }


def pauses() -> dict[str, Pause]:
    """Return the current and recent pauses, by the names of the schedules."""
    states = stored("ScheduleState").filter(Q(paused_at__isnull=False) | Q(resumed_at__gte=now() - keys_kept()))
    fields = ("name", "paused_at", "paused_by", "resumed_at")
    found = each_readable(states.values_list(*fields), lambda name: _state(states, name, fields))
    return {name: Pause(since and aware(since), by, until and _past(until)) for name, since, by, until in found}


def _past(moment: datetime) -> datetime:
    """Return a past moment in UTC.

    Without ``USE_TZ``, if the site's clock shows a time twice, PostgreSQL stores it as the second one, even if it was
    the first.
    """
    found = aware(moment).astimezone(UTC)
    return found if found <= utcnow() else min(found, aware(moment.replace(fold=0)).astimezone(UTC))


def _state(states: Any, name: str, fields: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the state of a schedule. A state that SQL has written and that cannot be read counts as paused."""
    try:
        return states.values_list(*fields).get(name=name)  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001 - as above
        return name, EPOCH, "", None
