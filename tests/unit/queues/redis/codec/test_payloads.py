"""The places at which jobs wait, and the short scripts that store simple jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django_loco.core.job import Job
from django_loco.queues.redis.codec.payloads import place_of, short_payload

MOMENT = datetime(2026, 11, 21, 5, 42, tzinfo=UTC)
JOB = Job(task_path="a.b", backend="default")


def test_places_sort_as_jobs_should_run():
    urgent, early, late = replace(JOB, priority=1), JOB, JOB
    places = [place_of(urgent, MOMENT + timedelta(hours=1), 0), place_of(early, MOMENT, 0)]
    places.append(place_of(late, MOMENT + timedelta(seconds=1), 0))
    assert places == sorted(places)


def test_a_suspect_and_a_limited_job_have_kinds_of_their_own():
    places = [place_of(JOB, MOMENT, 0), place_of(JOB, MOMENT, 2), place_of(replace(JOB, limit_key="api:"), MOMENT, 0)]
    assert len({place[0] for place in places}) == 3


def test_only_a_simple_job_is_stored_by_a_short_script():
    assert short_payload(JOB)[0] == "enqueue_one"
    assert short_payload(replace(JOB, unique_key="k", unique_until="finished"))[0] == "enqueue_unique"
    for field, value in (("key", "k"), ("tags", ("a",)), ("run_after", MOMENT), ("limit_key", "api:")):
        assert short_payload(replace(JOB, **{field: value})) is None
