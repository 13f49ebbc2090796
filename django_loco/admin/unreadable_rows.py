"""Shows rows that were written by SQL and hold invalid values, as far as possible."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from ..exceptions import LocoConfigurationError
from ..models import Schedule
from ..scheduler.api.row_validation import problem_of_json
from ..scheduler.options import COLUMNS
from ..scheduler.triggers.parsing import moment_of

FIELDS = ("description", *COLUMNS)


def readable(rows: QuerySet[Schedule]) -> list[Schedule]:
    """Return ``rows``, with an empty row for each that cannot be read. Raises ``DatabaseError``."""
    try:
        return list(rows)
    except Exception:  # noqa: BLE001 - an error of one row must not hide the others
        return [_readable(pk) for pk in rows.values_list("pk", flat=True)]


def _readable(pk: int) -> Schedule:
    try:
        return Schedule.objects.only("name", "run").get(pk=pk)
    except Exception:  # noqa: BLE001 - as above
        return Schedule(pk=pk, name=f"row {pk}")


def load_fields(row: Schedule) -> list[str]:
    """Load all fields of ``row``; leave those blank that cannot be shown, and return their names."""
    try:
        row.refresh_from_db(fields=FIELDS)
    except Exception:  # noqa: BLE001 - the field is found below
        bad = [name for name in FIELDS if not _load(row, name)]
    else:
        bad = []
    return [*bad, *(name for name in FIELDS if name not in bad and not _can_be_shown(row, name))]


def _load(row: Schedule, name: str) -> bool:
    try:
        row.refresh_from_db(fields=[name])
    except Exception:  # noqa: BLE001 - a converter may raise anything
        _blank(row, name)
        return False
    return True


def _can_be_shown(row: Schedule, name: str) -> bool:
    value = getattr(row, name)
    try:
        if isinstance(value, datetime):
            moment_of(name, value, UTC)
        elif problem_of_json(value):
            raise ValueError(name)
    except (LocoConfigurationError, ValueError):
        _blank(row, name)
        return False
    return True


def _blank(row: Schedule, name: str) -> None:
    field: Any = Schedule._meta.get_field(name)  # noqa: SLF001 - Django's name for a public interface
    setattr(row, name, field.get_default())
