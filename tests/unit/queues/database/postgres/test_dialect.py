"""Times that are given to the server as distances from its clock, and the order of jobs in one statement."""

from __future__ import annotations

import json
from datetime import timedelta

from django_loco.core.job import Job
from django_loco.queues.database.postgres.dialect import PostgresDialect, _in_order_of_keys
from django_loco.testing import travel


def test_a_test_moves_the_clock_of_the_server_as_well():
    dialect = PostgresDialect("default", "default")
    assert dialect.value(5) == 5
    with travel(timedelta(minutes=1)):
        assert dialect.value(5) == 65
    assert dialect.value(5) == 5


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def test_jobs_are_inserted_in_the_order_of_their_keys_after_those_without_a_once_key():
    jobs = [job(key="f"), job(unique_key="e", unique_until="finished"), job(id="d" * 32), job(key="c")]
    order = [each["id"] for each in json.loads(_in_order_of_keys(jobs))]
    assert order == [each.id for each in (jobs[2], jobs[1], jobs[3], jobs[0])]


def test_jobs_with_the_same_keys_keep_their_order():
    jobs = [job(key="k", id=digit * 32) for digit in "312"]
    assert [each["id"][0] for each in json.loads(_in_order_of_keys(jobs))] == ["3", "1", "2"]
