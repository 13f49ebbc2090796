"""Filters in the links of the pages."""

from __future__ import annotations

import pytest

from django_loco.core.job import utcnow
from django_loco.jobs.language import filter_of
from django_loco.jobs.page_parts.addresses import has, query_of, replaced, word
from tests.unit.jobs.conftest import make_job


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", "status:done"),
        ("status:failed task:a.*", "task:a.* status:done"),
        ("-status:failed tag:'a b'", '-status:failed tag:"a b" status:done'),
        ('status:"', "status:done"),
    ],
)
def test_a_condition_replaces_those_of_its_word(text, result):
    assert replaced(text, ["status"], ["status:done"]) == result


@pytest.mark.parametrize("value", ["emails", "a b", 'a"b', "a,b", "a/b.c", "'a'", "", "a\\", "what?", "*", r"a \*"])
def test_any_value_is_one_condition_that_matches_it_alone(value):
    [condition] = filter_of(word("tag", value), {}).conditions
    assert condition.matches(make_job(tags=(value,)), utcnow())
    assert not condition.matches(make_job(tags=(f"{value}x", f"x{value}", "whats", "a \\x")), utcnow())


def test_a_condition_is_found_as_it_is_written_or_not():
    assert has("tag:a status:'done'", "status:done")
    assert not has("-status:done", "status:done")
    assert not has('"', "status:done")


def test_a_query_has_no_empty_values():
    assert query_of(q="", before="") == ""
    assert query_of(q="a:\ud800 b", before="") == "?q=a%3A%3F+b"
