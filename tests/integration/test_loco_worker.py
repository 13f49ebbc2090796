"""``loco_worker`` called from Python: in a script, or in a user's tests."""

from __future__ import annotations

import logging
import signal

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_loco import shutdown
from django_loco.core.compat import TaskResultStatus
from tests.app import tasks


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
