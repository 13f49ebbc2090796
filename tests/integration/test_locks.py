"""Locks where something goes wrong around them: servers, files, forks, missing tables, transactions of requests."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.urls import path
from redis import Redis

from django_loco.core import running_tests
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.locks import LockLost, LockTimeout, held, lock, table
from django_loco.locks.stores import store_of
from django_loco.locks.stores.database import HELD
from django_loco.locks.stores.memory import MemoryLocks
from django_loco.locks.stores.own_connections import OwnConnections
from django_loco.models import StoredLock
from django_loco.tasks import task
from django_loco.testing import drain

from ..conftest import ON_POSTGRES
from ..redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
on_postgres = pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL")
on_sqlite = pytest.mark.skipif(ON_POSTGRES, reason="about SQLite")
HUNG_AFTER_SECONDS = 45.0


def backend(**options):
    return {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": options}}


@pytest.fixture(autouse=True)
def real_queues():
    """In these tests ``TESTING = "manual"`` replaces queues, as in the tests of a project."""


@pytest.fixture(autouse=True)
def in_the_database(settings):
    settings.TASKS = backend(queue="database")


@pytest.fixture
def kept(monkeypatch):
    """Let connections stay open, as they do outside of tests."""
    monkeypatch.setattr(running_tests, "is_on", lambda: False)
    own = table.table_of("default").store._connections
    yield own
    own.close()


def test_a_redis_that_is_killed_while_a_lock_is_held(settings):
    with RedisServer() as server:
        settings.TASKS = backend(queue="redis", url=server.url)
        lost = threading.Event()
        began = time.monotonic()
        with (
            pytest.raises(LockLost, match="the store cannot be reached: The jobs of TASKS"),
            lock("stock:42", lease=2, on_lost=lambda _: lost.set()) as mine,
        ):
            before = mine.token
            server.kill()
            assert lost.wait(HUNG_AFTER_SECONDS)
            assert mine.lost
            assert time.monotonic() - began < 2 + 4
        with pytest.raises(QueueUnavailable, match="The lock 'stock:42' cannot be taken now"), lock("stock:42"):
            pass
        server.start()
        with lock("stock:42", timeout=HUNG_AFTER_SECONDS) as mine:
            assert mine.token > before, "it has lost its data, and tokens grow nevertheless"


def test_a_redis_that_hangs_while_a_lock_is_held(settings):
    with RedisServer() as server:
        settings.TASKS = backend(queue="redis", url=server.url)
        lost = threading.Event()
        with (
            pytest.raises(LockLost),
            lock("stock:42", lease=1, on_lost=lambda _: lost.set()) as mine,
        ):
            server.pause()
            try:
                assert lost.wait(HUNG_AFTER_SECONDS)
                assert mine.lost
            finally:
                server.resume()
        with lock("stock:42", timeout=HUNG_AFTER_SECONDS):
            pass


@task
def hold():
    with lock("stock:42"):
        return [each.job for each in held()]


@task
async def ahold():
    async with lock("stock:42"):
        return [each.job for each in await asyncio.to_thread(held)]


@pytest.mark.parametrize("held_in", [hold, ahold])
def test_a_lock_of_a_job_names_the_job(held_in, settings):
    settings.LOCO = {"TESTING": "manual"}
    result = held_in.enqueue()
    drain()
    result.refresh()
    assert result.return_value == [result.id]


def test_nothing_stays_in_redis_but_the_last_token(settings, redis_server):
    settings.TASKS = backend(queue="redis", url=redis_server.url, prefix="tokens")
    with lock("stock:42"):
        pass
    with Redis.from_url(redis_server.url) as client:
        [key] = client.keys("*tokens*")
        assert key == b"django-loco:{tokens:default}:lock:stock:42"
        assert 86_000 < client.ttl(key) <= 86_430
        assert b"null" in client.get(key)


@on_postgres
def test_a_table_that_is_missing():
    with connection.schema_editor() as editor:
        editor.delete_model(StoredLock)
    try:
        with pytest.raises(QueueUnavailable, match="migrations of django_loco are missing"):
            held()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(StoredLock)


@on_postgres
def test_connections_that_were_cut_are_replaced(kept):
    with lock("stock:42"):
        pass
    assert len(kept._idle) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with lock("stock:42", timeout=0):
        pass


@on_postgres
def test_locks_that_nobody_uses_are_forgotten_after_a_day(monkeypatch):
    with lock("old"):
        pass
    StoredLock.objects.update(memory_until=1)
    monkeypatch.setattr(table.table_of("default").store, "_next_sweep", 0.0)
    with lock("new"):
        pass
    assert [*StoredLock.objects.values_list("name", flat=True)] == ["new"]


@on_postgres
def test_the_list_of_held_locks_does_not_read_those_that_were_given_back():
    with lock("old"):
        pass
    old = StoredLock.objects.get()
    StoredLock.objects.bulk_create(
        [
            StoredLock(backend="default", name=f"old {number}", state=old.state, memory_until=old.memory_until)
            for number in range(20_000)
        ]
    )
    with connection.cursor() as cursor, lock("new"):
        cursor.execute("ANALYZE django_loco_lock")
        cursor.execute(f"EXPLAIN {HELD}", ("default", old.memory_until))
        plan = str(cursor.fetchall())
        assert [each.name for each in held()] == ["new"]
    assert "django_loco_lock_old" in plan, plan


@on_sqlite
def test_a_file_that_is_deleted_is_made_again(kept):
    with lock("stock:42"):
        pass
    [idle] = kept._idle
    for suffix in ("", "-wal", "-shm"):
        Path(f"{idle.settings_dict['NAME']}{suffix}").unlink(missing_ok=True)
    idle.loco_looked_at = 0.0
    with lock("stock:42", timeout=0):
        assert [each.name for each in held()] == ["stock:42"]


@on_sqlite
def test_a_folder_that_cannot_be_written_to(monkeypatch):
    store = table.table_of("default").store
    monkeypatch.setattr(store, "_connections", OwnConnections("default", "/proc/no/such/file"))
    with pytest.raises(QueueUnavailable, match=r"in a file of their own, '-locks'\), which cannot be used now"):
        held()


@on_sqlite
def test_a_file_in_which_somebody_writes_for_long_is_waited_for_a_third_of_the_lease(kept, monkeypatch):
    monkeypatch.setattr(table, "MIN_STORE_TIMEOUT_SECONDS", 0.01)
    with lock("stock:42"):
        pass
    [idle] = kept._idle
    with closing(sqlite3.connect(idle.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="let it end"), lock("stock:42", lease=1):
            pass
        assert time.monotonic() - began < 5
    with lock("stock:42", timeout=0):
        pass


def test_a_process_has_few_connections(kept):
    store, gate, inside = table.table_of("default").store, threading.Event(), threading.Semaphore(0)

    def use():
        with kept.borrowed() as lent:
            lent.ensure_connection()
            inside.release()
            assert gate.wait(HUNG_AFTER_SECONDS)

    threads = [threading.Thread(target=use, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert inside.acquire(timeout=HUNG_AFTER_SECONDS)
    assert not inside.acquire(timeout=0.05)
    gate.set()
    for thread in threads:
        thread.join(HUNG_AFTER_SECONDS)
    assert 1 <= len(kept._idle) <= 4
    store.close()
    assert kept._idle == []


def test_a_fork_does_not_have_the_lock_of_its_parent():
    with lock("stock:42") as mine:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other tests have left threads
            pid = os.fork()
        if not pid:
            code = 1
            try:
                mine.__exit__(None, None, None)
            except LockLost:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert not mine.lost
        assert [each.name for each in held()] == ["stock:42"]


def locked(request):
    StoredLock.objects.create(backend="test", name="written", state="", memory_until=0)
    with lock("stock:42", timeout=1):
        in_the_view.append((connection.in_atomic_block, [each.name for each in held()]))
        raise ZeroDivisionError


in_the_view: list[tuple[bool, list[str]]] = []
urlpatterns = [path("", locked)]


def test_a_request_that_is_a_transaction(client, settings, monkeypatch):
    settings.ROOT_URLCONF = __name__
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    in_the_view.clear()
    with pytest.raises(ZeroDivisionError):
        client.get("/")
    assert in_the_view == [(True, ["stock:42"])]
    assert held() == []
    assert not StoredLock.objects.filter(name="written").exists()


def test_two_transactions_may_hold_locks_side_by_side():
    taken, ended = threading.Event(), []

    def other():
        with lock("b"):
            taken.set()
            with pytest.raises(LockTimeout), lock("a", timeout=0.05):
                pass
        ended.append(True)

    with transaction.atomic():
        StoredLock.objects.create(backend="test", name="written", state="", memory_until=0)
        with lock("a"):
            thread = threading.Thread(target=other, daemon=True)
            thread.start()
            assert taken.wait(HUNG_AFTER_SECONDS)
            thread.join(HUNG_AFTER_SECONDS)
    assert ended == [True]


def test_in_the_tests_of_a_project_locks_of_redis_are_in_memory(settings):
    settings.TASKS = backend(queue="redis", url="redis://127.0.0.1:1/0")
    settings.LOCO = {"TESTING": "manual"}
    with lock("stock:42"):
        assert isinstance(table.table_of("default").store, MemoryLocks)


def test_a_queue_without_locks():
    with pytest.raises(LocoConfigurationError, match=r"keeps its jobs in a SimpleNamespace, which has no locks"):
        store_of(SimpleNamespace(alias="own"))
