"""Obeys the commands for this worker: take no more jobs for now, take jobs again, end, or show the stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...core.serialization import cut
from ...core.threads.stacks import stacks
from ...log.plain_text import one_line
from ...log.safe import get_logger
from ...queues import Queue
from ...queues.workers import Command, split_command

logger = get_logger("django_loco.worker")

#: The most bytes of stacks that a worker shows.
MOST_STACKS = 64_000


class Controlled(Protocol):
    """A worker that can be controlled."""

    worker_id: str

    def quiet(self, *, for_now: bool = False) -> None:
        """Take no more jobs until ``resume``."""

    def resume(self) -> None:
        """Take jobs again."""


class RemoteControl:
    """Reads the last command for one worker, and obeys when it has changed. For one thread.

    Each ``quiet`` or ``stop`` is kept by the queue until the worker ends, so the order of two commands does not matter:
    the last one counts.
    """

    def __init__(
        self,
        queue: Queue,
        worker: Controlled,
        end_process: Callable[[], object] | None,
        on_obeyed: Callable[[str], object] = lambda _: None,
    ) -> None:
        """``end_process`` ends the process as SIGTERM does; ``None``: a command cannot end it.

        ``on_obeyed`` is called after each command, with the stacks of this process if they are wanted, else with "".
        """
        self._queue, self._worker, self._end_process, self._on_obeyed = queue, worker, end_process, on_obeyed
        self._last: str = Command.RUN

    def obey(self) -> None:
        """Read the command from the queue, and obey if it is new. Raises ``QueueError``."""
        text = self._queue.recent_command_of(self._worker.worker_id)
        if text == self._last:
            return
        (command, number), (last, last_number) = split_command(text), split_command(self._last)
        self._last = text
        if command != last:
            self._do(command)
        self._on_obeyed(self._stacks() if number and number != last_number else "")

    def _stacks(self) -> str:
        logger.info("Worker %s was told to show its stacks", one_line(self._worker.worker_id))
        return cut("\n".join(stacks()), MOST_STACKS, "there are more stacks")

    def _do(self, command: str) -> None:
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
