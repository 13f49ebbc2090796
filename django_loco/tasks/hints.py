"""Hints for options of other job systems and for async code, for error messages."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import SynchronousOnlyOperation
from django.utils.asyncio import async_unsafe

from ..core.threads import is_on_event_loop
from ..core.validation import did_you_mean, nearest
from ..log.safe import get_logger

logger = get_logger("django_loco.backend")

_warned_of_async = False

_OPTIONS = {
    "max_retries": "Write max_attempts, which counts the first attempt as well: max_retries=3 is max_attempts=4.",
    "retries": "Write max_attempts, which counts the first attempt as well: retries=3 is max_attempts=4.",
    "default_retry_delay": "Write backoff.",
    "retry_backoff": "Write backoff.",
    "retry_delay": "Write backoff.",
    "autoretry_for": "Write retry_on.",
    "dont_autoretry_for": "Write no_retry_on.",
    "bind": "Write takes_context=True; the first argument is then the context.",
    "queue": "Write queue_name.",
    "soft_time_limit": "Write timeout.",
    "time_limit": "Write timeout.",
    "eta": "Write run_after where you enqueue: task.using(run_after=...).enqueue().",
    "delay": "Write run_after: task.using(run_after=timedelta(seconds=...)).enqueue().",
    "countdown": "Write run_after where you enqueue: task.using(run_after=timedelta(seconds=...)).enqueue().",
    "expiration": "Write expires.",
    "max_age": "Write expires, in seconds.",
    "retry": "Write max_attempts, which counts the first attempt as well: retry=3 is max_attempts=4.",
    "name": "Remove it: a task has the path of its function; aliases are its former paths.",
    "acks_late": "Remove it: a job is always acknowledged after it has ended.",
    "ignore_result": "Write retention=0.",
    "result_ttl": 'Write retention, or retention={"succeeded": ...}.',
    "failure_ttl": 'Write retention={"failed": ...}.',
}
#: Keys of schedules of other systems.
_SCHEDULE_KEYS = {
    "task": "run",
    "function": "run",
    "command": "run",
    "cron": "schedule",
    "crontab": "schedule",
    "interval": "schedule",
    "when": "schedule",
}


def option_hint(name: str, options: Sequence[str]) -> str:
    """Return a hint for an unknown option, with a leading space: its equivalent, or the nearest of ``options``."""
    return f" {_OPTIONS[name]}" if name in _OPTIONS else did_you_mean(name, options)


def schedule_key_hint(name: str, keys: Sequence[str]) -> str:
    """Return a hint for the unknown key ``name`` of a schedule, with a leading space; empty if there is none."""
    near = nearest(name, (*keys, *_SCHEDULE_KEYS))
    return f" Did you mean {_SCHEDULE_KEYS[near]!r}?" if near in _SCHEDULE_KEYS else did_you_mean(name, keys)


def async_hint(method: str) -> SynchronousOnlyOperation:
    """Return the error that Django raises for use of the database in async code, with the remedy."""
    return SynchronousOnlyOperation(
        f"{method}() uses the database, which would block the event loop. Write await task.a{method}(...)."
    )


@async_unsafe("enqueue() runs the job, which would block the event loop. Write await task.aenqueue(...).")
def refuse_event_loop() -> None:
    """Raise ``SynchronousOnlyOperation`` in async code, unless the project allows queries there."""


def warn_of_async_caller() -> None:
    """Log once that a queue in a database would refuse a sync ``enqueue()`` in async code."""
    global _warned_of_async
    if _warned_of_async or not is_on_event_loop():
        return
    _warned_of_async = True
    logger.warning(
        "enqueue() was called in async code. This works only while jobs wait in memory; a queue in a database would "
        "block the event loop. Write await task.aenqueue(...)."
    )
