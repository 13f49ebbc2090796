"""A scheduler of many schedules, and what it costs: prints one JSON object, and goes on until stdin ends.

``python many_schedules.py idle|busy COUNT SECONDS``, in a Django site. ``idle``: each is due once a day.
``busy``: half of them are intervals and half cron expressions, together ``COUNT / 100`` due per second, all of them at
full seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import django

#: Seconds from the start until what is measured begins, and once more when what a start makes up for has been fired:
#: first calls are slower, and are not what is asked.
WARM_UP = 2.0
#: Seconds between two runs of a schedule: of an interval, and of a cron expression.
PERIOD, CRON_PERIOD = 86, 120
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")


def main() -> None:
    django.setup()
    kind, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    measure(kind, count, seconds)


def measure(kind: str, count: int, seconds: float) -> None:
    from django_loco.scheduler import Registry, Scheduler  # noqa: PLC0415 - when Django is set up

    registry = Registry(strict=True)
    declaring = _took(lambda: {"idle": declare_idle, "busy": declare_busy}[kind](registry, count))
    scheduler = Scheduler(registry)
    late = watch_queue()
    starting = _took(scheduler.start)
    time.sleep(WARM_UP)
    while late and scheduler.health()["late_by"] > 1:
        time.sleep(0.1)
    time.sleep(WARM_UP)
    late.clear()
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(seconds)
    load, lasted = time.process_time() - cpu, time.monotonic() - began
    told = {
        "declare": declaring,
        "start": starting,
        "cpu": load / lasted,
        "due": len(late) / lasted,
        "late": sorted(round(1000 * each, 1) for each in late),
    }
    print(json.dumps(told), flush=True)
    sys.stdin.read()  # until the others have measured, too
    scheduler.stop(time.monotonic())
    scheduler.join(10)


def declare_idle(registry: Any, count: int) -> None:
    from tests.app.tasks import add  # noqa: PLC0415

    for number in range(count):
        at = f"{number // 60 % 24:02}:{number % 60:02}"
        registry.daily(add, at=at, timezone=ZONES[number % 4], args=[number, 1], name=f"daily {number}")


def declare_busy(registry: Any, count: int) -> None:
    from tests.app.tasks import add  # noqa: PLC0415

    for number in range(count):
        name, args = f"often {number}", [number, 1]
        if number % 2:
            expression = f"{number // 2 % 60} {number // 120 % 2}/{CRON_PERIOD // 60} * * * *"
            registry.cron(expression, add, timezone=ZONES[number // 2 % 4], args=args, name=name)
        else:
            registry.every(add, seconds=PERIOD, phase=number // 2 % PERIOD, args=args, name=name)


def watch_queue() -> list[float]:
    """Return a list that gets the seconds by which each job was late when it had been stored."""
    from django_loco.queues import queue_for  # noqa: PLC0415

    queue: Any = queue_for("default")
    late: list[float] = []
    enqueue: Callable[[Sequence[Any]], Any] = queue.enqueue

    def watched(jobs: Sequence[Any]) -> Any:
        stored = enqueue(jobs)
        now = time.time()
        late.extend(now - job.run_after.timestamp() for job in stored)
        return stored

    queue.enqueue = watched
    return late


def _took(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
