"""Changes of limits while everything runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from ...core.job.limits import Limit, problems_of_limit
from ...core.validation import did_you_mean
from ...queues import Queue
from ..control.limits import limits_in
from ..stores import queue_of, searched

#: Stands for a value that stays as it is, because ``None`` removes the value.
UNCHANGED: Final[Any] = object()


def set_limit(
    name: str,
    /,
    *,
    concurrency: int | None = UNCHANGED,
    rate: str | None = UNCHANGED,
    burst: int | None = UNCHANGED,
    backend: str | None = None,
) -> None:
    """Change a limit until ``reset_limit``, whatever ``LOCO["LIMITS"]`` declares. Workers obey within a second.

    A value that is not given stays as it is; ``None`` removes it, and a removed rate takes its burst with it. Running
    jobs go on. Without ``backend``, the limit is changed in every alias of ``TASKS``. Raises ``ValueError`` for a limit
    that is not declared, or a wrong value, and ``QueueUnavailable`` if a store does not answer.
    """
    given = {"concurrency": concurrency, "rate": rate, "burst": burst}
    changes = {each: value for each, value in given.items() if value is not UNCHANGED}
    queues = [queue_of(alias) for alias in searched(backend)]
    changed = [(queue, _changed(queue, name, changes)) for queue in queues]  # before any is stored
    for queue, limit in changed:
        queue.set_limit(name, limit)


def reset_limit(name: str, /, *, backend: str | None = None) -> bool:
    """Reset a limit to its declaration in ``LOCO["LIMITS"]``, and open the keys that jobs have closed by ``Throttled``.

    Returns whether the limit was changed before, or a key was closed. For errors see ``set_limit``.
    """
    queues = [queue_of(alias) for alias in searched(backend)]
    for queue in queues:
        _require_known(queue, name)
    was_otherwise = False
    for queue in queues:
        if name in queue.changed_limits():
            queue.set_limit(name, None)
            was_otherwise = True
        if queue.open_keys(name):
            was_otherwise = True
    return was_otherwise


def _changed(queue: Queue, name: str, changes: dict[str, Any]) -> Limit:
    _require_known(queue, name)
    before = asdict(limits_in(queue)[name])
    given = {each: value for each, value in (before | changes).items() if value is not None}
    if "rate" not in given and "burst" not in changes:
        del given["burst"]  # it belongs to the rate
    if problems := problems_of_limit(name, given):
        raise ValueError(" ".join(problems))
    return Limit(**given)


def _require_known(queue: Queue, name: str) -> None:
    known = limits_in(queue)
    if name not in known:
        raise ValueError(f"there is no limit {name!r} in LOCO['LIMITS'].{did_you_mean(str(name), [*known])}")
