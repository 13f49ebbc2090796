"""The timeout of an attempt, and what it can and cannot enforce.

An async job is cancelled at its timeout, at the ``await`` where it waits. A job that computes without awaiting holds up
the event loop, and with it every other async job, and cannot be interrupted.

In a sync job ``JobTimeout`` is raised between two bytecode instructions. Code that waits in C (a query, a ``sleep``, a
read without a timeout, a long regular expression) is not interrupted; the exception is raised when it returns.

The exception may be raised anywhere, also in the libraries that the job uses, for example between taking a lock and
the ``try`` that releases it. So prefer the limits of those libraries (a ``timeout`` of the HTTP client, the database's
``statement_timeout``), and use this one as the last resort. The database connections of the thread, which an
interruption breaks most easily, are closed.

A job may catch the exception and clean up for ``GRACE_SECONDS``. A job that has not ended by then is given up: the
attempt fails with ``JobTimeout``, another thread or task takes its place, and the code that still runs is left alone,
since Python cannot end it. Its result is discarded. Health counts such jobs as ``abandoned``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ...exceptions import JobTimeout

#: The time from the interruption of a job until it is given up.
GRACE_SECONDS = 5.0


async def within(seconds: float | None, awaitable: Awaitable[Any]) -> Any:
    """Await for up to ``seconds`` (``None``: without a limit). Raises ``JobTimeout``."""
    if seconds is None:
        return await awaitable
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError as error:
        if limit.expired():
            raise JobTimeout(too_long(seconds)) from error
        raise


def too_long(timeout: float) -> str:
    """Return the text for a job that has reached its ``timeout``, in seconds."""
    return f"the job ran longer than its timeout of {timeout:g} s"


def unstoppable(timeout: float) -> str:
    """Return the text for a job that could not be interrupted, either."""
    return f"{too_long(timeout)} and could not be interrupted"
