"""The stores of locks: locks are where the queue of their alias is."""

from __future__ import annotations

from functools import singledispatch

from django.db import connections
from django.utils.module_loading import import_string

from ...exceptions import LocoConfigurationError
from ...queues import Queue
from ...queues.database import DatabaseQueue
from ...queues.memory import MemoryQueue
from ...queues.redis import RedisQueue
from .base import LockStore
from .memory import MemoryLocks
from .redis import RedisLocks
from .sqlite import SQLiteLocks

#: Imported when it is used, because it needs psycopg.
POSTGRES = "django_loco.locks.stores.postgres.PostgresLocks"

__all__ = ["LockStore", "store_of"]


@singledispatch
def store_of(queue: Queue) -> LockStore:
    """Return a new store of locks, in the store of ``queue``. Raises ``LocoConfigurationError`` if it has none."""
    raise LocoConfigurationError(
        f"TASKS[{queue.alias!r}] keeps its jobs in a {type(queue).__name__}, which has no locks. "
        "Name another alias: lock(..., backend=...)."
    )


@store_of.register
def _of_memory(queue: MemoryQueue) -> LockStore:  # noqa: ARG001 - its type decides
    return MemoryLocks()


@store_of.register
def _of_redis(queue: RedisQueue) -> LockStore:
    return RedisLocks(queue.server)


@store_of.register
def _of_database(queue: DatabaseQueue) -> LockStore:
    connection = connections[queue.database]
    if connection.vendor == "postgresql":
        store: LockStore = import_string(POSTGRES)(queue.alias, queue.database)
        return store
    in_memory: bool = connection.is_in_memory_db()  # type: ignore[attr-defined]
    return MemoryLocks() if in_memory else SQLiteLocks(queue.alias, queue.database)
