"""What a job can learn about its own run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from ..compat import TaskContext
from .run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext(TaskContext):  # type: ignore[misc, type-arg]  # the stubs know neither frozen nor plain
    """The ``context`` of a task with ``takes_context=True``: Django's ``task_result`` and ``attempt``, and more.

    A job that runs for long looks at ``stopping`` now and then, and ends early when it is set.
    """

    run: Run
    """The worker's own record."""

    deadline: datetime | None = None
    """When the attempt's ``timeout`` is up (aware, UTC); ``None``: never."""

    ends_at: float | None = None
    """The same in seconds of ``time.monotonic()``."""

    def remaining(self) -> float | None:
        """Return the seconds until ``deadline``, 0 when it is past; ``None`` if there is none."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())

    @property
    def stopping(self) -> bool:
        """Whether the worker is about to end, or the job has been given to another one."""
        return self.run.stopping
