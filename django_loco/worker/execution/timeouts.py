"""How long an attempt may take, and what that can and cannot enforce.

An async job is cancelled at its timeout: at the ``await`` it is waiting in. One that computes without awaiting
holds up its event loop, and with it every other async job, and cannot be interrupted.

A sync job gets ``JobTimeout`` raised between two of its bytecode instructions. What waits in C code (a query, a
``sleep``, a read without a timeout of its own, a long regular expression) is not interrupted; the exception is
raised when that returns.

The exception may strike anywhere, also in the libraries that the job uses: between the taking of a lock and the
``try`` that would give it back, say. Prefer the limits that those libraries offer (a ``timeout`` of the HTTP client,
the database's ``statement_timeout``) and let this one be the last resort. What a job may have broken most easily is
cared for: the connections of its thread are closed.

Either may catch what it gets and clean up, for ``GRACE`` seconds. One that has not ended by then is given up: the
attempt has failed with ``JobTimeout``, its place is filled anew, and what still runs there is left alone, since
Python cannot end it. Its result will not count. Health counts such jobs as ``abandoned``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ...exceptions import JobTimeout

#: Seconds between the interruption of a job and the moment it is given up.
GRACE = 5.0


async def within(seconds: float | None, awaitable: Awaitable[Any]) -> Any:
    """Await for ``seconds`` at most (``None``: for ever). Raises ``JobTimeout``."""
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
    """Return what to say of a job that reached its ``timeout``, in seconds."""
    return f"the job ran longer than its timeout of {timeout:g} s"


def unstoppable(timeout: float) -> str:
    """Return what to say of a job that did not even end then."""
    return f"{too_long(timeout)} and could not be interrupted"
