"""Applies the store timeout of a thread to its connection to PostgreSQL, and replaces the connection if it was cut.

The timeouts of libpq are not enough. ``tcp_user_timeout`` and keepalives detect a machine that is gone. But if only the
server process hangs, the kernel of its machine still acknowledges. ``statement_timeout`` is enforced by the server
itself. So ``Connection.wait``, where psycopg waits for its socket, gets a time limit.

A statement that is given up may still wait for a lock on the server. So the server is asked to cancel it; otherwise
each new try would add another one. This needs libpq 17: older versions wait for the answer without a limit.

Threads sleep between their turns. Meanwhile a server or a pooler may cut the connection: it restarts, or has a timeout
for idle sessions. Each thread would notice that only by its next statement, and log an outage that is over. So a thread
looks at the socket before it uses an idle connection outside of a transaction, and connects again. That takes no query,
and as no statement was sent, none is in doubt.
"""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable
from typing import Any

import psycopg

from ....log.safe import get_logger
from ...timeouts import current_store_timeout, has_store_timeout

#: The ``connect_timeout`` of a thread without a store timeout: psycopg's default.
LONGEST_CONNECT_SECONDS = 130
#: The time that the server has to confirm the cancellation of a statement.
CANCEL_SECONDS = 1.0
#: A thread looks at the socket of a connection that was not used for this time. A busy thread need not look.
IDLE_SECONDS = 0.5
#: The number of times that a socket is read to find its end: before that come an error and perhaps notices.
READS = 4
#: The selector that is cheapest to create, because each statement creates one.
Selector: Callable[[], selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)

logger = get_logger("django_loco.queues")


def apply(wrapper: Any) -> None:
    """Let ``wrapper``, a thread's connection in Django, obey the store timeout, also after it has connected again."""
    if "get_new_connection" in vars(wrapper):
        return
    used_at = -math.inf
    connect, check = wrapper.get_new_connection, wrapper.close_if_health_check_failed

    def connect_with_limits(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        if wrapper.pool:
            _bound(wrapper.pool)
        connection = connect(with_limit(parameters))
        while wrapper.pool and is_cut(connection):
            wrapper.pool.putconn(connection)  # which discards it
            connection = connect(with_limit(parameters))
        return watched(connection)

    def close_if_cut() -> None:
        """Django calls this before it makes a cursor or begins a transaction."""
        nonlocal used_at
        slept, used_at = time.monotonic() - used_at, time.monotonic()
        may_close = has_store_timeout() and wrapper.connection is not None and wrapper.autocommit
        if slept >= IDLE_SECONDS and may_close and is_cut(wrapper.connection):
            logger.debug("A connection to DATABASES[%r] was cut; connecting again", wrapper.alias)
            wrapper.close()
        check()

    wrapper.get_new_connection = connect_with_limits
    wrapper.close_if_health_check_failed = close_if_cut
    if wrapper.connection is not None:
        watched(wrapper.connection)


def is_cut(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the server has ended the session of an idle connection, as far as its messages have arrived."""
    try:
        with Selector() as selector:
            selector.register(connection.pgconn.socket, selectors.EVENT_READ)
            for _ in range(READS):
                if not selector.select(0):
                    return False
                connection.pgconn.consume_input()  # raises at the end
    except psycopg.Error:
        return True
    return False


def with_limit(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a connection with a limit for connecting, unless the project has set one."""
    return {"connect_timeout": math.ceil(min(current_store_timeout(), LONGEST_CONNECT_SECONDS)), **parameters}


def _bound(pool: Any) -> None:
    """Let the wait for a connection of Django's pool obey the store timeout of the thread that waits."""
    if "getconn" not in vars(pool):
        take = pool.getconn
        pool.getconn = lambda timeout=None: take(
            min(pool.timeout if timeout is None else timeout, current_store_timeout())
        )


def watched(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Let a connection obey the store timeout of the thread that uses it; return it."""
    if "wait" not in vars(connection):
        wait = connection.wait

        def wait_with_timeout(steps: Any, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs or current_store_timeout() == math.inf:  # the caller has a limit of its own
                return wait(steps, *args, **kwargs)
            return _wait(connection, steps, current_store_timeout())

        connection.wait = wait_with_timeout  # type: ignore[method-assign,assignment]
    return connection


def _wait(connection: psycopg.Connection[Any], steps: Any, seconds: float) -> Any:
    """Run ``steps``, a generator that yields the events to wait for, and is sent the ready ones, as psycopg does.

    In both directions 1 means read and 2 means write, for psycopg and for selectors.
    """
    try:
        event = next(steps)
        with Selector() as selector:
            socket = connection.pgconn.socket
            selector.register(socket, event)
            while ready := selector.select(seconds):
                before, event = event, steps.send(ready[0][1])
                if event != before:
                    selector.modify(socket, event)
    except StopIteration as end:
        return end.value
    _give_up(connection)
    raise psycopg.OperationalError(f"the server has not answered for {seconds:g} seconds")


def _give_up(connection: psycopg.Connection[Any]) -> None:
    try:
        if psycopg.capabilities.has_cancel_safe():
            connection.cancel_safe(timeout=CANCEL_SECONDS)
    except psycopg.Error as error:
        logger.debug("A statement could not be cancelled: %s", error)
    finally:
        connection.close()
