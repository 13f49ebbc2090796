"""Gives web requests priority over jobs in a process that does both.

A Python process runs one thread at a time. So a request waits for jobs, even on an idle machine. Whenever its
connection or the database has answered, it has to wait for its turn behind all other threads that want to run.

Measures
--------
1. While a request is in flight, no job begins on a thread and nothing is fetched. Running jobs go on.
2. After a job that has computed, all threads of a pool but the first rest for a multiple of that time. So two or three
   of them want to run at a time, not all. After a job that only waited for something there is no rest.
3. Python switches threads more often (``shorten_turns``), in processes that django-loco starts.

Limits, so that jobs go on
--------------------------
After ``YOUNG_SECONDS`` a request loses its priority: it probably waits for something itself, such as a long poll. No
thread waits for longer than ``MAX_WAIT_SECONDS`` before a job, even if there is always a young request, nor rests for
longer than ``MAX_REST_SECONDS`` after one.

A process that has had no request for ``QUIET_SECONDS``, such as ``loco_worker``, does none of this.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished, request_started

#: The time for which a request has priority, and the longest time that a thread waits for requests.
YOUNG_SECONDS = MAX_WAIT_SECONDS = 0.05
#: The time without a request after which the process does not seem to serve any.
QUIET_SECONDS = 10.0
#: A thread rests after a job that has computed for this time or longer.
HEAVY_SECONDS = 0.002
#: The rest is this many times as long as the computing: eight threads that rest compute as much as one that does not.
REST_FACTOR = 8
#: Less than the second after which a job that has not begun is handed back.
MAX_REST_SECONDS = 0.5
#: The time after which a thread that computes lets another thread run.
SWITCH_SECONDS = 0.0005
PYTHONS_SWITCH_SECONDS = 0.005


class RequestPriority:
    """Knows the requests of this process, and makes threads wait for them.

    A request is identified by its thread, which fits WSGI. Under ASGI, Django sends the signals of all requests in one
    thread: there the latest request counts, until any is answered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Notices no requests before ``listen``."""
        self._clock = clock
        self._begun: dict[int, float] = {}
        self._latest = -math.inf
        self._news = threading.Event()

    def listen(self) -> None:
        """Notice requests from now on, for as long as this object exists."""
        request_started.connect(self._on_start)
        request_finished.connect(self._on_end)

    def wait_for_requests(self) -> None:
        """Wait while there is a young request, up to ``MAX_WAIT_SECONDS``."""
        if not self._begun:
            return
        until = self._clock() + MAX_WAIT_SECONDS
        while (seconds := min(until, self._young_until()) - self._clock()) > 0:
            self._news.clear()
            if self._begun:
                self._news.wait(seconds)

    @property
    def has_seen_requests(self) -> bool:
        """Whether this process has ever had a request."""
        return self._latest > -math.inf

    def rest_after(self, computed: float) -> float:
        """Return the seconds to rest after a job that has used ``computed`` seconds of processor time; usually 0."""
        if computed < HEAVY_SECONDS or self._clock() - self._latest > QUIET_SECONDS:
            return 0.0
        return min(REST_FACTOR * computed, MAX_REST_SECONDS)

    def _young_until(self) -> float:
        return max(tuple(self._begun.values()), default=-math.inf) + YOUNG_SECONDS

    def _on_start(self, **kwargs: Any) -> None:
        now = self._clock()
        for thread, at in tuple(self._begun.items()):
            if at + YOUNG_SECONDS < now:  # the request takes long, or its end was not signalled
                self._begun.pop(thread, None)
        self._latest = self._begun[threading.get_ident()] = now

    def _on_end(self, **kwargs: Any) -> None:
        self._begun.pop(threading.get_ident(), None)
        self._news.set()


def shorten_turns() -> None:
    """Make Python switch threads more often, unless the project has changed that already."""
    if sys.getswitchinterval() == PYTHONS_SWITCH_SECONDS:
        sys.setswitchinterval(SWITCH_SECONDS)
