"""The web comes first: where a process answers requests, its jobs give way to them.

A Python process runs one thread at a time. So a request waits for jobs, even on an idle machine: each time that it has
waited for something, its connection or the database, it has to get its turn again, behind all threads that want one.

What is done about it
---------------------
1. While a request is in flight, no job is begun on a thread and nothing is fetched. Jobs that run go on.
2. The threads of a pool, but for the first, rest after a job that has computed, for a multiple of that time. So two
   or three of them want a turn at a time, rather than all. Jobs that wait for something else have no rest after them.
3. Turns are shorter (``shorten_turns``), in processes that django-loco has the say in.

Why no job starves
------------------
A request counts for no more than ``YOUNG`` seconds: one that takes longer waits for something itself, a long poll
without end. Nobody waits for longer than ``PATIENCE`` before a job, even if there is always a young request, nor rests
for longer than ``LONGEST_REST`` after it.

Where there have been no requests for ``QUIET`` seconds, as in ``loco_worker``, nothing of that is done.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished, request_started

#: Seconds for which a request is given way, and for which a thread waits for requests before it goes on.
YOUNG = PATIENCE = 0.05
#: Seconds without a request after which a process does not answer any, it seems.
QUIET = 10.0
#: Seconds of computing from which on a job has a rest after it, and how many times as long that is: eight threads that
#: rest compute as much as one that does not.
HEAVY, REST = 0.002, 8
#: Less than the second after which a job that nobody begins is handed back.
LONGEST_REST = 0.5
#: Seconds after which a thread that computes lets another one have its turn; Python's own are 0.005.
TURN = 0.0005
PYTHONS_TURN = 0.005


class RequestPriority:
    """What a worker knows of the requests of its process.

    A request is known by its thread, as it is under WSGI. Under ASGI Django tells of all of them in one thread: there
    the latest counts, until any is answered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Knows of no requests before ``listen``."""
        self._clock = clock
        self._begun: dict[int, float] = {}
        self._latest = -math.inf
        self._news = threading.Event()

    def listen(self) -> None:
        """Hear of requests from now on, for as long as somebody holds this object."""
        request_started.connect(self._on_start)
        request_finished.connect(self._on_end)

    def wait_for_requests(self) -> None:
        """Wait while there is a young request, up to ``PATIENCE`` seconds."""
        if not self._begun:
            return
        until = self._clock() + PATIENCE
        while (seconds := min(until, self._young_until()) - self._clock()) > 0:
            self._news.clear()
            if self._begun:
                self._news.wait(seconds)

    def rest_after(self, computed: float) -> float:
        """Return for how many seconds to rest after a job that has ``computed`` for so many; 0 as a rule."""
        if computed < HEAVY or self._clock() - self._latest > QUIET:
            return 0.0
        return min(REST * computed, LONGEST_REST)

    def _young_until(self) -> float:
        return max(tuple(self._begun.values()), default=-math.inf) + YOUNG

    def _on_start(self, **kwargs: Any) -> None:
        now = self._clock()
        for thread, at in tuple(self._begun.items()):
            if at + YOUNG < now:  # one that takes long, or whose end nobody has told
                self._begun.pop(thread, None)
        self._latest = self._begun[threading.get_ident()] = now

    def _on_end(self, **kwargs: Any) -> None:
        self._begun.pop(threading.get_ident(), None)
        self._news.set()


def shorten_turns() -> None:
    """Let threads of this process take turns more often, unless somebody has changed that already."""
    if sys.getswitchinterval() == PYTHONS_TURN:
        sys.setswitchinterval(TURN)
