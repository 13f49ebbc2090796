"""Waking workers on Redis: marks in *bells*, sorted sets of which a blocking pop takes one.

A mark wakes one worker, the one that has waited longest, so that a job that arrives does not set all of them running.
It must then be one that can run the job. There is a bell for each kind (sync or async) and queue; a worker listens to
those for which it has room at the moment (its *ears*). Workers that take jobs of every queue, or only of some tags,
have bells of their own.

A mark that came too late for its worker is put back for the next one. Should one be lost with a connection, the job is
found when a worker looks by itself, at the latest after a second.
"""

from __future__ import annotations

import math
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from redis import exceptions

from ...core.job import Job
from ...core.wakeup import Wakeup
from ...log.safe import get_logger
from ..base import Claim
from .client import TIMEOUT
from .codec import word
from .server import RedisServer

logger = get_logger("django_loco.queues")

INTERRUPT, CHANGE = b"!", b"~"
#: Seconds that a blocking pop lasts at least: Redis 6 rounds to milliseconds, and takes 0 to mean without end.
SHORTEST = 0.01
#: What rings for every job.
ALL = frozenset(("bell:0*", "bell:1*"))
#: Seconds for which a worker's last fetch counts; it looks at least every second.
MEMORY = 2.5
#: Seconds by which two answers may differ about the same due time.
MARGIN = 0.005
#: Seconds between two tries to end a pop.
PATIENCE = 0.005
#: What is listened to when there is no room for anything: a bell that does not ring.
NOBODY = ("bell:",)


def bells_for(jobs: Iterable[Job]) -> set[str]:
    """Return the bells to ring when ``jobs`` arrive."""
    kinds = {(job.is_async, job.queue_name, job.tags) for job in jobs}
    return set(chain.from_iterable(_bells(*kind) for kind in kinds))


