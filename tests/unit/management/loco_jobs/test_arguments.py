"""Arguments of ``loco_jobs``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta

import pytest

from django_loco.management.loco_jobs.arguments import (
    add_flags_of_django,
    json_list,
    json_object,
    json_value,
    moment,
    positive,
)


def test_flags_of_django_may_stand_on_both_sides_of_the_verb():
    parser = ArgumentParser()
    parser.add_argument("--settings")
    parser.add_argument("-v", "--verbosity", type=int, default=1)
    add_flags_of_django(parser.add_subparsers().add_parser("list"))
    assert vars(parser.parse_args(["--settings", "a.b", "list"])) == {"settings": "a.b", "verbosity": 1}
    after = parser.parse_args(["list", "--settings", "a.b", "-v", "2", "--traceback"])
    assert vars(after) == {"settings": "a.b", "verbosity": 2, "traceback": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("now", timedelta(0)),
        ("90m", timedelta(minutes=90)),
        ("2026-11-28T09:30", datetime(2026, 11, 28, 9, 30)),  # noqa: DTZ001 - of the project's zone
    ],
)
def test_moments(text, value):
    assert moment(text) == value


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "5x", "now+1h", ""])
def test_what_is_no_moment_is_told_all_that_may_be_written(text):
    with pytest.raises(ArgumentTypeError, match=r"is no time\. Write now, a length of time .* or a date or time"):
        moment(text)


def test_json():
    assert json_list("[1]") == [1]
    assert json_object('{"a": 1}') == {"a": 1}
    for function, text in ((json_list, "{}"), (json_list, "["), (json_object, "[]"), (json_object, "")):
        with pytest.raises(ArgumentTypeError, match="is not a JSON"):
            function(text)


def test_any_json():
    assert [json_value("null"), json_value("[1]"), json_value('"yes"')] == [None, [1], "yes"]
    with pytest.raises(ArgumentTypeError, match=r"'yes' is not a JSON value\. Text needs quotes: '\"yes\"'\."):
        json_value("yes")


@pytest.mark.parametrize("function", [json_list, json_object, json_value])
def test_json_that_is_nested_too_deeply(function):
    with pytest.raises(ArgumentTypeError, match="is not a JSON"):
        function("[" * 200_000)


def test_numbers():
    assert positive("5") == 5
    for text in ("0", "-1", "x", ""):
        with pytest.raises(ArgumentTypeError):
            positive(text)


def test_a_number_that_is_higher_than_any_place():
    assert positive("9" * 30) == sys.maxsize
