"""Shows the moments of a row read-only: on the wall clock of the schedule, as the form does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin

from ...core.job import aware
from ...models import Schedule
from ...scheduler.api.row_validation import MOMENTS
from ...scheduler.options import OPTIONS
from .forms import clock_of
from .rows import NOTHING, format_moment

if TYPE_CHECKING:
    from django.contrib.admin.options import _FieldsetSpec


def _read_only(name: str) -> Callable[[Schedule], str]:
    field: Any = Schedule._meta.get_field(name)  # noqa: SLF001 - Django's name for a public interface

    label: Any = OPTIONS[name].label or field.verbose_name

    @admin.display(description=label)
    def shown(row: Schedule) -> str:
        moment: datetime | None = getattr(row, name)
        if moment is None:
            return NOTHING
        zone = clock_of(row.timezone)
        return f"{format_moment(aware(moment).astimezone(zone))} {zone}"

    shown.__name__ = name  # used as the CSS class of its line on the page
    return shown


_SHOWN = {name: _read_only(name) for name in MOMENTS}


def with_read_only_moments(fieldsets: _FieldsetSpec) -> _FieldsetSpec:
    """Return ``fieldsets`` with functions in place of the names of moments, as Django would show the user's zone."""
    return [(title, {**options, "fields": _shown(options["fields"])}) for title, options in fieldsets]


def _shown(fields: Any) -> Any:
    """Return the fields, or lines of fields, with functions in place of moments."""
    return [_SHOWN.get(each, each) if isinstance(each, str) else _shown(each) for each in fields]
