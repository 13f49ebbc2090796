"""Jobs that the tests of the testing helpers enqueue."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from django_loco.exceptions import Interrupted
from django_loco.tasks import task

ran: list[Any] = []


@task
def send(user_id: int, fast: bool = False, to: Any = None) -> Any:
    ran.append(user_id)
    return [user_id, to]


@task
async def asend(user_id: int) -> int:
    ran.append(user_id)
    return user_id


@task(takes_context=True)
def look(context: Any, name: str = "") -> Any:
    return [context.attempt, context.checkpoint_value, context.metadata, name]


@task(takes_context=True)
def begin(context: Any) -> None:
    context.checkpoint(1)
    raise Interrupted


@task
def fail(text: str) -> None:
    raise LookupError(text)


@task(max_attempts=3, backoff=60, takes_context=True)
def shaky(context: Any, succeeds_at: int = 3) -> int:
    if context.attempt < succeeds_at:
        raise LookupError(f"attempt {context.attempt}")
    return int(context.attempt)


@task(timeout=0.05)
def spin() -> None:
    while True:
        pass


@task(timeout=0.05)
def nap() -> None:
    for _ in range(100):
        time.sleep(0.01)


@task(timeout=0.05)
async def anap() -> None:
    await asyncio.sleep(1)


@task(takes_context=True, timeout=60)
def left_after_a_while(context: Any) -> Any:
    before = context.remaining()
    time.sleep(0.01)
    return before - context.remaining()


@task
def unencodable() -> Any:
    return {1}.union


@task
def chain(number: int) -> None:
    ran.append(number)
    if number:
        chain.using(run_after=timedelta(hours=number)).enqueue(number - 1)


@task
def chain_now(number: int) -> None:
    ran.append(number)
    if number:
        chain_now.enqueue(number - 1)


@task
def mail(template: str, /, *to: str, **context: Any) -> None: ...


@task(takes_context=True)
def sleep(context: Any) -> None:
    context.sleep("night", hours=8)


@task(takes_context=True)
async def await_payment(context: Any) -> None:
    await asyncio.gather(context.await_for("paid"))


@task(takes_context=True)
def wait_for_payment(context: Any) -> None:
    context.wait_for("paid", timeout=3600)


@task(unique=True)
def once(number: int) -> None: ...


@task(takes_context=True)
def approve(context: Any) -> None:
    context.wait_for("approved")


@task
def ship() -> None:
    ran.append("shipped")
