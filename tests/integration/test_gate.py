"""The same is refused in front of every store, with the same error, and nothing is stored then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import SynchronousOnlyOperation

from django_loco.core.compat import InvalidTask, TaskResultDoesNotExist, task_backends
from django_loco.exceptions import InvalidArguments
from django_loco.queues import queue_for
from django_loco.tasks import enqueue_many, hints
from tests.app import tasks

ENDS = [datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), datetime.min.replace(tzinfo=UTC)]


@pytest.fixture(params=["memory", "database", "redis"])
def queue(request, settings, transactional_db):
    options = {"queue": request.param}
    if request.param == "redis":
        options["url"] = request.getfixturevalue("redis_server").url
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": [], "OPTIONS": options}}
    queue = queue_for("default")
    queue.clear()
    yield queue
    queue.clear()


@pytest.mark.parametrize(
    "options",
    [{"run_after": ENDS[0]}, {"run_after": ENDS[1]}, {"queue_name": "\ud800"}, {"queue_name": "a\0"},
     {"queue_name": "x" * 8_000}, {"timeout": float("inf")}, {"priority": "5"}, {"tags": ["\ud800"]}],
)  # fmt: skip
def test_options(queue, options):
    with pytest.raises(InvalidTask, match=next(iter(options))):
        tasks.add.using(**options).enqueue(1, 2)
    assert queue.counts() == {}


@pytest.mark.parametrize("delay", [timedelta(days=9_000 * 366), timedelta(days=-3_000 * 366), timedelta.max])
def test_delays_beyond_the_calendar(queue, delay):
    with pytest.raises(InvalidTask, match="run_after"):
        tasks.add.using(run_after=delay).enqueue(1, 2)
    assert queue.counts() == {}


@pytest.mark.parametrize("args", [(), (1, 2, 3), ({1: 2}, b"x"), (datetime.now(UTC), 1)])
def test_arguments(queue, args):
    for enqueue in (lambda: tasks.add.enqueue(*args), lambda: enqueue_many(tasks.add, [(1, 2), args])):
        with pytest.raises(InvalidArguments, match=r"tests\.app\.tasks\.add"):
            enqueue()
    assert queue.counts() == {}


@pytest.mark.parametrize("found", [None, 5, "", "no-id", "\ud800", "x" * 10_000, b"x", uuid4(), uuid4().hex])
def test_an_id_that_is_none(queue, found):
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(found)


def test_an_id_in_each_of_its_forms(queue):
    result = tasks.add.enqueue(1, 2)
    for form in (result.id, str(UUID(result.id)), UUID(result.id)):
        assert tasks.add.get_result(form).id == result.id


def test_a_status_may_be_given_as_text(queue):
    result = tasks.add.enqueue(1, 2)
    assert [job.id for job in queue.list(status="READY")] == [result.id]
    assert queue.list(status="FAILED") == []
    with pytest.raises(ValueError, match=r"'failed' is not a status\. Did you mean 'FAILED'\?"):
        queue.list(status="failed")


def test_a_queue_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(InvalidTask) as raised:
        tasks.add.using(queue_name="emals")
    assert "Queue 'emals' is not valid for backend. Did you mean 'emails'?" in str(raised.value)
    assert "Add it to TASKS['default']['QUEUES']" in str(raised.value)
    with pytest.raises(InvalidTask, match="Choices are: default, emails"):
        tasks.add.using(queue_name="zzz")


@pytest.mark.django_db
def test_sync_calls_in_async_code_are_answered_with_the_async_ones():
    result = tasks.add.enqueue(1, 2)

    async def story():
        for call, remedy in (
            (lambda: tasks.add.enqueue(1, 2), "await task.aenqueue(...)"),
            (lambda: tasks.add.get_result(result.id), "await task.aget_result(...)"),
        ):
            with pytest.raises(SynchronousOnlyOperation) as raised:
                call()
            assert remedy in str(raised.value)

    asyncio.run(story())


def test_in_memory_they_work_and_are_warned_of_once(settings, caplog, monkeypatch):
    settings.WORKER_MODE = "BackgroundAsync"
    monkeypatch.setattr(hints, "_warned_of_async", False)

    async def story():
        return [tasks.add.enqueue(1, 2), tasks.add.enqueue(3, 4)]

    asyncio.run(story())
    told = [record.getMessage() for record in caplog.records if "async code" in record.getMessage()]
    assert len(told) == 1
    assert "Write await task.aenqueue(...)." in told[0]
