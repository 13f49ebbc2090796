"""Reads the values of the page, in a bounded number of calls to the stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from .... import jobs, scheduler
from ....core.job import Job, utcnow
from ....jobs.control.pauses import AliasPause
from ....jobs.control.unserved import is_scheduler_missing
from ....jobs.control.workers import workers_and_schedulers
from ....jobs.page_parts.scope import EVERYTHING, Scope
from ....jobs.presentation.rates import FAILED_MINUTES, rates_in
from ....jobs.stores import backend_of, queue_of
from ....queues.records.minutes import minute_of
from ....scheduler.api.control import current
from ...charts.activity import Activity, Range, activity_of, minutes_in, minutes_since
from ...pausing import pauses_for
from ...recent import Recent

#: The oldest due job is looked up separately for the AGES queues with the most jobs. SHARED_AGES other queues share one
#: look-up: with tens of thousands of names it would take a store minutes.
AGES, SHARED_AGES = 3, 200
#: The most failed jobs that are returned, and the number of jobs that are searched for them.
FAILURES, WINDOW = 50, 500
SCHEDULES = 8
#: How long the schedules are kept. Schedulers notice pauses and changes within the same time.
SCHEDULES_SECONDS = 5.0

Rates: TypeAlias = Mapping[tuple[str, str], jobs.QueueRates]


class ScheduleFacts(NamedTuple):
    """The schedules of the project."""

    upcoming: Sequence[scheduler.Upcoming] = ()
    """The schedules that are due next."""

    off: Sequence[scheduler.Problem] = ()
    """The schedules that are off because of an error."""

    waiting: int = 0
    """How many schedules wait for a scheduler: they have a next run and are not paused."""


_activities: Recent[tuple[Activity, Rates]] = Recent()
_schedules: Recent[ScheduleFacts] = Recent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of all jobs at one moment."""

    at: datetime
    queues: Sequence[jobs.QueueStats]
    ages: Mapping[tuple[str, str], float]
    """The seconds that the oldest due job of a queue has waited, by alias and name."""

    unread: frozenset[tuple[str, str]]
    """The queues that may have a due job, but whose oldest due job was not looked up."""

    workers: Sequence[jobs.AliasWorker]
    workerless: Sequence[str]
    """The aliases that need a worker and have none that is alive."""

    rates: Rates
    activity: Activity
    failures: Sequence[Job]
    failed_recently: jobs.Count
    """How many jobs failed in the last hour, and were not retried since."""

    schedules: ScheduleFacts
    is_scheduler_missing: bool
    """Whether it is known that no scheduler is alive."""

    pauses: Sequence[AliasPause] = ()
    """The tasks and tags that are paused."""

    scope: Scope = EVERYTHING
    """The jobs that the facts are about. If the scope is narrowed, workers and schedules are left out."""


def read(chosen: Range, scope: Scope) -> Facts:
    """Return the present facts about the jobs of ``scope``. Raises ``QueueError`` and ``LocoConfigurationError``."""
    now = utcnow()
    queues = scope.stats()
    workers, schedulers = workers_and_schedulers()
    alive = {worker.backend for worker in workers if worker.is_alive}
    aliases = tuple(jobs.aliases())
    ages, unread = _ages(queues, now)
    activity, rates = _activities.get(
        (chosen.name, aliases, str(scope)),
        chosen.kept_seconds,
        lambda: _activity(aliases, chosen, minute_of(now.timestamp()), scope),
    )
    failed_by_minutes = sum(each.failed_last_hour for each in rates.values())
    failures, failed_recently = failures_in(scope.filter("status:failed", window=WINDOW), now, failed_by_minutes)
    return Facts(
        at=now,
        queues=queues,
        ages=ages,
        unread=unread,
        workers=() if scope.is_narrowed else workers,
        workerless=[each for each in jobs.aliases() if each not in alive and backend_of(each).runs_stored_jobs],
        rates=rates,
        activity=activity,
        failures=failures,
        failed_recently=failed_recently,
        schedules=ScheduleFacts() if scope.is_narrowed else _schedules.get("", SCHEDULES_SECONDS, _read_schedules),
        is_scheduler_missing=is_scheduler_missing(schedulers),
        pauses=pauses_for(scope),
        scope=scope,
    )


def failures_in(found: jobs.Search, now: datetime, by_minutes: int) -> tuple[Sequence[Job], jobs.Count]:
    """Return the newest failed jobs, and how many of all ``found`` failed in the last hour and were not retried since.

    ``by_minutes`` is the number that failed by the statistics, which lag by up to two minutes, and do not know what was
    retried. It counts if there are more failed jobs than are read, and those that are read failed earlier.
    """
    page = found.page(WINDOW if by_minutes else FAILURES)
    since = now - timedelta(minutes=FAILED_MINUTES)
    recent = [job.finished_at is not None and job.finished_at >= since for job in page.jobs]
    number = jobs.Count(sum(recent), is_capped=page.next is not None and any(recent[-1:]))
    if page.next is not None and not number:
        number = jobs.Count(by_minutes)
    return page.jobs[:FAILURES], number


def forget() -> None:
    """Make the next call read everything anew."""
    _activities.clear()
    _schedules.clear()


def _activity(aliases: Sequence[str], chosen: Range, minute: int, scope: Scope) -> tuple[Activity, Rates]:
    minutes = minutes_in(chosen, aliases, minute, scope)
    holds_an_hour = not chosen.is_by_hours and chosen.first(minute) <= minute - FAILED_MINUTES
    recent = minutes if holds_an_hour else minutes_since(minute - FAILED_MINUTES, aliases, scope)
    rates = {(alias, name): rate for alias in recent for name, rate in rates_in(recent[alias], minute).items()}
    return activity_of(minutes, chosen, minute), rates


def _read_schedules() -> ScheduleFacts:
    schedules = current()
    due = [each for each in schedules.upcoming(1) if each.next_runs]
    return ScheduleFacts(
        upcoming=sorted(due, key=attrgetter("next_runs"))[:SCHEDULES],
        off=schedules.registry.problems(),
        waiting=sum(not each.paused for each in due),
    )


def _ages(
    queues: Sequence[jobs.QueueStats], now: datetime
) -> tuple[dict[tuple[str, str], float], frozenset[tuple[str, str]]]:
    """Return the ages of the oldest due jobs by alias and queue, and the queues whose ages were not read."""
    waiting = sorted((each for each in queues if each.ready), key=lambda each: (each.is_paused, -each.ready))
    found = {}
    unread = {(each.backend, each.queue) for each in waiting[AGES:]}
    for each in waiting[:AGES]:
        since = queue_of(each.backend).oldest_waiting((each.queue,))
        if since is not None:
            found[each.backend, each.queue] = max(0.0, (now - since).total_seconds())
    rest: dict[str, list[str]] = {}
    for each in waiting[AGES : AGES + SHARED_AGES]:
        if not each.is_paused:
            rest.setdefault(each.backend, []).append(each.queue)
    for alias, names in rest.items():
        since = queue_of(alias).oldest_waiting(tuple(names))
        if since is not None:
            found[alias, ", ".join(names[:3])] = max(0.0, (now - since).total_seconds())
        if since is None or len(names) == 1:
            unread -= {(alias, name) for name in names}
    return found, frozenset(unread)
