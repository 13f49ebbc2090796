import json
import os
from datetime import timedelta

import pytest

from django_loco.core.compat import TaskResultStatus
from django_loco.core.job import FAILED, NODE, READY, SUCCESSFUL, Job, Outcome, error_of, new_id, utcnow
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import BatchCounts, new_record
from django_loco.queues.records.workflows import HELD_UNTIL, Decidable, Edge


def queue(**options):
    return MemoryQueue("default", options)


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def batch_in(queue, kind="batch"):
    record = new_record(new_id(), "default", "import", '{"finish": {}}', '{"tenant": 7}')
    queue.open_batch(record)
    if kind != "batch":
        queue._batches.update(record.id, kind=kind)
    return record.id


def run(queue, number=1, status: TaskResultStatus = SUCCESSFUL):
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=number))
    error = error_of(ValueError, "no") if status == FAILED else None
    queue.finish([Outcome(job=each, status=status, return_value="7", error=error) for each in held])
    return [each.id for each in held]


def moved(old, folder, new=None):
    new = new or queue()
    old.save(folder)
    new.load(folder)
    return new


def test_a_batch_moves_with_the_members_that_wait(tmp_path):
    old = queue()
    batch = batch_in(old)
    old.enqueue([job(batch=batch) for _ in range(3)])
    old.seal_batch(batch)
    run(old)
    before = old.get_batch(batch)
    new = moved(old, tmp_path)
    assert new.get_batch(batch) == before
    assert new.get_batch(batch).counts == BatchCounts(3, 1, 0, 0)
    assert old.settle_batches() == [], "what has moved is not cancelled"
    run(new, 2)
    [finished] = new.settle_batches([batch])
    assert (finished.counts, finished.callbacks, finished.metadata) == (
        BatchCounts(3, 3, 0, 0),
        '{"finish": {}}',
        '{"tenant": 7}',
    )


