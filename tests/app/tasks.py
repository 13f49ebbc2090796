"""Jobs that tests enqueue."""

import asyncio
import fcntl
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from django_loco.tasks import Throttled, enqueue_many, task

#: What ran, in this process: ``(name, arguments)`` in the order of their ends.
ran: list[tuple[str, Any]] = []
#: Held closed, it keeps ``blocked`` from ending.
gate = threading.Event()


@task
def add(a: int, b: int) -> int:
    ran.append(("add", (a, b)))
    return a + b


@task(unique=True)
def sync_stock(shop: str, *, full: bool = False) -> str:
    ran.append(("sync_stock", (shop, full)))
    return shop


@task(unique=True, max_attempts=2, backoff=0)
def unique_step(number: int) -> None:
    """A ``step`` of which every third attempt fails."""
    step.func(number, 0.01)
    if os.getpid() % 3 == number % 3:
        raise ConnectionError("fails")


@task
async def aadd(a: int, b: int) -> int:
    await asyncio.sleep(0)
    ran.append(("aadd", (a, b)))
    return a + b


@task
def sleep_a_moment(number: int) -> int:
    time.sleep(number % 7 / 1000)
    return number


@task
async def asleep_a_moment(number: int) -> int:
    await asyncio.sleep(number % 7 / 1000)
    return number


@task(max_attempts=2, backoff=0, takes_context=True)
def fails_at_first(context: Any, number: int) -> int:
    if context.attempt == 1:
        raise ConnectionError("fails")
    return number


@task
def echo(*args: Any, **kwargs: Any) -> Any:
    ran.append(("echo", (args, kwargs)))
    return [list(args), kwargs]


@task
def fail(text: str = "boom") -> None:
    ran.append(("fail", text))
    raise ValueError(text)


@task(max_attempts=3, backoff=0)
def fail_twice(counter: str) -> int:
    ran.append(("fail_twice", counter))
    count = sum(1 for name, what in ran if (name, what) == ("fail_twice", counter))
    if count < 3:
        raise ConnectionError(f"attempt {count}")
    return count


@task(takes_context=True)
def attempt(context: Any) -> int:
    return int(context.attempt)


@task
def throttled(number: int, limit: str | None = None) -> int:
    ran.append(("throttled", number))
    if len(ran) == 1:
        raise Throttled(retry_after=3600, limit=limit)
    return number


@task
def throttled_at(number: int, last: int) -> None:
    ran.append(("throttled_at", number))
    if number == last:
        raise Throttled(retry_after=3600)


@task
def blocked() -> None:
    gate.wait(30)


@task
def unencodable() -> Any:
    return {1, 2}


@task(queue_name="emails", priority=10, tags=["email"])
def send(user_id: int) -> str:
    ran.append(("send", user_id))
    return f"sent to {user_id}"


def note(line: str) -> None:
    """Append a line to the file that tests of several processes read, by one ``write``."""
    path = Path(os.environ["LOCO_TEST_FOLDER"], "notes")
    with path.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


@task
def step(number: int, seconds: float = 0.02) -> int:
    """A job whose starts and ends can be counted from outside."""
    note(f"start {number}")
    time.sleep(seconds)
    note(f"end {number}")
    return number


@task
def in_slot(number: int, key: str, slots: int) -> int:
    """A job that takes a slot of a key, which the kernel frees if the process dies, and notes if there is none."""
    for slot in range(slots):
        with Path(os.environ["LOCO_TEST_FOLDER"], f"slot-{key}-{slot}").open("w") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.05)
            note(f"end {number}")
            return number
    note(f"over {number}")
    note(f"end {number}")
    return number


@task
def stay(number: int, seconds: float) -> None:
    """``step`` by the monotonic clock alone: where the time is faked, ``time.sleep`` fails."""
    note(f"start {number}")
    threading.Event().wait(seconds)
    note(f"end {number}")


@task
async def astep(number: int, seconds: float = 0.02) -> int:
    note(f"start {number}")
    await asyncio.sleep(seconds)
    note(f"end {number}")
    return number


@task(max_attempts=2, backoff=0.5, takes_context=True)
def shaky(context: Any, number: int, fails: bool) -> int:
    """A job that may fail at first, and tells of each attempt who runs it and when."""
    tell(context, "start", number)
    time.sleep(number % 7 / 100)
    return result(context, number, fails)


@task(max_attempts=2, backoff=0.5, takes_context=True)
async def ashaky(context: Any, number: int, fails: bool) -> int:
    tell(context, "start", number)
    await asyncio.sleep(number % 7 / 100)
    return result(context, number, fails)


def tell(context: Any, word: str, number: int) -> None:
    note(f"{word} {number} {context.attempt} {os.getpid()} {time.monotonic():.3f}")


def result(context: Any, number: int, fails: bool) -> int:
    if fails and context.attempt == 1:
        tell(context, "fail", number)
        raise ConnectionError("as it should")
    tell(context, "end", number)
    return number


@task
def poison(number: int, seconds: float = 0.0) -> None:
    """Takes its worker down with it."""
    note(f"start {number}")
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


@task
async def apoison(number: int, seconds: float = 0.0) -> None:
    note(f"start {number}")
    await asyncio.sleep(seconds)
    os._exit(1)


@task
def leave_a_fork(number: int, seconds: float) -> None:
    """Leaves a forked copy of its worker behind, as ``multiprocessing`` makes one, for a while."""
    note(f"start {number}")
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(seconds,), daemon=True).start()
    note(f"end {number}")


