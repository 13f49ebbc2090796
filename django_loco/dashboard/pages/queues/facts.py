"""Reads the queues and their statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from .... import jobs
from ....core.job import utcnow
from ....jobs.control.pauses import AliasPause
from ....jobs.control.unserved import unserved
from ....jobs.page_parts.scope import SHOWN_QUEUES, Scope, ShownQueues, shown_queues
from ....jobs.presentation.rates import FAILED_MINUTES, rates_in
from ....jobs.stores import backend_of
from ....queues.records.minutes import minute_of
from ...charts.activity import Range, minutes_in, minutes_since
from ...charts.breakdown import Sums, by_key, most
from ...pausing import pauses_for
from ...recent import Recent

#: How many tasks of one queue are shown.
TASKS = 8
#: The oldest due job is looked up for this many queues: those with the most jobs.
AGES = 5

QueueKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSums:
    """The statistics of all queues in a range."""

    by_queue: Mapping[QueueKey, Sums]
    """By alias and name."""

    tasks: Mapping[QueueKey, Sequence[tuple[str, Sums]]]
    """The tasks of each queue with their paths. The most failures come first, then the longest runs."""

    rates: Mapping[QueueKey, jobs.QueueRates]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesRead:
    """The queues of all aliases at one moment."""

    shown: ShownQueues
    unserved: frozenset[QueueKey]
    """The queues with jobs that no worker takes."""

    sums: QueueSums
    pauses: Sequence[AliasPause] = ()
    """The tasks and tags that are paused."""


_sums: Recent[QueueSums] = Recent()


def read(chosen: Range, scope: Scope) -> QueuesRead:
    """Return the present queues of ``scope``. Raises ``QueueError`` and ``LocoConfigurationError``."""
    now, aliases = utcnow(), tuple(jobs.aliases())
    stats = scope.stats()
    needs = {alias for alias in aliases if backend_of(alias).runs_stored_jobs}
    in_vain = unserved([each for each in stats if each.backend in needs], jobs.workers())
    return QueuesRead(
        shown=shown_queues(stats, ages=AGES, most=SHOWN_QUEUES),
        pauses=pauses_for(scope),
        unserved=frozenset((each.backend, each.queue) for each in in_vain),
        sums=_sums.get(
            (chosen.name, aliases, str(scope)),
            chosen.kept_seconds,
            lambda: _read_sums(aliases, chosen, minute_of(now.timestamp()), scope),
        ),
    )


def forget() -> None:
    """Make the next call read the statistics anew."""
    _sums.clear()


def _read_sums(aliases: Sequence[str], chosen: Range, minute: int, scope: Scope) -> QueueSums:
    minutes = minutes_in(chosen, aliases, minute, scope)
    by_task = by_key(minutes, chosen, minute, lambda alias, labels: (alias, labels.queue_name, labels.task_path))
    of_queue: dict[QueueKey, dict[str, Sums]] = {}
    for (alias, name, path), sums in by_task.items():
        of_queue.setdefault((alias, name), {})[path] = sums
    return QueueSums(
        by_queue={key: reduce(Sums.plus, tasks.values()) for key, tasks in of_queue.items()},
        tasks={
            key: most({path: sums for path, sums in tasks.items() if sums.runs}, _trouble, TASKS)
            for key, tasks in of_queue.items()
        },
        rates={
            (alias, name): rate
            for alias, of_alias in minutes_since(minute - FAILED_MINUTES, aliases, scope).items()
            for name, rate in rates_in(of_alias, minute).items()
        },
    )


def _trouble(sums: Sums) -> float:
    # One failure outweighs any duration, because the highest bound of the buckets is below an hour.
    return sums.failed * 3600.0 + (sums.duration(95) or 0.0)
