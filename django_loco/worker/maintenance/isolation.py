"""Runs suspects alone, each in its own process. A suspect is a job that fails if one more worker dies with it.

A job that kills its process interrupts the other jobs of the process, and the death counts for each of them. So
harmless jobs could fail as lost. Therefore a suspect (``Job.is_suspect``) is not fetched together with others. It runs
alone in a process that a worker starts for it, where no other job can kill it.

After a first death, jobs run as before. Usually no job was the cause, and after a power failure of many workers, their
jobs must not run one at a time.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, Self

from ...core.backoff import Backoff
from ...core.job import SUSPECT, Job, Outcome
from ...log.safe import get_logger
from ...queues import Claim, Queue
from ...shutdown import CLEAN, FORCED
from ..fetching.deadline import ShutdownDeadline
from ..queue_thread import QueueThread
from .batch_size import BatchSize
from .reaper import jobs_held_by, rescue_jobs_of

logger = get_logger("django_loco.worker")

#: The time between two checks for isolated workers that have ended.
CHECK_SECONDS = 0.2
#: The time between two tries to start a worker that fails to start, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: The time between two log lines about how many jobs wait.
LOG_EVERY_SECONDS = 60.0
#: At the second SIGTERM a worker hands its jobs back at once. A third one would kill it.
MAX_STOP_REQUESTS = 2


class Isolated(Protocol):
    """A process whose worker runs suspects one by one; it ends when none is due."""

    kill_at: float
    """The time (``time.monotonic()``) to kill it if it has not ended; infinite until it was asked to end."""

    key: str
    """The end of its worker's id."""

    is_ready: bool
    """Whether its worker had started at the last ``receive``."""

    @property
    def pid(self) -> int:
        """The id of the process."""

    def receive(self) -> Self:
        """Update ``is_ready``; return the process."""

    def poll(self) -> int | None:
        """Return its exit code; ``None`` while it runs."""

    def send(self, name: str) -> None:
        """Send it the signal ``name``."""

    def kill(self) -> None:
        """End it at once."""


