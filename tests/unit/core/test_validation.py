"""The nearest name to a misspelled one."""

from __future__ import annotations

import difflib

from django_loco.core import validation
from django_loco.core.validation import did_you_mean


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
