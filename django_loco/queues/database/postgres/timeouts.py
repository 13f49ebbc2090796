"""Connections to PostgreSQL that are given up when the server says nothing.

What libpq offers is not enough. ``tcp_user_timeout`` and keepalives find a machine that is gone, but the kernel of one
whose server hangs goes on acknowledging; ``statement_timeout`` is the server's to keep. So the place where psycopg
waits for its socket, ``Connection.wait``, is given a time limit.

A statement that is given up may still be waiting for a lock there, with a server process to itself. Lest each try add
one more, the server is asked to cancel it. That takes libpq 17: older ones wait for the answer without an end.
"""

from __future__ import annotations

import math
import selectors
from collections.abc import Callable
from typing import Any

import psycopg

from ....log.safe import get_logger
from ...timeouts import patience

#: What ``connect_timeout`` is for a thread without an end to its patience: psycopg's own.
ENDLESS = 130
#: Seconds for the server to answer that it cancels a statement.
CANCEL = 1.0
#: Made for each statement: the cheapest to make.
Selector: Callable[[], selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)

logger = get_logger("django_loco.queues")


def watch(wrapper: Any) -> None:
    """Let ``wrapper``, a thread's connection in Django, heed the thread's patience, now and when it connects anew."""
    if "get_new_connection" in vars(wrapper):
        return
    connect = wrapper.get_new_connection
    wrapper.get_new_connection = lambda parameters: watched(connect(with_limit(parameters)))
    if wrapper.connection is not None:
        watched(wrapper.connection)


def with_limit(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a connection with an end to connecting, unless the project has set one."""
    return {"connect_timeout": math.ceil(min(patience(), ENDLESS)), **parameters}


def watched(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Let a connection heed the patience of whichever thread uses it; return it."""
    if "wait" not in vars(connection):
        wait = connection.wait

        def wait_patiently(steps: Any, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs or patience() == math.inf:  # who says how to wait has an end in mind
                return wait(steps, *args, **kwargs)
            return _wait(connection, steps, patience())

        connection.wait = wait_patiently  # type: ignore[method-assign,assignment]
    return connection


def _wait(connection: psycopg.Connection[Any], steps: Any, seconds: float) -> Any:
    """Go through ``steps``, a generator that says what to wait for and is told what came, as psycopg does.

    In both directions 1 is to read and 2 to write, for psycopg and for selectors.
    """
    try:
        wanted = next(steps)
        with Selector() as selector:
            socket = connection.pgconn.socket
            selector.register(socket, wanted)
            while came := selector.select(seconds):
                wished, wanted = wanted, steps.send(came[0][1])
                if wanted != wished:
                    selector.modify(socket, wanted)
    except StopIteration as end:
        return end.value
    _give_up(connection)
    raise psycopg.OperationalError(f"the server has not answered for {seconds:g} seconds")


def _give_up(connection: psycopg.Connection[Any]) -> None:
    try:
        if psycopg.capabilities.has_cancel_safe():
            connection.cancel_safe(timeout=CANCEL)
    except psycopg.Error as error:
        logger.debug("A statement could not be cancelled: %s", error)
    finally:
        connection.close()