class Isolation(QueueThread):
    """The isolated workers that one worker has started.

    1. ``turn`` looks for suspects. If some wait, and no worker has claimed any since the last time, it starts an
       isolated worker, up to ``most`` of them. When one has ended, the jobs that it held are rescued at once.
    2. ``quiet`` and ``stop`` are passed on to the isolated workers.
    3. ``wind_down`` waits for their end. A job that is handed back in time does not count as a death.
    """

    name: ClassVar[str] = "isolation"
    duty: ClassVar[str] = "start isolated workers"

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        start: Callable[[Claim], Isolated],
        *,
        every: float,
        most: int = 1,
        on_rescued: Callable[[Sequence[Job]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``claim`` says which suspects to run; ``every``: seconds between two checks. ``start`` may raise ``OSError``.

        ``on_rescued``: see ``Reaper``.
        """
        super().__init__(queue)
        self.waiting = 0
        """The number of suspects that were due at the last look."""
        self.handed_back = 0
        """The number of isolated workers that handed back a job because they were asked to end."""
        self.trouble = ""
        """Why no isolated worker can be started; empty if one can."""
        self._claim, self._make = claim, start
        self._every, self._most, self._clock = every, most, clock
        self._workers: list[Isolated] = []
        self._on_rescued = on_rescued
        self._rescued_at_once = BatchSize(1)  # an isolated worker holds one job at most
        self._shutdown = ShutdownDeadline(clock)
        self._is_quiet = False
        self._stop_requests = 0
        self._telling = threading.RLock()
        """Held while all workers are told something and while one is added, so that each is told exactly once."""

        self._starts = Backoff(FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, clock=clock)
        self._look_at = -math.inf
        self._logged_at, self._logged_count = -math.inf, 0

    @property
    def pids(self) -> Sequence[int]:
        """The ids of the processes of the isolated workers."""
        return [worker.pid for worker in tuple(self._workers)]

    @property
    def is_idle(self) -> bool:
        """Whether no suspects are left, or none can run. Asks the queue."""
        return not self._workers and (self._starts.failures > 0 or not self.queue.suspects(self._claim))

    def turn(self) -> float:
        """Find isolated workers that have ended, and look for suspects if it is time."""
        has_died = self._note_ended()
        if has_died or self._clock() >= self._look_at:
            self._look(has_died=has_died)
            self._look_at = self._clock() + self._every * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        return min(CHECK_SECONDS, self._every) if self._workers else self._every

    def resume(self) -> None:
        """Start isolated workers again."""
        self._is_quiet = False

    def quiet(self) -> None:
        """Start no more isolated workers; those that run fetch no more jobs."""
        with self._telling:
            was_quiet, self._is_quiet = self._is_quiet, True
            for worker in () if was_quiet else tuple(self._workers):
                worker.send("SIGTSTP")

    def stop(self, deadline: float) -> None:
        """Make them end by ``deadline`` (``time.monotonic()``, seconds). Another call can only bring it forward."""
        if deadline < self._shutdown.deadline:
            self._shutdown.set(deadline)
            self._request_stop()

    def wind_down(self) -> None:
        """Wait for the end of all; kill those that still hold a job at the deadline, and hand the job back."""
        if not self._stop_requests:
            self._request_stop()
        while self._workers and self.is_alive:
            now = self._clock()
            if now >= self._shutdown.cancel_at and self._stop_requests < MAX_STOP_REQUESTS:
                self._request_stop()
            if now >= min(self._shutdown.deadline, *(worker.kill_at for worker in tuple(self._workers))):
                self._give_up()
                break
            self.ended.wait(CHECK_SECONDS / 4)

    def _request_stop(self) -> None:
        with self._telling:
            self._is_quiet = True
            if self._stop_requests < MAX_STOP_REQUESTS:
                self._stop_requests += 1
                for worker in tuple(self._workers):
                    worker.send("SIGTERM")

    def _give_up(self) -> None:
        for worker in tuple(self._workers):
            jobs: Sequence[Job] | None = None
            try:
                if jobs := jobs_held_by({worker.key}, self.queue):
                    # Before the kill, which would count as a death.
                    self.queue.finish([Outcome.released(job) for job in jobs])
                    self.handed_back += 1
            except Exception:  # whatever the error is, the isolated worker must not outlive the deadline
                logger.exception("The job of the isolated worker (pid %d) could not be handed back", worker.pid)
            finally:
                if jobs is None or jobs:  # else it is ending
                    logger.error("The isolated worker (pid %d) did not end in time and is killed", worker.pid)
                    worker.kill()

    def _note_ended(self) -> bool:
        """Rescue the jobs of isolated workers that have ended. Return whether one of them died."""
        ended = [(worker, code) for worker in self._workers if (code := worker.poll()) is not None]
        for worker, code in ended:
            rescue_jobs_of({worker.key}, self.queue, self._rescued_at_once, self._on_rescued)
            self.handed_back += code == FORCED and self._stop_requests > 0
            self._workers.remove(worker)  # last: ``wind_down`` ends when none is left, and then the count is read
            if code and self._stop_requests == 0:
                logger.error("The isolated worker (pid %d) ended with exit code %d", worker.pid, code)
            if code and not worker.receive().is_ready:
                self._note_failed_start(f"it ended with exit code {code} before it had begun")
        if any(worker.receive().is_ready for worker in (*self._workers, *(worker for worker, _ in ended))):
            self._starts.succeeded()
            self.trouble = ""
        return any(code != CLEAN for _, code in ended)

    def _look(self, *, has_died: bool) -> None:
        before, self.waiting = self.waiting, self.queue.suspects(self._claim)
        self._log_waiting()
        is_stuck = self.waiting >= before > 0
        may_start = not self._is_quiet and len(self._workers) < self._most and self._starts.is_due
        if self.waiting and (has_died or is_stuck) and may_start:
            self._start()

    def _start(self) -> None:
        try:
            worker = self._make(self._claim)
        except (OSError, RuntimeError) as error:  # no more processes are allowed, or the interpreter is ending
            self._note_failed_start(str(error))
            return
        with self._telling:
            self._workers.append(worker)
            if self._is_quiet:  # since the decision to start one
                worker.send("SIGTERM")
        logger.warning(
            "Jobs with which %d workers have died: %d. An isolated worker (pid %d) runs them one at a time, so that "
            "none of them fails because of another",
            SUSPECT,
            self.waiting,
            worker.pid,
        )

    def _note_failed_start(self, reason: str) -> None:
        delay = self._starts.failed()
        self.trouble = f"No isolated worker can be started: {reason}"
        logger.error(
            "An isolated worker cannot be started: %s. Jobs that wait for one: %d. Any other worker of these queues "
            "may start one, too. The next try is in %.0f s",
            reason,
            self.waiting,
            delay,
        )

    def _log_waiting(self) -> None:
        """Log once a minute how many suspects wait."""
        if not self.waiting:
            self._logged_at = -math.inf
        elif self._logged_at == -math.inf:
            self._logged_at, self._logged_count = self._clock(), self.waiting
        elif self._clock() >= self._logged_at + LOG_EVERY_SECONDS:
            logger.warning(
                "Jobs that wait to run alone: %d, a minute ago %d. Each worker process runs LOCO['ISOLATED_WORKERS'] "
                "(%d) of them at a time",
                self.waiting,
                self._logged_count,
                self._most,
            )
            self._logged_at, self._logged_count = self._clock(), self.waiting
