"""JSON of jobs as text: numbers as they are stored, and nothing that misleads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from django_loco.core.job import Job
from django_loco.jobs.page_parts.stored_json import MOST_BYTES, arguments_of, decoded, editable, pretty, short
from django_loco.jobs.presentation.shown import BROKEN


@pytest.mark.parametrize(
    "text",
    ["1.10", "1e400", "123456789012345678901234567890", "9" * 5000, '{"a": [1.0, -0, true, null, "ü"]}', "NaN"],
)
def test_numbers_are_written_as_they_are_stored(text):
    assert pretty(decoded(text)) == text


def test_long_values_have_a_line_for_each_part():
    value = decoded(json.dumps({"a": ["x" * 50, "y" * 50], "b": {}}))
    assert pretty(value) == f'{{\n  "a": [\n    "{"x" * 50}",\n    "{"y" * 50}"\n  ],\n  "b": {{}}\n}}'
    assert json.loads(pretty(value)) == value


def test_characters_that_mislead_are_escaped_and_still_json():
    stored = json.dumps("a\u202e\x9f\u2028\ud800\x00\n")
    shown = pretty(decoded(stored))
    assert shown.isprintable()
    assert json.loads(shown) == json.loads(stored)


class NotLookedAt(dict):
    def items(self):
        raise AssertionError("a page shows less")


def test_a_long_value_is_formatted_as_far_as_it_is_shown():
    rows = [{"name": "n" * 50, "deep": [[[[[{"a": [1, 2]}]]]]]}] * 1_000
    assert len(editable(rows)) > MOST_BYTES
    shown = pretty([*rows, NotLookedAt()])
    assert shown.startswith('[\n  {\n    "name": "nnn')
    assert shown.endswith("\n[... a page shows no more ...]")
    assert len(shown) <= MOST_BYTES + 100
    assert pretty(["x" * 60, "y" * MOST_BYTES, 7]).endswith("a page shows no more ...]")


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_what_cannot_be_read_says_so(text):
    assert pretty(decoded(text)) == BROKEN


def test_what_is_nested_deeply_is_shown_as_far_as_it_fits():
    value: Any = 1
    for _ in range(5_000):
        value = {"a": value}
    assert pretty(value).startswith('{\n  "a": {\n    "a": {')
    short_keys: Any = 1
    for _ in range(100_000):
        short_keys = [short_keys]
    assert pretty([short_keys]).startswith("[\n  [")
    with pytest.raises(RecursionError):
        editable(value)


@pytest.mark.parametrize("arguments", ["7", "[7, 8]", '["ab", "cd"]', "{", "[[]]"])
def test_arguments_in_another_form_say_so(arguments):
    assert arguments_of(Job(task_path="a.b", backend="default", arguments=arguments)) == ([BROKEN], {})


def test_a_call_in_one_line():
    job = Job(task_path="a.b", backend="default", arguments='[[1.50, "a"], {"b": {"c": [2]}}]')
    assert short(job) == '1.50, "a", b={"c": [2]}'
