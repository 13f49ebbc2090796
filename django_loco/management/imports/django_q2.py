"""Reads the schedules of Django Q2, and of django-q, from their table."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from .foreign_schedules import ForeignSchedule, Unconvertible, attempted, every, given, moment, rows_of

TABLE = "django_q_schedule"
#: The last day that each month has. For later days Django Q2 runs earlier in months that lack the day.
LAST_SURE_DAY = 28
#: The months between two runs of each type.
MONTHS = {"M": 1, "BM": 2, "Q": 3, "Y": 12}

Row = Mapping[str, Any]


def read_django_q2(database: str) -> Iterator[ForeignSchedule]:
    """Yield the schedules. Raises ``LocoConfigurationError`` if the table is not in ``database``."""
    for row in rows_of(database, TABLE):
        name = row["name"] or f"{row['func']} {row['id']}"
        yield attempted(name, partial(_converted, name, row))


def _converted(name: str, row: Row) -> ForeignSchedule:
    repeats = row["repeats"]
    if repeats == 0:
        raise Unconvertible("it has run as often as it should (repeats is 0).")
    if repeats > 0 and row["schedule_type"] != "O":
        raise Unconvertible(f"it runs {repeats} more times, and a row here has an end in time only.")
    due = moment(row["next_run"])
    if due is None:
        raise Unconvertible("it has no next run.")
    kwargs = _kwargs(row.get("kwargs"))
    notes = ["Its hook is left out; a receiver of task_finished can do the same."] if row.get("hook") else []
    notes += ["Its cluster is left out; choose a queue."] if row.get("cluster") else []
    notes += ["Its q_options are left out."] if kwargs.pop("q_options", None) else []
    if row.get("intended_date_kwarg"):
        notes.append(f"It does not get the time of its tick as {row['intended_date_kwarg']}.")
    values = {
        "run": row["func"],
        "args": _args(row.get("args")),
        "kwargs": kwargs,
        **_when(row, due),
    }
    return ForeignSchedule(name=name, values=given(values), notes=tuple(notes))


def _args(text: str | None) -> list[Any]:
    if not text:
        return []
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        raise Unconvertible(f"its args cannot be read: {text}.") from None
    return [*value] if isinstance(value, tuple) else [value]


def _kwargs(text: str | None) -> dict[str, Any]:
    """Return the keyword arguments. They are written as a dict or as ``a=1, b=2``."""
    if not text:
        return {}
    try:
        if text.lstrip().startswith("{"):
            return dict(ast.literal_eval(text))
        call: Any = ast.parse(f"f({text})", mode="eval").body
        return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError, TypeError):
        raise Unconvertible(f"its kwargs cannot be read: {text}.") from None


def _when(row: Row, due: datetime) -> dict[str, Any]:
    """Return the fields that say when the schedule runs."""
    match row["schedule_type"]:
        case "O":
            return {"at": due}
        case "C":
            return {"schedule": str(row.get("cron") or "")}
        case "I":
            return {"schedule": every(row["minutes"] or 1, "minutes")}
        case kind:
            return {"schedule": _expression(kind, due.astimezone(timezone.get_default_timezone()))}


def _expression(kind: str, local: datetime) -> str:
    """Return the cron expression of a schedule type. ``local`` is the next run on the clock of the site."""
    time = f"{local.minute} {local.hour}"
    if kind in MONTHS:
        return f"{time} {_in_months(MONTHS[kind], local)}"
    by_kind = {"H": f"{local.minute} * * * *", "D": f"{time} * * *", "W": f"{time} * * {local.isoweekday() % 7}"}
    if kind not in by_kind:
        raise Unconvertible(
            "it runs every second week, which cron cannot say." if kind == "BW" else f"its type is {kind!r}."
        )
    return by_kind[kind]


def _in_months(step: int, due: datetime) -> str:
    """Return the last part of the expression, for the day of ``due`` in every ``step``-th month."""
    if due.day > LAST_SURE_DAY:
        raise Unconvertible(f"it runs on day {due.day}, or on the last one of a shorter month, which cron cannot say.")
    months = "*" if step == 1 else ",".join(str(month) for month in range(1, 13) if (month - due.month) % step == 0)
    return f"{due.day} {months} *"
