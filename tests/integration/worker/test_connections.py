"""Database connections around jobs: none leaks, none stays broken, sync or async."""

from __future__ import annotations

from itertools import count

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import override_settings

from django_loco.core.job import FAILED, SUCCESSFUL
from django_loco.queues.database.sqlite import connections as sqlite_connections

from ...conftest import ON_POSTGRES
from . import tasks


def made() -> set[str]:
    return set(ContentType.objects.filter(app_label="made").values_list("model", flat=True))


@pytest.fixture
def persistent():
    """Connections are kept between jobs. The setting is read anew by each thread's own connection."""
    settings = connections["default"].settings_dict
    before, settings["CONN_MAX_AGE"] = settings["CONN_MAX_AGE"], None
    yield
    settings["CONN_MAX_AGE"] = before


#: Jobs that use the database in other threads than their own.
ELSEWHERE = ["count_on_a_loop", "acount_in_a_thread", "acount_beside_other_calls"]


@pytest.mark.parametrize("name", ["count", "acount", *ELSEWHERE])
def test_every_connection_is_closed_in_the_end(run, opened, name):
    jobs = run(*[(name,)] * 12)
    assert {job.status for job in jobs} == {SUCCESSFUL}
    assert len(tasks.used) == 12
    assert opened.still_open() == []


def test_after_each_job_a_connection_is_closed_unless_it_may_be_kept(run):
    run(("count",), ("count",), threads=1)
    assert len({id(raw) for _, raw in tasks.used}) == 2


@pytest.mark.usefixtures("persistent")
@pytest.mark.parametrize("name", ["count", "acount"])
def test_one_that_may_be_kept_serves_the_next_job(run, opened, name):
    run(*[(name,)] * 8, threads=1)
    assert len({id(raw) for _, raw in tasks.used}) == 1
    assert opened.still_open() == []  # at the end of the thread it is closed


@pytest.mark.usefixtures("persistent")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_connection_that_breaks_in_another_thread_harms_no_later_job(run, name):
    jobs = run((name, True), (name,), (name,), threads=1, coroutines=1)
    assert [job.status for job in jobs] == [FAILED, SUCCESSFUL, SUCCESSFUL]


def test_a_loop_in_a_call_that_would_wait_for_itself_fails_and_says_the_remedy(run):
    [job] = run(("acount_on_a_loop_in_a_lane",))
    assert job.status == FAILED
    assert "Use async_to_sync() in place of asyncio.run()" in job.errors[0].traceback


@pytest.mark.usefixtures("persistent")
@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite")
@pytest.mark.parametrize("name", ["count", "acount"])
def test_one_to_a_file_that_was_replaced_serves_no_other_job(run, monkeypatch, name):
    numbers = count()
    monkeypatch.setattr(sqlite_connections, "_identity", lambda _: next(numbers))
    run((name,), (name,), threads=1)
    assert len({id(raw) for _, raw in tasks.used}) == 2


@pytest.mark.usefixtures("persistent")
def test_a_transaction_that_a_job_left_open_is_rolled_back(run, opened, caplog):
    jobs = run(("leave_a_transaction_open", "lost"), ("create", "kept"), ("count",), threads=1)
    assert [job.status for job in jobs] == [SUCCESSFUL] * 3
    assert made() == {"kept"}
    assert "left a transaction open" in caplog.text
    assert opened.still_open() == []


@pytest.mark.usefixtures("persistent")
def test_so_is_one_without_autocommit(run):
    jobs = run(("turn_autocommit_off", "lost"), ("create", "kept"), threads=1)
    assert [job.status for job in jobs] == [SUCCESSFUL] * 2
    assert made() == {"kept"}


@pytest.mark.usefixtures("persistent")
def test_a_broken_connection_harms_only_its_job(run):
    jobs = run(("break_the_connection",), ("create", "kept"), ("count",), threads=1)
    assert [job.status for job in jobs] == [SUCCESSFUL] * 3
    assert made() == {"kept"}


@pytest.mark.usefixtures("persistent")
def test_the_log_of_queries_does_not_grow(run):
    with override_settings(DEBUG=True):
        jobs = run(*[("queries_of_earlier_jobs",)] * 3, threads=1)
    assert [job.return_value for job in jobs] == ["0", "0", "0"]


@pytest.mark.usefixtures("persistent")
@pytest.mark.interrupts
def test_an_interrupted_job_leaves_no_connection_in_an_unknown_state(run, opened):
    jobs = run(("query_for_ever",), ("create", "kept"), ("count",), threads=1)
    assert [job.status for job in jobs] == [FAILED, SUCCESSFUL, SUCCESSFUL]
    assert jobs[0].errors[0].exception_class_path == "django_loco.exceptions.JobTimeout"
    assert len({id(raw) for _, raw in tasks.used}) == 2
    assert made() == {"kept"}
    assert opened.still_open() == []


def test_a_hundred_async_jobs_use_the_orm_at_once(run, opened):
    jobs = run(*[("acreate", f"model{number}") for number in range(100)], coroutines=100, threads=4)
    assert {job.status for job in jobs} == {SUCCESSFUL}
    assert made() == {f"model{number}" for number in range(100)}
    assert opened.still_open() == []


def test_their_sync_parts_run_side_by_side_on_as_many_threads_as_sync_jobs_would(run):
    jobs = run(*[("ameet_in_threads",)] * 20, coroutines=20, threads=10)
    assert {job.status for job in jobs} == {SUCCESSFUL}
