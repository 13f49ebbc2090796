from __future__ import annotations

from dataclasses import replace

from django_loco.core.job import SUCCESSFUL, Job, Outcome, new_id
from django_loco.queues.claim import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import WORKFLOW, new_record
from django_loco.queues.records.workflows import Edge


def test_results_of_a_workflow_that_goes_on_are_no_part_of_the_maximum():
    queue = MemoryQueue("default", {"max_results": 1})
    record = replace(new_record(new_id(), "default", "", "{}", "{}"), kind=WORKFLOW)
    queue.open_batch(record)
    nodes = queue.enqueue([Job(task_path="shop.send", backend="default", batch=record.id) for _ in range(3)])
    others = queue.enqueue([Job(task_path="shop.send", backend="default") for _ in range(3)])
    held = queue.fetch(Claim(worker_id="w", lease=60.0, threads=10, coroutines=0))
    queue.finish([Outcome(job=job, status=SUCCESSFUL) for job in held])
    assert all(queue.get(job.id) for job in nodes)
    assert [job.id for job in others if queue.get(job.id)] == [others[-1].id]


def test_edges_leave_nothing_behind():
    queue = MemoryQueue("default", {})
    queue.add_edges("w", [Edge("a", "b", "cancel"), Edge("a", "c", "run"), Edge("b", "c", "run")])
    queue.close_nodes("w", ["b", "c", "d"])
    assert queue.note_ends("w", None) == []
    assert queue.note_ends("w", ["a"]) == []
