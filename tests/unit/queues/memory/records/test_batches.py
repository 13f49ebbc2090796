from __future__ import annotations

from django_loco.core.job import FAILED, Job, Outcome, new_id
from django_loco.queues.claim import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import BatchCounts, new_record


def test_results_that_are_too_many_still_count():
    queue = MemoryQueue("default", {"max_results": 1})
    record = new_record(new_id(), "default", "", "{}", "{}")
    queue.open_batch(record)
    queue.enqueue([Job(task_path="shop.send", backend="default", batch=record.id) for _ in range(5)])
    held = queue.fetch(Claim(worker_id="w", lease=60.0, threads=10, coroutines=0))
    queue.finish([Outcome(job=job, status=FAILED) for job in held])
    assert len(queue.list()) == 1
    assert queue.get_batch(record.id).counts == BatchCounts(5, 0, 5, 0)
