from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import Job, new_id, utcnow
from django_loco.jobs.operations.batches.settling import batch_of, settle, text_of_callbacks
from django_loco.jobs.signing import is_genuine, signed
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import key_of, new_record

REPORT = Job(task_path="shop.report", backend="default", queue_name="reports", priority=3)


@pytest.fixture
def queue():
    return MemoryQueue("default", {})


def opened(queue, **callbacks):
    record = new_record(new_id(), "default", "import", text_of_callbacks(callbacks), "{}")
    queue.open_batch(record)
    return record.id


def test_a_job_knows_the_batch_that_it_is_in_or_follows():
    assert batch_of(REPORT) is None
    assert batch_of(replace(REPORT, key="nightly@1")) is None
    assert batch_of(replace(REPORT, batch="b")) == "b"
    assert batch_of(replace(REPORT, key=key_of("b", 2, "finish"))) == "b"


def test_what_follows_is_stored_with_its_options_and_once(queue):
    batch = opened(queue, success=REPORT, failure=replace(REPORT, priority=0), finish=REPORT)
    queue.seal_batch(batch)
    assert settle(queue, [batch]) == 1
    following = sorted(queue.list(), key=lambda job: str(job.key))
    assert [job.key for job in following] == [key_of(batch, 1, "finish"), key_of(batch, 1, "success")]
    assert {(job.task_path, job.queue_name, job.priority) for job in following} == {("shop.report", "reports", 3)}
    assert REPORT.id not in {job.id for job in following}
    assert settle(queue, [batch]) == settle(queue) == 0


def test_what_was_not_noted_is_stored_once_all_the_same(queue):
    batch = opened(queue, finish=REPORT)
    queue.seal_batch(batch)

    def die(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        settle(queue, [batch], store_jobs=die)
    [record] = queue.settle_batches()
    settle(queue)
    queue._batches.reopen(batch, queue.get)
    queue._batches.records[batch] = record  # as if it had never been noted
    settle(queue)
    assert len(queue.list()) == 1


def test_only_genuine_callbacks_are_signed_again(queue):
    batch = opened(queue, success=signed(REPORT), finish=replace(REPORT, options={"signature": "forged"}))
    queue.seal_batch(batch)
    settle(queue)
    assert {str(job.key).rpartition(":")[2]: is_genuine(job) for job in queue.list()} == {
        "success": True,
        "finish": False,
    }


def test_what_follows_expires_after_the_end_and_has_no_unique_key(queue):
    made = utcnow() - timedelta(hours=1)
    of_older_version = replace(
        REPORT, enqueued_at=made, expires_at=made + timedelta(minutes=5), unique_key="report", unique_until="finished"
    )
    queue.seal_batch(opened(queue, finish=of_older_version))
    settle(queue)
    [following] = queue.list()
    assert following.expires_at - following.enqueued_at == timedelta(minutes=5)
    assert (following.unique_key, following.unique_until) == (None, None)


def test_a_field_of_a_newer_release_that_has_no_value_is_ignored(queue):
    of_newer = json.loads(json.loads(text_of_callbacks({"finish": REPORT}))["finish"]) | {"a_new_field": None}
    record = new_record(new_id(), "default", "import", json.dumps({"finish": json.dumps(of_newer)}), "{}")
    queue.open_batch(record)
    queue.seal_batch(record.id)
    assert settle(queue) == 1
    assert [job.task_path for job in queue.list()] == ["shop.report"]


def test_callbacks_are_stored_without_fields_that_have_no_value():
    stored = json.loads(json.loads(text_of_callbacks({"finish": REPORT}))["finish"])
    assert "priority" in stored
    assert None not in stored.values()


def test_callbacks_that_cannot_be_read_are_left_to_a_newer_release_and_told_once(queue, caplog):
    batch = opened(queue, finish=REPORT)
    text = queue.get_batch(batch).callbacks
    queue._batches.update(batch, callbacks=text.replace("priority", "a_new_field"))
    queue.seal_batch(batch)
    assert settle(queue) == settle(queue) == 0
    assert [record.name for record in caplog.records] == ["django_loco.batches"]
    assert "cannot be read as they are stored, and are not called: ValueError('it lacks priority')" in caplog.text
    queue._batches.update(batch, callbacks=text)
    assert settle(queue) == 1
    assert [job.task_path for job in queue.list()] == ["shop.report"]
