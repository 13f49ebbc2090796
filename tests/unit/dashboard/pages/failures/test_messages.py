"""Messages without what differs from job to job."""

from __future__ import annotations

import time

import pytest

from django_loco.core.compat import TaskError
from django_loco.dashboard.pages.failures.messages import normalized
from django_loco.jobs.presentation.shown import MOST_MESSAGE, message_of


@pytest.mark.parametrize(
    ("message", "result"),
    [
        ("order 4711 has no price", "order # has no price"),
        ("took 3.25 s, not 1,000", "took # s, not #"),
        ("at 12:00:01", "at #"),
        ("no such key: 'sku-9f3a'", "no such key: '…'"),
        ('table "orders" is locked', 'table "…" is locked'),
        ("the customer's address isn't known", "the customer's address isn't known"),
        ("object at 0x7f3c9A01", "object at HEX"),
        ("commit 9f3a01bcd2 of 7", "commit HEX of #"),
        ("a deadbeef of a cafe", "a deadbeef of a cafe"),
        ("id 0af76519-16cd-43dd-8448-eb211c80319c", "id UUID"),
        ("id 0AF7651916cd43dd8448eb211c80319c", "id UUID"),
        ("", ""),
    ],
)
def test_what_differs_from_job_to_job_is_left_out(message, result):
    assert normalized(message) == result
    assert normalized(result) == result


def test_a_long_message_takes_no_long_time():
    hostile = TaskError(exception_class_path="a.B", traceback=f"B: {'0a' * 500_000}'{'-' * 500_000}")
    start = time.process_time()
    assert len(normalized(message_of(hostile))) <= MOST_MESSAGE
    assert time.process_time() - start < 5
