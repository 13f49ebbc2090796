"""A job that was enqueued by another one names it, on every queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from django_loco import jobs
from django_loco.core.job import utcnow
from django_loco.jobs.presentation.shown import shown_job
from django_loco.queues.memory import MemoryQueue
from django_loco.tasks import enqueue_many
from tests.app import tasks

from .conftest import drain

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_a_job_has_enqueued_is_found_by_its_id():
    first, other = tasks.generations.enqueue(2), tasks.add.enqueue(1, 2)
    drain()
    [second] = jobs.filter(f"parent:{first.id} task:generations")
    children = jobs.filter(parent=second)
    assert (second.parent, {job.parent for job in children}, children.count()) == (first.id, {second.id}, 3)
    assert [job.parent for job in (jobs.get(first), jobs.get(other))] == ["", ""]
    assert {*jobs.filter("-parent:*").ids()} == {first.id, other.id}
    assert jobs.filter(f"parent:{first.id[-8:]}").count() == jobs.filter(parent=first).count() == 3
    assert jobs.filter(parent=[first, second]).count() == 6
    assert jobs.filter(parent=other).count() == 0


def test_results_know_it_at_once_and_when_they_are_loaded():
    first, on_loop = tasks.generations.enqueue(1), tasks.agenerations.enqueue()
    drain()
    for result in (first, on_loop):
        result.refresh()
    assert (first.return_value, on_loop.return_value) == ([first.id] * 3, on_loop.id)
    child = tasks.add.get_result(jobs.filter(parent=on_loop).first().id)
    assert (child.parent, child.task, first.parent) == (on_loop.id, tasks.add, None)


def test_it_is_shown_and_is_no_option_of_the_task():
    first = tasks.generations.enqueue(1)
    drain()
    shown = [shown_job(job, utcnow()) for job in jobs.filter(parent=first)]
    assert [each["parent"] for each in shown] == [first.id] * 3
    assert sorted(len(each["options"]) for each in shown) == [0, 0, 1]
    assert shown_job(jobs.get(first), utcnow())["parent"] is None


def test_a_child_from_a_machine_whose_clock_is_behind(queue):
    parent = tasks.add.enqueue(1, 2)
    child = jobs.get(parent)
    behind = int(timedelta(minutes=50).total_seconds() * 1000)
    child.id, child.options = f"{int(parent.id[:12], 16) - behind:012x}{parent.id[12:]}", {"parent": parent.id}
    queue.enqueue([child])
    assert [*jobs.filter(parent=parent).ids()] == [child.id]


def test_a_dump_carries_it(queue, tmp_path, monkeypatch):
    monkeypatch.setattr(MemoryQueue, "is_shared", True)
    first = tasks.generations.enqueue(1)
    drain()
    before = [*jobs.filter(parent=first)]
    call_command("loco_jobs", "dump", output=str(tmp_path / "jobs.jsonl"))
    queue.clear()
    call_command("loco_jobs", "import", str(tmp_path / "jobs.jsonl"), yes=True)
    assert [*jobs.filter(parent=first)] == before


def test_what_a_person_enqueues_has_none():
    first = tasks.generations.enqueue(1)
    drain()
    again = jobs.run_again(jobs.filter(parent=first).first())
    assert jobs.get(again).parent == ""
    assert [result.parent for result in enqueue_many(tasks.add, [(1, 2)])] == [None]
