"""The worker: a component that runs the jobs of one queue, put together from its threads."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from django.dispatch import Signal

from ..component import Component
from ..core.backoff import log_as_one
from ..core.threads import DaemonThread
from ..metrics.tally import Tally
from ..queues import Claim, Queue
from ..queues.workers import Role
from ..signals import worker_quieted, worker_started, worker_stopped
from ..tasks.signals import send
from .claimed_job import ClaimedJob
from .fetching.drain_group import DrainGroup
from .fetching.fetcher import Fetcher
from .fetching.job_listener import JobListener
from .health import WorkerHealth
from .maintenance.cancellations import Cancellations
from .maintenance.heartbeat import VALID_PART, Heartbeat, info_of
from .maintenance.housekeeping import Housekeeping
from .maintenance.isolation import Isolated, Isolation
from .maintenance.remote_control import RemoteControl
from .outcomes.inbox import OutcomeInbox
from .pools.event_loop import EventLoopPool
from .pools.request_priority import RequestPriority
from .pools.threads import ThreadPool
from .queue_thread import QueueThread

#: The number of threads for the sync parts of async jobs in a worker that has no threads for sync jobs.
SYNC_LANES = 10


class Worker(Component):
    """Runs the jobs of one queue, sync jobs on threads and async jobs on an event loop.

    Its threads, one class each:

    1. ``Fetcher`` fetches jobs, hands them to the pools and stores their outcomes.
    2. ``JobListener`` wakes the fetcher when jobs arrive.
    3. ``Heartbeat`` renews the claims on the jobs that the worker holds, and shows other workers that it is alive.
    4. ``Cancellations`` finds out which of these jobs somebody has cancelled.
    5. ``Housekeeping`` rescues the jobs of dead workers (``Reaper``) and deletes old results (``Pruner``).
    6. ``Isolation``, where it is possible, runs jobs alone if workers have died with them.
    7. ``ThreadPool`` and ``EventLoopPool`` run the jobs, ``SyncLanes`` the sync parts of async jobs;
       ``ThreadInterrupter`` interrupts sync jobs that have reached their timeout or were cancelled. These threads
       start when they are needed.

    An *isolated* worker runs suspects, one at a time. It has no ``JobListener``, and its ``Reaper`` rescues nothing.

    No trouble with the queue ends these threads: they keep trying. Only ``stop``, ``drain`` and ``max_jobs`` end a
    worker.
    """

    name: ClassVar[str] = "worker"
    _fetcher: Fetcher
    _heartbeat: Heartbeat

    def __init__(
        self,
        queue: Queue,
        *,
        worker_id: str | None = None,
        threads: int,
        active_threads: int | None = None,
        coroutines: int,
        lease: float,
        result_ttl: float,
        queues: tuple[str, ...] | None = None,
        tags: tuple[str, ...] | None = None,
        drain: bool = False,
        drain_group: DrainGroup | None = None,
        max_jobs: int | None = None,
        dead: Collection[str] = (),
        isolate: Callable[[Claim], Isolated] | None = None,
        isolated_workers: int = 1,
        is_isolated: bool = False,
        release: str = "",
        end_process: Callable[[], object] | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            queue: where the jobs are.
            worker_id: its name in results, in health and in the queue; by default host, process and some letters.
            threads: how many sync jobs at once.
            active_threads: how many of the threads run jobs at the same time; ``None``: as many as the work needs.
            coroutines: how many async jobs at once.
            lease: ``LEASE`` in seconds. If the worker dies, its jobs are rescued within that time.
            result_ttl: ``RESULT_TTL`` in seconds.
            queues: names of queues to take jobs from; ``None``: all.
            tags: ``None``: all jobs; ``()``: only jobs without tags; otherwise only jobs with one of these tags.
            drain: whether to end when no job is due and none runs.
            drain_group: the workers that drain together. None of them ends before the jobs of all have ended.
            max_jobs: the number of attempts after which to end; ``None``: never.
            dead: the ends of the ids of workers that are known to have died: their jobs are rescued at once.
            isolate: starts an isolated worker; ``None``: suspects run here, beside other jobs.
            isolated_workers: the number of isolated workers at most.
            is_isolated: whether this is an isolated worker.
            release: ``RELEASE``.
            end_process: ends the process as SIGTERM does; ``None``: a command cannot end the process.
        """
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._queue, self._queues = queue, queues
        self._started, self._is_quiet, self._lock = False, False, threading.Lock()
        self._held: dict[str, ClaimedJob] = {}
        inbox, tally = OutcomeInbox(), Tally()
        lanes = min(coroutines, threads or SYNC_LANES)
        if is_isolated:
            threads, coroutines = min(1, threads), min(1, coroutines)
        self._request_priority = RequestPriority()
        self._threads = self._thread_pool(threads, active_threads, inbox)
        self._event_loop = EventLoopPool(coroutines, lanes, queue.alias, inbox.add)
        suspects = True if is_isolated else None if isolate is None else False
        claim = Claim(worker_id=self.worker_id, lease=VALID_PART * lease, queues=queues, tags=tags, suspects=suspects)
        suspects_claim = replace(claim, threads=threads, coroutines=coroutines, suspects=True)
        self._isolation = isolate and Isolation(
            queue, suspects_claim, isolate, every=lease / 10, most=isolated_workers, on_rescued=tally.lost
        )
        show = lambda text: self._heartbeat.register(text)  # noqa: E731, PLW0108 - made below
        self._remote_control = RemoteControl(queue, self, end_process, on_obeyed=show)
        cancellations = Cancellations(queue, self._held, self._interrupt)
        role = Role.ISOLATED if is_isolated else Role.WORKER if end_process else Role.SHARED
        info = info_of(suspects_claim, lease, role=role, release=release)
        state = lambda: self._fetcher.state  # noqa: E731
        on_lost = cancellations.interrupt_cancelled
        self._heartbeat = Heartbeat(queue, self._held, lease, worker=info, state=state, on_lost=on_lost)
        # An isolated worker leaves the jobs of other workers to the worker that started it.
        may_rescue = lambda: not is_isolated and self._heartbeat.is_steady  # noqa: E731
        self._housekeeping = Housekeeping(
            queue, lease, result_ttl, may_rescue=may_rescue, dead=dead, wake=inbox.wake.set, tally=tally
        )
        ending = {"drain": drain, "drain_group": drain_group, "max_jobs": max_jobs}
        self._fetcher = self._new_fetcher(claim, inbox, tally, **ending)
        listener = None if is_isolated else JobListener(queue, self._fetcher.wants_jobs, inbox.wake)
        helpers = (self._heartbeat, cancellations, self._housekeeping, listener, self._isolation)
        self._helpers: Sequence[QueueThread] = [helper for helper in helpers if helper is not None]
        log_as_one([self._fetcher.backoff, *(helper.backoff for helper in self._helpers)])
        self._health = WorkerHealth(self._fetcher, self._heartbeat, self._threads, self._event_loop, self._isolation)
        self._fetcher_thread = DaemonThread(target=self._run, name="loco-worker-fetcher")

    def _thread_pool(self, threads: int, active: int | None, inbox: OutcomeInbox) -> ThreadPool:
        return ThreadPool(
            threads,
            self._queue.alias,
            inbox.add,
            request_priority=self._request_priority,
            active=active,
            on_room=inbox.wake.set,
        )

    def _new_fetcher(self, claim: Claim, inbox: OutcomeInbox, tally: Tally, **ending: Any) -> Fetcher:
        return Fetcher(
            self._queue,
            claim,
            (self._threads, self._event_loop),
            self._held,
            inbox,
            on_accepted=self._housekeeping.announce_later,
            tally=tally,
            request_priority=self._request_priority,
            others_are_done=self._others_are_done,
            obey=self._remote_control.obey,
            **ending,
        )

    def _interrupt(self, claimed: ClaimedJob) -> None:
        pool = self._event_loop if claimed.job.is_async else self._threads
        pool.interrupt(claimed)

    def start(self) -> None:
        """Start the threads, once. Raises ``RuntimeError`` if the system has too few; then none stays."""
        with self._lock:
            if self._started:
                return
            self._started = True
        self._request_priority.listen()
        try:
            for thread in self._helpers:
                thread.start()
            self._fetcher_thread.start()
        except BaseException:
            self._end_helpers()
            raise
        self._announce(worker_started)

    def warm_up(self) -> None:
        """Start the threads of the pools, which otherwise start when a job needs them."""
        for pool in (self._threads, self._event_loop):
            pool.warm_up()

    def resume(self) -> None:
        """Fetch jobs again after ``quiet(for_now=True)``."""
        self._is_quiet = not self._fetcher.resume()
        if self._isolation and not self._is_quiet:
            self._isolation.resume()

    def quiet(self, *, for_now: bool = False) -> None:
        """Fetch no more jobs, and hand those that have not begun back to the queue. ``for_now``: until ``resume``."""
        self._fetcher.quiet(for_now=for_now)
        if not self._is_quiet:
            self._is_quiet = True
            self._announce(worker_quieted)
        if self._isolation:
            self._isolation.quiet()

    def drain(self, group: DrainGroup | None = None) -> None:
        """End when no job is due and none runs, in this worker and in the other workers of ``group``."""
        self._fetcher.drain(group)

    def retire(self) -> None:
        """Fetch no more jobs, and end when those that have begun have ended."""
        self._fetcher.retire()
        if self._isolation:
            self._isolation.quiet()

    @property
    def has_reached_limit(self) -> bool:
        """Whether it has run ``max_jobs``, or was retired."""
        return self._fetcher.has_reached_limit

    def stop(self, deadline: float) -> None:
        """End when the running jobs have ended; hand back those that have not by ``deadline`` (``time.monotonic()``).

        From now on ``context.stopping`` is true for every job. Shortly before the deadline async jobs are cancelled and
        jobs that still run are handed back, which spends no attempt. A thread that is still inside a job cannot be
        ended. If the job ends later, its outcome is discarded.
        """
        self._fetcher.stop(deadline)
        if self._isolation:
            self._isolation.stop(deadline)

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the worker to end, with or without ``stop``. Return whether it has."""
        until = time.monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
        if self._fetcher_thread.ident is not None:
            self._fetcher_thread.join(timeout)
        if self._fetcher_thread.is_alive():
            return False
        parts: Sequence[QueueThread | ThreadPool | EventLoopPool] = (*self._helpers, self._threads, self._event_loop)
        return all([part.join(max(0.0, until - time.monotonic())) for part in parts])

    @property
    def is_alive(self) -> bool:
        """Whether all its threads run: not before ``start``, and not after the end."""
        return self._fetcher_thread.is_alive() and all(thread.is_alive for thread in self._helpers)

    def health(self) -> dict[str, Any]:
        """Return the progress of the worker: see ``WorkerHealth.report``."""
        return {"alive": self.is_alive, "worker_id": self.worker_id, **self._health.report()}

    def _others_are_done(self) -> bool:
        return self._housekeeping.is_idle and (self._isolation is None or self._isolation.is_idle)

    def _run(self) -> None:
        try:
            self._fetcher.run()
            if self._isolation:
                self._isolation.wind_down()
        finally:
            self._announce(worker_stopped)
            self._end_helpers()

    def _end_helpers(self) -> None:
        for thread in self._helpers:
            thread.end()

    def _announce(self, signal: Signal) -> None:
        """Send a signal about this worker from the housekeeping thread: the caller may be a signal handler."""
        if signal.receivers:
            about = {"worker_id": self.worker_id, "backend": self._queue.alias, "queues": self._queues}
            self._housekeeping.call_later(partial(send, signal, type(self), **about))
