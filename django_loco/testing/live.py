"""Run real workers in a test, with their own threads and database connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections

from ..conf import loco_settings
from ..core import running_tests
from ..core.compat import TaskResult, TaskResultStatus
from ..core.job import READY, RUNNING
from ..core.threads.monotonic import monotonic
from ..exceptions import LocoConfigurationError
from ..jobs.stores import aliases
from ..queues import queue_for
from ..worker import in_process
from .block import Block

#: How often the state of jobs is read.
POLL_SECONDS = 0.01


class LiveWorker:
    """The workers of a test. Made by ``live_worker``."""

    def wait(self, *results: TaskResult[..., Any], timeout: float = 10) -> None:
        """Wait until these jobs have ended, and refresh their results.

        Without ``results``, wait for all jobs of the test.

        Raises ``TimeoutError`` with the names of the jobs that have not ended after ``timeout`` seconds.
        """
        deadline = monotonic() + timeout
        while unfinished := _unfinished(results):
            if monotonic() > deadline:
                raise TimeoutError(f"after {timeout:g} s these jobs have not ended: {', '.join(unfinished)}")
            time.sleep(POLL_SECONDS)


def live_worker() -> Block[LiveWorker]:
    """Set ``LOCO["TESTING"]`` to ``"live"`` and run a worker for each alias in ``TASKS`` within the block.

    At the end of the block the workers shut down: running jobs have ``SHUTDOWN_TIMEOUT`` seconds to end. If ``TASKS``,
    ``LOCO`` or ``WORKER_MODE`` are overridden in the block, new workers replace the present ones.

    Raises ``LocoConfigurationError`` if workers could not see the rows of the test: in a transaction, as in a
    ``TestCase``, and with a database queue in an in-memory SQLite database.
    """
    return Block("live_worker", _running)


@contextmanager
def _running() -> Iterator[LiveWorker]:
    # Not override_settings(): overrides that begin in the block and end after it would restore the mode.
    before, running_tests.is_live = running_tests.is_live, True
    setting_changed.connect(_start_again)
    try:
        _require_visible_rows(aliases())
        _start_workers()
        yield LiveWorker()
    finally:
        setting_changed.disconnect(_start_again)
        in_process.stop(time.monotonic() + loco_settings().SHUTDOWN_TIMEOUT)
        running_tests.is_live = before


def _start_workers() -> None:
    for alias in aliases():
        in_process.ensure_started(alias)


def _start_again(**kwargs: Any) -> None:
    """Start new workers after ``in_process`` has stopped the old ones because settings were overridden in the block."""
    with suppress(ImproperlyConfigured):  # enqueue() will raise it, unless another override corrects it
        _start_workers()


def _require_visible_rows(aliases: list[str]) -> None:
    for each in connections.all(initialized_only=True):
        if each.in_atomic_block:
            raise LocoConfigurationError(
                f"a worker would not see the rows of this test, because its connection to {each.alias!r} is in "
                "a transaction. Use TransactionTestCase, or in pytest @pytest.mark.django_db(transaction=True)."
            )
    for database in filter(None, (queue_for(alias).database for alias in aliases)):
        connection: Any = connections[database]
        if connection.vendor == "sqlite" and connection.is_in_memory_db():
            raise LocoConfigurationError(
                f"DATABASES[{database!r}] is in memory, where threads lock each other out. Give the test database a "
                f"file: DATABASES[{database!r}]['TEST'] = {{'NAME': BASE_DIR / 'test.sqlite3'}}."
            )


def _unfinished(results: tuple[TaskResult[..., Any], ...]) -> list[str]:
    if results:
        for result in results:
            result.refresh()
        states = [(result.task.module_path, result.status) for result in results]
    else:
        ids, queues = running_tests.enqueued(), [queue_for(alias) for alias in aliases()]
        jobs = [job for queue in queues for job_id in ids if (job := queue.get(job_id)) is not None]
        states = [(job.task_path, job.status) for job in jobs]
    return [f"{path} ({TaskResultStatus(status).name})" for path, status in states if status in (READY, RUNNING)]