@task(takes_context=True)
def killer(context: Any, number: int) -> None:
    """Takes its worker down, and tells of each run."""
    tell(context, "start", number)
    time.sleep(0.03)
    os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True)
async def akiller(context: Any, number: int) -> None:
    tell(context, "start", number)
    await asyncio.sleep(0.03)
    os._exit(1)


@task(takes_context=True)
def forking(context: Any, number: int) -> int:
    """Leaves a forked copy of its worker behind for some seconds, and tells of each run."""
    tell(context, "start", number)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(3,), daemon=True).start()
    tell(context, "end", number)
    return number


@task
def tick() -> None:
    note(f"tick {time.time():.0f}")


@task
def chain(number: int) -> None:
    """Enqueues the next one down to 0."""
    note(f"end {number}")
    if number:
        chain.enqueue(number - 1)


@task
def rally(number: int, alias: str, other: str, seconds: float = 1.5) -> None:
    """A job of ``alias`` that lets the next one, down to 0, run in ``other``, which returns it."""
    time.sleep(seconds)
    if number:
        rally.using(backend=other).enqueue(number - 1, other, alias, seconds)
    note(f"end {number}")


@task
def generations(number: int) -> list[str | None]:
    """Enqueue a child in each way, the first with ``number`` generations below it; return the parents they name."""
    if not number:
        return []
    children: list[Any] = [generations.enqueue(number - 1), add.using(timeout=5).enqueue(1, 2)]
    return [child.parent for child in (*children, *enqueue_many(add, [(3, 4)]))]


@task
async def agenerations() -> str | None:
    """``generations`` on the event loop."""
    return (await add.aenqueue(1, 2)).parent


@task(takes_context=True)
def annotate(context: Any, changes: dict[str, Any], save: bool = False, error: str = "") -> dict[str, Any]:
    """Change its metadata, and return those that it had at first."""
    before = dict(context.metadata)
    context.metadata.update(changes)
    if save:
        assert context.save_metadata()
        context.metadata["later"] = True
    if error:
        raise ValueError(error)
    return before


@task(takes_context=True)
async def aannotate(context: Any, changes: dict[str, Any], error: str = "") -> dict[str, Any]:
    before = dict(context.metadata)
    context.metadata.update(changes)
    assert await context.asave_metadata()
    context.metadata["later"] = True
    if error:
        raise ValueError(error)
    return before


@task(takes_context=True)
def spoil_metadata(context: Any) -> None:
    context.metadata["value"] = {1, 2}


@task(keep_log=True, takes_context=True)
def log_a_line(context: Any, text: str, *, error: str = "") -> None:
    context.log.info("%s", text)
    if error:
        raise ValueError(error)


@task(keep_log=True, takes_context=True)
async def alog_a_line(context: Any, text: str) -> None:
    context.log.info("%s", text)


@task(unique=True)
def enqueue_itself() -> list[Any]:
    result: Any = enqueue_itself.enqueue()
    return [result.id, result.duplicate]


@task(takes_context=True)
def advance(context: Any, done: int, total: int) -> None:
    """Say how far it is, save that in every other way as well, and fail."""
    for number in range(done):
        context.progress(number + 1, total, "rows <b>")
        context.checkpoint(number + 1)
    context.metadata["b"] = 2
    raise ValueError("the rest is missing")


@task(takes_context=True, max_attempts=1)
def grow(context: Any, number: int, more: int, fails: bool = False) -> None:
    """A member of a batch that adds ``more`` members."""
    note(f"start {number}")
    time.sleep(number % 5 / 100)
    if fails:
        raise ConnectionError("as it should")
    for _ in range(more):
        context.batch.enqueue(step, number)
    note(f"end {number}")


@task(max_attempts=1)
def as_node(name: str, fails: bool = False) -> str:
    """A node of a workflow."""
    note(f"start {name}")
    time.sleep(len(name) % 3 / 50)
    if fails:
        raise ConnectionError("as it should")
    note(f"end {name}")
    return name


@task
def followed(batch_id: str) -> None:
    """What follows a batch."""
    note(f"followed {batch_id}")


@task(takes_context=True)
def in_steps(context: Any, number: int, steps: int) -> int:
    """A job of durable steps, each of which notes that it is called."""
    note(f"start {number}")
    done = [context.step(f"step-{place}", _one_step, number, place) for place in range(steps)]
    note(f"end {number}")
    return sum(done)


@task(takes_context=True)
def in_waits(context: Any, number: int) -> list[Any]:
    """A job that sleeps and waits for signals between its steps."""
    note(f"start {number}")
    context.step("first", _one_step, number, 0)
    context.sleep("nap", seconds=number % 5 / 10)
    context.step("second", _one_step, number, 1)
    answers = [context.wait_for("go"), context.wait_for("late", timeout=0.1, default="none"), context.wait_for("end")]
    context.step("third", _one_step, number, 2)
    note(f"end {number}")
    return answers


@task(unique=lambda _number: "all", on_duplicate="rerun")
def rebuild(number: int) -> None:
    """A job that runs once more afterwards if it is called while it runs."""
    note(f"start {number}")
    time.sleep(0.1)
    note(f"end {number}")


def _one_step(number: int, place: int) -> int:
    note(f"called {number}-{place}")
    time.sleep(0.02)
    return place
