"""The bar of a batch."""

from __future__ import annotations

import re

import pytest

from django_loco.dashboard.pages.workflows.progress_bar import LEAST, progress_bar
from django_loco.queues.records.batches import BatchCounts


def parts(counts):
    drawn = progress_bar(counts)
    return [
        (kind, float(x), float(width))
        for kind, x, width in re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)"', drawn)
    ]


def test_failures_come_first():
    assert parts(BatchCounts(10, 5, 1, 2)) == [("failed", 0, 10), ("other", 10, 20), ("succeeded", 30, 50)]


def test_one_failure_among_a_million_is_seen():
    assert parts(BatchCounts(1_000_000, 999_999, 1, 0)) == [("failed", 0, LEAST), ("succeeded", LEAST, 100 - LEAST)]


@pytest.mark.parametrize("counts", [BatchCounts(), BatchCounts(5, 0, 0, 0)])
def test_nothing_has_ended(counts):
    assert parts(counts) == []
