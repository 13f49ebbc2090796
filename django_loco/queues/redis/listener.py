"""Notifies idle workers of new jobs in Redis.

A process that stores a job leaves marks in *channels*. A channel is a sorted set, and a worker waits for a mark with a
blocking pop. A mark wakes one worker, the one that has waited longest, so one job does not wake all workers. That
worker must be able to run the job. So there is a channel for each kind (sync or async) and queue, and a worker
*subscribes* to the channels for which it has room. Workers that take jobs of all queues, or only jobs with some tags,
have channels of their own.

A worker that cannot use a mark any more puts it back for the next one. If a mark disappears with a connection, a worker
finds the job at its next regular fetch, at most a second later.

In Redis the keys of channels begin with ``bell:``.
"""

from __future__ import annotations

import math
import selectors
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

from redis import exceptions

from ...core.job import Job, utcnow
from ...core.threads.wakeup import Wakeup
from ...log.safe import get_logger
from ..claim import Claim
from ..listener import QueueListener
from .codec.job_lists import word
from .connections.client import REPLY_SECONDS
from .connections.server import RedisServer, refusal_suppressed

logger = get_logger("django_loco.queues")

INTERRUPT, CHANGE = b"!", b"~"
#: Jobs that become due within this time are announced, so that waiting workers know when.
SOON = timedelta(seconds=1)
#: The shortest blocking pop: Redis 6 rounds to milliseconds, and 0 means to wait forever.
SHORTEST_POP_SECONDS = 0.01
#: The beginning of the error that ends a blocking pop when the server becomes a replica.
DEMOTED = "UNBLOCKED"
#: The channels that announce every job.
EVERY_JOB = frozenset(("bell:0*", "bell:1*"))
#: The last fetch of a worker counts for this time. A worker fetches at least every second.
DEMAND_SECONDS = 2.5
#: The maximum difference between two replies about the same due time.
SAME_TIME_SECONDS = 0.005
#: The pause between two tries to end a pop.
UNBLOCK_SECONDS = 0.005
#: After this time a channel expires; ``announce`` in ``lua/common.lua`` says why.
CHANNEL_MILLISECONDS = 10_000
#: The channel of a worker without room: nothing is announced in it.
NO_CHANNEL = ("bell:",)


def is_soon(run_after: datetime | None) -> bool:
    """Return whether a job that may run from ``run_after`` on has to be announced now."""
    return run_after is None or run_after <= utcnow() + SOON


def channels_for(jobs: Iterable[Job]) -> set[str]:
    """Return the channels to announce ``jobs`` in."""
    kinds = {(job.is_async, job.queue_name, job.tags) for job in jobs}
    return set(chain.from_iterable(_channels_of(*kind) for kind in kinds))


def channels_of(job: Job) -> tuple[str, ...]:
    """Return the channels to announce one job in."""
    return _channels_of(job.is_async, job.queue_name, job.tags)


