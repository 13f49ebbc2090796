"""What a row has to keep, told of the field that breaks it: before it is saved by a form, or by ``full_clean()``."""

from __future__ import annotations

import json
import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from ...exceptions import LocoConfigurationError
from ..entry import Entry
from ..registry import default
from ..sources.database import DATABASE_LOCATION, KEYS, ScheduleReader, entry_of_row, item_of
from ..sources.mapping import entry_from

#: Characters of ``args``, ``kwargs`` or ``tags``: they are read again by each scheduler, and shown in a form.
MAX_JSON_CHARACTERS = 100_000

_WHEN = ("schedule", "at", "after", "timezone", "start", "end", "jitter")
#: What jobs have other than their task; what is wrong with one is told of all that are given.
_CHANGES = ("queue", "priority", "max_attempts", "timeout")


def validate_row(row: Any) -> Entry:
    """Return what ``row``, a ``models.Schedule``, makes. Raises ``ValidationError`` for the field at fault."""
    for field in ("args", "kwargs", "tags"):
        if problem := problem_of_json(getattr(row, field)):
            raise ValidationError({field: f"{field} {problem}"})
    try:
        entry = entry_of_row({key: getattr(row, key) for key in ("name", *KEYS)}, default.allow_list)
    except LocoConfigurationError as error:
        raise ValidationError({field_of(str(error)): str(error)}) from error
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
    values = {key: getattr(row, key) if key in _WHEN else None for key in KEYS}
    try:
        return entry_from("preview", item_of(values) | {"run": "check"}, DATABASE_LOCATION)
    except LocoConfigurationError as error:
        raise ValidationError({field_of(str(error)): str(error)}) from error


def field_of(message: str) -> str:
    """Return which field the message of an error is about: they begin with it, or are about when."""
    found = re.match(r"\w+", message)
    word = found[0] if found else ""
    if word in _CHANGES:
        cause = message.rpartition(": ")[2].lower()
        return next((change for change in _CHANGES if change in cause), word)
    if word in ("name", *KEYS):
        return word
    return "end" if "never fires from start" in message else "schedule"
