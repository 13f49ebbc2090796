"""A mixin for Django's test cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ..core.compat import Task, TaskResult
from .assertions.enqueued import all_enqueued, assert_enqueued, refute_enqueued
from .running import drain

#: Makes unittest show the line of the test, and no line of this module.
__unittest = True


class JobTestMixin:
    """Adds assertions about jobs to ``TestCase``, ``TransactionTestCase`` and ``SimpleTestCase``.

    ``class CheckoutTests(JobTestMixin, TestCase): ...``
    """

    def assertEnqueued(  # noqa: N802 - unittest's style of names
        self, task: Task[..., Any], /, **description: Any
    ) -> TaskResult[..., Any]:
        """Return the last waiting job of ``task`` that matches the description. See ``assert_enqueued``."""
        return assert_enqueued(task, **description)

    def assertNotEnqueued(self, task: Task[..., Any], /, **description: Any) -> None:  # noqa: N802 - as above
        """Fail if a waiting job of ``task`` matches the description. See ``refute_enqueued``."""
        refute_enqueued(task, **description)

    def drain(self, queue: str | None = None, **options: Any) -> Counter[str]:
        """Run the waiting jobs of this test. See the function ``drain``."""
        return drain(queue, **options)

    @contextmanager
    def captureEnqueued(self) -> Iterator[list[TaskResult[..., Any]]]:  # noqa: N802 - like captureOnCommitCallbacks
        """Collect the jobs that the block enqueues. The end of the block acts like a commit.

        In a ``TestCase``, functions that the block passes to ``transaction.on_commit()`` are called at the end of the
        block. The list is complete after the block.
        """
        before = {result.id for result in all_enqueued()}
        captured: list[TaskResult[..., Any]] = []
        capture: Any = getattr(self, "captureOnCommitCallbacks", None)
        with nullcontext() if capture is None else capture(execute=True):
            yield captured
        captured += [result for result in all_enqueued() if result.id not in before]
