"""Jobs that save how far they have come."""

from __future__ import annotations

import threading
from typing import Any

from django_loco.exceptions import Interrupted
from django_loco.tasks import task

#: What each run began with, and what it was told when it saved.
seen: list[Any] = []
saved: list[bool] = []
reached, go_on = threading.Event(), threading.Event()


@task(takes_context=True)
def count(context: Any, to: int, pause_at: int = -1) -> int:
    seen.append(context.checkpoint_value)
    for number in range(context.checkpoint_value or 0, to):
        saved.append(context.checkpoint(number + 1))
        if number == pause_at and len(seen) == 1:
            reached.set()
            go_on.wait(10)
        if context.stopping:
            raise Interrupted
    return to


@task(takes_context=True)
async def acount(context: Any, to: int) -> list[Any]:
    saved.extend([await context.acheckpoint({"done": number}) for number in range(to)])
    return [context.checkpoint_value, context.attempt]


@task(takes_context=True, max_attempts=3, backoff=0)
def stumble(context: Any) -> Any:
    value = (context.checkpoint_value or 0) + 1
    context.checkpoint(value)
    if value < 3:
        raise ValueError(value)
    return value


@task(takes_context=True)
def save(context: Any, value: Any) -> Any:
    saved.append(context.checkpoint({1, 2} if value == "a set" else value))
    found = context.checkpoint_value
    assert found is not context.checkpoint_value or not isinstance(found, list)
    return found


@task
def give_in() -> None:
    seen.append("began")
    raise Interrupted
