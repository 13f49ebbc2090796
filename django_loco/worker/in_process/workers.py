"""Makes the workers of this process from the settings; in ``BackgroundAsync`` the first job starts one.

No thread is started at import or in ``AppConfig.ready()``: it would run in ``migrate``, and a fork would not have it.
Threads are started when the first job is enqueued, in any process: a server's worker, a shell, a command.
``loco_start --worker`` starts the same worker under its supervisor instead.

When a process ends normally, the jobs that wait in memory are kept in files (see ``kept_jobs``), and the next
process that uses the queue loads them. A command first continues with its jobs for up to ``SHUTDOWN_TIMEOUT``.

Every process that enqueues jobs imports this module, and few of them run jobs. So the worker is imported by the
functions that need it: that takes about as long as Django itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

from django.core.signals import setting_changed
from django.dispatch import receiver

from ...conf import loco_settings, testing, worker_mode
from ...core import running_tests
from ...core.backoff import LoggedBackoff
from ...core.compat import task_backends
from ...core.job import Job
from ...exceptions import LocoConfigurationError
from ...jobs.stores import aliases
from ...log.safe import get_logger
from ...queues import Claim, queue_for
from ...shutdown import HAND_BACK_SECONDS
from .exit_hooks import NO_LATE_THREADS, call_at_exit, call_before_pools
from .kept_jobs import has_kept_jobs, keep_too, load_again, load_jobs, save_all

if TYPE_CHECKING:
    from ...queues.memory.queue import MemoryQueue
    from ..fetching.drain_group import DrainGroup
    from ..maintenance.isolation import Isolated
    from ..worker import Worker

logger = get_logger("django_loco.runtime")

_lock = threading.RLock()
_workers: dict[str, Worker] = {}
#: Logs that workers cannot be started. Its delays are not used.
_starts = LoggedBackoff(logger, "The worker of this process", "start and run its jobs", 0.0, 0.0)
#: The aliases whose worker runs under a supervisor.
_supervised: set[str] = set()
#: Whether this process is ending, and whether it has kept its waiting jobs. Functions of ``atexit`` that were
#: registered before this module was imported run after that: ``kept_jobs.save_jobs`` keeps what they enqueue.
_closing = _has_closed = False
#: The number of calls of ``stop`` that wait for workers. No job starts a worker meanwhile.
_stops = 0
#: The seconds that running jobs have at the end of a process that serves requests; ``None``: it does not serve.
_serving: float | None = None


def worker_for(
    alias: str,
    *,
    queues: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    threads: int | None = None,
    coroutines: int | None = None,
    drain: bool = False,
    drain_group: DrainGroup | None = None,
    max_jobs: int | None = None,
    worker_id: str | None = None,
    dead: Collection[str] = (),
    isolate: Callable[[Claim], Isolated] | None = None,
    is_isolated: bool = False,
    end_process: Callable[[], object] | None = None,
) -> Worker:
    """Return a new worker for ``TASKS[alias]``, not started. Arguments that are ``None`` get ``LOCO``'s values.

    The caller starts and stops it; jobs that are enqueued in this process do not start another. Raises
    ``LocoConfigurationError`` for a queue that is not in ``TASKS[alias]["QUEUES"]``.
    """
    from ..worker import Worker  # noqa: PLC0415 - see above

    queue_names = task_backends[alias].queues
    for name in queues or ():
        if queue_names and name not in queue_names:
            raise LocoConfigurationError(
                f"TASKS[{alias!r}]['QUEUES'] has no queue {name!r}; it has: {', '.join(sorted(queue_names))}."
            )
    loco = loco_settings()
    with _lock:
        call_before_pools(_end_at_exit)
        queue = queue_for(alias)
        load_jobs(alias, queue)
        worker = Worker(
            queue,
            threads=loco.NUM_WORKERS if threads is None else threads,
            active_threads=loco.ACTIVE_THREADS,
            coroutines=loco.ASYNC_WORKERS if coroutines is None else coroutines,
            lease=loco.LEASE,
            result_ttl=loco.RESULT_TTL,
            queues=tuple(queues or sorted(queue_names)) or None,
            tags=None if tags is None else tuple(tags),
            drain=drain,
            drain_group=drain_group,
            max_jobs=max_jobs,
            worker_id=worker_id,
            dead=dead,
            isolate=isolate,
            isolated_workers=loco.ISOLATED_WORKERS,
            is_isolated=is_isolated,
            release=loco.RELEASE,
            end_process=end_process,
        )
        _supervised.add(alias)
        return worker


def ensure_started(alias: str) -> None:
    """Start the in-process worker of ``alias``, unless it runs, or a supervisor or a test runs the jobs.

    If the system has no threads left, this is logged. The jobs wait until the next enqueued job tries again.
    """
    worker = _workers.get(alias)
    if alias in _supervised or (worker is not None and worker.is_alive) or testing() == "manual":
        return
    with _lock:
        worker = _workers.get(alias)
        if alias in _supervised or (worker is not None and worker.is_alive):
            return
        if _closing or _stops:
            keep_too(alias)
            return
        _workers[alias] = worker = worker_for(alias)
        _supervised.discard(alias)
        try:
            worker.start()
            if NO_LATE_THREADS:
                worker.warm_up()
        except RuntimeError as error:  # the system has no more threads
            _starts.failed(error)
        else:
            _starts.succeeded()


def leave_to_supervisor(alias: str) -> None:
    """Keep enqueued jobs from starting a worker of ``alias``: a supervisor runs one, or will soon."""
    with _lock:
        _supervised.add(alias)


def has_worker(alias: str) -> bool:
    """Return whether a worker of ``alias`` was made in this process."""
    return alias in _supervised or alias in _workers


def started() -> dict[str, Worker]:
    """Return the workers that ``ensure_started`` started, or could not start for now, by alias."""
    return dict(_workers)


def has_closed() -> bool:
    """Return whether this process has kept its waiting jobs: whoever enqueues more of them has to keep these."""
    return _has_closed


def run_in_foreground(alias: str, job: Job) -> Job | None:
    """Run a new job of ``alias`` to its end in the calling thread; ``None`` if its once-key has been seen."""
    from ..execution.connections import usable_transactions  # noqa: PLC0415
    from ..pools.inline import run_inline  # noqa: PLC0415 - see above

    # In ForegroundBlocking ``queues.build`` always makes a MemoryQueue.
    queue = cast("MemoryQueue", queue_for(alias))
    return run_inline(queue, job, usable_transactions if running_tests.is_on() else nullcontext)


def serves(timeout: float) -> None:
    """Declare that this process serves requests.

    When it ends, it keeps the waiting jobs, and running jobs have ``timeout`` seconds.
    """
    global _serving
    _serving = timeout


def resume() -> None:
    """Start workers for the jobs that an earlier process kept."""
    for alias in aliases():
        if worker_mode(alias, task_backends[alias].options) == "BackgroundAsync" and has_kept_jobs(alias):
            ensure_started(alias)


def stop(deadline: float) -> None:
    """Stop the workers of ``ensure_started`` by ``deadline`` (``time.monotonic()``), and keep the jobs that wait."""
    global _stops
    with _lock:
        _stops += 1
        workers = tuple(_workers.values())
    try:
        for worker in workers:
            worker.stop(deadline)
        for worker in workers:  # without the lock, since a running job that enqueues to another alias needs it
            worker.join(max(0.0, deadline - time.monotonic()))
    finally:
        with _lock:
            _stops -= 1
            _workers.clear()
            save_all()
            if not _closing:  # the next job in this process starts a worker again
                load_again()
                _supervised.clear()


def _end_at_exit() -> None:
    """End the jobs of this process. Jobs that are enqueued later only wait."""
    global _closing
    running_tests.refresh()
    rest = HAND_BACK_SECONDS
    try:
        if running_tests.is_on():
            pass  # stop the jobs of a test at once, because their databases may be gone
        elif _serving is None:
            with suppress(KeyboardInterrupt):  # the user does not want to wait for the jobs
                _drain()
        else:
            rest = _serving
            _keep_waiting_jobs()
    finally:
        _closing = True
        # Only jobs that have been handed back by then can be kept.
        stop(time.monotonic() + rest)


def _drain() -> None:
    """Run the jobs until ``SHUTDOWN_TIMEOUT``. They may enqueue jobs for further workers, which then run too."""
    if not _workers:
        return
    from ..fetching.drain_group import DrainGroup  # noqa: PLC0415 - see above

    deadline = time.monotonic() + loco_settings().SHUTDOWN_TIMEOUT
    while workers := {alias: worker for alias, worker in tuple(_workers.items()) if not worker.join(0)}:
        if time.monotonic() >= deadline:
            return
        group = DrainGroup(workers)
        for worker in workers.values():
            worker.drain(group)
        for worker in workers.values():
            worker.join(max(0.0, deadline - time.monotonic()))


def _keep_waiting_jobs() -> None:
    """Write the waiting jobs to files at once, since not every server waits for running jobs when it stops."""
    for worker in tuple(_workers.values()):
        worker.quiet()
    save_all()


def _keep_at_exit() -> None:
    """Write to files the jobs that other threads and ``atexit`` functions enqueued while the process was ending."""
    global _has_closed
    if _closing:
        stop(time.monotonic())
        _has_closed = True


call_at_exit(early=_end_at_exit, late=_keep_at_exit)


def _after_fork() -> None:
    """Drop the workers of the parent: a forked process has neither their threads nor their jobs."""
    global _lock, _closing, _has_closed, _serving, _stops
    _lock, _closing, _has_closed, _serving, _stops = threading.RLock(), False, False, None, 0
    for registry in (_workers, _supervised):
        registry.clear()


os.register_at_fork(after_in_child=_after_fork)


@receiver(setting_changed)
def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    """Stop the workers when a test overrides settings; the next job starts new ones."""
    if setting in ("TASKS", "WORKER_MODE", "LOCO"):
        stop(time.monotonic())


@receiver(running_tests.test_ended)
def _on_test_ended(**kwargs: Any) -> None:
    """Let running jobs end before the test's data is removed; waiting jobs end with the test."""
    if _workers:
        stop(time.monotonic() + loco_settings().SHUTDOWN_TIMEOUT)


@receiver(running_tests.test_began)
def _on_test_began(**kwargs: Any) -> None:
    """Stop workers left by a test that had no database, or whose environment has ended."""
    stop(time.monotonic())
