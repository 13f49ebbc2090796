"""What operations on stored jobs need of their tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.core.compat import TaskResultDoesNotExist, task_backends
from django_loco.core.job import Job
from django_loco.exceptions import InvalidArguments, UnknownTask
from django_loco.tasks.stored.jobs import job_like
from tests.app.tasks import aadd, add

JOB = Job(
    task_path=add.module_path, backend="default", arguments="[[1,2],{}]", options={"timeout": 5, "request_id": "r"}
)


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
    task_backends["default"].require_arguments(gone, ["anything"], {})


def test_arguments_that_do_not_fit():
    backend = task_backends["default"]
    backend.require_arguments(JOB, [1], {"b": 2})
    for check in (job_like, backend.require_arguments):
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
    assert task_backends["default"].parameters_of(replace(JOB, task_path=path)) == names


@pytest.mark.parametrize("job_id", ["no-id", JOB.id])
def test_a_result_that_is_not_there(settings, job_id):
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "memory"}}}
    with pytest.raises(TaskResultDoesNotExist, match=job_id):
        task_backends["default"].get_result(job_id)
