"""Which enqueued jobs are counted."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.db import transaction

from django_loco.metrics import arrivals as arrivals_module
from django_loco.metrics.arrivals import Arrivals
from django_loco.queues import queue_for
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def arrivals(monkeypatch) -> Iterator[Arrivals]:
    """Count as outside of tests."""
    queue_for("default").clear()
    arrivals = Arrivals()
    monkeypatch.setattr(arrivals_module, "_arrivals", arrivals)
    monkeypatch.setattr(arrivals_module, "running_tests", SimpleNamespace(is_on=lambda: False))
    yield arrivals
    arrivals.close()


def counted(arrivals: Arrivals) -> int:
    arrivals.write()
    return sum(each.runs for each in queue_for("default").totals() if each.labels.outcome == "enqueued")


def test_jobs_are_counted(arrivals):
    tasks.add.enqueue(1, 2)
    assert counted(arrivals) == 1


def test_jobs_of_a_transaction_are_counted_when_it_is_committed(arrivals):
    with transaction.atomic():
        tasks.add.enqueue(1, 2)
        assert counted(arrivals) == 0
    assert counted(arrivals) == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tasks.add.enqueue(1, 2)
        raise ZeroDivisionError
    assert counted(arrivals) == 1
