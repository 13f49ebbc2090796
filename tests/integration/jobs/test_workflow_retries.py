"""Retries of workflows on every queue: beside the workers that do what follows the first round."""

from __future__ import annotations

import pytest

from django_loco import jobs
from django_loco.core.job import FAILED, SUCCESSFUL, Outcome, error_of, utcnow
from django_loco.jobs import state_of
from django_loco.jobs.operations import Retry
from django_loco.jobs.operations.batches.settling import settle, settle_members, settle_rest
from django_loco.jobs.operations.workflows.releasing import PostponedSteps, advance_members
from django_loco.queues.records.batches import batches_of
from django_loco.tasks import Workflow, batch
from tests.app import tasks

from .conftest import CLAIM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flow():
    """A workflow of two nodes in a row."""
    flow = Workflow("nightly", on_failure=tasks.echo.using(queue_name="emails"))
    flow.add(tasks.echo, "b", name="b", after=[flow.add(tasks.echo, "a", name="a")])
    return flow.enqueue()


def end_next(queue, postponed=None, *, fails=False):
    """Let the next node end, and do what follows."""
    [job] = [job for job in queue.fetch(CLAIM) if batches_of([job])]
    error = error_of(ValueError, "no") if fails else None
    assert queue.finish([Outcome(job=job, status=FAILED if fails else SUCCESSFUL, error=error)]) == set()
    settle_members(queue, [job], postponed)


def states(flow):
    return {job.options["node"]["name"]: state_of(job, utcnow()) for job in flow.nodes()}


def require_second_round(queue, flow):
    """Require that the nodes which were retried run, and that the workflow finishes once more."""
    assert states(flow) == {"a": "waiting", "b": "scheduled"}
    end_next(queue)
    assert states(flow) == {"a": "done", "b": "waiting"}
    end_next(queue)
    settle(queue)
    flow.refresh()
    assert (flow.state, tuple(flow.counts)) == ("finished", (2, 2, 0, 0))
    assert queue.waiting_workflows() == []
    assert len([job for job in queue.list() if job.batch is None]) == 1, "the callbacks of one round were called twice"


def test_the_failed_part_of_one_that_has_finished_runs_in_another_round(queue, flow):
    end_next(queue, fails=True)
    flow.refresh()
    assert (flow.state, states(flow)) == ("finished", {"a": "failed", "b": "cancelled"})
    assert flow.retry() == 2
    flow.refresh()
    assert (flow.state, tuple(flow.counts)) == ("running", (2, 0, 0, 0))
    assert list(queue.batch_members(flow.id, "left")) == sorted(job.id for job in flow.nodes())
    require_second_round(queue, flow)


def test_one_that_is_retried_before_its_edges_are_deleted_keeps_its_order(queue, flow):
    postponed = PostponedSteps()
    end_next(queue, postponed, fails=True)
    assert flow.retry() == 2
    settle_rest(queue, postponed)
    require_second_round(queue, flow)


def test_what_ends_while_edges_are_deleted_is_noted(queue, flow, monkeypatch):
    postponed = PostponedSteps()
    end_next(queue, postponed, fails=True)
    assert flow.retry() == 2
    close_nodes = queue.close_nodes

    def slow(workflow, ids):
        close_nodes(workflow, ids)
        monkeypatch.undo()
        end_next(queue)

    monkeypatch.setattr(queue, "close_nodes", slow)
    settle_rest(queue, postponed)
    assert states(flow) == {"a": "done", "b": "waiting"}
    assert (postponed.decided, postponed.take_released()) == ({}, 1)


def test_who_settles_the_round_before_too_late_leaves_the_next_one_alone(queue, flow):
    [job] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=job, status=FAILED, error=error_of(ValueError, "no"))])

    def retried_meanwhile(jobs):
        queue.enqueue(jobs)
        settle(queue)
        assert flow.retry() == 2

    advance_members(queue, [job])
    settle(queue, [flow.id], flow.nodes(), store_jobs=retried_meanwhile)
    require_second_round(queue, flow)


@pytest.mark.parametrize("is_told", [True, False])
def test_one_that_is_retried_while_its_old_edges_are_dropped_keeps_its_order(queue, flow, monkeypatch, is_told):
    drop_edges, note_called = queue.drop_edges, queue.note_called

    def slow(workflow):
        monkeypatch.undo()
        assert flow.retry() == 2
        drop_edges(workflow)

    monkeypatch.setattr(queue, "drop_edges", slow)
    if not is_told:  # by a queue of an older release
        monkeypatch.setattr(queue, "note_called", lambda record: note_called(record) and None)
    end_next(queue, PostponedSteps(), fails=True)
    require_second_round(queue, flow)


