"""Operations on many jobs: batches, jobs that change meanwhile, and stores that go away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco import jobs
from django_loco.core.job import FAILED, READY, Outcome
from django_loco.exceptions import InvalidArguments, InvalidState, QueueRefused, QueueUnavailable, Unfinished
from django_loco.jobs.operations import Cancel, Delete, Retry, bulk
from django_loco.jobs.operations.bulk import ATTEMPTS, BulkRun
from django_loco.jobs.operations.edits import Update
from django_loco.jobs.stores import backend_of
from django_loco.queues import queue_for
from django_loco.queues.base import Change
from tests.unit.jobs.conftest import found, make_job, run


def enqueue(queue, count, **fields):
    made = [make_job(number, age=number, **fields) for number in range(count)]
    queue.enqueue(made)
    return made


@pytest.fixture
def sizes(queue, monkeypatch):
    """How many changes the queue was asked for in each call."""
    calls = []
    original = queue.change

    def change(changes):
        calls.append(len(changes))
        return original(changes)

    monkeypatch.setattr(queue, "change", change)
    return calls


def test_batches(queue, sizes):
    enqueue(queue, 2_500)
    assert jobs.filter().delete() == 2_500
    assert sizes == [1_000, 1_000, 500]
    assert queue.list() == []


def test_batches_of_large_jobs_are_small(queue, sizes, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH_BYTES", 5_000)
    enqueue(queue, 20, kwargs={"text": "x" * 1_000})
    enqueue(queue, 1, kwargs={"text": "x" * 9_000})
    assert jobs.filter().delete() == 21
    assert max(sizes) == 4
    assert 1 in sizes


def test_no_job_no_call(queue, sizes):
    assert jobs.filter().delete() == 0
    assert sizes == []


def meanwhile(queue, monkeypatch, event):
    """Let ``event`` happen just before the next change, once."""
    original = queue.change
    events = [event]

    def change(changes):
        if events:
            events.pop()()
        return original(changes)

    monkeypatch.setattr(queue, "change", change)


def test_a_job_that_was_edited_meanwhile_is_read_again(queue, monkeypatch):
    job = make_job()
    queue.enqueue([job])
    original = queue.change
    meanwhile(queue, monkeypatch, lambda: original([Change(before=job, after=replace(job, priority=5))]))
    assert jobs.filter("status:waiting").cancel() == 1
    assert found(queue, job).priority == 5
    assert found(queue, job).status == FAILED


def test_a_job_that_does_not_match_any_more_is_left_alone(queue, monkeypatch):
    job = make_job()
    queue.enqueue([job])
    original = queue.change
    meanwhile(queue, monkeypatch, lambda: original([Change(before=job, after=replace(job, priority=5))]))
    assert jobs.filter("priority:0").cancel() == 0
    assert found(queue, job).status == READY


def test_a_job_that_began_meanwhile_is_cancelled_as_a_running_one(queue, monkeypatch):
    job = make_job()
    queue.enqueue([job])
    held = []
    meanwhile(queue, monkeypatch, lambda: held.append(run(queue, job)))
    assert jobs.filter(id=job.id).cancel(by="anna") == 1
    assert found(queue, job).status == FAILED
    assert queue.lost(held) == {job.id}
    assert queue.finish([Outcome(job=held[0], status=READY)]) == {job.id}


def test_a_job_that_was_deleted_meanwhile_does_not_count(queue, monkeypatch):
    enqueue(queue, 3)
    first = queue.list(limit=1)[0]
    original = queue.change
    meanwhile(queue, monkeypatch, lambda: original([Change(before=first, after=None)]))
    assert jobs.filter().delete() == 2


def test_a_job_that_changes_all_the_time_is_given_up(queue, monkeypatch):
    job = make_job()
    queue.enqueue([job])
    original, tried = queue.change, []

    def refuse(changes):
        [change] = changes
        tried.append(change.before.priority)
        original([Change(before=change.before, after=replace(change.before, priority=len(tried)))])
        return {job.id}

    monkeypatch.setattr(queue, "change", refuse)
    assert jobs.filter().delete() == 0
    assert tried == list(range(ATTEMPTS))


def test_a_job_that_is_refused_as_it_is_is_not_tried_again(queue, monkeypatch):
    enqueue(queue, 3)
    tried = []

    def refuse(changes):
        tried.append(len(changes))
        return {change.before.id for change in changes}

    monkeypatch.setattr(queue, "change", refuse)
    assert jobs.filter().delete() == 0
    assert tried == [3]


def test_a_store_that_goes_away_in_the_middle(queue, monkeypatch, sizes):
    enqueue(queue, 1_500)
    original, calls = queue.change, []

    def change(changes):
        calls.append(len(changes))
        if len(calls) == 2:
            raise QueueUnavailable("no route to the store")
        return original(changes)

    monkeypatch.setattr(queue, "change", change)
    with pytest.raises(Unfinished, match=r"1,000 jobs were deleted, .* no route to the store") as caught:
        jobs.filter().delete()
    assert caught.value.done == 1_000
    assert jobs.filter().delete() == 500
    assert queue.list() == []


def test_a_store_that_is_away_from_the_first(queue, monkeypatch):
    def unavailable(**kwargs):
        raise QueueUnavailable("no route to the store")

    monkeypatch.setattr(queue, "list", unavailable)
    with pytest.raises(QueueUnavailable, match=r"^no route to the store$"):
        jobs.filter().delete()


def test_one_alias_done_and_the_other_away(queue, stored, monkeypatch):
    stored(), stored(backend="other")

    def unavailable(changes):
        raise QueueUnavailable("away")

    monkeypatch.setattr(queue_for("other"), "change", unavailable)
    with pytest.raises(Unfinished) as caught:
        jobs.filter().delete()
    assert caught.value.done == 1


def test_an_alias_without_the_queue_is_found_before_any_job_is_moved(queue, stored):
    made = [stored(age=3_600), stored(backend="other")]
    with pytest.raises(ValueError, match=r"^TASKS\['default'\] has no queue 'letters'"):
        jobs.move(made, queue="letters")
    for search in (jobs.filter(), jobs.filter()[:2], jobs.filter(window=2)):
        with pytest.raises(ValueError, match=r"^TASKS\['default'\] has no queue 'letters'"):
            search.move(queue="letters")
    assert jobs.filter("queue:letters").count() == 0
    for search in (jobs.filter("backend:other"), jobs.filter()[:1], jobs.filter(window=1), jobs.filter("newer:30m")):
        assert search.move(queue="letters") == 1


def test_an_alias_that_runs_no_stored_jobs_is_found_before_any_is_retried(stored, monkeypatch):
    for backend in ("default", "other"):
        stored("failed", backend=backend)
    monkeypatch.setitem(backend_of("other").options, "mode", "ForegroundBlocking")
    with pytest.raises(InvalidState, match=r"^TASKS\['other'\] runs jobs inside enqueue"):
        jobs.filter("status:failed").retry()
    assert jobs.filter("status:failed").count() == 2
    assert jobs.filter("status:failed", backend="default").retry() == 1
    assert jobs.filter("status:failed").cancel() == 0


@pytest.mark.parametrize(
    "error", [QueueRefused("it has a NUL"), InvalidArguments("no such argument"), ValueError("no")]
)
def test_what_is_refused_after_others_were_changed_does_not_hide_these(queue, monkeypatch, error):
    enqueue(queue, 1_001)
    original, made = Update.of, []

    def of(self, job):
        made.append(job.id)
        if len(made) > 1_000:
            raise error
        return original(self, job)

    monkeypatch.setattr(Update, "of", of)
    with pytest.raises(Unfinished) as caught:
        jobs.filter().update(priority=5)
    assert str(caught.value) == (
        f"1,000 jobs were updated, then others were refused. Run the operation again for the others. {error}"
    )
    assert (caught.value.done, caught.value.__cause__) == (1_000, error)
    assert jobs.filter("priority:5").count() == 1_000
    made[:] = [""] * 1_000
    with pytest.raises(type(error), match=f"^{error}$"):
        jobs.filter("priority:0").update(priority=5)


def test_jobs_in_other_states_are_left_alone(queue, stored):
    kept = [stored(state) for state in ("waiting", "running", "done")]
    stored("failed")
    assert BulkRun(Retry()).over(queue.list()) == 1
    assert [found(queue, job).status for job in kept] == [job.status for job in kept]


def test_waiting_and_running_jobs_in_one_batch(queue, stored):
    stored("running"), stored(), stored("scheduled"), stored("retrying")
    assert BulkRun(Cancel()).over(queue.list()) == 4
    assert jobs.filter("status:cancelled").count() == 4


@pytest.fixture
def ended(monkeypatch):
    """The ids of the jobs whose ends were announced."""
    from django_loco.backend import LocoBackend  # noqa: PLC0415 - as the setting does

    found = []
    monkeypatch.setattr(LocoBackend, "announce_end", lambda self, jobs: found.extend(job.id for job in jobs))
    return found


def test_ends_are_announced_once(queue, stored, ended):
    """The end of a running job is announced by its worker."""
    waiting, _, failed = stored(), stored("running"), stored("failed")
    jobs.filter().cancel()
    assert ended == [waiting.id]
    jobs.discard(failed)
    jobs.retry(failed)
    BulkRun(Delete()).over(queue.list())
    assert len(ended) == 1


def test_what_is_done_is_logged(queue, stored, caplog):
    stored()
    with caplog.at_level("INFO", "django_loco.operations"):
        jobs.filter().cancel()
        jobs.filter().cancel()
    assert [record.getMessage() for record in caplog.records] == ["Jobs cancelled: 1"]
