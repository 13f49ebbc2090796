"""The contract of queues: a mixin of many classes."""

from __future__ import annotations

from collections import Counter

from django_loco.testing import QueueContract


def test_no_part_hides_a_test_of_another():
    parts = [part for part in QueueContract.__mro__ if part is not object]
    names = Counter(name for part in parts for name in vars(part) if not name.startswith("__"))
    assert [name for name, number in names.items() if number > 1] == []
