"""When an outcome that the queue has refused is offered again."""

from __future__ import annotations

from django_loco.core.job import SUCCESSFUL, Outcome
from django_loco.exceptions import JobsLocked, QueueUnavailable
from django_loco.worker.outcomes.pending_outcome import PendingOutcome

from ..support import claimed_of, job


def test_it_is_offered_at_growing_intervals_of_half_a_minute_at_most():
    pending = PendingOutcome(claimed_of("nothing"), Outcome(job=job("nothing"), status=SUCCESSFUL))
    delays = []
    for _ in range(12):
        pending.refused(QueueUnavailable("the connection was closed"), lambda: 1_000.0)
        delays.append(round(pending.not_before - 1_000, 3))
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30]


def test_a_locked_job_is_offered_again_twice_a_second():
    pending = PendingOutcome(claimed_of("nothing"), Outcome(job=job("nothing"), status=SUCCESSFUL))
    delays = []
    for _ in range(8):
        pending.locked(JobsLocked("locked", locked=()), lambda: 1_000.0)
        delays.append(round(pending.not_before - 1_000, 3))
    assert delays == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5]
    assert pending.tries == 0
