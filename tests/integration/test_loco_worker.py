"""``loco_worker`` called from Python: in a script, or in a user's tests."""

from __future__ import annotations

import logging
import signal
from unittest.mock import Mock

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError, SystemCheckError
from django.db import OperationalError, connection

from django_loco import shutdown
from django_loco.core.compat import TaskResultStatus
from tests.app import tasks

from ..conftest import ON_POSTGRES


@pytest.mark.django_db(transaction=True)
def test_drain_runs_what_waits_and_returns(capsys):
    before = signal.getsignal(signal.SIGTERM)
    results = [tasks.add.enqueue(1, 2), tasks.aadd.enqueue(3, 4)]
    call_command("loco_worker", drain=True, concurrency=1)
    for result in results:
        result.refresh()
    assert [result.status for result in results] == [TaskResultStatus.SUCCESSFUL] * 2
    assert "1 thread, 1 coroutine" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before
    assert not shutdown.stopping()


def test_what_is_wrong_is_raised(settings):
    settings.WORKER_MODE = "BackgroundAsync"
    with pytest.raises(CommandError, match="This worker would never get a job"):
        call_command("loco_worker")


@pytest.mark.django_db(transaction=True)
def test_logging_is_left_alone(capsys):
    logger = logging.getLogger("django_loco")
    before = (logger.handlers[:], logger.level)
    call_command("loco_worker", drain=True)
    assert (logger.handlers, logger.level) == before


@pytest.fixture
def without_json():
    """Django's check of this database finds that it has no JSON."""
    features = connection.features
    features.supports_json_field = False
    yield
    del features.supports_json_field


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite")
@pytest.mark.usefixtures("without_json")
def test_a_full_disk_is_not_taken_for_a_lack_of_json(monkeypatch):
    command = load_command_class("django_loco", "loco_worker")
    with pytest.raises(SystemCheckError, match="does not support JSONFields"):
        command.check(databases=["default"])
    full = Mock(side_effect=OperationalError("disk I/O error"))
    monkeypatch.setattr(connection, "_start_transaction_under_autocommit", full)
    command.check(databases=["default"])
    full.assert_called_once()
