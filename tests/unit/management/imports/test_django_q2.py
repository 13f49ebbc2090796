from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from django_loco.management.imports.django_q2 import _args, _expression, _kwargs
from django_loco.management.imports.foreign_schedules import Unconvertible


@pytest.mark.parametrize(
    ("text", "args"), [(None, []), ("", []), ("1, 'b'", [1, "b"]), ("[1, 2]", [[1, 2]]), ("'a'", ["a"]), ("1,", [1])]
)
def test_arguments(text: str | None, args: list[Any]):
    assert _args(text) == args


@pytest.mark.parametrize(
    ("text", "kwargs"),
    [(None, {}), ("a=1, b=[2]", {"a": 1, "b": [2]}), ("{'a': 1}", {"a": 1}), (" {'a': None}", {"a": None})],
)
def test_keyword_arguments(text: str | None, kwargs: dict[str, Any]):
    assert _kwargs(text) == kwargs


@pytest.mark.parametrize("text", ["open('x')", "(", "a", "1 + x"])
def test_arguments_that_are_code_are_not_run(text: str):
    with pytest.raises(Unconvertible, match="its args cannot be read"):
        _args(text)
    with pytest.raises(Unconvertible, match="its kwargs cannot be read"):
        _kwargs(f"a={text}")


def test_each_sunday_and_each_saturday():
    assert _expression("W", datetime(2030, 1, 6, 4, 5, tzinfo=UTC)) == "5 4 * * 0"
    assert _expression("W", datetime(2030, 1, 5, 4, 5, tzinfo=UTC)) == "5 4 * * 6"
