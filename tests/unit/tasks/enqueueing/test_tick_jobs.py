"""The jobs of ticks."""

from __future__ import annotations

from datetime import UTC, datetime

from django_loco.tasks.enqueueing.tick_jobs import ScheduledCall, jobs_of_ticks
from tests.app.tasks import add

TICK = datetime(2100, 1, 1, tzinfo=UTC)


def test_a_job_is_due_at_its_tick_and_has_its_key():
    expiring = add.using(expires=60)
    first, second = jobs_of_ticks(
        [ScheduledCall(add, (1, 2), {}, "a@1", TICK), ScheduledCall(expiring, (), {"a": 1, "b": 2}, "b@1", TICK)],
        "other",
    )
    assert (first.key, first.run_after, first.backend, first.arguments) == ("a@1", TICK, "other", "[[1,2],{}]")
    assert (second.key, second.arguments) == ("b@1", '[[],{"a":1,"b":2}]')
    assert second.expires_at is not None
    assert (second.expires_at - TICK).total_seconds() == 60