def test_a_batch_whose_callbacks_are_not_enqueued_moves_without_any_job(tmp_path):
    old = queue()
    batch = batch_in(old)
    old.enqueue([job(batch=batch)])
    old.seal_batch(batch)
    run(old)
    assert old.save(tmp_path) == 0
    new = queue()
    assert new.load(tmp_path) == 0
    assert [each.id for each in new.settle_batches()] == [batch]
    assert new.note_called(new.get_batch(batch)) is True
    assert new.save(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_finished_batch_moves_with_the_callback_that_waits(tmp_path):
    old = queue()
    batch = batch_in(old)
    old.enqueue([job(batch=batch)])
    old.seal_batch(batch)
    run(old)
    [finished] = old.settle_batches()
    old.enqueue([job(key=f"batch:{batch}:1:finish")])
    old.note_called(finished)
    new = moved(old, tmp_path)
    assert new.get_batch(batch) == old.get_batch(batch)
    assert new.settle_batches() == []
    new.prune(-1)
    assert new.get_batch(batch) is not None, "its callback reads it"
    run(new)
    new.prune(-1)
    assert new.get_batch(batch) is None


def workflow_in(old, on_failed="cancel"):
    workflow = batch_in(old, "workflow")
    first, other = job(batch=workflow), job(batch=workflow)
    last = job(batch=workflow, run_after=HELD_UNTIL, options={NODE: {"name": "last"}})
    old.enqueue([first, other, last])
    old.add_edges(workflow, [Edge(each.id, last.id, on_failed) for each in (first, other)])
    old.seal_batch(workflow)
    return workflow, first, other, last


def test_edges_move_with_the_nodes_and_the_results_of_those_that_have_ended(tmp_path):
    old = queue()
    workflow, _first, _other, last = workflow_in(old)
    [ended] = run(old)
    old.note_ends(workflow, [ended])
    result = old.get(ended)
    new = moved(old, tmp_path)
    assert new.get(ended) == result
    assert new.waiting_workflows() == [workflow]
    assert new.note_ends(workflow, None) == []
    run(new)
    assert new.note_ends(workflow, None) == [Decidable(last.id, "")]


def test_a_member_that_ends_after_the_first_of_two_files_has_ended(tmp_path):
    old = queue()
    workflow, *_, last = workflow_in(old)
    [running] = old.fetch(Claim(worker_id="w", lease=30, threads=1))
    assert old.save(tmp_path) == 2
    old.finish([Outcome(job=running, status=SUCCESSFUL, return_value="7")])
    assert old.note_ends(workflow, [running.id]) == []
    assert old.settle_batches() == []
    assert old.save(tmp_path) == 0
    assert old.save(tmp_path) == 0
    assert len([*tmp_path.iterdir()]) == 2, "the third call had nothing new"
    new = queue()
    assert new.load(tmp_path) == 2
    assert new.get_batch(workflow).counts == BatchCounts(3, 1, 0, 0)
    run(new)
    assert new.note_ends(workflow, None) == [Decidable(last.id, "")]


def test_a_member_whose_end_nobody_has_written_counts_as_cancelled(tmp_path):
    old = queue()
    workflow, _first, _other, last = workflow_in(old)
    [running] = old.fetch(Claim(worker_id="w", lease=30, threads=1))
    new = moved(old, tmp_path)
    assert new.get_batch(workflow).counts == BatchCounts(3, 0, 0, 1)
    assert new.note_ends(workflow, None) == [Decidable(last.id, running.id)]


def test_a_process_that_goes_on_loads_its_own_file_again(tmp_path):
    old = queue()
    workflow, *_, last = workflow_in(old)
    before = old.get_batch(workflow)
    moved(old, tmp_path, old)
    assert old.get_batch(workflow) == before
    run(old, 2)
    assert old.note_ends(workflow, None) == [Decidable(last.id, "")]
    new = moved(old, tmp_path)
    assert new.get_batch(workflow).counts == BatchCounts(3, 2, 0, 0)


def test_a_batch_that_waits_to_be_filled_takes_more_members(tmp_path):
    old = queue()
    batch = batch_in(old)
    new = moved(old, tmp_path)
    new.enqueue([job(batch=batch)])
    assert new.get_batch(batch).counts.left == 1


def test_logs_of_ended_nodes_move_too(tmp_path):
    old = queue()
    workflow_in(old)
    [held] = old.fetch(Claim(worker_id="w", lease=30, threads=1))
    old.finish([Outcome(job=held, status=SUCCESSFUL, log='{"text":"one"}')])
    assert moved(old, tmp_path).logs([held.id]) == {held.id: '{"text":"one"}'}


def test_nodes_of_an_unknown_workflow_are_cancelled(tmp_path, caplog):
    """Files of older releases have no batches."""
    old = queue()
    workflow, first, other, last = workflow_in(old)
    later = job(batch=workflow, run_after=utcnow() + timedelta(hours=1))
    old.enqueue([later])
    old.save(tmp_path)
    [path] = tmp_path.iterdir()
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"record"' not in line))
    new = queue()
    assert new.load(tmp_path) == 4
    ended = new.get(last.id)
    assert ended.status == FAILED
    assert ended.errors[-1].exception_class_path == "django_loco.exceptions.JobCancelled"
    assert workflow in ended.errors[-1].traceback
    assert {new.get(each.id).status for each in (first, other, later)} == {READY}
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "1 node" in record.getMessage()
    assert moved(new, tmp_path).get(last.id) is None


@pytest.mark.parametrize(
    "change",
    [
        {"record": 7},
        {"record": {"id": 7}},
        {"members": {"lost": []}},
        {"members": {"left": [7]}},
        {"edges": [["a", "b", "never"]]},
        {"edges": [["a", "b"]]},
        {"ended": [7]},
        {"ended": {}},
    ],
)
def test_a_damaged_batch_costs_no_other_line(tmp_path, change, caplog):
    old = queue()
    workflow, *_, last = workflow_in(old)
    other = batch_in(old)
    old.save(tmp_path)
    [path] = tmp_path.iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    [damaged] = [line for line in lines if line.get("record", {}).get("id") == workflow]
    damaged |= change
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    new = queue()
    assert new.load(tmp_path) == 3
    assert new.get_batch(workflow) is None
    assert new.get_batch(other) is not None
    assert new.get(last.id).status == FAILED
    assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]


def test_batches_stay_if_the_file_cannot_be_written(tmp_path, monkeypatch):
    old = queue()
    workflow, *_ = workflow_in(old)
    before = old.get_batch(workflow)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            old.save(tmp_path)
    assert old.get_batch(workflow) == before
    assert moved(old, tmp_path).get_batch(workflow) == before