@lru_cache(4096)
def _channels_of(is_async: bool, queue_name: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    kind = f"bell:{is_async:d}"
    return f"{kind}*", f"{kind}{word(queue_name)}", *(f"{kind}#{word(tag)}" for tag in tags or ("",))


def subscriptions_for(claim: Claim, threads: int, coroutines: int) -> frozenset[str]:
    """Return the channels to listen to if room for ``threads`` and ``coroutines`` is left after ``claim``."""
    kinds = [f"bell:{kind}" for kind, room in enumerate((threads, coroutines)) if room > 0]
    if claim.tags is not None:
        names = [f"#{word(tag)}" for tag in claim.tags or ("",)]
    else:
        names = ["*"] if claim.queues is None else [word(name) for name in claim.queues]
    return frozenset(kind + name for kind in kinds for name in names)


class Demand:
    """Which jobs the workers of this process have room for, and when the next deferred job becomes due.

    Each fetch updates it. A worker that has not fetched for ``DEMAND_SECONDS`` has no room, or has ended.
    """

    def __init__(self) -> None:
        self.next_due = math.inf
        """By ``time.monotonic()``."""
        self._by_worker: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def subscriptions(self) -> frozenset[str]:
        """Return the channels to listen to; before the first fetch, the channels that announce every job."""
        with self._lock:
            if not self._by_worker:
                return EVERY_JOB
            return frozenset().union(*(channels for _, channels in self._by_worker.values()))

    def note(self, worker_id: str, subscriptions: frozenset[str], next_due: float) -> bool:
        """Record a fetch; return whether waiting threads have to use other channels or another due time."""
        before, now = self.subscriptions(), time.monotonic()
        is_earlier = next_due < self.next_due - SAME_TIME_SECONDS
        self.next_due = next_due
        with self._lock:
            self._by_worker = {
                worker: (at, channels)
                for worker, (at, channels) in self._by_worker.items()
                if at > now - DEMAND_SECONDS
            }
            self._by_worker[worker_id] = (now, subscriptions)
        return is_earlier or not subscriptions <= before


class RedisListener(QueueListener):
    """Waits for jobs on behalf of one thread, on a connection of its own. Other threads interrupt it through a socket.

    While ``wait`` runs, a blocking pop is pending. None is left pending afterwards, because it would consume a
    notification that nobody reads.
    """

    def __init__(self, server: RedisServer, demand: Demand) -> None:
        """``demand`` has the channels to listen to, and the time at which the next deferred job becomes due."""
        self._server = server
        self._demand = demand
        self._node: Any = None
        self._connection: Any = None
        self._client_id: int | None = None
        self._wakeup = Wakeup()

    def wait(self, timeout: float) -> bool:
        """Block until a job is announced, or one becomes due; return whether one was announced.

        If the connection breaks, it goes on with a new one: most servers are back at once, or never were away.
        """
        deadline = time.monotonic() + timeout
        try:
            return self._wait(deadline)
        except exceptions.ConnectionError as error:
            if type(error) is not exceptions.ConnectionError:  # subclasses are refusals
                raise
        except exceptions.AskError:  # also MovedError
            if not self._server.is_cluster:
                raise
            return self._wait_elsewhere(deadline)
        except exceptions.ResponseError as error:
            if not str(error).startswith(DEMOTED):
                raise
        self.close()
        return self._wait(deadline)

    def _wait_elsewhere(self, deadline: float) -> bool:
        """Connect to the member of a Cluster that our keys have moved to, or sleep while they are being moved."""
        self.close()
        self._server.ask("EXISTS", self._server.key(NO_CHANNEL[0]))  # redis-py finds them, and notes where they are
        try:
            return self._wait(deadline)
        except exceptions.AskError:
            self.close()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            selector.select(max(deadline - time.monotonic(), 0))
        return False

    def _wait(self, deadline: float) -> bool:
        while INTERRUPT not in self._wakeup.drain() and time.monotonic() < min(deadline, self._demand.next_due):
            self._ask(tuple(self._demand.subscriptions()), deadline - time.monotonic())
            signals = self._listen(deadline + REPLY_SECONDS)
            if INTERRUPT in signals:
                self.close()
                break
            if CHANGE in signals or time.monotonic() >= self._demand.next_due:
                self._unblock()
            announced = self._answer()
            if announced and self._is_wanted(*announced):
                return True
        return False

    def interrupt(self) -> None:
        """End the present ``wait`` at once, or else the next one."""
        self._wakeup.wake(INTERRUPT)

    def change(self) -> None:
        """Let the present ``wait`` use the current subscriptions and due time."""
        self._wakeup.wake(CHANGE)

    def close(self) -> None:
        """Close the connection; the next ``wait`` makes a new one."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _ask(self, subscriptions: Sequence[str], seconds: float) -> None:
        if self._connection is not None and not self._node.connection_pool.owns_connection(self._connection):
            self.close()  # a Sentinel has named another primary
        if self._connection is None:
            self._connect()
        channels = [self._server.key(channel) for channel in subscriptions or NO_CHANNEL]
        self._connection.send_command("BZPOPMIN", *channels, max(seconds, SHORTEST_POP_SECONDS))

    def _connect(self) -> None:
        """Make a connection outside of the pool, because it is held all the time and a pool may have few."""
        self._node = self._server.node
        pool = self._node.connection_pool
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._connection.connect()  # the first command would connect, but without asking a Sentinel for the address
        self._client_id = self._own_id()

    def _own_id(self) -> int | None:
        self._connection.send_command("CLIENT", "ID")
        with refusal_suppressed():
            return int(self._connection.read_response())
        return None

    def _listen(self, deadline: float) -> bytes:
        """Sleep until an answer arrives, a job is due, or another thread sends signals; return the signals."""
        connected = self._connection._sock  # noqa: SLF001 - there is no public way to wait for two things at once
        if connected is None:
            raise exceptions.ConnectionError("The connection was closed.")
        with selectors.DefaultSelector() as selector:
            selector.register(connected, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while (seconds := min(deadline, self._demand.next_due) - time.monotonic()) > 0:  # it may change meanwhile
                if selector.select(seconds):
                    return self._wakeup.drain()
        if time.monotonic() >= deadline:
            raise exceptions.TimeoutError("Timeout reading from socket")
        return b""

    def _answer(self) -> Any:
        """Return the channel of the mark and the mark, or ``None``."""
        return None if self._connection is None else self._connection.read_response(disable_decoding=True)

    def _unblock(self) -> None:
        """End the pending pop now. The timeout of the server is up to 100 ms late."""
        try:
            with refusal_suppressed():
                # The server may not have read the pop from the other connection yet.
                while self._client_id is not None:
                    if self._node.client_unblock(self._client_id) or self._connection.can_read(UNBLOCK_SECONDS):
                        return
            self._client_id = None
        except exceptions.ConnectionError as error:  # the pool is exhausted, or the server is gone
            logger.debug("Ending a wait without CLIENT UNBLOCK: %s", error)
        self.close()

    def _is_wanted(self, channel: bytes, mark: bytes, _: object) -> bool:
        """Return whether this process still wants a mark of this channel; if not, put it back for another process."""
        if channel in {self._server.key(name).encode() for name in self._demand.subscriptions()}:
            return True
        self._server.ask("ZADD", channel, 0, mark)
        self._server.ask("PEXPIRE", channel, CHANNEL_MILLISECONDS)
        return False
