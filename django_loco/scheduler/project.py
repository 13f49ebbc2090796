"""The schedules of this project, wherever they are kept: what ``from django_loco import scheduler`` says of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction

from ..compat import TaskResult
from ..conf import did_you_mean
from ..exceptions import LocoConfigurationError
from .entries import Upcoming
from .registry import Problem, Registry, default
from .stored import NO_TABLE, NoTable, Pause, Reader, Stored, database, has_database, model, now

logger = logging.getLogger("django_loco.scheduler")


class Current(NamedTuple):
    """All schedules as they are now."""

    registry: Registry
    pauses: Mapping[str, Pause]

    def is_paused(self, name: str) -> bool:
        """Whether the schedule ``name`` is."""
        return name in self.pauses and self.pauses[name].since is not None

    def upcoming(self, runs: int, *, after: datetime | None = None, tags: Collection[str] = ()) -> list[Upcoming]:
        """Return them as ``upcoming`` does."""
        rows = self.registry.upcoming(runs, after=after, tags=tags)
        return [row._replace(paused=self.is_paused(row.name)) for row in rows]


def current() -> Current:
    """Return the schedules of code, settings and database; without those of a database that cannot be read."""
    try:
        stored = _read()
    except NoTable:
        stored = Stored()
    except DatabaseError as error:
        logger.warning("The schedules in the database cannot be read, and are left out: %s", error)
        stored = Stored()
    return Current(default.joined(stored.rows), stored.pauses)


def upcoming(runs: int = 1, *, after: datetime | None = None, tags: Collection[str] = ()) -> list[Upcoming]:
    """Return the schedules sorted by name, each with its first ``runs`` ticks after ``after``, by default now.

    With ``tags`` those that have one of them. Of one that is paused: the ticks that it would have.
    """
    return current().upcoming(runs, after=after, tags=tags)


def problems() -> list[Problem]:
    """Return what is wrong with the schedules that are off."""
    return current().registry.problems()


def run(name: str) -> TaskResult[..., Any]:
    """Enqueue a job of the schedule ``name`` now, be it paused, beside those of its ticks; return its result.

    Raises ``LocoConfigurationError`` if there is no such schedule, or it is off, and what ``enqueue()`` raises.
    """
    return (default if default.has(name) else current().registry).run(name)


def pause(name: str, *, by: str = "") -> bool:
    """Leave out the ticks of the schedule ``name`` until it is resumed; return whether it was not paused already.

    Schedulers see it within 5 seconds. ``by`` is shown: who paused it. Raises ``LocoConfigurationError`` if there is no
    such schedule, or no table in the database.
    """
    _require(name)
    states = model("ScheduleState").objects
    states.get_or_create(name=name)
    changed = states.filter(name=name, paused_at__isnull=True).update(paused_at=now(), paused_by=by[:200])
    return bool(changed)


def resume(name: str) -> bool:
    """End the pause of the schedule ``name``; return whether there was one. What was due in it is not made up for.

    Raises what ``pause`` raises.
    """
    _require(name)
    paused = model("ScheduleState").objects.filter(name=name, paused_at__isnull=False)
    return bool(paused.update(paused_at=None, paused_by="", resumed_at=now()))


def _require(name: str) -> None:
    """Raise ``LocoConfigurationError`` unless there is a schedule ``name``, be it off, and a table for its pauses."""
    try:
        registry = default.joined(_read().rows)
    except NoTable as error:
        raise LocoConfigurationError(NO_TABLE) from error
    if not registry.has(name):
        known = sorted(entry.name for entry in registry.entries())
        raise LocoConfigurationError(f"there is no schedule {name!r}.{did_you_mean(name, known)}")


def _read() -> Stored:
    if not has_database():
        raise NoTable
    # A table that is missing must not end the caller's transaction.
    inner = transaction.atomic(using=database()) if connections[database()].in_atomic_block else nullcontext()
    with inner:
        return Reader(default.exposed).read()
