"""Globs, numbers, times and JSON in filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_loco.jobs.language.patterns import (
    EPOCH,
    MISSING,
    any_glob,
    at_path,
    escape,
    glob,
    has_wildcards,
    json_test,
    moment_of,
    number_test,
    unescape,
)
from tests.unit.texts import texts

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
#: Texts of characters that have a meaning in patterns.
WILD = st.text(st.sampled_from("*?\\[]ab"), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("shop.*", "shop.tasks.send", True),
        ("shop.*", "shopXtasks", False),
        ("*send", "shop.send", True),
        ("se?d", "send", True),
        ("se?d", "seed.", False),
        ("a[bc]", "a[bc]", True),
        ("a[bc]*", "ab", False),
        ("*", "", True),
        ("*", "two\nlines", True),
        ("Send", "send", False),
        ("", "", True),
        (r"\*", "*", True),
        (r"\*", "x", False),
        (r"wha\t\?", r"wha\t?", True),
        (r"what\?", "whats", False),
        (r"a\\*", r"a\bc", True),
        (r"a\\*", "abc", False),
        (r"*[\*]\\", "x[*]\\", True),
        (r"*[\*]\\", "x[x]\\", False),
        ("a\\", "a\\", True),
        ("*\\", "a\\", True),
    ],
)
def test_globs(pattern, text, does):
    assert glob(pattern)(text) is does
    assert any_glob(["nothing", pattern])(text) is does


def test_no_pattern_matches_nothing():
    assert not any_glob([])("x")


def test_of_many_patterns_any_may_match():
    matches = any_glob(["a*", "b", r"c\*", "*[d", "?e", "a*"])
    found = [text for text in ("ax", "b", "bx", "c*", "cx", "x[d", "xe", "e", "xax") if matches(text)]
    assert found == ["ax", "b", "c*", "x[d", "xe"]


def test_a_pattern_of_many_stars_is_quick():
    assert not glob("*a" * 60 + "b")("a" * 20_000)


@given(texts, st.integers(0, 5), st.integers(0, 5))
def test_a_text_matches_itself_with_parts_replaced(text, start, length):
    assert glob(f"{escape(text[:start])}*{escape(text[start + length :])}")(text)
    assert glob("".join("?" if start <= place < start + length else escape(each) for place, each in enumerate(text)))(
        text
    )


@given(texts | WILD, texts | WILD)
def test_an_escaped_text_matches_itself_alone(text, other):
    pattern = escape(text)
    assert not has_wildcards(pattern)
    assert unescape(pattern) == text
    for test in (glob(pattern), any_glob([pattern]), any_glob(["nothing*", pattern])):
        assert test(text)
        assert test(other) == (other == text)
    assert glob(f"{pattern}*")(f"{text}{other}")


@pytest.mark.parametrize(
    ("value", "matching"),
    [
        ("5", {5}),
        ("=5", {5}),
        (">5", {6, 7}),
        (">=5", {5, 6, 7}),
        ("<5", {-1, 4}),
        ("<=5", {-1, 4, 5}),
        ("5..6", {5, 6}),
        ("-2..4", {-1, 4}),
        ("-1", {-1}),
    ],
)
def test_numbers(value, matching):
    assert {number for number in (-1, 4, 5, 6, 7) if number_test(value)(number)} == matching


@pytest.mark.parametrize("value", ["", "x", "5x", "1.5", "=>5", "5..", "9" * 30, "five"])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="is not a number, a comparison such as >=5, or a range"):
        number_test(value)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(14)),
        ("0s", NOW),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-28T09:30", datetime(2026, 11, 28, 9, 30, tzinfo=UTC)),
        ("2026-11-28 09:30:15+02:00", datetime(2026, 11, 28, 7, 30, 15, tzinfo=UTC)),
        ("1815-12-10", EPOCH),
        ("999999999999w", EPOCH),
        ("99999d", EPOCH),
    ],
)
def test_times(value, moment):
    assert moment_of(value, NOW) == moment


def test_a_time_without_a_zone_is_in_that_of_the_project(settings):
    settings.TIME_ZONE = "America/New_York"
    with timezone.override("Asia/Tokyo"):  # that of a reader
        assert moment_of("2026-11-28T09:30", NOW) == datetime(2026, 11, 28, 14, 30, tzinfo=UTC)
        assert moment_of("2026-11-28", NOW) == datetime(2026, 11, 28, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "2", "h", "2y", "yesterday", "2026-13-01", "2026-11-28T25:00", "2h ago", "-2h"])
def test_what_is_no_time(value):
    with pytest.raises(ValueError, match="is neither a duration such as 90s"):
        moment_of(value, NOW)


@pytest.mark.parametrize(
    ("value", "matching"),
    [
        ("7", [7, 7.0, "7"]),
        ('"7"', ["7"]),
        ("true", [True, "true"]),
        ("1", [1]),
        ("null", [None]),
        ("a*", ["a", "abc"]),
        ('"abc"', ["abc"]),
        ('"a*"', []),
        (r"a\*", []),
        ("?abc?", ['"abc"']),
        ('["a*"]', []),
        ("[1,true]", [[1, True]]),
        ('{"b": [1.0], "a": 2}', [{"a": 2, "b": [1]}]),
        ("", [""]),
        ("NaN", []),
    ],
)
def test_json(value, matching):
    candidates = [
        7,
        7.0,
        "7",
        True,
        "true",
        1,
        None,
        "a",
        "abc",
        '"abc"',
        '["abc"]',
        [1, True],
        [1, 1],
        {"a": 2, "b": [1]},
        "",
        {},
    ]
    found = [each for each in candidates if json_test(value)(each)]
    assert json.dumps(found) == json.dumps(matching)


@given(values, values)
def test_json_matches_what_is_equal(one, other):
    assert json_test(json.dumps(one))(one)
    if json.dumps(one) != json.dumps(other) and one != other:
        assert not json_test(json.dumps(one))(other)


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 10_000, "{", '"'])
def test_what_is_no_json_is_text(value):
    assert json_test(value)(value)
    assert not json_test(value)([])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [10, {"c": None}]}),
        ("a.b.0", 10),
        ("a.b.1.c", None),
        ("a.b.2", MISSING),
        ("a.b.-1", MISSING),
        ("a.b.0.c", MISSING),
        ("x", MISSING),
        ("0", "zero"),
    ],
)
def test_paths(path, found):
    value = {"a": {"b": [10, {"c": None}]}, "0": "zero"}
    assert at_path(value, path.split(".")) == found
