"""Each call to a store fails in turn (``make sweep``: in many more stories)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connections
from redis.exceptions import ConnectionError as ConnectionLost

from django_loco.queues import Queue
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.redis import RedisQueue

from ...conftest import ON_POSTGRES
from .sweep import Fault, Line, sweep

pytestmark = pytest.mark.django_db(transaction=True)

#: How many stories.
STORIES = int(os.environ.get("LOCO_SWEEP", "1"))
#: In the short form of a story not every call fails.
STEP = 1 if STORIES > 1 else 4


class RedisStore:
    """One server; each process has a client of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def process(self, fault: Fault | None) -> tuple[Queue, Line]:
        queue = RedisQueue("default", {"url": self._url})
        queue.counts()  # connects, and asks for the version
        line = Line(fault, ConnectionLost)
        client = queue.server.client

        class Through:
            def execute_command(self, *command: Any, **options: Any) -> Any:
                return line.call(lambda: client.execute_command(*command, **options))

            def __getattr__(self, name: str) -> Any:
                return getattr(client, name)

        queue.server.client = Through()
        return queue, line

    def close(self) -> None:
        pass


class DatabaseStore:
    """The database of the tests; each process has a connection of its own. A commit is a call, too."""

    def __init__(self) -> None:
        self._connection: Any = connections["default"]

    def process(self, fault: Fault | None) -> tuple[Queue, Line]:
        line = Line(fault, OperationalError)
        connection = self._connection
        connection.ensure_connection()
        commit: Callable[[], None] = type(connection)._commit.__get__(connection)

        def execute(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
            return line.call(lambda: run(sql, parameters, many, context))

        connection.execute_wrappers[:] = [execute]
        connection._commit = lambda: line.call(commit)
        return DatabaseQueue("default", {}), line

    def close(self) -> None:
        self._connection.execute_wrappers.clear()
        vars(self._connection).pop("_commit", None)
        self._connection.close()


@pytest.fixture(params=["database"] if ON_POSTGRES else ["database", "redis"])
def store(request):
    if request.param == "redis":
        yield RedisStore(request.getfixturevalue("redis_server").url)
        return
    store = DatabaseStore()
    yield store
    store.close()


def test_nothing_is_lost_doubled_or_told_wrongly(store):
    faults, found = 0, []
    for seed in range(STORIES):
        more, problems = sweep(store, seed, STEP)
        faults, found = faults + more, found + problems
    print(f"{STORIES} stories, {faults} faults, {len(found)} problems")
    assert found == []
