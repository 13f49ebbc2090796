"""The names under which something is counted are bounded."""

from __future__ import annotations

import pytest

from django_loco.metrics import names as names_module
from django_loco.metrics.names import MAX_LENGTH, OTHER, BoundedNames


@pytest.fixture
def names(monkeypatch) -> BoundedNames:
    monkeypatch.setattr(names_module, "MAX_NAMES", 2)
    return BoundedNames()


def test_names_are_limited(names):
    pairs = [("q", "a"), ("q", "b"), ("q", "c"), ("r", "d"), ("q", "a")]
    assert [names.of(*pair) for pair in pairs] == [("q", "a"), ("q", "b"), ("q", OTHER), (OTHER, OTHER), ("q", "a")]


def test_names_are_cut(names):
    assert names.of("q" * 10_000, "t" * 10_000) == ("q" * MAX_LENGTH, "t" * MAX_LENGTH)
