"""The names under which something is counted are bounded."""

from __future__ import annotations

import pytest

from django_loco.metrics import names as names_module
from django_loco.metrics.names import MAX_LENGTH, OTHER, BoundedNames, bounded
from django_loco.queues.records.minutes import NUMBERS, TOTAL, Labels, Minute


@pytest.fixture
def names(monkeypatch) -> BoundedNames:
    monkeypatch.setattr(names_module, "MAX_NAMES", 2)
    return BoundedNames()


def test_names_are_limited(names):
    pairs = [("q", "a"), ("q", "b"), ("q", "c"), ("r", "d"), ("q", "a")]
    assert [names.of(*pair) for pair in pairs] == [("q", "a"), ("q", "b"), ("q", OTHER), (OTHER, OTHER), ("q", "a")]


def test_names_are_cut(names):
    assert names.of("q" * 10_000, "t" * 10_000) == ("q" * MAX_LENGTH, "t" * MAX_LENGTH)


def total(queue_name: str, task_path: str, runs: int) -> Minute:
    return Minute(Labels(TOTAL, queue_name, task_path, "failed"), (runs, *[0] * (len(NUMBERS) - 1)))


def test_totals_of_many_names_are_added_up(monkeypatch):
    monkeypatch.setattr(names_module, "MAX_NAMES", 2)
    few = [total("q", "a", 1), total("q", "b", 2)]
    assert bounded(few) == few
    assert bounded([total("q", "c", 4), *few, total("r", "a", 8)]) == [
        total(OTHER, OTHER, 12),
        total("q", "a", 1),
        total("q", "b", 2),
    ]
