"""Long jobs go on where they were, whatever ended their last run."""

from __future__ import annotations

import time

import pytest

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome
from django_loco.core.serialization import encode
from django_loco.exceptions import QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.worker.pools.inline import run_inline

from .. import long_tasks
from ..support import wait_until

PATH = "tests.unit.worker.long_tasks"


@pytest.fixture(autouse=True)
def _fresh():
    for known in (long_tasks.seen, long_tasks.saved):
        known.clear()
    for event in (long_tasks.reached, long_tasks.go_on):
        event.clear()


def job(name: str, *args, **fields) -> Job:
    return Job(
        task_path=f"{PATH}.{name}",
        backend="default",
        arguments=encode([args, {}]),
        is_async=name.startswith("a"),
        **fields,
    )


def ended(queue, one: Job, status=SUCCESSFUL) -> Job:
    wait_until(lambda: queue.get(one.id).status == status)
    return queue.get(one.id)


def test_a_job_that_is_interrupted_goes_on_elsewhere_and_spends_no_attempt(queue, start):
    [one] = queue.enqueue([job("count", 5, 2)])
    first = start()
    assert long_tasks.reached.wait(10)
    first.stop(time.monotonic() + 10)
    long_tasks.go_on.set()
    assert first.join(10)
    handed_back = queue.get(one.id)
    assert (handed_back.status, handed_back.checkpoint, handed_back.worker_ids) == (READY, "3", ())
    assert first.health()["handed_back"] == 0
    start(worker_id="second")
    done = ended(queue, one)
    assert (done.return_value, done.checkpoint, done.worker_ids) == ("5", None, ("second",))
    assert long_tasks.seen == [None, 3]


def test_what_was_saved_before_the_deadline_is_there_after_it(queue, start):
    [one] = queue.enqueue([job("count", 5, 2)])
    worker = start()
    assert long_tasks.reached.wait(10)
    worker.stop(time.monotonic() + 0.2)
    wait_until(lambda: queue.get(one.id).status == READY)
    assert queue.get(one.id).checkpoint == "3"
    long_tasks.go_on.set()
    wait_until(lambda: len(long_tasks.saved) == 3)
    assert queue.get(one.id).checkpoint == "3"


def test_a_retry_goes_on(queue, start):
    [one] = queue.enqueue([job("stumble")])
    start()
    assert ended(queue, one).return_value == "3"


def test_async_jobs(queue, start):
    [one] = queue.enqueue([job("acount", 3)])
    start()
    assert ended(queue, one).return_value == '[{"done":2},1]'
    assert long_tasks.saved == [True] * 3


def test_a_job_whose_claim_is_lost_is_told_to_stop(queue, start):
    [one] = queue.enqueue([job("count", 5, 2)])
    start()
    assert long_tasks.reached.wait(10)
    queue.finish([Outcome.of_dead_worker(queue.get(one.id))])  # taken for dead
    [other] = queue.fetch(Claim(worker_id="other", lease=60, threads=1))
    assert other.checkpoint == "3"
    long_tasks.go_on.set()
    wait_until(lambda: len(long_tasks.saved) == 4)
    assert long_tasks.saved == [True, True, True, False]
    assert queue.get(one.id) == other


class Away(MemoryQueue):
    def update(self, job, field, text):
        raise QueueUnavailable("The store is away.")


def test_while_the_queue_is_away_the_job_goes_on(start, caplog):
    queue = Away("default", {})
    [one] = queue.enqueue([job("save", 1)])
    start(queue)
    assert ended(queue, one).return_value == "null"
    assert long_tasks.saved == [False]
    assert "is not stored: The store is away." in caplog.text


@pytest.mark.parametrize("value", [0, "", [], {"a": [1, None]}, None, "ä\x00"])
def test_values_come_back(value):
    queue = MemoryQueue("default", {})
    one = job("save", value)
    run_inline(queue, one)
    assert queue.get(one.id).return_value == encode(value)


def test_what_is_no_json_fails_the_job_with_a_hint():
    queue = MemoryQueue("default", {})
    one = job("save", "a set")
    run_inline(queue, one)
    [error] = queue.get(one.id).errors
    assert "long_tasks.save: the checkpoint cannot be stored as JSON." in error.traceback


def test_in_the_foreground_retries_go_on():
    queue = MemoryQueue("default", {})
    one = job("stumble")
    run_inline(queue, one)
    assert (queue.get(one.id).status, queue.get(one.id).return_value) == (SUCCESSFUL, "3")


def test_a_job_that_gives_in_for_no_reason_is_put_off(queue, start):
    [one] = queue.enqueue([job("give_in")])
    start()
    wait_until(lambda: long_tasks.seen and queue.get(one.id).status == READY)
    handed_back = queue.get(one.id)
    assert handed_back.run_after is not None
    assert (handed_back.worker_ids, handed_back.errors) == ((), ())


def test_a_failure_keeps_the_checkpoint_for_whoever_retries_the_job(queue, start):
    [one] = queue.enqueue([job("stumble", options={"max_attempts": 1})])
    start()
    assert ended(queue, one, FAILED).checkpoint == "1"
