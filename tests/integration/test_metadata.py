"""Metadata of jobs: given to ``using()``, read and changed by the job, shown by results."""

from __future__ import annotations

import copy
import importlib
import json

import pytest
from django.apps import apps
from django.db import connection, models

from django_loco.core.compat import TaskResultStatus, task_backends
from django_loco.core.job import Job
from django_loco.models import StoredJob
from django_loco.queues import queue_for
from django_loco.queues.memory.queue import MemoryQueue
from django_loco.queues.memory.spool import read_spool, write_spool
from django_loco.tasks import InvalidTask, enqueue_many, task
from django_loco.testing import drain
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}


def ran(result):
    drain(scheduled=True, raise_errors=False)
    result.refresh()
    return result


def test_the_backend_says_so():
    assert task_backends["default"].supports_metadata


def test_they_travel_from_the_call_to_the_job_and_to_its_result():
    result = tasks.annotate.using(metadata={"trace_id": 123}).enqueue({})
    assert result.metadata == {"trace_id": 123}
    assert tasks.annotate.get_result(result.id).metadata == {"trace_id": 123}
    assert ran(result).return_value == {"trace_id": 123}
    assert result.metadata == {"trace_id": 123}


def test_without_any_they_are_an_empty_dict():
    result = tasks.annotate.enqueue({})
    assert result.metadata == {}
    assert ran(result).return_value == result.metadata == {}
    assert queue_for("default").get(result.id).metadata is None


def test_those_of_one_call_do_not_change_the_task_or_another_call():
    given = {"list": [1]}
    one = tasks.annotate.using(metadata=given)
    results = enqueue_many(one, [({},), ({"a": 1},)])
    given["list"].append(2)
    assert [ran(result).metadata for result in results] == [{"list": [1]}, {"list": [1], "a": 1}]
    assert tasks.annotate.metadata is None


@pytest.mark.parametrize("error", ["", "on purpose"])
@pytest.mark.parametrize("name", ["annotate", "aannotate"])
def test_a_change_is_stored_when_the_job_ends_whether_it_fails_or_not(name, error):
    result = ran(getattr(tasks, name).using(metadata={"a": 1}).enqueue({"b": 2}, error=error))
    assert result.status == (TaskResultStatus.FAILED if error else TaskResultStatus.SUCCESSFUL)
    later = {"later": True} if name == "aannotate" else {}
    assert result.metadata == {"a": 1, "b": 2, **later}


def test_the_next_attempt_finds_them():
    result = tasks.annotate.using(metadata={"a": 1}, max_attempts=2).enqueue({"b": 2}, save=True, error="on purpose")
    assert ran(result).metadata == {"a": 1, "b": 2, "later": True}
    assert len(result.errors) == 2


def test_what_is_no_json_at_the_end_is_logged_and_does_not_fail_the_job(caplog):
    result = ran(tasks.spoil_metadata.using(metadata={"a": 1}).enqueue())
    assert (result.status, result.metadata) == (TaskResultStatus.SUCCESSFUL, {"a": 1})
    assert "spoil_metadata: the metadata cannot be stored as JSON" in caplog.text


@pytest.mark.parametrize("metadata", [{"a": {1}}, {1: "a"}, {"a": b""}, ["a"], "a"])
def test_what_is_no_json_object_is_refused(metadata):
    with pytest.raises(InvalidTask, match=r"annotate: the metadata cannot be stored"):
        tasks.annotate.using(metadata=metadata).enqueue({})


def test_too_much_is_refused(settings):
    settings.LOCO = {**settings.LOCO, "MAX_RESULT_SIZE": 100}
    with pytest.raises(InvalidTask, match=r"the metadata cannot be stored.*MAX_RESULT_SIZE"):
        tasks.annotate.using(metadata={"a": "b" * 100}).enqueue({})


def test_they_belong_to_a_call():
    with pytest.raises(TypeError, match=r"metadata cannot be given to @task; use \.using\(metadata=\.\.\.\)"):
        task(metadata={})  # type: ignore[call-overload]


def test_a_result_can_be_copied():
    result = tasks.annotate.using(metadata={"a": 1}).enqueue({})
    assert copy.copy(result).metadata == {"a": 1}


def test_metadata_that_somebody_has_edited_keep_no_job_from_running():
    result = tasks.annotate.using(metadata={"a": 1}).enqueue({})
    StoredJob.objects.update(metadata="{no JSON")
    assert ran(result).return_value == {}


def test_an_older_release_stores_and_reads_jobs_as_before():
    result = tasks.annotate.using(metadata={"a": 1}).enqueue({})
    columns = [field.column for field in StoredJob._meta.concrete_fields if field.name != "metadata"]
    listed = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE copied AS SELECT {listed} FROM django_loco_job")
        cursor.execute("DELETE FROM django_loco_job")
        cursor.execute(f"INSERT INTO django_loco_job ({listed}) SELECT {listed} FROM copied")
        cursor.execute("DROP TABLE copied")
    result = ran(result)
    assert (result.return_value, result.metadata) == ({}, {})


def test_the_migration_adds_a_column_that_may_be_null():
    """PostgreSQL adds such a column without a look at the rows."""
    migration = importlib.import_module("django_loco.migrations.0010_metadata").Migration(
        "0010_metadata", "django_loco"
    )
    [operation] = migration.operations
    assert (operation.name, operation.field.null, operation.field.has_default()) == ("metadata", True, False)
    assert isinstance(apps.get_model("django_loco", "StoredJob")._meta.get_field("metadata"), models.TextField)


def test_files_of_an_older_release_are_read(tmp_path):
    job = Job(task_path="shop.tasks.send", backend="default", metadata='{"a":1}')
    write_spool(tmp_path, "default", [job])
    [path] = tmp_path.iterdir()
    document = json.loads(path.read_text())
    assert document["metadata"] == '{"a":1}'
    del document["metadata"]
    path.write_text(f"{path.read_text()}{json.dumps(document)}\n")
    taken: list[Job] = []
    assert read_spool(tmp_path, "default", lambda jobs, _logs: taken.extend(jobs)) == 2
    assert [job.metadata for job in taken] == ['{"a":1}', None]


def test_a_queue_in_memory_keeps_them_across_a_restart(tmp_path):
    old, new = MemoryQueue("default", {}), MemoryQueue("default", {})
    old.enqueue([Job(task_path="shop.tasks.send", backend="default", metadata='{"a":1}')])
    old.save(tmp_path)
    new.load(tmp_path)
    assert [job.metadata for job in new.list()] == ['{"a":1}']
