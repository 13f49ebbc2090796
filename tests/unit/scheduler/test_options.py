"""Each option of a schedule is one entry, and the database, the admin form and the errors follow from it."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any, get_args

import pytest
from django.contrib.admin.utils import flatten_fieldsets

from django_loco.admin import ScheduleAdmin
from django_loco.exceptions import LocoConfigurationError
from django_loco.models import Schedule
from django_loco.scheduler.entry import ScheduleEntry, SourceLocation, entry_of
from django_loco.scheduler.misfire import MisfireMode
from django_loco.scheduler.options import COLUMNS, KEYS, OPTIONS, ZonedOptions, checked, options_of
from django_loco.scheduler.options.checks import Overlap
from django_loco.scheduler.triggers.trigger import After, Interval

from .tasks import tick

HERE = SourceLocation("", "here", 0)


def test_the_database_has_a_column_for_each_option_of_the_form() -> None:
    fields = {field.name for field in Schedule._meta.get_fields() if field.editable}
    assert fields == {"id", "name", "description", *COLUMNS}


def test_the_form_shows_each_column() -> None:
    shown = flatten_fieldsets(ScheduleAdmin.fieldsets)
    assert sorted(shown) == sorted(["name", "description", "state", "preview", *COLUMNS])


def test_blank_columns_mean_what_an_option_that_is_not_given_does() -> None:
    row = Schedule()
    blank: tuple[Any, ...] = (None, "", [], {})
    assert [name for name in COLUMNS if getattr(row, name) not in (*blank, OPTIONS[name].default)] == []


def test_the_choices_of_columns_are_those_of_the_options() -> None:
    assert Schedule.Misfire.values == list(get_args(MisfireMode))
    assert Schedule.Overlap.values == list(get_args(Overlap))


def test_all_options_but_the_name_are_keys() -> None:
    assert {*KEYS, "name"} == set(OPTIONS)


def test_an_entry_has_a_field_for_each_option_of_the_python_api() -> None:
    """An option that sets one of the task's has no field; the values of some are parts of another field."""
    parts = {"start": "trigger", "end": "trigger", "timezone": "trigger", "grace": "misfire", "cap": "misfire"}
    needed = {parts.get(name, name) for name, option in options_of(ZonedOptions).items() if not option.task_option}
    assert needed - {field.name for field in fields(ScheduleEntry)} == set(), "see scheduler/entry.py"


def test_values_are_checked_and_others_have_their_default() -> None:
    values = checked({"jitter": 90, "queue": "emails"}, ["jitter", "cap", "grace"])
    assert values == {"jitter": timedelta(seconds=90), "cap": 100, "grace": None}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": ""}, "name"),
        ({"args": "x"}, "args"),
        ({"args": [1, 2, 3]}, "args"),
        ({"kwargs": []}, "kwargs"),
        ({"tags": "x"}, "tags"),
        ({"jitter": timedelta(days=32)}, "jitter"),
        ({"misfire": "none"}, "misfire"),
        ({"grace": -1}, "grace"),
        ({"cap": 0}, "cap"),
        ({"overlap": ["skip"]}, "overlap"),
        ({"run_on_start": 1}, "run_on_start"),
        ({"start": "soon"}, "start"),
        ({"start": "2026-02-01", "end": "2026-01-01"}, "end"),
        ({"priority": 5, "queue": "emials"}, "queue"),
        ({"queue": "emails", "priority": 101, "timeout": 5}, "priority"),
        ({"timeout": -1, "max_attempts": 2}, "timeout"),
        ({"expires": 0, "timeout": 2}, "expires"),
    ],
)
def test_an_error_carries_the_field(options: dict[str, Any], field: str) -> None:
    with pytest.raises(LocoConfigurationError) as error:
        entry_of(tick, lambda _zone: Interval(timedelta(hours=1)), HERE, options)
    assert error.value.field == field
    assert field in str(error.value)


@pytest.mark.parametrize("options", [{"start": "2026-01-01"}, {"end": "2026-01-01"}, {"run_on_start": True}])
def test_options_about_ticks_need_ticks(options: dict[str, Any]) -> None:
    with pytest.raises(LocoConfigurationError, match="this one runs after 'other'") as error:
        entry_of(tick, lambda _zone: After("other"), HERE, options)
    assert [error.value.field] == list(options)
