"""The reason why no worker takes a job."""

from __future__ import annotations

import pytest

from tests.unit.jobs.presentation.reasons.support import codes, worker


@pytest.mark.parametrize(
    ("described", "fields", "code"),
    [
        ({}, {}, "next"),
        ({"busy": 2}, {}, "busy"),
        ({"busy": 2}, {"is_async": True}, "next"),
        ({"busy": 2, "busy_async": 1}, {}, "next"),
        ({"busy": 3, "busy_async": 2}, {"is_async": True}, "busy"),
        ({"queues": ("reports",)}, {}, "no worker for its queue"),
        ({"tags": ()}, {"tags": ("a",)}, "no worker for its tags"),
        ({"tags": ("b",)}, {"tags": ("a",)}, "no worker for its tags"),
        ({"tags": ("b",)}, {}, "no worker for its tags"),
        ({"state": "quiet"}, {}, "quiet"),
        ({"state": "stopping"}, {}, "quiet"),
        ({"tags": ("a", "b")}, {"tags": ("a",)}, "next"),
        ({"threads": 0}, {}, "no worker for sync jobs"),
        ({"coroutines": 0}, {"is_async": True}, "no worker for async jobs"),
    ],
)
def test_what_workers_take(queue, stored, described, fields, code):
    queue.register(worker(**described))
    assert codes(stored(**fields)) == [code]


def test_no_worker_at_all(queue, stored):
    assert codes(stored()) == ["no worker"]
