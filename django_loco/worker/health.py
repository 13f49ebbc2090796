"""The health of a worker: how far its parts are, and whether it makes progress."""

from __future__ import annotations

import time
from typing import Any

from ..core.job import FAILED, READY, SUCCESSFUL
from ..log.plain_text import counted
from .execution import announcer
from .fetching.fetcher import Fetcher
from .maintenance.heartbeat import Heartbeat
from .maintenance.isolation import Isolation
from .pools.event_loop import EventLoopPool
from .pools.threads import ThreadPool

#: The fetcher counts as hanging if it has neither got an answer nor tried again for this time.
HUNG_SECONDS = 20.0
#: After this time of failed tries the worker counts as stuck, since a new process may do better.
LONG_LOST_SECONDS = 300.0


class WorkerHealth:
    """Asks the parts of a worker. Any thread may ask at any time, also before the start and after the end."""

    def __init__(
        self,
        fetcher: Fetcher,
        heartbeat: Heartbeat,
        threads: ThreadPool,
        event_loop: EventLoopPool,
        isolation: Isolation | None,
    ) -> None:
        self._fetcher, self._heartbeat = fetcher, heartbeat
        self._threads, self._event_loop = threads, event_loop
        self._isolation = isolation

    def report(self) -> dict[str, Any]:
        """Return the progress of the worker; ``Worker.health`` adds whether it is ``alive``, and its ``worker_id``.

        ``last_poll_age``
            seconds since the queue last answered the fetcher, or was not asked because the pools are full. Below 2 if
            all is well.
        ``last_try_age``
            seconds since the fetcher last began to ask the queue. Below 2, or below 18 while the queue is away.
        ``last_heartbeat_age``
            seconds since the claims were last renewed, or there were none. Below ``LEASE`` if all is well.
        ``running``, ``buffered``, ``unstored``
            jobs that have begun, jobs that have not begun, and jobs that have ended but are not stored yet.
        ``active_threads``, ``thread_limit``, ``thread_limit_reason``
            threads inside a job; how many of them may compute now, and why: see ``pools.thread_limit``.
        ``abandoned``: jobs that were given up at their timeout and still occupy a thread.
        ``handed_back``: jobs that had begun and were handed back because the worker had to end.
        ``suspects``, ``isolated``: jobs that wait to run alone, as workers died with them; processes that run them.
        ``loop_lag``: seconds for which an async job has been holding up the event loop.
        ``done``, ``failed``, ``retried``: attempts since the start, by their end. ``refused``: too late to be stored.
        ``missing``: threads for jobs that have died and are not replaced yet; usually 0.
        ``trouble``: what is wrong with the queue, threads or receivers, or keeps suspects from running; else empty.
        ``stuck``: whether it hangs (no try for ``HUNG_SECONDS``), or its tries have failed for ``LONG_LOST_SECONDS``.
        """
        fetcher, now = self._fetcher, time.monotonic()
        poll, beat = now - fetcher.last_turn, now - self._heartbeat.last_beat
        last_try = now - fetcher.last_try
        missing = self._threads.missing + self._event_loop.missing
        return {
            "stopping": fetcher.stopping.is_set(),
            "last_poll_age": round(poll, 3),
            "last_try_age": round(last_try, 3),
            "last_heartbeat_age": round(beat, 3),
            **fetcher.jobs.progress(),
            "active_threads": self._threads.busy,
            "thread_limit": self._threads.limit.now,
            "thread_limit_reason": self._threads.limit_reason,
            "abandoned": self._threads.abandoned + self._event_loop.abandoned,
            "handed_back": fetcher.jobs.handed_back + (self._isolation.handed_back if self._isolation else 0),
            "suspects": self._isolation.waiting if self._isolation else 0,
            "isolated": self._isolation.pids if self._isolation else [],
            "missing": missing,
            "loop_lag": round(self._event_loop.lag, 3),
            "done": fetcher.jobs.counts[SUCCESSFUL],
            "failed": fetcher.jobs.counts[FAILED],
            "retried": fetcher.jobs.counts[READY],
            "trouble": self._trouble
            or (counted(missing, "thread for jobs has died", "threads for jobs have died") if missing else ""),
            "stuck": last_try > HUNG_SECONDS or max(poll, beat) > LONG_LOST_SECONDS,
        }

    @property
    def _trouble(self) -> str:
        no_isolation = self._isolation.trouble if self._isolation else ""
        return self._fetcher.backoff.reason or self._heartbeat.backoff.reason or no_isolation or announcer.trouble()
