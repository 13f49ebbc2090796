"""What can be done with a job by its result: wait for it, cancel it, retry it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.core.job import FAILED, READY, SUCCESSFUL, Outcome, error_of
from django_loco.exceptions import InvalidState
from django_loco.jobs.operations import attribute_hints
from django_loco.queues import Claim, queue_for
from django_loco.tasks import job_result
from tests.app.tasks import add

CLAIM = Claim(worker_id="w", lease=60, threads=1)


@pytest.fixture(autouse=True)
def _memory(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": [], "OPTIONS": {"queue": "memory"}}
    }


@pytest.fixture
def result():
    return add.enqueue(1, 2)


def test_it_is_shown_in_a_line(result):
    assert repr(result) == f"<JobResult {result.id} of tests.app.tasks.add: READY>"


@pytest.mark.parametrize("name", attribute_hints._ATTRIBUTES["result"])
def test_attributes_of_results_of_other_systems_have_hints(result, name):
    assert not hasattr(result, name)
    with pytest.raises(AttributeError, match=rf"JobResult has no attribute '{name}'\. Write "):
        getattr(result, name)


def end(status=SUCCESSFUL, **fields):
    """Run the waiting job."""
    queue = queue_for("default")
    [job] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=job, status=status, return_value="3", **fields)])


@pytest.fixture
def looks(monkeypatch):
    """The pauses between two looks; after the third the job ends."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            end()

    async def asleep(seconds):
        sleep(seconds)

    monkeypatch.setattr(job_result.time, "sleep", sleep)
    monkeypatch.setattr(job_result.asyncio, "sleep", asleep)
    return pauses


def test_wait_returns_the_result_as_it_is_at_the_end(result, looks):
    assert result.wait(60) is result
    assert (result.status, result.return_value) == (SUCCESSFUL, 3)
    assert looks == [0.005, 0.01, 0.02]


def test_it_can_be_awaited(result, looks):
    assert async_to_sync(result.await_)(60) is result
    assert (result.status, looks) == (SUCCESSFUL, [0.005, 0.01, 0.02])


def test_pauses_grow_to_a_quarter_of_a_second(result):
    pauses = result._pauses(None)
    assert [next(pauses) for _ in range(9)][5:] == [0.16, 0.25, 0.25, 0.25]


def test_a_job_that_has_ended_is_not_waited_for(result, looks):
    end()
    assert result.wait().return_value == 3
    assert looks == []


def test_a_failed_job_has_ended(result):
    end(FAILED, error=error_of(ValueError, "no"))
    assert result.wait(0).status == FAILED
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


@pytest.mark.parametrize("timeout", [0, 0.02])
def test_a_job_that_takes_longer(result, timeout):
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"Job {result.id} \(tests.app.tasks.add\) is READY after {timeout:g} s"):
        result.wait(timeout)
    with pytest.raises(TimeoutError):
        async_to_sync(result.await_)(timeout)
    assert time.monotonic() - started >= 2 * timeout


def test_a_job_that_another_thread_ends(result):
    begun = threading.Event()

    def work():
        begun.wait(30)
        end()

    worker = threading.Thread(target=work)
    worker.start()
    begun.set()
    assert result.wait(30).return_value == 3
    worker.join()


def test_a_deleted_job_does_not_exist(result):
    queue_for("default").clear()
    with pytest.raises(TaskResultDoesNotExist):
        result.wait(5)


def test_wait_does_not_block_an_event_loop(result):
    async def wait():
        result.wait(5)

    with pytest.raises(SynchronousOnlyOperation, match=r"Write await result\.await_"):
        asyncio.run(wait())


def test_cancel_and_retry(result):
    result.cancel(by="anna")
    assert result.status == FAILED
    assert "cancelled by anna" in result.errors[-1].traceback
    result.retry()
    assert result.status == READY
    with pytest.raises(InvalidState, match="is waiting, so it cannot be retried"):
        result.retry()


def test_a_result_that_was_looked_up_can_do_the_same(result):
    add.get_result(result.id).cancel()
    result.refresh()
    assert result.status == FAILED


def test_in_async_code(result):
    async def work():
        await result.acancel(by="anna")
        cancelled = result.status
        await result.aretry()
        return cancelled, result.status

    assert async_to_sync(work)() == (FAILED, READY)
