"""The start banner: the components of a process and their settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

import django
from django.conf import settings
from django.db import connections
from django.utils import timezone
from django.utils.termcolors import make_style

from .. import __version__, jobs
from ..conf import loco_settings
from ..core.compat import task_backends
from ..log.labels import COLOURS
from ..queues import queue_for
from ..scheduler.api.upcoming import upcoming_in
from ..scheduler.registry import default
from .run_options import RunOptions, mode_of, queues_of, served_aliases

Row = tuple[str, str]


def rows(run_options: RunOptions, url: str, remark: str = "") -> list[Row]:
    """Return the rows of the banner, ``(name, text)``. ``remark`` follows the URL."""
    found = [("web", f"{url}{remark}")] if url else []
    found += [("worker", text) for text in _workers(run_options)]
    if run_options.scheduler:
        found.append(("scheduler", _schedules(run_options.schedules)))
    if run_options.components:
        found.append(("components", ", ".join(run_options.components)))
    if remark and not url:
        found.append(("reload", remark))
    return [
        *found,
        ("stop", f"Ctrl-C, then up to {loco_settings().SHUTDOWN_TIMEOUT:g} s for running requests and jobs"),
    ]


def render(rows: list[Row], *, colour: bool = False) -> str:
    """Return the lines of the banner."""
    bold = make_style(opts=("bold",)) if colour else str
    title = f"django-loco {__version__}, Django {django.get_version()}, settings {settings.SETTINGS_MODULE}"
    lines = [_name(name, colour=colour) + text for name, text in rows]
    return "\n".join(["", bold(title), "", *lines, ""])


def one_line(rows: list[Row]) -> str:
    """Return the rows as one log line."""
    return ". ".join(": ".join(row) for row in rows)


def _name(name: str, *, colour: bool) -> str:
    padded = f"  {name:<11}"
    return make_style(**COLOURS[name])(padded) if colour and name in COLOURS else padded


def _workers(run_options: RunOptions) -> Iterator[str]:
    aliases = jobs.aliases()
    running = set(served_aliases(run_options))
    for alias in aliases:
        if run_options.server or alias in running:
            name = f"{alias}: " if len(aliases) > 1 else ""
            yield name + (_worker(alias, run_options) if alias in running else _elsewhere(alias))


def _worker(alias: str, run_options: RunOptions) -> str:
    threads, coroutines = loco_settings().NUM_WORKERS, loco_settings().ASYNC_WORKERS
    own = run_options if alias in run_options.backends else RunOptions()
    if own.concurrency is not None:
        threads = coroutines = own.concurrency
    queues = queues_of(alias, own) or sorted(task_backends[alias].queues)
    return "; ".join(
        [
            f"{mode_of(alias)}, {_place(alias)}",
            f"{_count(threads, 'thread')}, {_count(coroutines, 'coroutine')}",
            *([f"{'queue' if len(queues) == 1 else 'queues'} {', '.join(queues)}"] if queues else []),
            *([f"in each of {own.processes} processes"] if own.processes > 1 else []),
            *_limits(own),
        ]
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _limits(run_options: RunOptions) -> Iterator[str]:
    if run_options.tags is not None:
        yield f"only jobs tagged {' or '.join(run_options.tags)}" if run_options.tags else "only jobs without tags"
    if run_options.drain:
        yield "ends when no job is due"
    if run_options.max_jobs is not None:
        yield f"ends after {_count(run_options.max_jobs, 'job')}"
    if run_options.max_memory is not None:
        yield f"ends above {run_options.max_memory} MB"


def _elsewhere(alias: str) -> str:
    if mode_of(alias) == "ForegroundBlocking":
        return "ForegroundBlocking; jobs run inside enqueue()"
    if not queue_for(alias).is_shared:
        return f"none, so jobs never run: {_place(alias)} is not shared; add --worker"
    return f"none here; jobs wait in {_place(alias)} for manage.py loco_worker, or add --worker"


def _place(alias: str) -> str:
    queue = queue_for(alias)
    if queue.database is not None:
        return connections[queue.database].display_name
    return type(queue).__name__.removesuffix("Queue").lower()


def _schedules(tags: Collection[str]) -> str:
    # Only schedules in the code: the start must not wait for an unreachable database.
    found = upcoming_in(default, tags=tags)
    broken = len(default.problems())
    text = _count(len(found), "schedule") if found else "no schedules in the code"
    if due := [(entry.next_runs[0], entry.name) for entry in found if entry.next_runs]:
        moment, name = min(due)
        text += f"; next is {name} at {_clock(moment)}"
    return text + (f"; {broken} more disabled because of errors" if broken else "")


def _clock(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return local.strftime("%H:%M:%S" if local.date() == timezone.localdate() else "%a %H:%M:%S")
