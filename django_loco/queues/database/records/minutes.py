"""The statistics in the database: a row for each minute, queue, task and outcome, and sums of these.

The sum of an hour is a row whose minute is the negative number of the hour. The sum of all minutes is a row with
``TOTAL``. So one index finds minutes, hours and totals, and rows that are too old are side by side in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...records.minutes import (
    HOUR,
    KEPT_MINUTES,
    NUMBERS,
    TOTAL,
    Labels,
    Minute,
    Statistics,
    hours_of,
    minute_of,
    totals_of,
)
from ...rows import Row
from ..dialect import Dialect
from .statement_runner import StatementRunner

#: The number of rows of one statement. Each has some 30 parameters, and engines allow some ten thousand.
BATCH = 100
#: The number of old rows that are deleted at once: many more than a process adds in a minute, and it takes no second.
DELETED_AT_ONCE = 10_000

LABELS = ", ".join(Labels._fields)
COLUMNS = f"{LABELS}, last_minute, {', '.join(NUMBERS)}"
#: The names in braces of the statements below.
NAMES = {
    "minute_table": "django_loco_minute",
    "labels": LABELS,
    "all_columns": COLUMNS,
    "read": f"{LABELS}, {', '.join(NUMBERS)}",
    "summed": ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in NUMBERS),
    "sums": ", ".join(f"{name} = {{minute_table}}.{name} + excluded.{name}" for name in NUMBERS),
}
#: Rows are locked in the order of the list. Processes that list them in the same order cannot deadlock.
ADD = """
    INSERT INTO {minute_table} (backend, {all_columns}) VALUES {rows}
    ON CONFLICT (backend, {labels}) DO UPDATE SET {sums}, last_minute =
        CASE WHEN excluded.last_minute > {minute_table}.last_minute
        THEN excluded.last_minute ELSE {minute_table}.last_minute END
"""
#: The last minute decides. The statement also asks for ``minute``, because the index has it: so young minutes and hours
#: are not read.
OLDEST = """
    SELECT id FROM {minute_table}
    WHERE backend = %(alias)s AND minute > %(oldest_hour)s AND minute < %(oldest)s AND last_minute < %(oldest)s
    ORDER BY minute LIMIT %(limit)s {skip_locked}
"""
DROP = "DELETE FROM {minute_table} WHERE id {in_oldest}"
SINCE = """
    SELECT {read} FROM {minute_table} WHERE backend = %(alias)s AND minute >= %(since)s ORDER BY {labels}
"""
HOURS = """
    SELECT -minute / %(every)s * %(every)s, queue_name, task_path, outcome, {summed} FROM {minute_table}
    WHERE backend = %(alias)s AND minute < 0 AND minute <= %(since)s
    GROUP BY -minute / %(every)s * %(every)s, queue_name, task_path, outcome ORDER BY 1, 2, 3, 4
"""
TOTALS = "SELECT {read} FROM {minute_table} WHERE backend = %(alias)s AND minute = %(total)s"
CLEAR_MINUTES = "DELETE FROM django_loco_minute WHERE backend = %(alias)s"


def add_minutes(dialect: Dialect, minutes: Sequence[Minute]) -> None:
    """Add ``minutes`` to the stored statistics."""
    hours = [_stored_hour(each) for each in hours_of(minutes)]
    rows = [*((each, each.labels.minute) for each in minutes), *hours, *totals_of(minutes)]
    ordered = sorted(rows)
    for first in range(0, len(ordered), BATCH):
        _add(dialect, ordered[first : first + BATCH])


def prune_minutes(dialect: Dialect) -> None:
    """Delete the statistics that are too old by the clock of the database."""
    oldest = minute_of(dialect.clock()) - KEPT_MINUTES
    sql = dialect.sql(DROP, in_oldest=dialect.is_in.format(OLDEST), **NAMES)
    dialect.write(sql, oldest=oldest, oldest_hour=-(oldest // HOUR), limit=DELETED_AT_ONCE)


def minutes_since(dialect: Dialect, minute: int) -> list[Minute]:
    """Return the minutes from ``minute`` on."""
    return _minutes(dialect.execute(dialect.sql(SINCE, **NAMES), since=max(minute, TOTAL + 1)))


def hours_since(dialect: Dialect, minute: int, every: int) -> list[Minute]:
    """Return the sums of ``every`` hours from the hour of ``minute`` on."""
    rows = dialect.execute(dialect.sql(HOURS, **NAMES), since=-(minute // HOUR), every=every)
    labels = len(Labels._fields)
    return [Minute(Labels(row[0] * HOUR, *row[1:labels]), row[labels:]) for row in rows]


def _stored_hour(hour: Minute) -> tuple[Minute, int]:
    """Return the row of an hour, and its last minute, however little of the hour is in it."""
    number = hour.labels.minute // HOUR
    return hour._replace(labels=hour.labels._replace(minute=-number)), number * HOUR + HOUR - 1


def totals(dialect: Dialect) -> list[Minute]:
    """Return the totals."""
    return _minutes(dialect.execute(dialect.sql(TOTALS, **NAMES), total=TOTAL))


def _minutes(rows: Sequence[Row]) -> list[Minute]:
    labels = len(Labels._fields)
    return [Minute(Labels(*row[:labels]), tuple(row[labels:])) for row in rows]


def _add(dialect: Dialect, minutes: Sequence[tuple[Minute, int]]) -> None:
    rows: list[str] = []
    given: dict[str, Any] = {}
    for row, (each, last) in enumerate(minutes):
        values = {f"v{row}_{place}": value for place, value in enumerate((*each.labels, last, *each.numbers))}
        rows.append(f"(%(alias)s, {', '.join(f'%({name})s' for name in values)})")
        given.update(values)
    dialect.write(dialect.text(ADD, **NAMES, rows=", ".join(rows)), **given)


class StoredStatistics(StatementRunner, Statistics):
    """The statistics of ``DatabaseQueue``."""

    def record(self, minutes: Sequence[Minute]) -> None:
        """Add to the statistics."""
        with self._reached():
            add_minutes(self._dialect, minutes)

    def minutes(self, since: int) -> Sequence[Minute]:
        """Return the statistics from the minute ``since`` on."""
        with self._reached():
            return minutes_since(self._dialect, since)

    def hours(self, since: int, every: int = 1) -> Sequence[Minute]:
        """Return the sums of ``every`` hours from the hour of the minute ``since`` on."""
        with self._reached():
            return hours_since(self._dialect, since, every)

    def totals(self) -> Sequence[Minute]:
        """Return the sums of the statistics."""
        with self._reached():
            return totals(self._dialect)
