"""The numbers of jobs over all aliases."""

from __future__ import annotations

from django_loco import jobs


def test_numbers_per_queue(stored):
    for state in ("waiting", "scheduled", "retrying", "running", "failed", "done"):
        stored(state, queue_name="emails", age=100)
    stored("scheduled", backend="other")
    jobs.pause(queue="reports", backend="other")
    emails, default, reports = jobs.stats()
    assert (emails.backend, emails.queue) == ("default", "emails")
    assert (emails.ready, emails.running, emails.failed, emails.done) == (3, 1, 1, 1)
    assert 100 <= emails.oldest_due_age < 160
    assert not emails.is_paused
    assert (default.backend, default.queue, default.ready, default.oldest_due_age) == ("other", "default", 1, None)
    assert (reports.queue, reports.ready, reports.is_paused) == ("reports", 0, True)
    assert jobs.stats(backend="other") == [default, reports]


def test_numbers_are_capped(stored):
    for _ in range(5):
        stored()
    [stats] = jobs.stats(limit=3)
    assert stats.ready.text == "3+"
    assert jobs.stats(limit=5)[0].ready.text == "5"
