"""What to write instead of the words of other job systems."""

from __future__ import annotations

from collections.abc import Sequence

from ..conf import did_you_mean, nearest

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
    "countdown": "Write run_after where you enqueue: task.using(run_after=timedelta(seconds=...)).enqueue().",
    "acks_late": "Leave it out: a job is acknowledged when it has ended.",
    "ignore_result": "Leave it out: LOCO['RESULT_TTL'] says how long results are kept.",
}
#: Keys of other systems' schedules.
_SCHEDULE_KEYS = {
    "task": "run",
    "function": "run",
    "command": "run",
    "cron": "schedule",
    "crontab": "schedule",
    "interval": "schedule",
    "when": "schedule",
}
#: Methods of other systems' tasks.
_METHODS = {
    "delay": "enqueue(...)",
    "apply_async": "enqueue(...), and using(run_after=..., queue_name=...).enqueue(...)",
    "send": "enqueue(...)",
    "send_with_options": "using(...).enqueue(...)",
    "defer": "enqueue(...)",
    "schedule": "using(run_after=...).enqueue(...)",
    "s": "enqueue(...)",
    "si": "enqueue(...)",
}


def instead_of_option(name: str, known: Sequence[str]) -> str:
    """Return, with a space before it, what to write instead of the unknown option ``name`` of a task."""
    return f" {_OPTIONS[name]}" if name in _OPTIONS else did_you_mean(name, known)


def instead_of_schedule_key(name: str, known: Sequence[str]) -> str:
    """Return, with a space before it, what to write instead of the unknown key ``name`` of a schedule."""
    near = nearest(name, (*known, *_SCHEDULE_KEYS))
    return f" Did you mean {_SCHEDULE_KEYS[near]!r}?" if near in _SCHEDULE_KEYS else did_you_mean(name, known)


def instead_of_attribute(name: str) -> str:
    """Return, with a space before it, what to write instead of the method ``name`` of a task; or nothing."""
    return f" Write {_METHODS[name]}." if name in _METHODS else ""
