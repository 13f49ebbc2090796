"""Has suspects run apart: jobs that so many workers have died with that the next death is their last.

A job that kills its process takes the others in it down, and each of them is counted a death. So jobs that did no harm
could fail as lost. Therefore a job whose next death is its last (``Job.is_suspect``) is not fetched with others. It
runs alone in a process that a worker starts for this, where nobody else's death is counted to it.

After a first death jobs run as ever: mostly nobody was to blame, and a fleet that lost its power must not go on one job
at a time.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from ...core.backoff import Backoff
from ...core.job import SUSPECT, Outcome
from ...log.safe import get_logger
from ...queues import Claim, Queue
from ...shutdown import CLEAN, FORCED
from ..deadline import ShutdownDeadline
from .batch_size import BatchSize
from .queue_thread import QueueThread
from .reaper import free_jobs_of, jobs_held_by

logger = get_logger("django_loco.worker")

#: Seconds between two looks at whether an isolated worker has ended.
LOOK_EVERY = 0.2
#: Seconds between two tries to start one that does not come up, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: Seconds between two log lines about how many jobs wait.
TELL_EVERY = 60.0
#: A worker takes the second of these as a wish to hand back at once. After a third one it would end on the spot.
MAX_STOP_REQUESTS = 2


class Isolated(Protocol):
    """A process whose worker runs suspects one by one and that ends when none is due."""

    kill_at: float
    """When it should long have ended, in ``time.monotonic()`` seconds; infinite until it was told to."""

    @property
    def key(self) -> str:
        """What its worker's id ends in."""

    @property
    def pid(self) -> int:
        """Its number in the system."""

    @property
    def has_come_up(self) -> bool:
        """Whether its worker has started."""

    def poll(self) -> int | None:
        """Return its exit code; ``None`` while it runs."""

    def tell(self, name: str) -> None:
        """Pass a signal on."""

    def kill(self) -> None:
        """End it on the spot."""