def test_a_failure_that_was_retried_meanwhile_cancels_nothing(queue, flow, monkeypatch):
    [job] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=job, status=FAILED, error=error_of(ValueError, "no"))])
    note_ends = queue.note_ends

    def slow(workflow, upstream):
        monkeypatch.undo()
        found = note_ends(workflow, upstream)
        settle_members(queue, [job])
        assert flow.retry() == 2
        return found

    monkeypatch.setattr(queue, "note_ends", slow)
    settle_members(queue, [job])
    require_second_round(queue, flow)


@pytest.mark.parametrize("on_failed", ["run", "ignore"])
def test_a_failure_that_was_retried_meanwhile_lets_nothing_run(queue, on_failed, monkeypatch):
    flow = Workflow()
    flow.add(tasks.echo, "b", name="b", after=[flow.add(tasks.echo, "a", name="a")], on_failed=on_failed)
    flow.enqueue()
    [job] = queue.fetch(CLAIM)
    queue.finish([Outcome(job=job, status=FAILED, error=error_of(ValueError, "no"))])
    found = queue.note_ends(flow.id, [job.id])
    retry = Retry().of(queue.get(job.id))

    def slow(workflow, upstream):
        monkeypatch.undo()
        assert queue.change([retry]) == set()
        return found

    monkeypatch.setattr(queue, "note_ends", slow)
    settle_members(queue, [job])
    assert states(flow) == {"a": "waiting", "b": "scheduled"}
    end_next(queue)
    assert states(flow) == {"a": "done", "b": "waiting"}


def test_after_one_that_was_killed_another_retry_leaves_alone_what_waits_or_runs(queue, flow, monkeypatch):
    end_next(queue, fails=True)
    killed_after_the_changes(queue, monkeypatch, flow.retry)
    [held] = [job for job in queue.fetch(CLAIM) if batches_of([job])]
    assert flow.retry() == 0
    assert states(flow) == {"a": "running", "b": "scheduled"}
    assert queue.finish([Outcome(job=held, status=SUCCESSFUL)]) == set()
    settle_members(queue, [held])
    assert states(flow) == {"a": "done", "b": "waiting"}


def killed_after_the_changes(queue, monkeypatch, retry):
    """Let ``retry`` make its changes, and no more."""
    change = queue.change

    def die(changes):
        change(changes)
        raise KeyboardInterrupt

    monkeypatch.setattr(queue, "change", die)
    with pytest.raises(KeyboardInterrupt):
        retry()
    monkeypatch.undo()


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("retry", [lambda flow: jobs.filter(f"workflow:{flow.id}").retry(), Workflow.retry])
def test_nodes_that_are_retried_open_their_workflow_again(queue, flow, monkeypatch, retry, is_killed):
    end_next(queue, fails=True)
    if is_killed:
        killed_after_the_changes(queue, monkeypatch, lambda: retry(flow))
    else:
        assert retry(flow) == 2
    flow.refresh()
    assert (flow.state, flow.counts.left) == ("running", 2)
    require_second_round(queue, flow)


def test_one_node_that_is_retried_ends_in_another_round(queue, flow):
    end_next(queue, fails=True)
    [failed] = [job for job in flow.nodes() if state_of(job, utcnow()) == "failed"]
    assert jobs.retry(failed) == 1
    end_next(queue, fails=True)
    flow.refresh()
    assert (flow.state, states(flow)) == ("finished", {"a": "failed", "b": "cancelled"})
    assert len([job for job in queue.list() if job.batch is None]) == 2


def test_a_retry_of_a_batch_that_is_killed_after_its_changes_is_followed(queue, monkeypatch):
    with batch(on_finish=tasks.echo.using(queue_name="emails")) as own:
        own.enqueue(tasks.echo, "a")
    end_next(queue, fails=True)
    killed_after_the_changes(queue, monkeypatch, own.retry)
    end_next(queue)
    own.refresh()
    assert (own.state, tuple(own.counts)) == ("finished", (1, 1, 0, 0))
    assert len([job for job in queue.list() if job.batch is None]) == 2


def test_a_node_that_ignores_failures_waits_for_each_that_was_retried_meanwhile(queue, monkeypatch):
    flow = Workflow()
    before = [flow.add(tasks.echo, name, name=name) for name in "ab"]
    flow.add(tasks.echo, "c", name="c", after=before, on_failed="ignore")
    flow.enqueue()
    held = queue.fetch(CLAIM)
    error = error_of(ValueError, "no")
    queue.finish([Outcome(job=job, status=FAILED, error=error) for job in held])
    [decidable] = found = queue.note_ends(flow.id, [job.id for job in held])
    [other] = [job.id for job in held if job.id != decidable.failed]
    retry = Retry().of(queue.get(other))

    def slow(workflow, upstream):
        monkeypatch.undo()
        assert queue.change([retry]) == set()
        return found

    monkeypatch.setattr(queue, "note_ends", slow)
    settle_members(queue, held)
    assert sorted(states(flow).values()) == ["failed", "scheduled", "waiting"]
    end_next(queue)
    assert states(flow)["c"] == "waiting"
