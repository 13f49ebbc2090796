"""Reads the queues for metrics, and counts the schedules.

A process reads each queue at most once in ``FRESH_SECONDS``, however often it is asked, in a thread of its own. A queue
that hangs holds up nobody for longer than ``ANSWER_SECONDS``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.dispatch import receiver

from ... import jobs
from ...jobs.control.unserved import shows_schedulers
from ...jobs.control.workers import workers_and_schedulers
from ...jobs.stores import backend_of
from ...log.safe import get_logger
from ...queues import queue_for
from ...queues.records.minutes import Minute
from ...queues.records.pauses import JobPause
from ...scheduler.api.counting import count_on
from .probe import Probe

logger = get_logger("django_loco.metrics")

#: How long an answer is reused.
FRESH_SECONDS = 5.0
#: How long the number of schedules is reused. It is needed only for alerts, which come minutes later.
SCHEDULES_SECONDS = 60.0
#: How long all queues together may take. Prometheus waits for ten seconds by default.
ANSWER_SECONDS = 5.0
#: Jobs are counted up to this number.
MAX_COUNT = 100_000


class Snapshot(NamedTuple):
    """A snapshot of one alias."""

    queues: Sequence[jobs.QueueStats]
    workers: Sequence[jobs.AliasWorker]
    totals: Sequence[Minute]
    names: frozenset[str]
    """The queues that ``TASKS`` names. They may have no jobs."""

    size: int | None = None
    """The size of the store in bytes; ``None``: not known."""

    pauses: frozenset[JobPause] = frozenset()
    """The tasks and tags that are paused."""

    limits: Sequence[jobs.LimitState] = ()
    schedulers: Sequence[jobs.AliasWorker] | None = None
    """``None``: schedulers cannot register themselves there."""


_probes: dict[str, Probe[Snapshot]] = {}
_counting: dict[str, Probe[int]] = {}


def snapshots() -> dict[str, Snapshot | None]:
    """Return a snapshot of each alias; ``None`` if its queue does not answer."""
    _counting_schedules().begin()
    probes = {alias: _probes.setdefault(alias, _probe_of(alias)) for alias in jobs.aliases()}
    for probe in probes.values():
        probe.begin()  # all are asked at once, so that hanging queues are waited for at the same time
    return {alias: _answer_of(alias, probe) for alias, probe in probes.items()}


def schedules_on() -> int | None:
    """Return how many schedules are on; ``None`` if their database does not answer."""
    try:
        return _counting_schedules().ask(ANSWER_SECONDS)
    except Exception as error:  # noqa: BLE001 - a database may raise anything
        logger.warning("The schedules cannot be counted, so their metric is missing: %s", error)
        return None


def _counting_schedules() -> Probe[int]:
    return _counting.setdefault("schedules", Probe(count_on, fresh=SCHEDULES_SECONDS))


def _probe_of(alias: str) -> Probe[Snapshot]:
    return Probe(partial(_read, alias), fresh=FRESH_SECONDS)


def _answer_of(alias: str, probe: Probe[Snapshot]) -> Snapshot | None:
    try:
        return probe.ask(ANSWER_SECONDS)
    except Exception as error:  # noqa: BLE001 - a queue of a project may raise anything
        logger.warning("TASKS[%r] does not answer, so its metrics are missing: %s", alias, error)
        return None


def _read(alias: str) -> Snapshot:
    with closing(queue_for(alias)) as queue:
        workers, schedulers = workers_and_schedulers(alias)
        return Snapshot(
            queues=jobs.stats(backend=alias, limit=MAX_COUNT),
            workers=workers,
            totals=queue.totals(),
            names=frozenset(backend_of(alias).queues),
            size=queue.examiner(queue).size(),
            pauses=frozenset(queue.paused_jobs()),
            limits=jobs.limits(backend=alias),
            schedulers=schedulers if shows_schedulers(alias) else None,
        )


def forget() -> None:
    """Drop all answers, after a fork or a change of settings."""
    _probes.clear()
    _counting.clear()


os.register_at_fork(after_in_child=forget)


@receiver(setting_changed)
def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting in ("TASKS", "WORKER_MODE", "DATABASES", "CACHES"):
        forget()
