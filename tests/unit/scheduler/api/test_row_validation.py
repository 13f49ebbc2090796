"""The checks of values that a row stores as JSON."""

from __future__ import annotations

import pytest

from django_loco.scheduler.api.row_validation import problem_of_json


@pytest.mark.parametrize("value", ["\0", ["a\0b"], {"\0": 1}, "\\\0", "\\u0000\0"])
def test_nul_is_refused_wherever_it_is(value):
    assert "NUL" in problem_of_json(value)


@pytest.mark.parametrize("value", ["\\u0000", ["a\\u0000b"], {"\\u0000": 1}, "\\\\u0000", "u0000"])
def test_the_text_of_the_escape_is_no_nul(value):
    assert problem_of_json(value) == ""
