"""The functions of ``django_loco.jobs``: what they take, and what they raise for one job."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import UUID

import pytest

from django_loco import jobs
from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.core.job import FAILED, SUCCESSFUL, new_id
from django_loco.exceptions import InvalidArguments, InvalidSignature, InvalidState, UnknownTask
from django_loco.jobs.transfer.parking import gone, parked
from django_loco.log.labels import bind, labelled_context
from tests.app.tasks import add, echo, send
from tests.unit.jobs.conftest import found, make_job

BY_REFERENCE = {
    "id": lambda job: job.id,
    "text of a uuid": lambda job: str(UUID(job.id)),
    "uuid": lambda job: UUID(job.id),
    "job": lambda job: job,
    "ids": lambda job: [job.id],
    "jobs": lambda job: (each for each in (job, job.id)),
    "search": lambda job: jobs.filter(id=job.id),
}


@pytest.mark.parametrize("reference", BY_REFERENCE.values(), ids=BY_REFERENCE)
def test_what_names_jobs(stored, reference):
    job = stored(backend="other")
    assert jobs.cancel(reference(job), by="anna") == 1
    assert jobs.get(job).status == FAILED


def test_a_result_names_its_job():
    result = echo.enqueue()
    assert jobs.cancel(result) == 1
    assert echo.get_result(result.id).status == FAILED


@pytest.mark.parametrize("reference", ["search", "ids"])
def test_an_alias_narrows(stored, reference):
    job = stored(backend="other")
    assert jobs.cancel(BY_REFERENCE[reference](job), backend="default") == 0
    assert jobs.cancel(BY_REFERENCE[reference](job), backend="other") == 1


def test_no_ids_no_job(stored):
    stored()
    assert jobs.delete([]) == 0


@pytest.mark.parametrize(
    "text", ["", "   ", "abc", "status:waiting", "newer:1d", "-tag:x", "id:{0.id}", "{0.id},{0.id}"]
)
@pytest.mark.parametrize(
    "operation",
    [
        jobs.retry,
        jobs.cancel,
        jobs.discard,
        jobs.delete,
        partial(jobs.move, queue="emails"),
        partial(jobs.update, priority=1),
    ],
)
def test_a_text_that_is_no_id_is_refused(stored, queue, operation, text):
    job = stored()
    for given in (text.format(job), [text.format(job)]):
        with pytest.raises(ValueError, match="is not the id of a job: 32 hexadecimal digits"):
            operation(given)
    with pytest.raises(ValueError, match=r'write jobs.filter\("status:failed newer:1h"\)\.retry\(\) and the like'):
        operation(text.format(job))
    assert found(queue, job) == job


@pytest.mark.parametrize(
    "function", [jobs.get, jobs.why, jobs.log, jobs.run_again, lambda which: jobs.signal(which, "x")]
)
def test_other_functions_take_no_filter_either(stored, function):
    stored()
    with pytest.raises(TaskResultDoesNotExist, match="'status:waiting' is not the id of a job"):
        function("status:waiting")


def test_a_search_of_all_jobs(stored):
    stored()
    assert jobs.delete(jobs.filter()) == 1


def test_a_missing_job():
    with pytest.raises(TaskResultDoesNotExist):
        jobs.retry(new_id())


@pytest.mark.parametrize(
    ("operation", "state", "message"),
    [
        (jobs.retry, "running", "is running, so it cannot be retried"),
        (jobs.retry, "done", r"is done, so it cannot be retried. retry\(\) takes jobs that are failed, cancelled"),
        (jobs.cancel, "failed", "is failed, so it cannot be cancelled"),
        (jobs.delete, "running", "is running, so it cannot be deleted"),
        (jobs.discard, "running", "is running, so it cannot be discarded"),
    ],
)
def test_of_one_job_an_impossible_operation_raises(stored, queue, operation, state, message):
    job = stored(state)
    with pytest.raises(InvalidState, match=message):
        operation(job.id)
    assert operation(jobs.filter(id=job.id)) == 0
    assert found(queue, job) == job


def test_each_operation(stored):
    job = stored()
    assert [jobs.cancel(job), jobs.retry(job), jobs.discard(job), jobs.retry(job), jobs.delete(job)] == [1] * 5
    with pytest.raises(TaskResultDoesNotExist):
        jobs.get(job)


def test_a_job_that_changes_each_time(stored, queue, monkeypatch):
    job = stored()
    monkeypatch.setattr(queue, "change", lambda changes: {change.before.id for change in changes})
    with pytest.raises(InvalidState, match="could not be deleted: it has changed each time"):
        jobs.delete(job)


def test_a_job_that_is_kept_for_its_key(stored, queue, monkeypatch):
    job = stored("done", key="nightly@1")
    monkeypatch.setattr(queue, "change", lambda changes: {change.before.id for change in changes})
    with pytest.raises(InvalidState, match="its queue still has to know its once-key"):
        jobs.delete(job)


def test_run_again_makes_a_new_job_like_the_old_one(queue):
    send.using(priority=3, timeout=5, metadata={"a": 1}).enqueue(7)
    old = replace(queue.list()[0], key="s@1", status=SUCCESSFUL)
    queue.clear()
    queue.enqueue([old])
    with_request = labelled_context()
    with_request.run(bind, request_id="r-1")
    result = with_request.run(jobs.run_again, old.id)
    new = jobs.get(result)
    kept = ("task_path", "backend", "arguments", "queue_name", "priority", "is_async", "tags", "metadata")
    assert {name: getattr(new, name) for name in kept} == {name: getattr(old, name) for name in kept}
    assert new.options == {"timeout": 5, "request_id": "r-1"}
    assert (new.id != old.id, new.key, new.status, result.args) == (True, None, "READY", [7])
    assert found(queue, old) == old


def test_run_again_with_other_arguments(stored):
    job = stored("failed", 1, task=add.module_path, kwargs={"b": 2})
    assert jobs.get(jobs.run_again(job, args=[5])).arguments == '[[5],{"b":2}]'
    assert jobs.get(jobs.run_again(job, kwargs={"b": 9})).arguments == '[[1],{"b":9}]'
    with pytest.raises(InvalidArguments, match="do not fit"):
        jobs.run_again(job, args=[1, 2, 3])
    with pytest.raises(InvalidArguments, match="cannot be stored as JSON"):
        jobs.run_again(job, args=[b"x"])
    assert jobs.filter().count() == 3


@pytest.mark.parametrize("away", [parked, lambda job, target: gone(parked(job, target))])
def test_a_job_of_another_store_is_not_run_again(queue, away):
    job = away(make_job(key="nightly@1"), "other")
    queue.restore([job])
    with pytest.raises(InvalidState, match="on its way to another store, or there already"):
        jobs.run_again(job.id)
    assert queue.list() == [job]


def test_run_again_needs_the_task(stored):
    with pytest.raises(UnknownTask):
        jobs.run_again(stored(task="shop.tasks.gone"))


def test_a_forged_job_is_not_run_again(stored, settings):
    settings.LOCO = {"TESTING": "live", "SIGN": True}
    with pytest.raises(InvalidSignature, match="was not signed"):
        jobs.run_again(stored())
    genuine = echo.enqueue(1)
    assert jobs.run_again(genuine).args == [1]


def test_run_again_runs_at_once_where_jobs_run_inside_enqueue(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "ForegroundBlocking"}}
    }
    result = add.enqueue(1, 2)
    again = jobs.run_again(result, args=[3, 4])
    assert (again.status, again.return_value) == (SUCCESSFUL, 7)


@pytest.mark.parametrize("name", jobs.OPERATIONS)
def test_each_operation_has_its_states(stored, name):
    operation = getattr(jobs, name)
    arguments = {"move": {"queue": "emails"}, "update": {"priority": 5}}.get(name, {})
    made = {state: stored(state) for state in ("waiting", "scheduled", "retrying", "running", "failed", "done")}
    touched = {state for state, job in made.items() if operation(jobs.filter(id=job.id), **arguments)}
    assert touched == set(jobs.OPERATIONS[name]) - {"cancelled"}


def test_the_module_has_what_it_says():
    assert all(hasattr(jobs, name) for name in jobs.__all__)


def test_references_that_are_none_are_named():
    with pytest.raises(ValueError, match=r"^'abc' is not the id of a job: 32 hexadecimal digits\.$"):
        jobs.retry(["abc"])
    for nothing in (None, 7):
        with pytest.raises(TypeError, match=rf"^{nothing} is not a job, its id, a result, several of these"):
            jobs.retry(nothing)
