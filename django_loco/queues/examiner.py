"""Examines the store of a queue for ``loco_doctor`` and the dashboard. It only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from django.core.checks import CheckMessage

from ..core.compat import TaskResultStatus
from ..core.job import RUNNING, Job, utcnow
from .workers import WorkerInfo


class ExaminedQueue(Protocol):
    """The part of a queue that the examiner of any queue uses."""

    alias: str

    def list(self, *, status: TaskResultStatus | str | None = None, limit: int = 100) -> list[Job]:
        """Return jobs, the newest first."""

    def workers(self) -> Sequence[WorkerInfo]:
        """Return the registered workers."""


class Examiner:
    """Examines the store of one queue. A queue of your own may name a subclass as its ``examiner``.

    The methods raise ``QueueUnavailable`` or the errors of the store. Nothing here may write to the store.
    """

    def __init__(self, queue: Any) -> None:
        """``queue`` is the instance of ``Queue`` that the process uses."""
        self.queue = queue

    @property
    def address(self) -> str:
        """The kind of the store and where it is, for people, without a password."""
        return type(self.queue).__name__

    @property
    def setting(self) -> str:
        """The setting that has its address."""
        return f"TASKS[{self.queue.alias!r}]['OPTIONS']"

    def skew(self) -> float:
        """Return by how many seconds the clock of the store is ahead of this machine's; 0 if it is the same clock."""
        return 0.0

    def size(self) -> int | None:
        """Return how many bytes the store takes up; ``None`` if that is not known. It is asked every few seconds."""
        return None

    def change_token(self) -> str | None:
        """Return a text that differs after each change of the store's contents, and may differ without one.

        ``None``, the default: changes are not known. It is called twice a second, so it must cost next to nothing.
        """
        return None

    def expired(self, limit: int = 100) -> list[Job]:
        """Return up to ``limit`` running jobs whose lease has run out, as far as the queue can tell.

        By default the jobs whose worker is not alive, among the newest running ones.
        """
        queue: ExaminedQueue = self.queue
        running = queue.list(status=RUNNING, limit=limit)
        alive = {worker.worker_id for worker in queue.workers() if worker.is_alive} if running else ()
        return [job for job in running if job.worker_id not in alive]

    def messages(self, connections: int) -> Iterator[CheckMessage]:  # noqa: ARG002
        """Yield messages about the configuration of the store; by default the messages of ``Queue.check``.

        ``connections``: how many connections the workers of the alias may open.
        """
        yield from self.queue.check()


def skew_of(clock: Callable[[], float]) -> float:
    """Return by how many seconds ``clock`` (seconds since 1970) is certainly ahead of this machine's clock.

    It is read at an unknown moment of the call, so the duration of half the call is not certain.
    """
    before = utcnow().timestamp()
    answer = clock()
    after = utcnow().timestamp()
    ahead, doubt = answer - (before + after) / 2, (after - before) / 2
    return max(0.0, ahead - doubt) if ahead > 0 else min(0.0, ahead + doubt)
