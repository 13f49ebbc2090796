"""Batches and workflows in memory go on in the next process after a stop in order."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from django_loco import jobs
from django_loco.queues import queue_for
from django_loco.tasks import Batch, Workflow, batch, chain, task
from django_loco.worker import in_process
from django_loco.worker.in_process import kept_jobs

#: What ran, in order.
RAN: list[object] = []


@task
def plus(number: int, more: int) -> int:
    RAN.append(more)
    return number + more


@task
def plus_later(number: int, more: int) -> int:
    RAN.append(more)
    return number + more


@task(takes_context=True)
def follow(context, batch_id: str) -> None:
    RAN.append((batch_id, context.batch.counts))


@pytest.fixture
def folder(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_jobs, "spool_folder", lambda alias: tmp_path)  # none is kept in tests otherwise
    settings.WORKER_MODE = "BackgroundAsync"
    RAN.clear()
    yield tmp_path
    in_process.stop(time.monotonic() + 5)
    kept_jobs._loaded.clear()
    in_process.workers._supervised.clear()


def restart() -> None:
    """End the process in order, and begin another one, which knows nothing but the files."""
    in_process.stop(time.monotonic() + 5)
    queue_for("default").clear()  # also ends pauses
    in_process.resume()


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_workflow_goes_on_in_order_with_the_results_of_the_process_before(folder):
    jobs.pause(task=plus_later.module_path)
    flow = chain(plus.s(1, 2), plus_later.s(10), plus.s(100)).enqueue("sums")
    until(lambda: Workflow.get(flow.id).counts.succeeded)
    restart()
    until(lambda: Workflow.get(flow.id).state == "finished")
    assert Workflow.get(flow.id).counts == (3, 3, 0, 0)
    assert sorted(Workflow.get(flow.id).results.values()) == [3, 13, 113]
    assert RAN == [2, 10, 100]


def test_the_callback_of_a_batch_comes_once(folder):
    jobs.pause(task=plus_later.module_path)
    with batch("import", on_finish=follow) as filled:
        filled.enqueue(plus, 0, 1)
        filled.enqueue_many(plus_later, [(0, 2), (0, 3)])
    until(lambda: Batch.get(filled.id).counts.succeeded)
    restart()
    until(lambda: len(RAN) >= 4)
    restart()
    time.sleep(0.5)  # for a callback too many
    assert sorted(RAN[:3]) == [1, 2, 3]
    assert RAN[3:] == [(filled.id, (3, 3, 0, 0))]
    assert [*folder.glob("*.jobs")] == []


def test_nodes_are_not_carried_on_without_their_workflow(folder):
    """A file of an older release has them."""
    jobs.pause(task=plus.module_path)
    chain(plus.s(1, 2), plus_later.s(10)).enqueue()
    in_process.stop(time.monotonic() + 5)
    [path] = folder.glob("*.jobs")
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"record"' not in line))
    restart()
    until(lambda: RAN == [2])
    in_process.stop(time.monotonic() + 5)
    assert [*folder.glob("*.jobs")] == []
