"""The backend in each mode, from ``enqueue()`` to ``return_value``."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from types import FunctionType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from django_loco.core.compat import (
    InvalidTask,
    Task,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from django_loco.exceptions import LocoConfigurationError
from django_loco.queues import queue_for
from django_loco.tasks import LocoTask, enqueue_many
from django_loco.tasks.enqueueing import templates
from django_loco.worker import in_process
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

MODES = ("BackgroundAsync", "BackgroundQueue", "ForegroundBlocking")


@pytest.fixture(params=MODES)
def mode(request):
    tasks.ran.clear()
    with override_settings(WORKER_MODE=request.param):
        yield request.param


def finish(result, mode):
    """Let ``result`` come to its end, in whatever way the mode has."""
    if mode == "BackgroundQueue":
        worker = in_process.worker_for("default", threads=2, coroutines=2, drain=True)
        worker.start()
        assert worker.join(20)
    deadline = time.monotonic() + 20
    while not result.is_finished:
        assert time.monotonic() < deadline, f"{result} did not end"
        time.sleep(0.005)
        result.refresh()
    return result


def test_the_same_job_has_the_same_result_in_each_mode(mode):
    result = finish(tasks.add.enqueue(2, b=3), mode)
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 5, 1)
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert len(result.worker_ids) == 1
    assert tasks.add.get_result(result.id).return_value == 5


def test_an_async_job_too(mode):
    assert finish(tasks.aadd.enqueue(2, b=3), mode).return_value == 5


def test_arguments_make_the_same_round_trip_in_each_mode(mode):
    result = finish(tasks.echo.enqueue((1, 2), {"1": "ü\0"}, key=[None, 1.5]), mode)
    assert tasks.ran == [("echo", (([1, 2], {"1": "ü\0"}), {"key": [None, 1.5]}))]
    assert result.return_value == [[[1, 2], {"1": "ü\0"}], {"key": [None, 1.5]}]


def test_a_failed_job_keeps_its_traceback(mode):
    result = finish(tasks.fail.enqueue("no such luck"), mode)
    assert result.status == TaskResultStatus.FAILED
    assert [error.exception_class for error in result.errors] == [ValueError]
    assert "raise ValueError(text)\nValueError: no such luck" in result.errors[0].traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_every_attempt_keeps_its_traceback(mode):
    result = finish(tasks.fail_twice.enqueue(mode), mode)
    assert (result.return_value, result.attempts) == (3, 3)
    assert [error.traceback.strip().splitlines()[-1] for error in result.errors] == [
        "ConnectionError: attempt 1",
        "ConnectionError: attempt 2",
    ]


def test_using_is_stronger_than_the_settings_and_those_than_the_decorator(mode):
    tasks_setting = {"tests.app.tasks.fail_twice": {"max_attempts": 2}}
    with override_settings(LOCO={"TESTING": "live", "TASKS": tasks_setting}):
        assert finish(tasks.fail_twice.enqueue(f"{mode} settings"), mode).attempts == 2
        assert finish(tasks.fail_twice.using(max_attempts=1).enqueue(f"{mode} using"), mode).attempts == 1


def test_a_return_value_that_is_not_json_fails_the_job(mode):
    result = finish(tasks.unencodable.enqueue(), mode)
    assert result.errors[0].exception_class is TypeError
    assert "tests.app.tasks.unencodable" in result.errors[0].traceback


def test_the_context_tells_the_attempt(mode):
    assert finish(tasks.attempt.enqueue(), mode).return_value == 1


def test_many_in_one_call_in_order(mode):
    results = enqueue_many(tasks.echo, [1, (2, 3), {"x": 4}, [5]])
    assert [finish(result, mode).return_value for result in results] == [
        [[1], {}], [[2, 3], {}], [[], {"x": 4}], [[[5]], {}],
    ]  # fmt: skip


def test_many_are_stored_all_or_none():
    with pytest.raises(TypeError, match="argument 0"):
        enqueue_many(tasks.echo, [1, {2}.union])
    assert queue_for("default").counts() == {}


def test_none_are_many_as_well(mode):
    assert enqueue_many(tasks.echo, []) == []


def test_what_is_not_json_is_refused_by_name(mode):
    with pytest.raises(TypeError, match=r"tests\.app\.tasks\.echo: 'when' cannot be stored as JSON"):
        tasks.echo.enqueue(1, when=timezone.now())


@pytest.mark.parametrize("priority", [101, -101, 1.5])
def test_a_priority_out_of_range_is_refused(priority):
    with pytest.raises(InvalidTask, match="priority must be a whole number between -100 and 100"):
        tasks.add.using(priority=priority)


def test_a_naive_run_after_is_refused():
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        tasks.add.using(run_after=timezone.now().replace(tzinfo=None))


def test_an_unknown_queue_is_refused():
    with pytest.raises(InvalidTask, match="Queue 'slow' is not valid for backend"):
        tasks.add.using(queue_name="slow")


def test_a_task_that_was_enqueued_before_is_checked_again_when_the_settings_change():
    tasks.add.enqueue(1, 2)
    only_emails = override_settings(TASKS={"default": {**settings.TASKS["default"], "QUEUES": ["emails"]}})
    with only_emails, pytest.raises(InvalidTask, match="Queue 'default' is not valid for backend"):
        tasks.add.enqueue(1, 2)
    with override_settings(LOCO={"TASKS": {tasks.add.module_path: {"tags": ["slow"]}}}):
        assert tags_of(tasks.add.enqueue(1, 2)) == ("slow",)
    assert tags_of(tasks.add.enqueue(1, 2)) == ()


@pytest.mark.parametrize("args", [(1, 2), ("a", "b"), ((1, (2,)), None), ({"a": (1,)}, True)])
@pytest.mark.parametrize(
    "options", [{}, {"priority": 5, "metadata": {"a": 1}}, {"run_after": timedelta(days=1)}, {"max_attempts": 3}]
)
@pytest.mark.parametrize("use_tz", [True, False])
def test_enqueue_returns_what_get_result_would(args, options, use_tz):
    with override_settings(USE_TZ=use_tz):
        result = tasks.add.using(**options).enqueue(*args)
        stored = tasks.add.get_result(result.id)
        assert type(result) is type(stored)
        names = {field.name for field in dataclasses.fields(stored)} - {"task"}
        assert {name: getattr(result, name) for name in names} == {name: getattr(stored, name) for name in names}
        for name in ("func", "priority", "queue_name", "backend", "run_after", "max_attempts", "overrides"):
            assert getattr(result.task, name) == getattr(stored.task, name), name
        assert type(result.args) is type(stored.args) is list


def test_metadata_that_changes_between_two_calls_is_stored_as_it_is_then():
    metadata = {"step": 1}
    send = tasks.add.using(metadata=metadata)
    first = send.enqueue(1, 2)
    metadata["step"] = 2
    assert [first.metadata, send.enqueue(1, 2).metadata] == [{"step": 1}, {"step": 2}]


def test_options_of_one_call_do_not_accumulate(monkeypatch):
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 3)
    kept = [tasks.add.using(priority=number) for number in range(5)]
    assert [send.enqueue(1, 2).task.priority for send in kept] == [0, 1, 2, 3, 4]
    assert len(templates._templates) <= 3


def tags_of(result):
    return queue_for("default").get(result.id).tags


def test_a_task_that_no_worker_could_import_is_refused():
    hidden: LocoTask[..., Any] = LocoTask(func=finish)
    with pytest.raises(InvalidTask, match="is not a task here, but a function"):
        hidden.enqueue()
    nameless = FunctionType(finish.__code__, globals())
    nameless.__qualname__ = "nowhere"
    with pytest.raises(InvalidTask, match=r"test_backend\.nowhere cannot be enqueued, .* does not define a .nowhere"):
        LocoTask(func=nameless).enqueue()


def test_run_after_may_be_a_timedelta_that_counts_from_enqueue():
    soon = tasks.add.using(run_after=timedelta(hours=1))
    before = timezone.now()
    result = soon.enqueue(1, 2)
    assert before + timedelta(hours=1) <= result.task.run_after <= timezone.now() + timedelta(hours=1)
    assert tasks.add.get_result(result.id).status == TaskResultStatus.READY


def test_a_result_that_does_not_exist():
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result("0" * 32)


def test_what_using_changed_is_seen_in_the_stored_result():
    task = tasks.send.using(priority=7, timeout=30, max_attempts=4, backoff=[1, 2], retry_on=[OSError])
    assert tasks.send.get_result(task.enqueue(1).id).task == task


def test_a_result_of_a_task_that_is_gone_is_still_shown():
    backend: Any = task_backends["default"]
    job = backend.job_of(tasks.add, (1, 2), {})
    object.__setattr__(job, "task_path", "gone.tasks.add")
    queue_for("default").enqueue([job])
    assert backend.get_result(job.id).task.module_path == "gone.tasks.add"


def test_a_receiver_that_raises_changes_nothing(mode):
    def broken(**kwargs):
        raise RuntimeError("receiver")

    task_enqueued.connect(broken)
    try:
        result = tasks.add.enqueue(1, 2)
    finally:
        task_enqueued.disconnect(broken)
    assert finish(result, mode).return_value == 3


def test_enqueued_is_signalled_by_the_class_with_the_result():
    heard = []

    def listen(sender, task_result, **kwargs):
        heard.append((sender, task_result.id, task_result.status))

    task_enqueued.connect(listen)
    try:
        result = tasks.add.enqueue(1, 2)
    finally:
        task_enqueued.disconnect(listen)
    assert heard == [(type(task_backends["default"]), result.id, TaskResultStatus.READY)]


def test_enqueue_many_needs_this_backend():
    dummy = f"{Task.__module__.removesuffix('.base')}.backends.dummy.DummyBackend"
    with (
        override_settings(TASKS={"default": {"BACKEND": dummy}}),
        pytest.raises(LocoConfigurationError, match=r"TASKS\['default'\]\['BACKEND'\] is .*DummyBackend"),
    ):
        enqueue_many(tasks.add, [(1, 2)])


def test_a_project_without_time_zones_works(mode):
    with override_settings(USE_TZ=False):
        result = finish(tasks.add.enqueue(1, 2), mode)
        assert result.return_value == 3
        assert timezone.is_naive(result.enqueued_at)
        later = tasks.add.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1, 2)
        assert abs(later.task.run_after - timezone.now() - timedelta(hours=1)) < timedelta(seconds=10)


def test_async_code_enqueues_and_reads_without_blocking(mode):
    async def story():
        result = await tasks.aadd.aenqueue(2, 3)
        return result, await tasks.aadd.aget_result(result.id)

    result, again = async_to_sync(story)()
    assert result.id == again.id
    assert finish(result, mode).return_value == 5
