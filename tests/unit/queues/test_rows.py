import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, Job
from django_loco.queues.rows import (
    BEYOND,
    COLUMNS,
    folded,
    job_of,
    needle_of_tag,
    row_of,
    stored_time,
    text_of_tags,
    time_of,
    unfolded,
)

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


@given(st.lists(st.sampled_from(["w1", "w2", "", "", ""])))
def test_worker_ids_survive_the_round_trip(worker_ids):
    assert unfolded(json.loads(json.dumps(folded(worker_ids)))) == tuple(worker_ids)


def test_worker_ids_that_are_left_out_take_no_room():
    assert folded(["w1", *[""] * 5_000, "w2"]) == ["w1", 5_000, "w2"]


@pytest.mark.parametrize("number", [-1, 0, 10**12])
def test_a_number_of_attempts_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match="attempts"):
        unfolded(["w1", number])


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


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
def test_times_are_stored_in_utc(zone):
    moment = datetime(2026, 11, 21, 5, 42, tzinfo=UTC)
    assert stored_time(moment.astimezone(zone)) == "2026-11-21 05:42:00.000000"
    assert time_of(stored_time(moment.astimezone(zone))) == moment


@pytest.mark.parametrize(
    "text", ["2026-11-21 05:42", "2026-11-21T05:42:00Z", "2026-11-21 07:42:00.000+02", "2026-11-21 05:42:00.000000"]
)
def test_times_in_other_words_are_read_in_utc(text):
    moment = time_of(text)
    assert (moment, moment.tzinfo) == (datetime(2026, 11, 21, 5, 42, tzinfo=UTC), UTC)


@pytest.mark.parametrize("stored", [BEYOND, stored_time(BEYOND.replace(tzinfo=UTC)), str(BEYOND)])
def test_a_time_beyond_the_calendar_cannot_be_read(stored):
    with pytest.raises(ValueError, match="beyond the calendar"):
        time_of(stored)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2))
def test_stored_times_sort_as_times(moments):
    assert sorted(map(stored_time, moments)) == [stored_time(moment) for moment in sorted(moments)]


tags = st.text(st.sampled_from('ab"\\,[]\n 𝄞\x00'), max_size=4)


@given(st.lists(tags, max_size=4), tags)
def test_a_tag_is_found_if_it_is_there(present, wanted):
    text = text_of_tags(present)
    assert (needle_of_tag(wanted) in text) == (wanted in present)
    assert json.loads(text) == present
