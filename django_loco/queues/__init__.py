"""Where jobs wait. ``queue_for(alias)`` returns the queue that a ``TASKS`` alias uses in this process.

In tests (``LOCO["TESTING"] = "manual"``) a queue that is not in a Django database is replaced by one in memory: the
workers of the site would find the jobs of a test in Redis after the test.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver

from ..conf import TASKS_OPTIONS, Testing, testing, worker_mode
from ..core import running_tests
from ..core.compat import task_backends
from ..core.imports import import_string
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError
from .base import Queue
from .claim import Claim

__all__ = ["Claim", "Queue", "queue_for"]

#: The short names that ``OPTIONS["queue"]`` accepts in place of a dotted path.
BUILT_IN = {
    "memory": "django_loco.queues.memory.MemoryQueue",
    "database": "django_loco.queues.database.DatabaseQueue",
    "redis": "django_loco.queues.redis.RedisQueue",
}
DEFAULT = "database"

_queues: dict[tuple[str, Testing | None], Queue] = {}
#: The queues in memory of the present test, whose jobs outlast an override of settings.
_of_test: list[Queue] = []
_lock = threading.RLock()  # a finalizer or a signal handler may enqueue while the thread is inside


def queue_for(alias: str) -> Queue:
    """Return the queue of ``TASKS[alias]``, the same one for every caller in this process.

    Raises ``LocoConfigurationError`` if it is configured wrongly.
    """
    running_tests.refresh()
    key = alias, testing()
    queue = _queues.get(key)
    if queue is None:
        with _lock:
            queue = _queues.get(key)
            if queue is None:
                queue = _queues.setdefault(key, _made(*key))
    return queue


def _made(alias: str, testing: Testing | None) -> Queue:
    options = task_backends[alias].options
    queue = build(alias, options)
    return _queue_of_test(alias, options) if testing == "manual" and not queue.database else queue


def _queue_of_test(alias: str, options: dict[str, Any]) -> Queue:
    """Return the queue in memory of the present test. With other options it is another queue."""
    for queue in _of_test:
        if (queue.alias, queue.options) == (alias, options):
            return queue
    _of_test.append(import_string(BUILT_IN["memory"])(alias, options))
    return _of_test[-1]


def build(alias: str, options: dict[str, Any]) -> Queue:
    """Make the queue that ``options`` (``TASKS[alias]["OPTIONS"]``) ask for. Raises ``LocoConfigurationError``."""
    if found := mistakes(alias, options):
        raise LocoConfigurationError(" ".join(found))
    name = options.get("queue", DEFAULT) if worker_mode(alias, options) == "BackgroundQueue" else "memory"
    path = BUILT_IN.get(name, name)
    try:
        queue_class = import_string(path)
    except ImportError as error:
        raise LocoConfigurationError(
            f"TASKS[{alias!r}]['OPTIONS']['queue'] is {name!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(queue_class, type) and issubclass(queue_class, Queue)):
        raise LocoConfigurationError(f"TASKS[{alias!r}]['OPTIONS']['queue'] is {name!r}, which is not a Queue.")
    made: Any = queue_class
    return made(alias, options)  # type: ignore[no-any-return]


def mistakes(alias: str, options: dict[str, Any]) -> list[str]:
    """Return one sentence for each mistake in ``options`` that does not depend on the queue."""
    found = []
    try:
        worker_mode(alias, options)
    except LocoConfigurationError as error:
        found.append(str(error))
    where = f"TASKS[{alias!r}]['OPTIONS']"
    name = options.get("queue", DEFAULT)
    if not isinstance(name, str) or ("." not in name and name not in BUILT_IN):
        found.append(
            f"{where}['queue'] is {name!r}.{did_you_mean(str(name), tuple(BUILT_IN))} "
            "Name a queue of your own by its dotted path."
        )
    elif name in BUILT_IN:
        unknown = [str(option) for option in options if option not in TASKS_OPTIONS]
        found += [f"{where}[{option!r}] is unknown.{did_you_mean(option, TASKS_OPTIONS)}" for option in unknown]
    return found


@receiver(running_tests.test_began)
def forget(**kwargs: Any) -> None:
    """Drop every queue of this process; the next use makes new ones."""
    _queues.clear()
    _of_test.clear()


@receiver(setting_changed)
def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting in ("TASKS", "WORKER_MODE", "CACHES"):
        _queues.clear()


def _after_fork() -> None:
    """Make new queues after a fork: a child cannot share connections, and another thread may have held the lock."""
    global _lock
    _lock = threading.RLock()
    forget()


os.register_at_fork(after_in_child=_after_fork)
