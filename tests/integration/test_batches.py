"""Batches as users write them: filled in a block, counted, cancelled, retried, and followed by one job per event."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections, transaction

from django_loco import jobs
from django_loco.core.job import Job, utcnow
from django_loco.core.serialization import decode
from django_loco.exceptions import (
    BatchDoesNotExist,
    BatchFinished,
    InvalidArguments,
    InvalidState,
    QueueRefused,
    Unfinished,
)
from django_loco.queues import queue_for
from django_loco.tasks import Batch, InvalidTask, batch, task
from django_loco.testing import drain, travel
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

#: What callbacks were told, in order.
TOLD: list[tuple[str, object]] = []


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    TOLD.clear()


@task
def succeeded(batch_id):
    TOLD.append(("success", batch_id))


@task
def failed(batch_id):
    TOLD.append(("failure", batch_id))


@task(takes_context=True)
def finished(context):
    TOLD.append(("finish", (context.batch.state, tuple(context.batch.counts), context.batch.metadata)))


@task(takes_context=True)
def add_members(context, number):
    for _ in range(number):
        context.batch.enqueue(tasks.add, 1, 2)


@task(takes_context=True)
async def aadd_member(context):
    own = await context.abatch()
    await own.aenqueue(tasks.add, 1, 2)


@task(takes_context=True)
def own_batch(context):
    return context.batch and context.batch.id


def callbacks():
    return {"on_success": succeeded, "on_failure": failed, "on_finish": finished}


def settled(own):
    drain(scheduled=True, raise_errors=False)
    own.refresh()
    return own


def test_a_duplicate_of_another_job_is_no_member_and_is_logged(caplog):
    unique = tasks.add.using(unique=True)
    foreign = unique.enqueue(1, 2)
    with batch("import", **callbacks()) as own:
        assert own.enqueue_many(unique, [(1, 2), (3, 4), (3, 4), (1, 2)]) == 1
        assert own.enqueue_many(unique.using(unique=False), [(1, 2)]) == 1
        [line] = [record.getMessage() for record in caplog.records if record.name == "django_loco.batches"]
        assert line == (
            f"Batch {own.id} does not wait for 2 calls of tests.app.tasks.add: other jobs have the unique keys, such "
            f"as {foreign.id}. See using(unique=False)"
        )
        caplog.clear()
        assert own.enqueue(unique, 3, 4).duplicate
        assert own.enqueue(unique, 5, 6).duplicate is False
        assert not caplog.records, "members may be duplicates of members"
    own.refresh()
    assert own.counts.total == 3


def test_what_follows_finds_its_batch_however_late_it_runs():
    with batch("import", on_finish=finished) as own:
        own.enqueue(tasks.add, 1, 2)
    jobs.pause(task=finished.module_path)
    drain()
    with travel(timedelta(days=9)):
        assert queue_for("default").prune(86_400) == 0
        jobs.resume(task=finished.module_path)
        drain()
    assert TOLD == [("finish", ("finished", (1, 1, 0, 0), {}))]
    with travel(timedelta(days=9)):
        assert queue_for("default").prune(86_400) == 1
    with pytest.raises(BatchDoesNotExist):
        own.refresh()


def test_what_follows_success_is_enqueued_once():
    with batch("import", **callbacks(), metadata={"file": "a.csv"}) as own:
        result = own.enqueue(tasks.add, 1, b=2)
        assert own.enqueue_many(tasks.add, [(1, 2), {"a": 3, "b": 4}]) == 2
    assert jobs.get(result).batch == own.id
    settled(own)
    assert result.wait(1).return_value == 3
    assert sorted(TOLD) == [("finish", ("finished", (3, 3, 0, 0), {"file": "a.csv"})), ("success", own.id)]
    settled(own)
    assert len(TOLD) == 2
    assert (own.state, own.counts, own.name) == ("finished", (3, 3, 0, 0), "import")


def test_what_follows_failure_is_enqueued_once():
    with batch(**callbacks()) as own:
        own.enqueue(tasks.add, 1, 2)
        own.enqueue_many(tasks.fail.using(max_attempts=2, backoff=0.01), [(), ()])
        own.enqueue(tasks.add.using(tags=("x",)), 1, 2)
    jobs.filter("tag:x").cancel()
    settled(own)
    assert sorted(TOLD) == [("failure", own.id), ("finish", ("finished", (4, 1, 2, 1), {}))]


def test_its_name_is_kept_to_the_letter():
    name = "tab\tline\n'\"%s {x} \U0001f682" + "x" * 1000
    with batch(name) as own:
        own.enqueue(tasks.add, 1, 2)
    assert Batch.get(own.id).name == name


def test_an_empty_batch_is_followed_at_its_end():
    with batch(**callbacks()) as own:
        pass
    settled(own)
    assert [event for event, _ in sorted(TOLD)] == ["finish", "success"]


def test_members_add_members():
    with batch(on_finish=finished) as own:
        own.enqueue(add_members, 3)
        own.enqueue(aadd_member)
    settled(own)
    assert TOLD == [("finish", ("finished", (6, 6, 0, 0), {}))]


def test_nothing_is_added_after_its_end():
    with batch() as own:
        own.enqueue(tasks.add, 1, 2)
    settled(own)
    with pytest.raises(BatchFinished, match="takes no more jobs"):
        own.enqueue(tasks.add, 1, 2)
    with pytest.raises(BatchFinished):
        Batch.get(own.id).enqueue_many(tasks.add, [(1, 2)])
    assert len([*jobs.filter("task:add")]) == 1


def test_a_transaction_goes_on_after_a_batch_takes_no_more_jobs():
    open_one, own = batch(), batch()
    open_one.enqueue(tasks.add, 1, 1)
    own.seal()
    queue = queue_for("default")
    some = [Job(task_path="tests.app.tasks.add", backend="default", batch=each.id) for each in (open_one, own)]
    with transaction.atomic():
        tasks.add.enqueue(1, 2)
        with pytest.raises(BatchFinished):
            own.enqueue(tasks.add, 1, 3)
        with pytest.raises(BatchFinished):
            queue.enqueue(some)
        open_one.enqueue(tasks.add, 1, 4)
    assert sorted(decode(job.arguments)[0] for job in queue.list()) == [[1, 1], [1, 2], [1, 4]]
    assert [queue.get_batch(each.id).counts.total for each in (open_one, own)] == [2, 0]


def test_without_a_block_it_waits_for_seal():
    own = batch("by hand", on_finish=finished)
    own.enqueue(tasks.add, 1, 2)
    settled(own)
    assert (own.state, TOLD) == ("open", [])
    Batch.get(own.id).seal()
    settled(own)
    assert (own.state, len(TOLD)) == ("finished", 1)


def test_a_block_that_raises_leaves_it_open(caplog):
    own = batch("broken", on_finish=finished)
    with pytest.raises(KeyError), own:
        own.enqueue(tasks.add, 1, 2)
        raise KeyError
    assert "stays open, because its block has raised KeyError" in caplog.text
    assert settled(own).state == "open"
    assert [each.id for each in Batch.all()] == [own.id]
    assert own.cancel() == 0
    settled(own)
    assert TOLD == [("finish", ("finished", (1, 1, 0, 0), {}))]


def test_a_block_that_raises_at_once_stores_nothing():
    with pytest.raises(KeyError), batch("broken"):
        raise KeyError
    assert [*Batch.all()] == []


def test_cancel_ends_what_waits():
    with batch(**callbacks()) as own:
        own.enqueue_many(tasks.add, [(1, 2)] * 3)
    assert own.cancel(by="anna") == 3
    with pytest.raises(BatchFinished):
        own.enqueue(tasks.add, 1, 2)
    settled(own)
    assert sorted(TOLD) == [("failure", own.id), ("finish", ("finished", (3, 0, 0, 3), {}))]
    with pytest.raises(InvalidState):
        own.cancel()


def test_what_stops_after_several_chunks_tells_how_many_were_done(monkeypatch):
    for module in ("batch", "loaded_batch"):
        monkeypatch.setattr(f"django_loco.jobs.operations.batches.{module}.CHUNK", 2)
    monkeypatch.setattr("django_loco.jobs.operations.bulk.BATCH", 2)
    with batch(**callbacks()) as own:
        own.enqueue_many(tasks.add, [(1, 2)] * 7)
    queue = queue_for("default")
    change, sizes = queue.change, []

    def refuses(changes):
        sizes.append(len(changes))
        if len(sizes) == 3:
            raise QueueRefused("it has a NUL")
        return change(changes)

    with (
        monkeypatch.context() as patch,
        pytest.raises(Unfinished, match=r"^4 jobs were cancelled, then others") as caught,
    ):
        patch.setattr(queue, "change", refuses)
        own.cancel()
    assert caught.value.done == 4
    assert own.cancel() == 3
    settled(own)
    assert own.counts == (7, 0, 0, 7)


def test_retry_begins_another_round():
    with batch(**callbacks()) as own:
        own.enqueue(tasks.add, 1, 2)
        own.enqueue(tasks.annotate.using(max_attempts=1), {}, error="boom")
    settled(own)
    assert sorted(event for event, _ in TOLD) == ["failure", "finish"]
    [broken] = jobs.filter("status:failed")
    jobs.update(broken, kwargs={})
    assert own.retry() == 1
    own.refresh()
    assert own.state == "sealed"
    settled(own)
    assert sorted(event for event, _ in TOLD) == ["failure", "finish", "finish", "success"]
    assert own.counts == (2, 2, 0, 0)
    assert own.retry() == 0


def test_retry_of_a_member_before_the_end_is_waited_for():
    with batch(on_success=succeeded) as own:
        own.enqueue(tasks.annotate.using(max_attempts=1), {}, error="boom")
        own.enqueue(tasks.add.using(run_after=timedelta(hours=1)), 1, 2)
    drain(raise_errors=False)
    [broken] = jobs.filter("status:failed")
    jobs.update(broken, kwargs={})
    [waiting] = jobs.filter("status:scheduled")
    jobs.retry(broken)
    jobs.cancel(waiting)
    own.refresh()
    assert (own.state, own.counts) == ("sealed", (2, 0, 0, 1))
    jobs.retry(waiting)
    settled(own)
    assert [("success", own.id)] == TOLD


def test_a_transaction_that_is_rolled_back_leaves_nothing():
    with pytest.raises(KeyError), transaction.atomic(), batch("gone", on_finish=finished) as own:
        own.enqueue(tasks.add, 1, 2)
        raise KeyError
    assert [*jobs.filter()] == []
    with pytest.raises(BatchDoesNotExist, match="no batch"):
        Batch.get(own.id)


def test_a_transaction_that_is_committed_counts_from_then_on():
    with transaction.atomic(), batch(on_finish=finished) as own:
        own.enqueue(tasks.add, 1, 2)
    with transaction.atomic(), batch(on_finish=finished):
        pass
    settled(own)
    assert [told[1][1] for told in sorted(TOLD)] == [(0, 0, 0, 0), (1, 1, 0, 0)]


def other_store(settings):
    """Let jobs wait in memory, which takes no part in transactions."""
    settings.TASKS = {**settings.TASKS, "default": {**settings.TASKS["default"], "OPTIONS": {"queue": "memory"}}}
    queue_for("default").clear()


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_first_member_that_is_rolled_back_leaves_the_others(settings, is_elsewhere):
    if is_elsewhere:
        other_store(settings)

    @transaction.atomic
    def load(own, row):
        own.enqueue(tasks.add, row, 2)
        if row == 0:
            raise KeyError(row)

    with transaction.atomic(), batch("import", on_finish=finished) as own:
        for row in (0, 1, 0, 2):
            with suppress(KeyError):
                load(own, row)
        own.enqueue(tasks.add, 3, 2)
    with transaction.atomic(), batch("empty", on_finish=finished) as empty, suppress(KeyError):
        load(empty, 0)
    settled(own)
    assert sorted(told[1][1] for told in TOLD) == [(0, 0, 0, 0), (3, 3, 0, 0)]


def test_one_that_was_rolled_back_is_filled_again():
    own = batch(on_finish=finished)
    with suppress(KeyError), transaction.atomic():
        own.enqueue(tasks.add, 1, 2)
        raise KeyError
    with transaction.atomic(), own:
        own.enqueue(tasks.add, 1, 2)
    settled(own)
    assert TOLD == [("finish", ("finished", (1, 1, 0, 0), {}))]


def test_in_a_transaction_it_is_stored_once(monkeypatch):
    queue, opened = queue_for("default"), []
    open_batch = queue.open_batch
    monkeypatch.setattr(queue, "open_batch", lambda record: [opened.append(record.id), open_batch(record)])
    with transaction.atomic(), batch() as own:
        own.enqueue(tasks.add, 1, 2)
        with transaction.atomic():
            own.enqueue(tasks.add, 1, 2)
        own.enqueue(tasks.add, 1, 2)
    assert opened == [own.id]


def test_async_code_has_the_same():
    async def story():
        async with batch("async", on_success=succeeded) as own:
            await own.aenqueue(tasks.aadd, 1, 2)
            assert await own.aenqueue_many(tasks.aadd, [(1, 2)]) == 1
        stored = await Batch.aget(own.id)
        await sync_to_async(connections.close_all, thread_sensitive=True)()
        return stored

    own = asyncio.run(story())
    assert own.state == "sealed"
    assert settled(own).counts == (2, 2, 0, 0)
    assert [("success", own.id)] == TOLD


def test_members_are_found_by_a_filter():
    with batch() as own:
        own.enqueue(tasks.add, 1, 2)
    other = tasks.add.enqueue(1, 2)
    assert [job.batch for job in jobs.filter(f"batch:{own.id}")] == [own.id]
    assert [job.batch for job in jobs.filter(batch=own.id, status="waiting")] == [own.id]
    assert jobs.get(other).batch is None


def test_show_names_the_batch(capsys):
    with batch("import") as own:
        result = own.enqueue(tasks.add, 1, 2)
    call_command("loco_jobs", "show", result.id)
    assert own.id in capsys.readouterr().out


def test_other_jobs_have_no_batch():
    result = own_batch.enqueue()
    drain()
    result.refresh()
    assert result.return_value is None


def no_task(batch_id):
    """Not a task."""


@task
def takes_two(batch_id, other):
    """Not called."""


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"on_finish": no_task}, InvalidTask, "on_finish"),
        ({"on_success": takes_two}, InvalidArguments, "on_success is called with the id"),
        ({"on_failure": tasks.add.using(run_after=utcnow())}, InvalidTask, "run_after"),
        ({"on_finish": tasks.add.using(expires=utcnow() + timedelta(days=1))}, InvalidTask, "expires at a datetime"),
        ({"on_finish": succeeded.using(unique=True)}, InvalidTask, "on_finish: .* is unique"),
        ({"on_finish": finished.using(unique_key="report")}, InvalidTask, "is unique"),
        ({"name": "a\x00b"}, InvalidArguments, r"name is 'a\\x00b'; it must be text"),
        ({"name": "a\ud800b"}, InvalidArguments, "surrogates"),
        ({"name": None}, InvalidArguments, "name is None"),
        ({"metadata": {"a": object()}}, InvalidArguments, "metadata"),
        ({"metadata": ["a"]}, InvalidArguments, "metadata"),
        ({"backend": "nothing"}, ValueError, "nothing"),
    ],
)
def test_mistakes_are_named_before_anything_is_stored(given, kind, words):
    with pytest.raises(kind, match=words):
        batch(**given)
    assert [*Batch.all()] == []


def test_a_task_of_another_alias_is_refused(settings):
    settings.TASKS = {**settings.TASKS, "second": settings.TASKS["default"]}
    with batch() as own, pytest.raises(InvalidTask, match="all jobs of a batch"):
        own.enqueue(tasks.add.using(backend="second"), 1, 2)


def test_edited_callbacks_are_reported_and_the_batch_ends(caplog):
    queue = queue_for("default")
    own = batch("edited", on_finish=finished)
    own._record = replace(own._record, callbacks='{"finish": "["}')
    own.seal()
    assert "cannot be read as they are stored" in caplog.text
    assert queue.get_batch(own.id).called_at is not None


def test_callbacks_are_signed(settings):
    settings.LOCO = {**settings.LOCO, "SIGN": True}
    with batch(on_finish=finished) as own:
        own.enqueue(tasks.add, 1, 2)
    settled(own)
    assert len(TOLD) == 1


def test_in_the_foreground_all_happens_in_the_block(settings):
    settings.LOCO = {name: value for name, value in settings.LOCO.items() if name != "TESTING"}
    settings.WORKER_MODE = "ForegroundBlocking"
    with batch(**callbacks()) as own:
        own.enqueue(add_members, 2)
        own.enqueue(tasks.fail.using(max_attempts=1))
        assert TOLD == []
    assert sorted(TOLD) == [("failure", own.id), ("finish", ("finished", (4, 3, 1, 0), {}))]
    with pytest.raises(BatchFinished):
        own.enqueue(tasks.add, 1, 2)
