"""Options that code and settings give."""

from __future__ import annotations

import pytest

from django_loco.core.task_options import problems_of_tasks, resolve_paths


def test_dotted_paths_become_what_they_name():
    assert resolve_paths("retry_on", ["builtins.OSError", ValueError]) == (OSError, ValueError)
    assert resolve_paths("backoff", "math.sqrt")(4) == 2
    assert resolve_paths("max_attempts", 3) == 3


def test_a_path_to_something_else_is_refused():
    with pytest.raises(ValueError, match="retry_on"):
        resolve_paths("retry_on", ["math.sqrt"])
    with pytest.raises(ImportError):
        resolve_paths("retry_on", ["builtins.NoError"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": 5, "limits": ["api"]}, None),
        (5, "LOCO['TASKS']['a.b'] must be a dict of options, not 5."),
        ({"timeot": 5}, "LOCO['TASKS']['a.b']['timeot'] is unknown. Did you mean 'timeout'?"),
        ({"timeout": 0}, "LOCO['TASKS']['a.b']: timeout is 0; it must be "),
        ({"limits": ["ap"]}, "has the limit 'ap'; LOCO['LIMITS'] does not declare it. Did you mean 'api'?"),
    ],
)
def test_each_mistake_of_a_task_is_named(options, problem):
    assert [problem in found for found in problems_of_tasks({"a.b": options}, {"api": {}})] == [True] * bool(problem)
