"""Shows rows with invalid values, which only SQL can write, as far as possible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from ...exceptions import LocoConfigurationError
from ...models import Schedule
from ...scheduler.api.row_validation import problem_of_json
from ...scheduler.options import COLUMNS
from ...scheduler.sources.database import each_readable
from ...scheduler.triggers.parsing import moment_of

FIELDS = ("description", *COLUMNS)


def readable(rows: QuerySet[Schedule]) -> list[Schedule]:
    """Return ``rows``, with an empty row for each that cannot be read. Raises ``DatabaseError``."""
    return each_readable(rows, _readable)


def _readable(pk: int) -> Schedule:
    try:
        return Schedule.objects.only("name", "run").get(pk=pk)
    except Exception:  # noqa: BLE001 - an error of one row must not hide the others
        return Schedule(pk=pk, name=f"row {pk}")


def load_fields(row: Schedule) -> list[str]:
    """Load all fields of ``row``. Leave fields blank if they cannot be shown, and return their names."""
    bad = [] if _load(row, FIELDS) else [name for name in FIELDS if not _load(row, [name])]
    bad += [name for name in FIELDS if name not in bad and not _can_be_shown(name, getattr(row, name))]
    for name in bad:
        field: Any = Schedule._meta.get_field(name)  # noqa: SLF001 - Django's name for a public interface
        setattr(row, name, field.get_default())
    return bad


def _load(row: Schedule, names: Sequence[str]) -> bool:
    try:
        row.refresh_from_db(fields=names)
    except Exception:  # noqa: BLE001 - a converter may raise anything
        return False
    return True


def _can_be_shown(name: str, value: Any) -> bool:
    if not isinstance(value, datetime):
        return not problem_of_json(value)
    try:
        moment_of(name, value, UTC)
    except LocoConfigurationError:
        return False
    return True
