"""Jobs that use the database. ``ContentType`` stands for any model."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import connection, reset_queries, transaction

from django_loco.tasks import task

#: Connections that jobs have used.
used: list[Any] = []
#: Lets as many threads through at once as the worker has for sync code.
meeting = threading.Barrier(10, timeout=20)


def note() -> None:
    connection.ensure_connection()
    used.append((threading.current_thread().name, connection.connection))


@task
def count() -> int:
    note()
    return ContentType.objects.count()


@task
def create(name: str) -> None:
    ContentType.objects.create(app_label="made", model=name)


@task
async def acount() -> int:
    await sync_to_async(note)()
    return await ContentType.objects.acount()


def count_or_break(breaks: bool) -> int:
    note()
    if breaks:
        break_the_connection.func()
    return ContentType.objects.count()


@task
def count_on_a_loop(breaks: bool = False) -> int:
    return asyncio.run(sync_to_async(count_or_break)(breaks))


@task
async def acount_in_a_thread(breaks: bool = False) -> int:
    return await asyncio.to_thread(count_or_break, breaks)


@task
async def acount_beside_other_calls(breaks: bool = False) -> int:
    return await sync_to_async(count_or_break, thread_sensitive=False)(breaks)


@task
async def acount_on_a_loop_in_a_lane() -> int:
    return await sync_to_async(count_on_a_loop.func)()


@task
async def acreate(name: str) -> None:
    await ContentType.objects.acreate(app_label="made", model=name)
    await ContentType.objects.aget(app_label="made", model=name)


@task
async def ameet_in_threads() -> None:
    await sync_to_async(meeting.wait)()


@task
def leave_a_transaction_open(name: str) -> None:
    transaction.atomic().__enter__()
    ContentType.objects.create(app_label="made", model=name)


@task
def turn_autocommit_off(name: str) -> None:
    transaction.set_autocommit(False)
    ContentType.objects.create(app_label="made", model=name)


@task
def break_the_connection() -> None:
    connection.ensure_connection()
    connection.connection.close()
    # What Django notes when a query fails, and finds out when it looks again; a file is always there, for SQLite.
    connection.errors_occurred = True
    connection.is_usable = lambda: False  # type: ignore[method-assign]


@task
def queries_of_earlier_jobs() -> int:
    before = len(connection.queries_log)
    ContentType.objects.count()
    return before


@task(timeout=0.5)
def query_for_ever() -> None:
    """Is interrupted somewhere in the database layer, or in one of its transactions."""
    note()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with transaction.atomic():
            ContentType.objects.count()
        reset_queries()


#: A job that says how far it is inside a transaction has begun, and may end.
began, may_end = threading.Event(), threading.Event()


@task(takes_context=True)
def advance_in_a_transaction(context: Any) -> None:
    with transaction.atomic():
        ContentType.objects.create(app_label="made", model="progress")
        context.progress(1, 2)
        began.set()
        may_end.wait(30)
    context.progress(2, 2)
