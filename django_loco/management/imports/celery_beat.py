"""Reads the schedules of django-celery-beat from its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from .foreign_schedules import ForeignSchedule, Unconvertible, attempted, every, given, moment, rows_of

TABLE = "django_celery_beat_{}"
#: The kinds of schedules, and their tables.
KINDS = {
    "interval": "intervalschedule",
    "crontab": "crontabschedule",
    "solar": "solarschedule",
    "clocked": "clockedschedule",
}
#: Tasks of Celery itself.
OWN = "celery."
FROM_MIDNIGHT = "It counted from its last run; now it fires at midnight."
#: The fields that have no equivalent here, with a sentence about the difference.
LOST = {
    "exchange": "Its exchange is left out.",
    "routing_key": "Its routing key is left out.",
    "priority": "Its priority is left out, as Celery's counts differently with each broker.",
}

Row = Mapping[str, Any]


def read_celery_beat(database: str) -> Iterator[ForeignSchedule]:
    """Yield the periodic tasks. Raises ``LocoConfigurationError`` if the tables are not in ``database``."""
    tasks = [*rows_of(database, TABLE.format("periodictask"))]
    schedules = {
        kind: {row["id"]: row for row in rows_of(database, TABLE.format(table))}
        for kind, table in KINDS.items()
        if any(task.get(f"{kind}_id") for task in tasks)
    }
    for task in tasks:
        yield attempted(task["name"], partial(_converted, task, schedules))


def _converted(task: Row, schedules: Mapping[str, Mapping[Any, Row]]) -> ForeignSchedule:
    if task["task"].startswith(OWN):
        raise Unconvertible(f"{task['task']} is a task of Celery itself.")
    kind = next((kind for kind in KINDS if task.get(f"{kind}_id")), None)
    if kind is None:
        raise Unconvertible("it has no schedule.")
    schedule = schedules[kind].get(task[f"{kind}_id"])
    if schedule is None:
        raise Unconvertible(f"its {kind} is not in the table.")
    if task.get("one_off") and kind != "clocked":
        raise Unconvertible(
            "it runs once at the next tick (one_off), and a row here would go on. Give it a time in at."
        )
    when, notes = _WHEN[kind](schedule)
    notes += [text for column, text in LOST.items() if task.get(column)]
    if task.get("headers") not in (None, "", "{}"):
        notes.append("Its headers are left out.")
    values = {
        "run": task["task"],
        "args": _json(task, "args", list),
        "kwargs": _json(task, "kwargs", dict),
        "queue": task.get("queue"),
        "start": moment(task.get("start_time")),
        "end": moment(task.get("expires")),
        "expires": task.get("expire_seconds"),
        "description": task.get("description"),
        **when,
    }
    return ForeignSchedule(name=task["name"], values=given(values), is_paused=not task["enabled"], notes=tuple(notes))


def _json(task: Row, column: str, kind: type) -> Any:
    try:
        value = json.loads(task.get(column) or "null")
    except (ValueError, RecursionError) as error:
        raise Unconvertible(f"its {column} are not JSON: {error}.") from None
    if value is not None and not isinstance(value, kind):
        raise Unconvertible(f"its {column} are not a {kind.__name__}.")
    return value


def _of_interval(schedule: Row) -> tuple[dict[str, Any], list[str]]:
    count, unit = schedule["every"], schedule["period"]
    if unit == "microseconds":
        if count % 1_000_000:
            raise Unconvertible(f"it runs every {count:,} microseconds, and the shortest interval is a second.")
        count, unit = count // 1_000_000, "seconds"
    return {"schedule": every(count, unit)}, [FROM_MIDNIGHT] if unit == "days" else []


def _of_crontab(schedule: Row) -> tuple[dict[str, Any], list[str]]:
    day, weekday = (str(schedule[name]).replace(" ", "") for name in ("day_of_month", "day_of_week"))
    if not day.startswith("*") and not weekday.startswith("*"):
        raise Unconvertible(
            "Celery runs it on days that match both the day of the month and the weekday; in cron either is enough. "
            "Let the task check one of them."
        )
    fields = (schedule["minute"], schedule["hour"], day, schedule["month_of_year"], weekday)
    expression = " ".join(str(each).replace(" ", "") for each in fields)
    return {"schedule": expression, "timezone": str(schedule.get("timezone") or "")}, []


def _of_clocked(schedule: Row) -> tuple[dict[str, Any], list[str]]:
    return {"at": moment(schedule["clocked_time"])}, []


def _of_solar(schedule: Row) -> tuple[dict[str, Any], list[str]]:
    raise Unconvertible(f"it runs at {schedule['event']} at a place on earth, and there are no such schedules here.")


_WHEN = {"interval": _of_interval, "crontab": _of_crontab, "clocked": _of_clocked, "solar": _of_solar}
