"""Our versions of the tests of Django's that assert a built-in backend itself.

A class here stands before Django's of nearly the same name, so that a method here replaces Django's, by its name.
Where Django's backend cannot do something that ours can, the name still says that it cannot; the body says what ours
does.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.db import transaction
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from django_loco.backend import LocoBackend
from django_loco.core.compat import InvalidTask, TaskResultDoesNotExist, TaskResultStatus, task_backends

from .django_adapters import RecordingBackend, run_what_waits

UNKNOWN_QUEUE = "Queue 'unknown_queue' is not valid for backend"


class Ours(TransactionTestCase):
    """What the test module adds to each class."""

    available_apps = ["django_loco", "tests.app"]
    tasks: Any
    """Django's ``tests/tasks/tasks.py``."""

    config: dict[str, Any]
    """``TASKS["default"]``."""

    @classmethod
    def replaced(cls) -> set[str]:
        """The names of the tests that stand in place of Django's."""
        return {name for name in dir(cls) if name.startswith("test_")}

    @property
    def backend(self) -> RecordingBackend:
        return cast(RecordingBackend, task_backends["default"])

    def with_queues(self, *names: str) -> override_settings:
        return override_settings(TASKS={"default": self.config | {"QUEUES": list(names)}})


class Both(Ours):
    """What Django tests in the same words for both of its backends."""

    def test_using_correct_backend(self):
        assert isinstance(task_backends["default"], LocoBackend)
        assert self.backend.alias == "default"
        assert self.backend.options == self.config["OPTIONS"]

    def test_validate_on_enqueue(self):
        task = self.tasks.noop_task.using(queue_name="unknown_queue")
        with self.with_queues("queue-1"), self.assertRaisesMessage(InvalidTask, UNKNOWN_QUEUE):
            task.enqueue()

    async def test_validate_on_aenqueue(self):
        task = self.tasks.noop_task.using(queue_name="unknown_queue")
        with self.with_queues("queue-1"), self.assertRaisesMessage(InvalidTask, UNKNOWN_QUEUE):
            await task.aenqueue()


class OursDummy(Both):
    def test_refresh_result(self):
        result = self.tasks.calculate_meaning_of_life.enqueue()
        run_what_waits("default")
        assert result.status == TaskResultStatus.READY
        result.refresh()
        assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)

    async def test_refresh_result_async(self):
        result = await self.tasks.calculate_meaning_of_life.aenqueue()
        run_what_waits("default")
        assert result.status == TaskResultStatus.READY
        await result.arefresh()
        assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)


class OursDummyTransaction(Ours):
    def test_doesnt_wait_until_transaction_commit_by_default(self):
        """A row of the caller's transaction is there at once; any other queue waits for the commit."""
        is_row = self.backend.queue.database is not None
        with transaction.atomic():
            result = self.tasks.noop_task.enqueue()
            assert result.enqueued_at is not None
            assert len(self.backend.results) == (1 if is_row else 0)
        assert len(self.backend.results) == 1


class OursForeground(Both):
    async def test_cannot_get_result(self):
        """Ours keeps results."""
        result = await self.tasks.calculate_meaning_of_life.aenqueue()
        assert self.backend.get_result(result.id) == result
        assert await self.backend.aget_result(result.id) == result
        with pytest.raises(TaskResultDoesNotExist):
            await self.backend.aget_result("123")

    async def test_cannot_refresh_result(self):
        """Ours can."""
        result = await self.tasks.calculate_meaning_of_life.aenqueue()
        await result.arefresh()
        result.refresh()
        assert result.return_value == 42

    def test_cannot_pass_run_after(self):
        """Ours takes it."""
        self.backend.validate_task(self.tasks.noop_task.using(run_after=timezone.now()))


class OursImmediate(OursForeground):
    def test_throws_keyboard_interrupt(self):
        """A worker outlives a job that raises it; the job has failed."""
        result = self.tasks.failing_task_keyboard_interrupt.enqueue()
        assert result.status == TaskResultStatus.FAILED
        assert result.errors[0].exception_class is KeyboardInterrupt
        assert self.tasks.noop_task.enqueue().status == TaskResultStatus.SUCCESSFUL


class OursForegroundTransaction(Ours):
    def test_doesnt_wait_until_transaction_commit_by_default(self):
        """Nothing runs on data that is not committed."""
        with transaction.atomic():
            result = self.tasks.noop_task.enqueue()
            assert result.enqueued_at is not None
            assert result.status == TaskResultStatus.READY
        self.run_after_commit()
        result.refresh()
        assert result.status == TaskResultStatus.SUCCESSFUL

    def run_after_commit(self):
        """In the foreground the commit itself runs the job."""


class OursImmediateTransaction(OursForegroundTransaction):
    def run_after_commit(self):
        run_what_waits("default")


class OursTask(Ours):
    def test_using_correct_backend(self):
        assert isinstance(task_backends["default"], LocoBackend)

    def test_get_backend(self):
        task = self.tasks.noop_task
        assert task.get_backend() is self.backend
        assert task.using(backend="immediate").get_backend() is task_backends["immediate"]
