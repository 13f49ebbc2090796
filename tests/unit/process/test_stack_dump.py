"""What a process that seems to hang tells of itself."""

from __future__ import annotations

import asyncio
import threading

from django.utils.functional import SimpleLazyObject

from django_loco.core.threads.stacks import tasks
from django_loco.process.stack_dump import log_stacks


def wait_here(event: threading.Event) -> None:
    event.wait(10)


async def outer(event: asyncio.Event) -> None:
    await inner(event)


async def inner(event: asyncio.Event) -> None:
    await event.wait()


def test_lazy_objects_stay_lazy():
    made = []
    lazy = SimpleLazyObject(lambda: made.append("made"))
    assert all(isinstance(found, asyncio.Task) for found in tasks())
    assert made == []
    assert lazy is not None


def test_threads_and_tasks_tell_where_they_are(caplog):
    go_on = threading.Event()
    loop = asyncio.new_event_loop()
    event = asyncio.Event()
    task = loop.create_task(outer(event), name="a job")
    threads = [
        threading.Thread(target=wait_here, args=(go_on,), name="a thread"),
        threading.Thread(target=loop.run_until_complete, args=(task,), name="a loop"),
    ]
    begun = threading.Event()
    loop.call_soon(loop.call_soon, begun.set)
    for thread in threads:
        thread.start()
    begun.wait(10)
    log_stacks()
    loop.call_soon_threadsafe(event.set)
    go_on.set()
    for thread in threads:
        thread.join()
    loop.close()
    [record] = caplog.records
    text = record.getMessage()
    for part in (
        "Thread a thread\n",
        "in wait_here\n",
        "Thread a loop\n",
        "Task a job in outer\n",
        "await event.wait()",
    ):
        assert part in text
    assert text.index("in outer\n") < text.index("in inner\n")
