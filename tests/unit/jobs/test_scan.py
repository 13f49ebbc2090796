"""Reading the jobs that match, page by page."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import time_machine

from django_loco.core.job import READY, SUCCESSFUL, JobCall, Outcome, utcnow
from django_loco.jobs import scan
from django_loco.jobs.language import filter_of
from django_loco.jobs.scan import Scan, size_of
from django_loco.queues import queue_for
from django_loco.queues.memory import MemoryQueue
from tests.unit.jobs.conftest import make_job, run


@pytest.fixture
def asked(queue, monkeypatch):
    """What the queue was asked for."""
    calls = []
    original = queue.list

    def listing(**kwargs):
        calls.append(kwargs)
        return original(**kwargs)

    monkeypatch.setattr(queue, "list", listing)
    return calls


def enqueue(count, backend="default", **fields):
    jobs = [make_job(number, backend=backend, age=number, **fields) for number in range(count)]
    queue_for(backend).enqueue(jobs)
    # On a busy machine a second may pass between two of them, which then have the same age, or change places.
    return sorted(jobs, key=lambda job: job.id, reverse=True)


def ids(text="", **fields):
    return [job.id for job in Scan(filter_of(text, {}), **fields)]


def test_all_are_read_the_newest_first_in_growing_pages(asked):
    jobs = enqueue(3_500)
    assert ids() == [job.id for job in jobs]
    assert [call["limit"] for call in asked] == [100, 200, 400, 800, 1_000, 1_000, 1_000]
    assert asked[1]["before"] == jobs[99].id


def test_what_is_not_asked_for_is_not_read(asked):
    enqueue(500)
    assert Scan(filter_of("", {})).__iter__().__next__() is not None
    assert len(asked) == 1


def test_pages_of_large_jobs_are_short(asked, monkeypatch):
    monkeypatch.setattr(scan, "PAGE_BYTES", 100_000)
    enqueue(300, kwargs={"text": "x" * 1_000})
    assert len(ids()) == 300
    assert max(call["limit"] for call in asked) == 100
    monkeypatch.setattr(scan, "PAGE_BYTES", 10)
    asked.clear()
    assert len(ids()) == 300
    assert min(call["limit"] for call in asked) == 1


def test_the_size_of_a_job():
    job = replace(make_job(), arguments="12", return_value="123", metadata="1234")
    assert size_of(job) == 9


def test_streams_are_merged_by_id(stored):
    states = ["waiting", "failed", "done", "waiting", "failed", "running"]
    jobs = [stored(state, age=age, backend=("default", "other")[age % 2]) for age, state in enumerate(states)]
    assert ids() == [job.id for job in jobs]
    assert ids("status:failed,waiting") == [
        job.id for job, state in zip(jobs, states, strict=True) if state in ("failed", "waiting")
    ]
    assert ids("backend:other") == [job.id for job in jobs[1::2]]


def test_the_store_filters_what_it_can(asked):
    enqueue(3, queue_name="emails")
    assert len(ids("status:failed,ready queue:emails,default priority:0")) == 3
    assert {(call["status"], call["queue_name"]) for call in asked} == {
        (status, name) for status in ("READY", "FAILED") for name in ("emails", "default")
    }


def test_of_many_queues_all_jobs_are_read_in_their_order(asked):
    wanted = enqueue(150, queue_name="q7")
    enqueue(150)
    names = ",".join(f"q{number}" for number in range(scan.MOST_STREAMS))
    assert ids(f"queue:{names},more status:ready") == [job.id for job in wanted]
    assert {(call["status"], call["queue_name"]) for call in asked} == {("READY", None)}
    asked.clear()
    assert ids(f"queue:{names} status:ready,failed") == [job.id for job in wanted]
    assert {(call["status"], call["queue_name"]) for call in asked} == {("READY", None), ("FAILED", None)}
    asked.clear()
    assert ids(f"queue:{names} status:ready") == [job.id for job in wanted]
    assert {call["queue_name"] for call in asked} == {*names.split(",")}


def test_many_ids_are_looked_up(asked):
    jobs = enqueue(2_500)
    assert ids(f"id:{','.join(job.id for job in jobs)}") == [job.id for job in jobs]
    assert asked == []


def test_contradictions_read_nothing(asked):
    enqueue(3)
    assert ids("status:failed status:done") == ids("queue:a queue:b") == ids("backend:other backend:default") == []
    assert asked == []


def test_paging_begins_and_ends_at_the_times(asked):
    with time_machine.travel(utcnow(), tick=False):  # on a busy machine a job may be another second old when it is read
        jobs = enqueue(1_000)
        assert ids("older:100.5s newer:200.5s") == [job.id for job in jobs[101:201]]
    assert len(asked) == 2


def test_ids_are_looked_up(asked):
    jobs = enqueue(10)
    assert ids(f"id:{jobs[5].id},{jobs[2].id},{make_job().id}") == [jobs[2].id, jobs[5].id]
    assert ids(f"id:{jobs[5].id} args.0:4") == []
    assert ids(f"id:{jobs[5].id},{jobs[2].id}", before=jobs[2].id) == [jobs[5].id]
    assert asked == []


def test_a_window_limits_what_is_looked_at(asked):
    jobs = enqueue(1_000)
    search = Scan(filter_of("args.0:<x", {}), window=250)
    assert list(search) == []
    assert (search.looked_at, search.last_id, search.reached_window) == (250, jobs[249].id, True)
    assert sum(call["limit"] for call in asked) < 1_000


@pytest.fixture
def called(queue, monkeypatch):
    """The pages of calls that the queue was asked for, and which jobs were then read."""
    read = SimpleNamespace(pages=[], jobs=[])

    def calls(**which):
        read.pages.append(which["limit"])
        return [
            JobCall(id=job.id, backend=job.backend, task_path=job.task_path, arguments=job.arguments)
            for job in MemoryQueue.list(queue, **which)
        ]

    def get_many(given):
        read.jobs += given
        return MemoryQueue.get_many(queue, given)

    monkeypatch.setattr(queue, "list_calls", calls)
    monkeypatch.setattr(queue, "get_many", get_many)
    return read


@pytest.mark.parametrize("text", ["args.0:1500", "args.a:1500", "queue:default -tag:x args.0:1500 task:tests.*"])
def test_of_jobs_that_hardly_match_only_the_calls_are_read(asked, called, text):
    jobs = enqueue(3_000, task="tests.app.tasks.add")
    assert ids(text) == [jobs[1_500].id]
    assert [call["limit"] for call in asked] == [100]
    assert called.pages == [200, 400, 800, 1_000, 1_000]
    assert called.jobs == [jobs[1_500].id]


def test_jobs_are_read_as_a_whole_where_many_match(queue, asked, called):
    queue.enqueue([make_job(age=age, task="shop.tasks.send" if age >= 100 else "shop.tasks.pay") for age in range(800)])
    matching = ids("task:send")
    assert len(matching) == 700
    assert called.pages == [200]
    assert set(called.jobs) <= set(matching)
    assert [call["limit"] for call in asked] == [100, 400, 800]


@pytest.mark.parametrize("text", ["-args.0:7", "tag:x", "status:waiting priority:>1", "task:'(*)'", "task:*"])
def test_what_calls_do_not_tell_is_read_from_jobs(called, text):
    enqueue(300)
    ids(text)
    assert called.pages == []


def test_a_window_counts_calls_as_well(called):
    jobs = enqueue(1_000)
    search = Scan(filter_of("task:none", {}), window=250)
    assert list(search) == []
    assert (search.looked_at, search.last_id, search.reached_window) == (250, jobs[249].id, True)
    assert called.pages == [200]


def test_a_job_that_goes_after_its_call_was_read_is_not_found(called, queue, monkeypatch):
    enqueue(300)
    monkeypatch.setattr(queue, "get_many", lambda _: [])
    assert ids("args.0:250") == []


def test_pages_of_large_calls_are_short(called, monkeypatch):
    monkeypatch.setattr(scan, "PAGE_BYTES", 100_000)
    enqueue(300, kwargs={"text": "x" * 1_000})
    assert ids("task:none") == []
    assert max(called.pages) < 100


def test_a_window_that_is_large_enough_is_not_reached():
    jobs = enqueue(250)
    search = Scan(filter_of("", {}), window=250)
    assert len(list(search)) == 250
    assert (search.looked_at, search.last_id, search.reached_window) == (250, jobs[-1].id, False)


def test_a_job_that_changes_its_status_meanwhile_is_yielded_once(queue):
    jobs = enqueue(250)
    found = iter(Scan(filter_of("status:ready,done", {})))
    first = [next(found).id for _ in range(150)]
    held = run(queue, jobs[149])
    queue.finish([Outcome(job=held, status=SUCCESSFUL)])
    rest = [job.id for job in found]
    assert len(set(first + rest)) == len(first + rest)
    assert {job.id for job in jobs} == {*first, *rest}


def test_two_streams_with_the_same_job_yield_it_once(queue, monkeypatch):
    job = make_job()
    monkeypatch.setattr(queue, "list", lambda **_: [job])
    assert ids("status:ready,done") == [job.id]
    assert job.status == READY
