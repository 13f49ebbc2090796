"""A store that schedulers share, on a clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django_loco.core.compat import BaseTaskBackend, TaskResultStatus
from django_loco.core.job import RUNNING, SUCCESSFUL, Job, JobSummary
from django_loco.scheduler import Registry, Scheduler
from django_loco.tasks.enqueueing.tick_jobs import ScheduledCall

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Store:
    """What the backends of a test have in common."""

    def __init__(self) -> None:
        self.now = NOON
        self.jobs: dict[str, Job] = {}
        """By their keys, in the order in which they came."""

        self.looks: list[tuple[str, datetime]] = []
        """Which series was looked at, and when."""

        self.limits: list[int] = []
        """How far."""

        self.failure: Exception | None = None

    def clock(self) -> datetime:
        return self.now

    def enqueue(self, tick: ScheduledCall) -> bool:
        if self.failure:
            raise self.failure
        if tick.key in self.jobs:
            return False
        self.jobs[tick.key] = Job(
            id=f"{len(self.jobs):032x}",
            task_path=tick.task.module_path,
            backend="default",
            key=tick.key,
            run_after=tick.at,
            enqueued_at=self.now,
        )
        return True

    def answers(self) -> bool:
        return self.failure is None

    def series(self, name: str, limit: int = 100) -> list[JobSummary]:
        self.looks.append((name, self.now))
        self.limits.append(limit)
        if self.failure:
            raise self.failure
        return [JobSummary.of(job) for job in reversed(self.jobs.values()) if job.series == name][:limit]

    def each_series(self, names: Sequence[str], limit: int = 100) -> dict[str, list[JobSummary]]:
        return {name: self.series(name, limit) for name in names}

    def made(self, name: str) -> list[str]:
        """What has been made of a schedule: the ends of the keys, of times the time of the day."""
        members = [job.key[len(name) + 1 :] for job in self.jobs.values() if job.key and job.series == name]
        return [member[11:19] if member[:4] == "2026" else member for member in members]

    def begin(self, name: str) -> None:
        """Let a worker fetch all jobs of a schedule."""
        self.change(name, status=RUNNING)

    def end(self, name: str, status: TaskResultStatus = SUCCESSFUL, but: str = "") -> None:
        """Let all jobs of a schedule end that have not, except for the one with the key ``but``."""
        for key, job in self.jobs.items():
            if job.series == name and job.finished_at is None and key != but:
                self.jobs[key] = replace(job, status=status, finished_at=self.now)

    def end_at(self, key: str, moment: datetime) -> None:
        """Let a job have succeeded at ``moment``."""
        self.jobs[key] = replace(self.jobs[key], status=SUCCESSFUL, finished_at=moment)

    def change(self, name: str, **changes: Any) -> None:
        """Change all jobs of a schedule."""
        for key, job in self.jobs.items():
            if job.series == name:
                self.jobs[key] = replace(job, **changes)


class StoreBackend(BaseTaskBackend):
    """What a test names in ``TASKS``, with ``store`` set."""

    store = Store()

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        raise NotImplementedError

    def enqueue_tick(self, task: Any, args: Any, kwargs: Any, *, key: str, tick: datetime) -> object:
        return self.enqueue_ticks([ScheduledCall(task, args, kwargs, key, tick)])[0]

    def enqueue_ticks(self, ticks: Iterable[ScheduledCall]) -> list[object]:
        return [object() if self.store.enqueue(tick) else None for tick in ticks]

    @property
    def queue(self) -> Store:
        return self.store


SETTING = {"default": {"BACKEND": f"{__name__}.StoreBackend", "QUEUES": []}}


def started(registry: Registry, store: Store, tags: Sequence[str] = ()) -> Scheduler:
    """Return a scheduler that has just been started, without its thread."""
    scheduler = Scheduler(registry, tags=tags, now=store.clock)
    scheduler.load()
    return scheduler


def let_go_by(
    store: Store, seconds: float, *schedulers: Scheduler, step: float = 0.5, meanwhile: Callable[[], object] = int
) -> None:
    """Let time go by in small steps, and the schedulers fire."""
    until = store.now + timedelta(seconds=seconds)
    while store.now < until:
        store.now += timedelta(seconds=step)
        for scheduler in schedulers:
            scheduler.fire_due()
        meanwhile()