class Isolation(QueueThread):
    """The isolated workers that one worker has started.

    1. ``turn`` looks for suspects. If some wait, and nobody has taken any since the last look, it starts an isolated
       worker, up to ``most`` of them. What one that ended has held is freed at once.
    2. ``quiet`` and ``stop`` are passed on to them.
    3. ``wind_down`` waits for their end. A job that is handed back in time has not died.
    """

    name: ClassVar[str] = "isolation"
    duty: ClassVar[str] = "look after the jobs that have to run alone"

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        start: Callable[[Claim], Isolated],
        *,
        every: float,
        most: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``claim``: whose suspects; ``every``: seconds between two looks for them. ``start`` may raise ``OSError``."""
        super().__init__(queue)
        self.waiting = 0
        """How many suspects were due at the last look."""
        self.handed_back = 0
        """How many isolated workers were told to end while they had a job, and handed it back."""
        self.trouble = ""
        """Why no isolated worker can be started, if that is so."""
        self._claim, self._make = claim, start
        self._every, self._most, self._clock = every, most, clock
        self._workers: list[Isolated] = []
        self._freed_at_once = BatchSize(1)  # they hold no more
        self._shutdown = ShutdownDeadline(clock)
        self._is_quiet = False
        self._stop_requests = 0
        self._starts = Backoff(FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, clock=clock)
        self._look_at = -math.inf
        self._logged_at, self._logged_count = -math.inf, 0

    @property
    def pids(self) -> Sequence[int]:
        """The processes of the isolated workers."""
        return [worker.pid for worker in tuple(self._workers)]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing left to do for it, or nothing that it can do. Asks the queue."""
        return not self._workers and (self._starts.failures > 0 or not self.queue.suspects(self._claim))

    def turn(self) -> float:
        """Look after the isolated workers, and now and then for suspects."""
        has_died = self._bury()
        if has_died or self._clock() >= self._look_at:
            self._look(has_died=has_died)
            self._look_at = self._clock() + self._every * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        return min(LOOK_EVERY, self._every) if self._workers else self._every

    def quiet(self) -> None:
        """Start no more; those that run begin with no other job."""
        was_quiet, self._is_quiet = self._is_quiet, True
        for worker in () if was_quiet else tuple(self._workers):
            worker.tell("SIGTSTP")

    def stop(self, deadline: float) -> None:
        """Let them end by ``deadline`` (``time.monotonic()``, seconds); called again with an earlier one, by that."""
        self._is_quiet = True
        if deadline < self._shutdown.deadline:
            self._shutdown.set(deadline)
            self._request_stop()

    def wind_down(self) -> None:
        """Wait for the end of all; what still holds a job at the deadline is killed, and the job handed back."""
        self._is_quiet = True
        if not self._stop_requests:
            self._request_stop()
        while self._workers and self.is_alive:
            now = self._clock()
            if now >= self._shutdown.cancel_at and self._stop_requests < MAX_STOP_REQUESTS:
                self._request_stop()
            if now >= min(self._shutdown.deadline, *(worker.kill_at for worker in tuple(self._workers))):
                self._give_up()
                break
            self.ended.wait(LOOK_EVERY / 4)

    def _request_stop(self) -> None:
        if self._stop_requests < MAX_STOP_REQUESTS:
            self._stop_requests += 1
            for worker in tuple(self._workers):
                worker.tell("SIGTERM")

    def _give_up(self) -> None:
        for worker in tuple(self._workers):
            if jobs := jobs_held_by({worker.key}, self.queue):
                logger.error("The isolated worker (pid %d) did not end in time and is killed", worker.pid)
                self.queue.finish([Outcome.released(job) for job in jobs])  # first: it is no death
                worker.kill()
                self.handed_back += 1

    def _bury(self) -> bool:
        """Free what those held that have ended; return whether one of them died."""
        ended = [(worker, code) for worker in self._workers if (code := worker.poll()) is not None]
        for worker, code in ended:
            free_jobs_of({worker.key}, self.queue, self._freed_at_once)
            self._workers.remove(worker)
            self.handed_back += code == FORCED and self._stop_requests > 0
            if code and self._stop_requests == 0:
                logger.error("The isolated worker (pid %d) ended with exit code %d", worker.pid, code)
            if code and not worker.has_come_up:
                self._fail(f"it ended with exit code {code} before it had begun")
        if any(worker.has_come_up for worker in (*self._workers, *(worker for worker, _ in ended))):
            self._starts.succeeded()
            self.trouble = ""
        return any(code != CLEAN for _, code in ended)

    def _look(self, *, has_died: bool) -> None:
        before, self.waiting = self.waiting, self.queue.suspects(self._claim)
        self._tell()
        is_stuck = self.waiting >= before > 0
        if self.waiting and (has_died or is_stuck) and self._may_start():
            self._start()

    def _may_start(self) -> bool:
        return not self._is_quiet and len(self._workers) < self._most and self._starts.is_due

    def _start(self) -> None:
        try:
            worker = self._make(self._claim)
        except (OSError, RuntimeError) as error:  # no room for one more process; or the interpreter is ending
            self._fail(str(error))
            return
        self._workers.append(worker)
        logger.warning(
            "Jobs that %d workers have died with: %d. An isolated worker (pid %d) runs them one at a time, so that "
            "none of them fails for another's fault",
            SUSPECT,
            self.waiting,
            worker.pid,
        )
        if self._is_quiet:  # meanwhile
            worker.tell("SIGTERM")

    def _fail(self, reason: str) -> None:
        delay = self._starts.failed()
        self.trouble = f"No isolated worker can be started: {reason}"
        logger.error(
            "An isolated worker cannot be started: %s. Jobs that wait for one: %d. Any other worker of these queues "
            "may start one, too. The next try is in %.0f s",
            reason,
            self.waiting,
            delay,
        )

    def _tell(self) -> None:
        """Say once a minute how it goes on, if it takes so long."""
        if not self.waiting:
            self._logged_at = -math.inf
        elif self._logged_at == -math.inf:
            self._logged_at, self._logged_count = self._clock(), self.waiting
        elif self._clock() >= self._logged_at + TELL_EVERY:
            logger.warning(
                "Jobs that wait to run alone: %d, a minute ago %d. Each worker process runs LOCO['ISOLATED_WORKERS'] "
                "(%d) of them at a time",
                self.waiting,
                self._logged_count,
                self._most,
            )
            self._logged_at, self._logged_count = self._clock(), self.waiting
