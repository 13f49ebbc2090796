"""Checks a database row in ``full_clean()`` and in the admin form; errors name the field."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ...exceptions import LocoConfigurationError
from ..entry import ScheduleEntry
from ..options import COLUMNS, options_in
from ..registry import default
from ..sources.database import DATABASE_LOCATION, ScheduleReader, entry_of_row, item_of
from ..sources.mapping import entry_from
from ..triggers.invalid import invalid

#: The size limit of ``args``, ``kwargs`` and ``tags``. Each scheduler reads them and the form shows them.
MAX_JSON_CHARACTERS = 100_000
#: The fields that contain moments.
MOMENTS = ("at", "start", "end")
#: A text of Django's, because Django has translations of it.
UNCLEAR = (
    "%(datetime)s couldn\u2019t be interpreted in time zone %(current_timezone)s; it may be ambiguous or it may not "
    "exist."
)
#: The character NUL in JSON. After an even number of backslashes, ``u0000`` is the text of these five characters.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def validate_row(row: Any) -> ScheduleEntry:
    """Return the schedule of ``row``, a ``models.Schedule``. Raises ``ValidationError`` for the field that is wrong."""
    for field in ("args", "kwargs", "tags"):
        if problem := problem_of_json(getattr(row, field)):
            raise ValidationError({field: problem})
    try:
        entry = entry_of_row({key: getattr(row, key) for key in ("name", *COLUMNS)}, default.allow_list)
        _require_what_forms_keep(entry)
    except LocoConfigurationError as error:
        raise _located(error) from error
    _require_clear_moments(row)
    if default.has(row.name):
        raise ValidationError({"name": _("a schedule in the code or the settings has this name; choose another one.")})
    if entry.after is not None:
        _require_other(row, entry)
    return entry


def _require_what_forms_keep(entry: ScheduleEntry) -> None:
    """Raise ``LocoConfigurationError`` for a name or tag that a form would change when it saves it."""
    if entry.name != entry.name.strip():
        raise invalid("name", entry.name, "text without spaces around it")
    for tag in entry.tags:
        if tag != tag.strip() or "," in tag:
            raise invalid("tags", tag, "words without commas, and without spaces around them")


def problem_of_json(value: Any) -> str:
    """Return why ``value`` cannot be stored as JSON in every database or shown in a form; ``""`` if it can.

    PostgreSQL does not store NUL in JSON, and half of a surrogate pair or very deep nesting cannot be shown.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
        text.encode()
    except RecursionError:
        return _("It is nested too deeply.")
    except UnicodeEncodeError:
        return _("It contains half of a surrogate pair, which is not a character.")
    except ValueError as error:
        return _("It cannot be stored as JSON: %(error)s.") % {"error": error}
    if NUL.search(text):
        return _("It contains the character NUL, which PostgreSQL cannot store.")
    too_long = _("It is longer than %(count)s characters.") % {"count": MAX_JSON_CHARACTERS}
    return too_long if len(text) > MAX_JSON_CHARACTERS else ""


def is_unclear(moment: datetime, zone: tzinfo) -> bool:
    """Return whether the clock of ``zone`` skips ``moment`` or shows it twice."""
    return len({moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}) > 1


def _require_clear_moments(row: Any) -> None:
    """Raise ``ValidationError`` for a moment without a time zone that the clock shows twice or skips.

    Without ``USE_TZ`` moments have no time zone. Of a time that comes twice, SQLite reads the first, PostgreSQL the
    second.
    """
    site = timezone.get_default_timezone()
    for field in MOMENTS:
        moment = getattr(row, field)
        if isinstance(moment, datetime) and timezone.is_naive(moment) and is_unclear(moment, site):
            params = {"datetime": moment, "zone": site, "current_timezone": site}
            exists = timezone.make_naive(moment.replace(tzinfo=site).astimezone(UTC), site) == moment
            twice = _(
                "Without USE_TZ this is stored as %(datetime)s in time zone %(zone)s, whose clock shows that twice."
            )
            raise ValidationError({field: ValidationError(twice if exists else _(UNCLEAR), params=params)})


def _require_other(row: Any, entry: ScheduleEntry) -> None:
    """Raise ``ValidationError`` if ``entry`` runs after a schedule that does not exist, or if it is part of a loop."""
    others = ScheduleReader(default.allow_list).filter(~Q(pk=row.pk))
    for problem in default.combined_with([*others, entry]).problems():
        if problem.schedule == entry.name:
            raise ValidationError({"after": problem.message})


def preview_entry(row: Any) -> ScheduleEntry:
    """Return a schedule with the name and the times of ``row``, for the preview. Raises ``ValidationError``."""
    values = {key: getattr(row, key) if key in options_in("when") else None for key in COLUMNS}
    try:
        entry = entry_from(row.name or "preview", item_of(values) | {"run": "check"}, DATABASE_LOCATION)
    except LocoConfigurationError as error:
        raise _located(error) from error
    _require_clear_moments(row)
    return entry


def _located(error: LocoConfigurationError) -> ValidationError:
    """Return ``error`` as a ``ValidationError`` of its field, or of ``schedule`` if a row has no such field."""
    return ValidationError({error.field if error.field in ("name", *COLUMNS) else "schedule": str(error)})
