"""Decides whether a worker that drains has nothing left to do."""

from __future__ import annotations

from collections.abc import Callable

from ...queues import Claim, Queue
from .drain_group import DrainGroup
from .leftovers import Leftovers


class Draining:
    """Whether a worker ends when no job is due and none runs, in this worker and in the other workers of its group.

    1. Before each fetch the fetcher asks ``may_end``, and after it calls ``note_fetch``, or ``note_no_fetch``.
    2. When ``found_nothing`` is true, there is nothing left to do.
    3. At its end the worker calls ``leave``.

    Other threads may call ``begin``; the other methods are for the fetcher's thread.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        is_on: bool,
        group: DrainGroup | None,
        others_are_done: Callable[[], bool],
        look_again: Callable[[], object],
    ) -> None:
        """``others_are_done`` and the rest as for ``Fetcher``. ``look_again`` makes the fetcher fetch at once."""
        self.is_on = is_on
        self.found_nothing = False
        self._alias, self._group = queue.alias, group or DrainGroup([queue.alias])
        self._leftovers = Leftovers(queue)
        self._others_are_done, self._look_again = others_are_done, look_again

    def begin(self, group: DrainGroup | None = None) -> None:
        """End when there is nothing left to do; ``None``: in the group that the worker has."""
        self._group = group or self._group
        self.is_on = True

    def may_end(self, *, holds_jobs: bool) -> bool:
        """Return whether the worker may end if the next fetch finds nothing.

        Ask before the fetch, so that the fetch also finds the jobs that other parts enqueued or released before they
        were done. A worker that holds jobs, or outcomes to store, does not end: one of these may finish a batch, whose
        callbacks are more jobs.
        """
        return self.is_on and not holds_jobs and self._others_are_done()

    def note_fetch(self, claim: Claim, began_at: float, *, is_last: bool) -> None:
        """Record a fetch that began at ``began_at``. ``is_last``: it has found nothing, and ``may_end`` was true."""
        is_empty = is_last and self._others_are_done() and not self._leftovers.are_worth_a_wait(claim)
        self.found_nothing = self._group.note(self._alias, began_at if is_empty else None, self._look_again)

    def note_no_fetch(self) -> None:
        """Record that the worker has no room for a job, or may not fetch now."""
        self.found_nothing = self._group.note(self._alias, None)

    def log_leftovers(self) -> None:
        """Log which jobs are left in the queue, if the worker ends because it found nothing else."""
        if self.found_nothing:
            self._leftovers.log()

    def leave(self) -> None:
        """Leave the group: the worker neither enqueues nor takes jobs any more."""
        self._group.leave(self._alias)
