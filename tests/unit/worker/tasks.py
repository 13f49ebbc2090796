"""Jobs for the tests of the worker. ``events`` are how a test and its jobs wait for each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import translation

from django_loco.exceptions import Interrupted, JobTimeout
from django_loco.tasks import Discard, Snooze, Throttled, task


class Events(dict[str, threading.Event]):
    """By a name that the test makes up. Not a ``defaultdict``: two threads would each get their own first one."""

    def __missing__(self, name: str) -> threading.Event:
        return self.setdefault(name, threading.Event())


events = Events()
#: What jobs want to tell, in the order in which they told it.
told: list[Any] = []
#: Leaks from one job into the next, unless each has a context of its own.
leaky: ContextVar[str] = ContextVar("leaky", default="clean")

#: Where whoever runs notes what it does: a list that is changed, not replaced.
notes: ContextVar[list[str]] = ContextVar("notes")


def noted(what: str) -> list[str]:
    """Add ``what`` to the notes of the present context; return them all."""
    found = notes.get(None)
    if found is None:
        notes.set(found := [])
    found.append(what)
    return found


def retried(event: threading.Event) -> None:
    if not event.wait(20):
        raise AssertionError("a test has forgotten one of its jobs")


@task
def nothing() -> None:
    pass


@task
async def anothing() -> None:
    pass


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
async def aadd(a: int, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


@task
def tell(what: Any) -> Any:
    told.append(what)
    return what


@task
def fail(message: str = "boom") -> None:
    raise ValueError(message)


@task
async def afail(message: str = "boom") -> None:
    raise ValueError(message)


@task(max_attempts=3, backoff=7)
def fail_often() -> None:
    raise ConnectionError("gone")


@task(max_attempts=3, backoff=7)
async def afail_often() -> None:
    raise ConnectionError("gone")


def no_number(error: BaseException, result: Any) -> Any:
    raise RuntimeError("the backoff is broken")


def for_ever(error: BaseException, result: Any) -> float:
    return float("inf")


@task(max_attempts=2, backoff=no_number)
def bad_backoff() -> None:
    raise ValueError


@task(max_attempts=2, backoff=for_ever)
def endless_backoff() -> None:
    raise ValueError


@task
def a_set() -> Any:
    return {1}


@task
def int_keys() -> Any:
    return {1: (2, 3)}


class End(BaseException):
    """Something that only user code knows."""


@task(max_attempts=3)
def end(kind: str) -> None:
    known = {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit}
    raise known.get(kind, End)


@task(max_attempts=3)
async def aend(kind: str) -> None:
    end.func(kind)


@task
async def aend_in_a_task() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    await asyncio.gather(leave())


@task
async def cancelled_by_itself() -> None:
    raise asyncio.CancelledError


@task(takes_context=True)
def look(context: Any) -> Any:
    return {
        "attempt": context.attempt,
        "id": context.task_result.id,
        "worker_ids": context.task_result.worker_ids,
        "deadline": context.deadline,
        "remaining": context.remaining(),
        "stopping": context.stopping,
    }


@task(takes_context=True, timeout=100)
def look_at_limit(context: Any) -> Any:
    told.append(context)


class Broken(Sequence[Any]):
    """A value that cannot be stored, and says so with an error of its own."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise SystemExit("the rows are gone")


@task(takes_context=True)
def break_metadata(context: Any) -> str:
    context.progress(1, 2)
    context.metadata["rows"] = Broken()
    return "done"


@task(takes_context=True)
async def abreak_metadata(context: Any) -> str:
    return break_metadata.func(context)


@task
def leak() -> str:
    found = leaky.get()
    leaky.set("dirty")
    return found


@task
async def aleak() -> str:
    found = leaky.get()
    leaky.set("dirty")
    return found


@task
def note(what: str) -> list[str]:
    return noted(what)


@task
async def anote(what: str) -> list[str]:
    noted(what)
    return await sync_to_async(noted)(f"{what} in a thread")


@task
def note_and_fail(what: str) -> None:
    noted(what)
    raise ValueError


@task
async def anote_and_fail(what: str) -> None:
    noted(what)
    raise ValueError


@task
def wait_for(name: str) -> str:
    events[f"{name} began"].set()
    retried(events[name])
    return name


@task
async def await_for(name: str) -> str:
    events[f"{name} began"].set()
    for _ in range(20_000):
        if events[name].is_set():
            return name
        await asyncio.sleep(0.001)
    raise AssertionError("a test has forgotten one of its jobs")


@task(takes_context=True)
def until_stopped(context: Any, name: str) -> str:
    events[f"{name} began"].set()
    for _ in range(2_000):
        if context.stopping:
            return "stopped early"
        threading.Event().wait(0.01)
    raise AssertionError("never stopped")


