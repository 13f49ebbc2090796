"""Reads the statistics of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .... import jobs
from ....core.job import utcnow
from ....jobs.control.pauses import AliasPause, paused_jobs
from ....jobs.page_parts.scope import Scope
from ....jobs.stores import queue_of
from ....queues.records.minutes import minute_of
from ...charts.activity import Range, minutes_in
from ...charts.breakdown import Sums, by_key
from ...recent import Recent

#: The most tasks that are shown.
TASKS = 200
#: The orders in which tasks can be listed, by their name in the address. Numbers begin with the highest.
ORDERS: Mapping[str, Callable[[Sums], float]] = {
    "runs": lambda sums: sums.runs or sums.enqueued / 1e9,
    "failed": lambda sums: sums.failed,
    "rate": lambda sums: sums.failure_rate or 0.0,
    "wait": lambda sums: sums.wait(95) or 0.0,
    "run": lambda sums: sums.duration(95) or 0.0,
}
DEFAULT_ORDER = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksRead:
    """The tasks of all aliases, by their paths."""

    tasks: Sequence[tuple[str, Sums]]
    more: int
    """How many tasks are left out."""

    scope: Scope
    pauses: Sequence[AliasPause] = ()
    """The tasks and tags that are paused."""


_sums: Recent[Mapping[str, Sums]] = Recent()


def read(chosen: Range, order: str, scope: Scope) -> TasksRead:
    """Return the tasks that jobs of ``scope`` had in the last two weeks, in an order of ``ORDERS``.

    Raises ``QueueError``.
    """
    aliases = tuple(jobs.aliases())
    minute = minute_of(utcnow().timestamp())
    found = _sums.get(
        (chosen.name, aliases, str(scope)),
        chosen.kept_seconds,
        lambda: _read_sums(aliases, chosen, minute, scope),
    )
    value = ORDERS[order]
    tasks = sorted(found.items(), key=lambda each: (-value(each[1]), each[0]))
    return TasksRead(tasks=tasks[:TASKS], more=max(0, len(tasks) - TASKS), scope=scope, pauses=paused_jobs())


def forget() -> None:
    """Make the next call read the statistics anew."""
    _sums.clear()


def _read_sums(aliases: Sequence[str], chosen: Range, minute: int, scope: Scope) -> Mapping[str, Sums]:
    # The totals also have tasks without a run in this range.
    totals = [each for alias in aliases for each in scope.minutes(alias, queue_of(alias).totals())]
    known = {each.labels.task_path for each in totals}
    found = by_key(minutes_in(chosen, aliases, minute, scope), chosen, minute, lambda _, labels: labels.task_path)
    return {path: Sums(chosen.bars) for path in known} | found
