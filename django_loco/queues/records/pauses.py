"""Pauses of queues, tasks and tags: workers are handed none of their jobs until the pause ends.

A fetch leaves out paused queues, because the index of waiting jobs has the queues. It does not have the tasks, and most
workers do not read it by tag. A fetch that skipped the jobs of paused tasks and tags would read all of them each time.
Instead, a fetch moves those that it meets behind all others, where no fetch meets them again. The end of the pause
moves them back to their old places.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Literal, NamedTuple

from ...core.job import Job
from ...exceptions import QueueRefused

#: The kinds of pauses other than pauses of queues.
JobKind = Literal["task", "tag"]
#: The number of jobs that a fetch moves at most.
MOST_MOVED = 500


class JobPause(NamedTuple):
    """A pause of all jobs of a task, or of all with a tag."""

    kind: JobKind
    name: str
    """The path of the task, or the tag."""


def is_paused(job: Job, pauses: Collection[JobPause]) -> bool:
    """Return whether one of ``pauses`` holds ``job`` back."""
    return any(pause.name == job.task_path if pause.kind == "task" else pause.name in job.tags for pause in pauses)


def far_away() -> float:
    """Return a random number of seconds, up to four months, that makes the places of pauses differ."""
    return random.random() * 1e7  # noqa: S311 - if two are the same, the end of one lets the other move its jobs again


class Pauses(ABC):
    """The methods of a queue for pauses. It has to have pauses of queues, but not of tasks and tags."""

    @abstractmethod
    def pause(self, queue_name: str) -> None:
        """Let no worker fetch jobs of the queue ``queue_name`` until ``resume``. Running jobs go on."""

    @abstractmethod
    def resume(self, queue_name: str) -> bool:
        """End a pause; return whether the queue was paused. Workers fetch its jobs within a second."""

    @abstractmethod
    def paused(self) -> set[str]:
        """Return the names of the queues that are paused."""

    def pause_jobs(self, pause: JobPause) -> None:  # noqa: ARG002
        """Let no worker fetch the jobs of a task or a tag until ``resume_jobs``. Running jobs go on.

        Other processes obey within a second. By default it raises ``QueueRefused``.
        """
        raise QueueRefused(f"{type(self).__name__} cannot pause jobs by their task or tag: it has no pause_jobs().")

    def resume_jobs(self, pause: JobPause) -> bool:  # noqa: ARG002
        """End a pause; return whether there was one. Its jobs run in their old order."""
        return False

    def paused_jobs(self) -> set[JobPause]:
        """Return the pauses of tasks and tags."""
        return set()
