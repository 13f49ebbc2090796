import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, Job
from django_loco.queues.rows import COLUMNS, job_of, row_of

JOB = Job(
    task_path="shop.tasks.send",
    backend="default",
    run_after=datetime(2026, 11, 21, 5, 42, tzinfo=UTC),
    tags=("a", "b"),
    options={"backoff": [1, 2]},
    key="k",
    status=FAILED,
    worker_ids=("w1", "w2"),
    errors=(TaskError(exception_class_path="builtins.ValueError", traceback="\x00 \ud800"),),
)


#: By the type that ``Job`` declares, a value other than each default of that type.
VALUES = {
    "str": "a \u00e9",
    "str | None": '{"a": 1}',
    "int": 7,
    "bool": True,
    "datetime": datetime(2026, 11, 21, 5, 42, tzinfo=UTC),
    "datetime | None": datetime(2026, 11, 21, 5, 42, 0, 1, tzinfo=UTC),
    "tuple[str, ...]": ("a", "b"),
    "Mapping[str, Any]": {"backoff": [1, 2]},
    "TaskResultStatus": FAILED,
    "tuple[TaskError, ...]": (TaskError(exception_class_path="builtins.ValueError", traceback="story"),),
}


def test_a_job_survives_the_round_trip():
    assert job_of(row_of(JOB)) == JOB


@pytest.mark.parametrize("field", fields(Job), ids=lambda field: field.name)
def test_each_field_survives_the_round_trip(field):
    value = "0" * 32 if field.name == "id" else VALUES[field.type]
    job = replace(JOB, **{field.name: value})
    assert getattr(job_of(row_of(job)), field.name) == value
    assert job_of(row_of(job)) == job


def test_a_row_has_a_place_for_each_field():
    fields = set(Job.__dataclass_fields__)
    assert set(COLUMNS) == fields
    assert len(row_of(JOB)) == len(COLUMNS)


def test_a_row_is_plain():
    row = row_of(JOB)
    assert json.loads(json.dumps(row)) == list(row)


def test_what_a_database_makes_of_a_row_is_understood():
    row = dict(zip(COLUMNS, row_of(JOB), strict=True))
    row |= {"id": UUID(JOB.id), "is_async": 0, "run_after": datetime(2026, 11, 21, 5, 42)}  # noqa: DTZ001
    assert job_of(list(row.values())) == JOB
