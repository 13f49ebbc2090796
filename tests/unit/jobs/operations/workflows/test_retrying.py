"""Retries of the failed part of a workflow."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.exceptions import QueueUnavailable, Unfinished
from django_loco.jobs.operations.workflows import retrying


def test_what_was_retried_before_the_store_went_away_is_told(queue, stored, monkeypatch):
    for _ in range(3):
        stored("failed")
    change = queue.change

    def goes_away(changes):
        if len(changes) < 2:
            raise QueueUnavailable("it is away")
        return change(changes)

    monkeypatch.setattr(retrying, "CHUNK", 2)
    monkeypatch.setattr(retrying, "members", lambda *_: jobs.filter("status:failed"))
    monkeypatch.setattr(queue, "change", goes_away)
    with pytest.raises(Unfinished, match=r"^2 jobs were retried, then a store .* it is away") as caught:
        retrying.retry_failed(queue, "w")
    assert caught.value.done == 2
    assert jobs.filter("status:waiting").count() == 2
    with pytest.raises(QueueUnavailable, match=r"^it is away$"):
        retrying.retry_failed(queue, "w")