@task(takes_context=True)
def checkpoint_and_end(context: Any, name: str, end: str) -> None:
    """Saves a checkpoint when the test says so, and ends as ``end`` says."""
    events[f"{name} began"].set()
    retried(events[name])
    context.checkpoint("half")
    if end == "interrupted":
        raise Interrupted
    if end == "failed":
        raise ValueError("of its own")


@task
async def aclean_up(name: str) -> None:
    events[f"{name} began"].set()
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        events[f"{name} cleans up"].set()
        await asyncio.sleep(0.05)
        told.append("cleaned up")
        raise


@task
async def stubborn(name: str) -> None:
    """Swallows every cancellation until the test lets it go."""
    events[f"{name} began"].set()
    while not events[name].is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.005)


@task
def busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


@task
def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@task(timeout=0.05)
def spin() -> None:
    """Computes for ever: can be interrupted between any two instructions."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        pass


@task(timeout=0.05)
def spin_and_clean_up() -> str:
    try:
        spin.func()
    except JobTimeout:
        return "cleaned up"
    return "never interrupted"


@task(timeout=0.05)
def deaf(name: str) -> str:
    """Waits in C code, where nothing can interrupt it."""
    events[f"{name} began"].set()
    retried(events[name])
    events[f"{name} ended"].set()
    return "too late"


@task(timeout=0.05)
async def asleep() -> None:
    await asyncio.sleep(20)


@task(timeout=0.05)
async def asleep_and_clean_up() -> str:
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        return "cleaned up"
    return "never cancelled"


@task(timeout=0.05)
async def astubborn(name: str) -> None:
    await stubborn.func(name)


@task(timeout=0.05, takes_context=True)
async def ablocked(context: Any, name: str) -> None:
    """Waits for a thread that does not return in time."""
    context.progress(1, 2)
    await sync_to_async(wait_for.func)(name)


@task(timeout=0.05)
async def ablocked_stubborn(name: str) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await sync_to_async(wait_for.func)(name)
    await stubborn.func(name)


@task
async def ain_a_thread(name: str) -> str:
    return await sync_to_async(wait_for.func)(name)


@task
async def asleep_in_a_thread(name: str) -> str:
    return await asyncio.to_thread(wait_for.func, name)


@task
async def aend_executor() -> None:
    await asyncio.get_running_loop().shutdown_default_executor()


@task(timeout=5)
async def own_timeout() -> None:
    raise TimeoutError("of its own")


@task(max_attempts=3, takes_context=True)
def until_cancelled(context: Any, name: str) -> None:
    """Computes until it is interrupted, and cleans up."""
    try:
        events[f"{name} began"].set()
        busy.func(20)
    finally:
        told.append((context.cancelled, context.stopping))
        events[f"{name} ended"].set()


@task(max_attempts=3, takes_context=True)
async def auntil_cancelled(context: Any, name: str) -> None:
    try:
        events[f"{name} began"].set()
        await asyncio.sleep(20)
    finally:
        told.append((context.cancelled, context.stopping))
        events[f"{name} ended"].set()


@task
def throttle(limit: str | None = None) -> None:
    raise Throttled(3600, limit=limit)


@task
async def athrottle(limit: str | None = None) -> None:
    raise Throttled(3600, limit=limit)


@task(max_attempts=3, takes_context=True)
def snooze(context: Any, seconds: float) -> None:
    context.checkpoint("half")
    raise Snooze(seconds)


@task(max_attempts=3, takes_context=True)
async def asnooze(context: Any, seconds: float) -> None:
    await context.acheckpoint("half")
    raise Snooze(seconds)


@task(max_attempts=3)
def discard(why: str) -> None:
    raise Discard(why)


@task(max_attempts=3)
async def adiscard(why: str) -> None:
    raise Discard(why)


@task
def language() -> str | None:
    return translation.get_language()


@task
async def alanguage() -> str | None:
    await asyncio.sleep(0)
    return translation.get_language()


def exit_code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork(ends: str) -> int:
    """The exit code of a fork that ends in this way."""
    if pid := os.fork():
        return exit_code_of(pid)
    signal.alarm(20)
    told.append("fork")
    if ends == "exit":
        raise SystemExit(3)
    if ends == "raise":
        raise LookupError("in the fork")
    return -1


@task
def forks(ends: str) -> int:
    return fork(ends)


@task
async def aforks(ends: str) -> int:
    return fork(ends)


@task
async def aforks_and_awaits() -> int:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    if pid := os.fork():
        return exit_code_of(pid)
    signal.alarm(20)
    return await future


@task
async def aforks_in_a_thread(ends: str) -> int:
    return await sync_to_async(fork)(ends)


@task(takes_context=True)
def forks_in_a_step(context: Any, ends: str) -> int:
    code: int = context.step("fork", fork, ends)
    return code
