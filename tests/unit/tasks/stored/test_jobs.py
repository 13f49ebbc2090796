"""What operations on stored jobs need of their tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.backend import LocoBackend
from django_loco.core.compat import TaskResultDoesNotExist, task_backends, task_finished
from django_loco.core.job import FAILED, Job, error_of, utcnow
from django_loco.exceptions import InvalidArguments, JobCancelled, UnknownTask
from django_loco.tasks.stored.jobs import announce_end, job_like, parameters_of, require_arguments
from tests.app.tasks import aadd, add

JOB = Job(
    task_path=add.module_path, backend="default", arguments="[[1,2],{}]", options={"timeout": 5, "request_id": "r"}
)
ENDED = replace(JOB, status=FAILED, finished_at=utcnow(), errors=(error_of(JobCancelled, "cancelled"),))


def test_a_job_like_another_one():
    task, new = job_like(replace(JOB, lost=2, worker_ids=("w",)), [3], {"b": 4})
    assert task == add
    assert (new.arguments, new.options, new.lost, new.worker_ids) == ('[[3],{"b":4}]', {"timeout": 5}, 0, ())
    assert new.id != JOB.id


def test_whether_it_is_async_is_as_in_the_code_of_now():
    assert job_like(replace(JOB, task_path=aadd.module_path), [3, 4], {})[1].is_async


def test_a_task_that_is_not_here():
    gone = replace(JOB, task_path="shop.tasks.gone")
    with pytest.raises(UnknownTask):
        job_like(gone, [], {})
    require_arguments(gone, ["anything"], {})


def test_arguments_that_do_not_fit():
    require_arguments(JOB, [1], {"b": 2})
    for check in (job_like, require_arguments):
        with pytest.raises(InvalidArguments, match="do not fit"):
            check(JOB, [1], {"c": 2})


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("tests.app.tasks.add", ["a", "b"]),
        ("tests.app.tasks.echo", []),
        ("tests.app.tasks.attempt", []),
        ("tests.app.tasks.annotate", ["changes", "save", "error"]),
        ("shop.tasks.gone", ()),
        ("", ()),
    ],
)
def test_the_names_of_arguments(path, names):
    assert parameters_of(replace(JOB, task_path=path)) == names


@pytest.fixture
def heard():
    """The results with which ``task_finished`` was sent."""
    results = []

    def receive(sender, task_result, **kwargs):
        results.append((sender, task_result))

    task_finished.connect(receive)
    yield results
    task_finished.disconnect(receive)


def test_ends_are_announced(heard, caplog):
    announce_end(LocoBackend, [ENDED])
    [(sender, result)] = heard
    assert (sender, result.id, result.status) == (LocoBackend, ENDED.id, FAILED)
    assert caplog.records == []


def test_the_end_of_a_job_that_cannot_be_read_is_announced(heard):
    announce_end(LocoBackend, [replace(ENDED, arguments="broken")])
    assert len(heard) == 1


def test_a_receiver_that_raises_stops_nothing(heard, caplog):
    def receive(**kwargs):
        raise ValueError("on purpose")

    task_finished.connect(receive)
    try:
        announce_end(LocoBackend, [ENDED, ENDED])
    finally:
        task_finished.disconnect(receive)
    assert len(heard) == 2


def test_without_receivers_no_result_is_made(monkeypatch):
    monkeypatch.setattr("django_loco.tasks.stored.jobs.shown_result_of", None)
    announce_end(LocoBackend, [ENDED])


@pytest.mark.parametrize("job_id", ["no-id", JOB.id])
def test_a_result_that_is_not_there(settings, job_id):
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory"}}}
    with pytest.raises(TaskResultDoesNotExist, match=job_id):
        task_backends["default"].get_result(job_id)
