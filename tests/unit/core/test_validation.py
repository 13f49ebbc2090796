"""Rules for names, and the nearest name to a misspelled one."""

from __future__ import annotations

import difflib

import pytest

from django_loco.core import validation
from django_loco.core.validation import are_names, did_you_mean


def test_the_same_word_is_compared_once(monkeypatch):
    asked: list[str] = []

    def compare(word: str, *args: object, **options: object) -> list[str]:
        asked.append(word)
        return []

    validation._nearest.cache_clear()
    monkeypatch.setattr(difflib, "get_close_matches", compare)
    names = ["app.tasks.send", "app.tasks.sweep"]
    assert {did_you_mean("app.tasks.gone", [*names]) for _ in range(3)} == {f" Choices are: {', '.join(names)}."}
    assert did_you_mean("app.tasks.gone", names[:1]) == " Choices are: app.tasks.send."
    assert asked == ["APP.TASKS.GONE"] * 2
    validation._nearest.cache_clear()


@pytest.mark.parametrize("value", [("a",), ["a", "b"], {"a"}, frozenset()])
def test_names_are_text_in_a_list_or_a_set(value):
    assert are_names(value)


@pytest.mark.parametrize("value", ["a", {"a": "b"}, [1], None])
def test_anything_else_is_no_list_of_names(value):
    assert not are_names(value)
