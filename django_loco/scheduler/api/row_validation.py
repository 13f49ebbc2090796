"""What a row has to keep, told of the field that breaks it: before it is saved by a form, or by ``full_clean()``."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from ...exceptions import LocoConfigurationError
from ..entry import Entry
from ..options import COLUMNS, in_group
from ..registry import default
from ..sources.database import DATABASE_LOCATION, ScheduleReader, entry_of_row, item_of
from ..sources.mapping import entry_from

#: Characters of ``args``, ``kwargs`` or ``tags``: they are read again by each scheduler, and shown in a form.
MAX_JSON_CHARACTERS = 100_000


def validate_row(row: Any) -> Entry:
    """Return what ``row``, a ``models.Schedule``, makes. Raises ``ValidationError`` for the field at fault."""
    for field in ("args", "kwargs", "tags"):
        if problem := problem_of_json(getattr(row, field)):
            raise ValidationError({field: f"{field} {problem}"})
    try:
        entry = entry_of_row({key: getattr(row, key) for key in ("name", *COLUMNS)}, default.allow_list)
    except LocoConfigurationError as error:
        raise _located(error) from error
    if default.has(row.name):
        raise ValidationError({"name": "there is one of this name in the code or the settings; give it another."})
    if entry.after is not None:
        _require_other(row, entry)
    return entry


def problem_of_json(value: Any) -> str:
    """Say what is wrong with a value that is to be kept as JSON in any database and shown in a form; empty: nothing.

    PostgreSQL keeps no NUL in JSON; nothing can show half of a surrogate pair, or what is nested without end.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
        text.encode()
    except RecursionError:
        return "is nested too deeply."
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is no character."
    except ValueError as error:
        return f"cannot be kept as JSON: {error}."
    if r"\u0000" in text:
        return "has the character NUL, which PostgreSQL does not keep."
    return f"is longer than {MAX_JSON_CHARACTERS} characters." if len(text) > MAX_JSON_CHARACTERS else ""


def _require_other(row: Any, entry: Entry) -> None:
    """Raise ``ValidationError`` if ``entry`` runs after what does not exist, or after itself by way of others."""
    others = ScheduleReader(default.allow_list).some(~Q(pk=row.pk))
    for problem in default.combined_with([*others, entry]).problems():
        if problem.schedule == entry.name:
            raise ValidationError({"after": problem.message})


def preview_entry(row: Any) -> Entry:
    """Return a schedule that runs when ``row`` does, whatever that runs. Raises ``ValidationError``."""
    values = {key: getattr(row, key) if key in in_group("when") else None for key in COLUMNS}
    try:
        return entry_from("preview", item_of(values) | {"run": "check"}, DATABASE_LOCATION)
    except LocoConfigurationError as error:
        raise _located(error) from error


def _located(error: LocoConfigurationError) -> ValidationError:
    """Return ``error`` at the field that it is about. One about no field of a row is about when it runs."""
    return ValidationError({error.field if error.field in ("name", *COLUMNS) else "schedule": str(error)})
