"""Real workers in a test."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings
from freezegun import freeze_time

from django_loco import conf
from django_loco.exceptions import LocoConfigurationError
from django_loco.testing import live, live_worker, travel
from django_loco.worker import in_process

from . import tasks


def test_workers_run_jobs():
    with live_worker() as worker:
        results = [tasks.send.enqueue(1), tasks.asend.enqueue(2), tasks.fail.enqueue("no such luck")]
        worker.wait(results[0])
        assert results[0].return_value == [1, None]
        worker.wait()
        worker.wait(*results)
        assert [result.status for result in results] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert in_process.started() == {}
    assert conf.testing() == "manual"


def test_as_a_decorator():
    modes = []

    @live_worker()
    def body():
        modes.append((conf.testing(), [*in_process.started()]))

    @live_worker()
    async def abody():
        modes.append((conf.testing(), [*in_process.started()]))

    body()
    async_to_sync(abody)()
    assert modes == [("live", ["default"])] * 2


def test_one_that_does_not_end():
    with live_worker() as worker:
        result = tasks.send.using(run_after=timedelta(hours=1)).enqueue(1)
        for results in ((), (result,)):
            with pytest.raises(TimeoutError, match=r"after 0.1 s .*: tests.unit.testing.tasks.send \(READY\)"):
                worker.wait(*results, timeout=0.1)


def test_the_wait_ends_where_freezegun_stops_the_clock():
    with freeze_time("2030-01-01"), live_worker() as worker:
        later = tasks.send.using(run_after=timedelta(hours=1)).enqueue(1)
        worker.wait(tasks.send.enqueue(2))
        with pytest.raises(TimeoutError):
            worker.wait(later, timeout=0.1)


def test_they_obey_the_clock_of_the_test():
    with live_worker() as worker:
        result = tasks.send.using(run_after=timedelta(hours=1)).enqueue(1)
        with travel(timedelta(hours=2)):
            worker.wait(result)
        assert result.status == "SUCCESSFUL"


def test_other_settings_stay(settings):
    settings.LOCO = {"TESTING": "manual", "NUM_WORKERS": 3}
    with live_worker():
        assert conf.loco_settings().NUM_WORKERS == 3
        assert conf.testing() == "live"


def test_the_mode_ends_with_the_block_whatever_settings_are_restored_later():
    override = override_settings(EMAIL_SUBJECT_PREFIX="[shop] ")
    with live_worker():
        override.enable()
    override.disable()
    assert conf.testing() == "manual"


def test_settings_that_end_in_the_block_do_not_end_the_mode():
    override = override_settings(EMAIL_SUBJECT_PREFIX="[shop] ")
    override.enable()
    with live_worker():
        override.disable()
        assert conf.testing() == "live"


def test_workers_start_again_after_a_change_of_settings(settings):
    with live_worker() as worker:
        first = in_process.started()["default"]
        settings.LOCO = {"NUM_WORKRS": 2}
        settings.LOCO = {"TESTING": "manual", "NUM_WORKERS": 2}
        assert in_process.started()["default"] is not first
        worker.wait(result := tasks.send.enqueue(1))
        assert result.status == "SUCCESSFUL"
    settings.LOCO = {"TESTING": "live"}
    assert in_process.started() == {}


class Connections:
    """A database in memory, of SQLite."""

    alias = "default"
    vendor = "sqlite"
    in_atomic_block = False

    def is_in_memory_db(self):
        return True

    def all(self, initialized_only):
        return [self]

    def __getitem__(self, alias):
        return self


def test_a_transaction_hides_the_rows_of_the_test(monkeypatch):
    connections = Connections()
    connections.in_atomic_block = True
    monkeypatch.setattr(live, "connections", connections)
    with pytest.raises(LocoConfigurationError, match="TransactionTestCase"), live_worker():
        pass
    assert conf.testing() == "manual"


def test_a_database_in_memory(monkeypatch, settings):
    monkeypatch.setattr(live, "connections", Connections())
    with live_worker() as worker:
        worker.wait()
    settings.WORKER_MODE = "BackgroundQueue"
    with pytest.raises(LocoConfigurationError, match="is in memory"), live_worker():
        pass
