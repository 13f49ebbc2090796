"""Schedules: whether a process fires them, and whether it has fired the ticks that were due."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from django.apps import apps
from django.conf import settings

from ...conf import loco_settings
from ...core.job import JobSummary, utcnow
from ...jobs.control.workers import AliasWorker
from ...jobs.presentation.age import age
from ...log.plain_text import counted, one_line
from ...queues.records.minutes import KEPT_MINUTES, Minute, minute_of
from ...scheduler import ScheduleEntry
from ...scheduler.api.control import Current
from ...scheduler.job_lookup import jobs_of, tick_of, was_under_way
from ...scheduler.triggers.trigger import last_tick
from ..schedules import clock
from .finding import Finding, error, info, remedy_of, warning
from .registry import project_check
from .site import Site

#: A tick that is fired later than this, or not fired within this time, is reported.
LATE = timedelta(seconds=60)
#: How far to look back. Before that, jobs of ticks may have been pruned.
LOOK_BACK = timedelta(days=1)
#: How many schedules have their ticks computed, how many have their jobs looked up, and how many are named.
COMPUTED, ASKED, NAMED = 2_000, 25, 5
START = "Start loco_scheduler, loco_worker --scheduler, or loco_start --scheduler."
#: The job of a tick is looked for among this many jobs of its schedule.
JOBS_READ = 20
#: Matches the source of a call that declares a schedule.
DECLARES = re.compile(r"^@?scheduler\.\w+\(", re.MULTILINE)


class Due(NamedTuple):
    """A schedule, and its last tick that must have been fired by now."""

    tick: datetime
    entry: ScheduleEntry


@project_check(
    "Schedules",
    "schedules.reachable",
    good="The schedules can be read.",
    when=lambda site: not site.lacks_tables(site.schedules_database),
)
def reachable(site: Site) -> Iterator[Finding]:
    """Report schedules in the database that cannot be read."""
    if trouble := site.schedules_trouble:
        setting = f"DATABASES[{site.schedules_database!r}]"
        text = f"The schedules and pauses in {setting} cannot be read: {trouble}"
        yield error("schedules.reachable", text, remedy_of(trouble, setting))


def _any_store_answers(site: Site) -> bool:
    """Return whether the jobs of any schedule can be seen. Otherwise it is not known which ticks have fired."""
    return any(store.trouble is None for store in site.stores)


def _alive(site: Site) -> list[AliasWorker]:
    """Return the schedulers that are alive."""
    return [each for store in site.stores if store.trouble is None for each in store.schedulers if each.is_alive]


def _number(site: Site) -> int:
    return sum(1 for _ in site.schedules.registry.entries())


@project_check(
    "Schedules",
    "schedules.scheduler",
    good="A scheduler is alive, or there are no schedules.",
    when=lambda site: _any_store_answers(site) if _number(site) else not site.schedules_trouble,
)
def scheduler_alive(site: Site) -> Iterator[Finding]:
    """Report that there are schedules, but no scheduler that would fire them."""
    if (number := _number(site)) and not _alive(site):
        text = f"No scheduler is alive, and {counted(number, 'schedule waits', 'schedules wait')} for one."
        yield warning("schedules.scheduler", text, START)


@project_check(
    "Schedules",
    "schedules.memory",
    good="",
    when=lambda site: site.stores and _number(site) and all(store.is_in_memory for store in site.stores),
)
def scheduler_unseen(site: Site) -> Iterator[Finding]:  # noqa: ARG001
    """Say that it is not known whether a scheduler is alive, because no store is shared by processes."""
    yield info(
        "schedules.memory",
        "There are schedules. It cannot be known from here whether a scheduler is alive: jobs wait in memory.",
        "Ask the process with the scheduler at /_health.",
    )


@project_check("Schedules", "schedules.undiscovered", good="")
def undiscovered(site: Site) -> Iterator[Finding]:  # noqa: ARG001
    """Find schedules in the package of the settings if no scheduler reads it, because it is no installed app."""
    package = str(getattr(settings, "ROOT_URLCONF", "")).rpartition(".")[0]
    if not package or any(app.name == package for app in apps.get_app_configs()):
        return
    for module in (f"{package}.schedules", f"{package}.tasks"):
        if module not in sys.modules and DECLARES.search(_source_of(module)):
            text = f"{module} seems to declare schedules, which no scheduler finds: {package!r} is no installed app."
            remedy = f"Add {package!r} to INSTALLED_APPS, or declare them in schedules.py of an app."
            yield warning("schedules.undiscovered", text, remedy)


def _source_of(module: str) -> str:
    """Return the source of a module without importing it; ``""`` if there is none."""
    try:
        found = find_spec(module)
        return Path(found.origin).read_text("utf-8") if found and found.origin else ""
    except (ImportError, OSError, ValueError):
        return ""


@project_check(
    "Schedules",
    "schedules.fired",
    good="The schedules that were due have fired, or there are none.",
    when=lambda site: _any_store_answers(site) and not site.schedules_trouble,
)
def fired(site: Site) -> Iterator[Finding]:
    """Compare the last tick of each schedule with its jobs."""
    if not (due := list(_due(site, site.schedules))):
        return
    missed, late = [], []
    for each in due:
        found = jobs_of(each.entry, JOBS_READ)
        jobs = {tick_of(job): job for job in found}
        newest = max(filter(None, jobs), default=None)
        if newest is None or newest < each.tick:
            missed += [] if _waits_for_its_turn(each, found) else [each]
        elif jobs[newest].enqueued_at - newest > LATE:
            late.append((each.entry, jobs[newest].enqueued_at - newest))
    if len(missed) == len(due):
        yield _nobody_fires(missed, is_alive=bool(_alive(site)))
    else:
        yield from map(_not_fired, missed[:NAMED])
    yield from (_late(entry, delay) for entry, delay in late[:NAMED])


def _due(site: Site, known: Current) -> Iterator[Due]:
    """Yield the schedules that were due, the latest first. Schedules whose jobs cannot be seen are left out."""
    seen = {store.alias for store in site.stores if store.trouble is None}
    now = utcnow()
    start = now - min(LOOK_BACK, timedelta(seconds=0.9 * loco_settings().RESULT_TTL))
    if alive := _alive(site):
        # Before the first one of a new site, nobody could fire ticks.
        start = max(start, min(each.started_at for each in alive))
    start = max(start, _first_count(site, start))
    found = []
    for entry in islice(known.registry.entries(), COMPUTED):
        if entry.task.backend in seen and not entry.after and not known.is_paused(entry.name):
            pause = known.pauses.get(entry.name)
            begin = max(start, min(entry.changed_at or start, now))  # before its last change, a row had other ticks
            tick = last_tick(entry.trigger, begin, now - LATE - entry.jitter)
            if tick is not None and (pause is None or not pause.covers(tick)):
                found.append(Due(tick, entry))
    yield from sorted(found, key=lambda each: each.tick, reverse=True)[:ASKED]


def _first_count(site: Site, start: datetime) -> datetime:
    """Return when the stores counted their first job; ``start`` if they have no statistics.

    A tick before that time is older than the project, or than its statistics.
    """
    firsts = []
    for queue in (store.queue for store in site.stores if store.trouble is None):
        first = _first_of(queue.hours(minute_of(utcnow().timestamp()) - KEPT_MINUTES))
        if first is not None:
            firsts.append(first if first < minute_of(start.timestamp()) else _first_of(queue.minutes(first)) or first)
    return datetime.fromtimestamp(min(firsts) * 60, UTC) if firsts else start


def _first_of(minutes: Sequence[Minute]) -> int | None:
    return min((each.labels.minute for each in minutes), default=None)


def _waits_for_its_turn(due: Due, jobs: Sequence[JobSummary]) -> bool:
    """Return whether the tick may wait, or have been left out, because an earlier job of the schedule had not ended."""
    if due.entry.overlap == "skip" and any(was_under_way(job, due.tick) for job in jobs):
        return True
    return due.entry.overlap != "allow" and any(job.finished_at is None for job in jobs)


def _nobody_fires(missed: list[Due], *, is_alive: bool) -> Finding:
    first = missed[0]
    number = counted(len(missed), "schedule was", "schedules were")
    last = f"the last one, {one_line(first.entry.name)}, at {clock(_there(first))}."
    if is_alive:
        text = f"A scheduler is alive, but {number} due and not fired, {last}"
        remedy = "Look at its log, and restart it if the code has changed. With --tag it fires those with the tag only."
        return error("schedules.fired", text, remedy)
    return error("schedules.fired", f"No process seems to fire schedules: {number} due and not fired, {last}", START)


def _not_fired(each: Due) -> Finding:
    name = one_line(each.entry.name)
    return warning(
        "schedules.fired",
        f"The schedule {name} was due at {clock(_there(each))}, and has no job of that time.",
        f"If it is not newer than that, look at loco_scheduler --history {name}, and at the scheduler's log.",
    )


def _late(entry: ScheduleEntry, delay: timedelta) -> Finding:
    return info(
        "schedules.late",
        f"The last job of the schedule {one_line(entry.name)} was enqueued {age(delay.total_seconds())} late.",
        "The log of django_loco.scheduler says why: no scheduler ran, or the store was away.",
    )


def _there(each: Due) -> datetime:
    return each.tick.astimezone(each.entry.trigger.zone or each.tick.tzinfo)