@lru_cache(4096)
def _bells(is_async: bool, queue_name: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    kind = f"bell:{is_async:d}"
    return f"{kind}*", f"{kind}{word(queue_name)}", *(f"{kind}#{word(tag)}" for tag in tags or ("",))


def ears_for(claim: Claim, threads: int, coroutines: int) -> frozenset[str]:
    """Return the bells to listen to with so much room left after ``claim`` was answered."""
    kinds = [f"bell:{kind}" for kind, room in enumerate((threads, coroutines)) if room > 0]
    if claim.tags is not None:
        names = [f"#{word(tag)}" for tag in claim.tags or ("",)]
    else:
        names = ["*"] if claim.queues is None else [word(name) for name in claim.queues]
    return frozenset(kind + name for kind in kinds for name in names)


class Hunger:
    """What the workers of this process want: the bells to listen to, and when a deferred job becomes due.

    Each fetch tells. A worker that has not fetched for a while has no room, or is no more.
    """

    def __init__(self) -> None:
        self.next_due = math.inf
        """By ``time.monotonic()``."""
        self._wanted: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def ears(self) -> frozenset[str]:
        """Return the bells to listen to; before the first fetch, those that always ring."""
        with self._lock:
            return frozenset().union(*(ears for _, ears in self._wanted.values())) if self._wanted else ALL

    def note(self, worker_id: str, ears: frozenset[str], next_due: float) -> bool:
        """Take note of a fetch; return whether those who wait have to be told."""
        known, now = self.ears(), time.monotonic()
        is_earlier = next_due < self.next_due - MARGIN
        self.next_due = next_due
        with self._lock:
            self._wanted = {worker: wanted for worker, wanted in self._wanted.items() if wanted[0] > now - MEMORY}
            self._wanted[worker_id] = (now, ears)
        return is_earlier or not ears <= known


class RedisWaiter:
    """The ear of one thread, with a connection of its own, and a socket through which other threads reach it.

    ``wait`` has a blocking pop under way. It leaves none behind, lest that take marks for nobody.
    """

    def __init__(self, server: RedisServer, ears: Callable[[], Iterable[str]]) -> None:
        """``ears`` tells which bells to listen to now. Connects to nothing yet."""
        self._server = server
        self._ears = ears
        self._node: Any = None
        self._connection: Any = None
        self._client_id: int | None = None
        self._wakeup = Wakeup()

    def wait(self, deadline: float, due: Callable[[], float]) -> bool:
        """Block until a bell rings; return whether one did. Ends at the latest at the ``deadline`` or what is ``due``.

        Both are times of ``time.monotonic()``. Raises what redis-py raises.
        """
        while INTERRUPT not in self._wakeup.drain() and time.monotonic() < min(deadline, due()):
            self._ask(tuple(self._ears()), deadline - time.monotonic())
            said = self._listen(deadline + TIMEOUT, due)
            if INTERRUPT in said:
                self.close()
                break
            if CHANGE in said or time.monotonic() >= due():
                self._unblock()
            rung = self._answer()
            if rung and self._is_meant(*rung):
                return True
        return False

    def interrupt(self) -> None:
        """End the present ``wait`` at once, or else the next one."""
        self._wakeup.wake(INTERRUPT)

    def change(self) -> None:
        """Let a ``wait`` under way heed new ears or a new end."""
        self._wakeup.wake(CHANGE)

    def close(self) -> None:
        """Let go of the connection; the next ``wait`` gets a new one."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _ask(self, ears: Sequence[str], seconds: float) -> None:
        if self._connection is None:
            self._connect()
        bells = [self._server.key(bell) for bell in ears or NOBODY]
        self._connection.send_command("BZPOPMIN", *bells, max(seconds, SHORTEST))

    def _connect(self) -> None:
        """Make a connection beside those of the pool: it is held all the time, and a pool may have few."""
        self._node = self._server.node
        pool = self._node.connection_pool
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._connection.connect()  # the first command would, too, but without asking a Sentinel where
        self._client_id = self._own_id()

    def _own_id(self) -> int | None:
        self._connection.send_command("CLIENT", "ID")
        try:
            return int(self._connection.read_response())
        except exceptions.NoPermissionError:
            return None

    def _listen(self, deadline: float, due: Callable[[], float]) -> bytes:
        """Sleep until there is an answer, something is due, or somebody says something; return what."""
        there = self._connection._sock  # noqa: SLF001 - there is no public way to wait for two things at once
        if there is None:
            raise exceptions.ConnectionError("The connection was closed.")
        with selectors.DefaultSelector() as selector:
            selector.register(there, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while (seconds := min(deadline, due()) - time.monotonic()) > 0:  # what is due may be put off meanwhile
                if selector.select(seconds):
                    return self._wakeup.drain()
        if time.monotonic() >= deadline:
            raise exceptions.TimeoutError("Timeout reading from socket")
        return b""

    def _answer(self) -> Any:
        """Return the bell that rang and its mark, or ``None``."""
        return None if self._connection is None else self._connection.read_response(disable_decoding=True)

    def _unblock(self) -> None:
        """End the pop that is under way now. The server by itself is up to 100 ms late."""
        try:
            if self._client_id is not None:
                # On its other connection the server may not have come to the pop yet.
                while not self._node.client_unblock(self._client_id) and not self._connection.can_read(PATIENCE):
                    pass
                return
        except exceptions.NoPermissionError:
            self._client_id = None
        except exceptions.ConnectionError as error:  # there is none for it: the pool is exhausted, or the server gone
            logger.debug("Ending a wait without CLIENT UNBLOCK: %s", error)
        self.close()

    def _is_meant(self, bell: bytes, mark: bytes, _: object) -> bool:
        """Whether a mark is for us; if not any more, it is put back for the next one."""
        if bell in {self._server.key(ear).encode() for ear in self._ears()}:
            return True
        self._server.ask("ZADD", bell, 0, mark)
        return False
