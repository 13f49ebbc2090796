"""Obeys the commands for this worker: take no more jobs for now, take jobs again, or end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.workers import Command

logger = get_logger("django_loco.worker")


class Commanded(Protocol):
    """A worker that can be told to do something."""

    worker_id: str

    def quiet(self, *, for_now: bool = False) -> None:
        """Take no more jobs until ``resume``."""

    def resume(self) -> None:
        """Take jobs again."""


class Commands:
    """Reads the last command for one worker, and obeys when it has changed. For one thread.

    Each ``quiet`` or ``stop`` is kept by the queue until the worker ends, so the order of two commands does not matter:
    the last one counts.
    """

    def __init__(
        self,
        queue: Queue,
        worker: Commanded,
        end_process: Callable[[], object] | None,
        on_obeyed: Callable[[], object] = lambda: None,
    ) -> None:
        """``end_process`` ends the process as SIGTERM does; ``None``: it cannot be told to.

        ``on_obeyed`` is called after each command.
        """
        self._queue, self._worker, self._end_process, self._on_obeyed = queue, worker, end_process, on_obeyed
        self._last: str = Command.RUN

    def obey(self) -> None:
        """Ask the queue, and do what it says if that is new. Raises ``QueueError``."""
        command = self._queue.command_of(self._worker.worker_id)
        if command == self._last:
            return
        self._last = command
        name = one_line(self._worker.worker_id)
        if command == Command.RUN:
            logger.info("Worker %s was told to take jobs again", name)
            self._worker.resume()
        elif command == Command.QUIET:
            logger.info("Worker %s was told to take no more jobs", name)
            self._worker.quiet(for_now=True)
        elif command == Command.STOP and self._end_process:
            logger.info("Worker %s was told to stop", name)
            self._end_process()
        else:
            logger.warning("Worker %s cannot do what it was told: %s", name, one_line(command))
        self._on_obeyed()
