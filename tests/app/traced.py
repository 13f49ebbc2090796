"""Jobs that make spans of their own, as an instrumented library does, and enqueue each other."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from opentelemetry import trace

from django_loco.tasks import task


def work() -> AbstractContextManager[object]:
    """A span of the job's own. Its tracer is that of the test which runs now."""
    return trace.get_tracer(__name__).start_as_current_span("work")


@task
def relay(number: int) -> None:
    """Enqueue the same job ``number`` times more, one after the other."""
    with work():
        if number:
            relay.enqueue(number - 1)


@task
async def arelay(number: int) -> None:
    with work():
        if number:
            await arelay.aenqueue(number - 1)


@task(max_attempts=2, backoff=0)
def fail_with(password: str) -> None:
    raise ValueError(f"not {password}")


@task(max_attempts=2, backoff=0)
async def afail_with(password: str) -> None:
    raise ValueError(f"not {password}")


@task
async def alinger() -> None:
    await asyncio.sleep(60)
