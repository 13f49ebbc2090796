"""One entry per option: who takes it, which values are valid, and the documentation."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from django_loco.core.task_options import CALL_OPTIONS, STORED_OPTIONS, TASK_OPTIONS
from django_loco.tasks import LocoTask

REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "tasks.md"


def test_a_task_has_a_field_for_each_option():
    internal = {"func", "run_after", "run_after_delay", "metadata", "unique_key", "overrides"}
    assert {field.name for field in fields(LocoTask)} - internal == set(TASK_OPTIONS)


def test_using_takes_what_can_be_stored_and_what_django_takes():
    of_django = {"priority", "queue_name", "backend"}
    of_calls = {"run_after", "metadata", "unique_key"}
    unique = {"unique", "unique_until", "unique_for", "on_duplicate", "max_wait"}
    assert set(CALL_OPTIONS) == {*STORED_OPTIONS, *of_django, *of_calls, *unique}


def test_the_reference_shows_the_table():
    section = re.split(r"^## ", REFERENCE.read_text(), flags=re.MULTILINE)[1]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    expected = [f"| `{name}` | {each.type} | {each.default} | {each.help} |" for name, each in TASK_OPTIONS.items()]
    assert rows == expected, "Paste the expected rows into the table in docs/reference/tasks.md:\n" + "\n".join(
        expected
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", True),
        ("max_attempts", "3"),
        ("timeout", 0),
        ("timeout", -1),
        ("backoff", -1),
        ("backoff", []),
        ("backoff", [1, "x"]),
        ("retry_on", ValueError),
        ("retry_on", [3]),
        ("tags", "email"),
        ("tags", [""]),
    ],
)
def test_an_option_out_of_range_is_named(name, value):
    problem = TASK_OPTIONS[name].problem(name, value)
    assert problem is not None
    assert problem.startswith(f"{name} is {value!r}; it must be ")


def test_options_in_range_are_no_problem():
    good = {
        "max_attempts": 5,
        "timeout": 0.5,
        "backoff": [1, 2.5],
        "retry_on": [OSError],
        "tags": ["a"],
        "no_retry_on": (),
    }
    assert [TASK_OPTIONS[name].problem(name, value) for name, value in good.items()] == [None] * len(good)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("tags", "gpu", "Write tags=['gpu']."),
        ("limits", "mail", "Write limits=['mail']."),
        ("retry_on", ConnectionError, "Write retry_on=[ConnectionError]."),
    ],
)
def test_one_value_in_place_of_a_list_has_a_remedy(name, value, remedy):
    assert TASK_OPTIONS[name].problem(name, value).endswith(f" {remedy}")
    assert TASK_OPTIONS[name].problem(name, [value]) is None
