"""The jobs of a test as a sequence."""

from __future__ import annotations

import pytest

from django_loco.testing.fixtures import EnqueuedJobs

from . import tasks


def test_it_is_a_sequence():
    jobs = EnqueuedJobs()
    assert not jobs
    tasks.send.enqueue(1, to="x")
    tasks.asend.enqueue(2)
    assert len(jobs) == 2
    assert [result.args for result in jobs] == [[1], [2]]
    assert jobs[-1].args == [2]
    assert [result.args for result in jobs(tasks.send)] == [[1]]
    assert jobs(queue="emails") == []
    assert repr(jobs) == "[tests.unit.testing.tasks.send(1, to='x'), tests.unit.testing.tasks.asend(2)]"


def test_its_methods_are_the_functions():
    jobs = EnqueuedJobs()
    tasks.send.enqueue(1)
    jobs.assert_enqueued(tasks.send, args=[1])
    with pytest.raises(AssertionError):
        jobs.refute_enqueued(tasks.send)
    assert jobs.drain() == {"successful": 1}
    assert jobs.run_job(tasks.asend, 1) == 1
