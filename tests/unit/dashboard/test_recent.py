"""Values are kept for some seconds."""

from __future__ import annotations

import pytest

from django_loco.dashboard.recent import Recent, forget_jobs


def test_a_value_is_read_again_when_it_is_old():
    now, reads = [0.0], []
    recent: Recent[int] = Recent(lambda: now[0])

    def read():
        reads.append(1)
        return len(reads)

    assert [recent.get("a", 5, read), recent.get("a", 5, read), recent.get("b", 5, read)] == [1, 1, 2]
    now[0] = 5.0
    assert recent.get("a", 5, read) == 3
    recent.clear()
    assert recent.get("a", 5, read) == 4


def test_old_values_are_forgotten():
    now = [0.0]
    recent: Recent[int] = Recent(lambda: now[0])
    for tenant in range(100):
        now[0] = float(tenant)
        recent.get(tenant, 5, lambda: 1)
    assert len(recent._known) == 5


def test_a_value_is_looked_at_without_being_read():
    now = [0.0]
    recent: Recent[int] = Recent(lambda: now[0])
    assert recent.peek("a") is None
    recent.get("a", 5, lambda: 1)
    assert recent.peek("a") == 1
    now[0] = 5.0
    assert recent.peek("a") is None


def test_what_is_read_while_somebody_changes_it_is_not_kept():
    recent: Recent[int] = Recent()

    def read():
        recent.clear()
        return 1

    assert recent.get("a", 5, read) == 1
    assert recent.get("a", 5, lambda: 2) == 2


def test_what_is_kept_about_jobs_is_forgotten_when_somebody_changes_jobs(monkeypatch):
    monkeypatch.setattr("django_loco.dashboard.recent._of_jobs", [])
    of_jobs, other = Recent(of_jobs=True), Recent()
    for each in (of_jobs, other):
        each.get("a", 5, lambda: 1)
    forget_jobs()
    assert (of_jobs.peek("a"), other.peek("a")) == (None, 1)


def test_an_error_is_not_kept():
    recent: Recent[float] = Recent()
    with pytest.raises(ZeroDivisionError):
        recent.get("a", 5, lambda: 1 / 0)
    assert recent.get("a", 5, lambda: 1.0) == 1.0
