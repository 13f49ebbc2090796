"""The metrics of all jobs, equal in every process: counters come from the statistics, gauges from the queues.

The number of labels is bounded. Each process counts under at most ``MAX_NAMES`` pairs of queue and task. A page shows
at most ``MAX_NAMES`` pairs, queues and limits. All others are counted as ``(other)``. Queues that ``TASKS`` names are
always shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from ...metrics.arrivals import ENQUEUED
from ...metrics.exposition import Family, Kind
from ...metrics.names import bounded, grouped
from ...metrics.tally import FAILURE, LOST, SUCCESS
from ...queues.records.minutes import BOUNDS, Minute, summed
from ...queues.records.pauses import JobKind
from .snapshots import MAX_COUNT, Snapshot, schedules_on, snapshots

#: The outcomes that are shown from the first run of a task on. Prometheus sees no increase in the first value of a
#: series, so it would miss the first failure.
ALWAYS_SHOWN = (SUCCESS, FAILURE, LOST)


def job_families() -> list[Family]:
    """Return the metrics of all aliases.

    If a queue cannot be reached, its metrics are missing, as ``loco_queue_up`` shows.
    """
    page = MetricsPage()
    for alias, found in snapshots().items():
        page.up.add(found is not None, backend=alias)
        if found is not None:
            page.add(alias, found)
    if (number := schedules_on()) is not None:
        page.schedules.add(number)
    return page.families


class MetricsPage:
    """The metric families of a page, filled alias by alias."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.up = self._gauge("loco_queue_up", "Whether the queue of the alias answers.")
        self._jobs = self._gauge("loco_queue_jobs", f"Stored jobs by state, counted up to {MAX_COUNT}.")
        self._age = self._gauge("loco_queue_oldest_due_age_seconds", "How long the oldest due job has waited.")
        self._paused = self._gauge("loco_queue_paused", "Whether the queue is paused.")
        self._pauses = self._gauge("loco_jobs_paused", "The tasks and tags that are paused, by kind.")
        self._limited = self._gauge("loco_limit_jobs", "The jobs of a limit that are due, or run.")
        self._closed = self._gauge("loco_limit_closed_keys", "The keys of a limit whose due jobs have to wait.")
        self._size = self._gauge("loco_store_bytes", "The size of the table of jobs, of the file, or of Redis.")
        self._workers = self._gauge("loco_workers", "Workers that are alive.")
        self._slots = self._gauge("loco_slots", "Jobs that live workers can run at once.")
        self._busy = self._gauge("loco_slots_busy", "Jobs that live workers held at their last heartbeat.")
        self._schedulers = self._gauge("loco_schedulers", "Schedulers that are alive.")
        self.schedules = self._gauge("loco_schedules", "Schedules that are on: neither paused nor over.")
        self._enqueued = self._counter("loco_jobs_enqueued_total", "Jobs that were enqueued.")
        self._finished = self._counter("loco_jobs_finished_total", "Runs that ended, by outcome.")
        self._duration = self._histogram("loco_job_duration_seconds", "How long runs took.")
        self._wait = self._histogram("loco_job_wait_seconds", "How long jobs had been due when they began.")

    def add(self, alias: str, found: Snapshot) -> None:
        """Add the numbers of ``alias``."""
        self._add_queues(alias, found)
        for kind in get_args(JobKind):
            self._pauses.add(sum(pause.kind == kind for pause in found.pauses), backend=alias, kind=kind)
        for name, limits in grouped(found.limits, lambda each: each.name).items():
            for state in ("waiting", "running"):
                self._limited.add(sum(getattr(each, state) for each in limits), backend=alias, limit=name, state=state)
            self._closed.add(sum(each.closed for each in limits), backend=alias, limit=name)
        if found.size is not None:
            self._size.add(found.size, backend=alias)
        alive = [worker for worker in found.workers if worker.is_alive]
        self._workers.add(len(alive), backend=alias)
        for kind in ("threads", "coroutines"):
            self._slots.add(sum(getattr(worker, kind) for worker in alive), backend=alias, kind=kind)
        self._busy.add(sum(worker.busy for worker in alive), backend=alias)
        if found.schedulers is not None:
            self._schedulers.add(sum(each.is_alive for each in found.schedulers), backend=alias)
        self._add_counts(alias, bounded(found.totals))

    def _add_queues(self, alias: str, found: Snapshot) -> None:
        for name, queues in grouped(found.queues, lambda each: each.queue, found.names).items():
            labels = {"backend": alias, "queue": name}
            for state in ("ready", "running", "failed", "done"):
                self._jobs.add(sum(getattr(each, state) for each in queues), **labels, state=state)
            self._age.add(max((each.oldest_due_age or 0.0 for each in queues), default=0.0), **labels)
            self._paused.add(any(each.is_paused for each in queues), **labels)

    def _add_counts(self, alias: str, totals: Sequence[Minute]) -> None:
        runs = []
        for each in totals:
            _, queue, task, outcome = each.labels
            labels = {"backend": alias, "queue": queue, "task": task}
            if outcome == ENQUEUED:
                self._enqueued.add(each.runs, **labels)
            else:
                self._finished.add(each.runs, **labels, outcome=outcome)
                runs.append(each)
        ended = {each.labels for each in runs}
        for each in summed(runs, lambda labels: labels._replace(outcome="")):
            labels = {"backend": alias, "queue": each.labels.queue_name, "task": each.labels.task_path}
            for outcome in ALWAYS_SHOWN:
                if each.labels._replace(outcome=outcome) not in ended:
                    self._finished.add(0, **labels, outcome=outcome)
            self._duration.add_histogram(BOUNDS, each.durations, each.duration_seconds, **labels)
        for each in summed(runs, lambda labels: labels._replace(outcome="", task_path="")):
            labels = {"backend": alias, "queue": each.labels.queue_name}
            self._wait.add_histogram(BOUNDS, each.waits, each.wait_seconds, **labels)

    def _gauge(self, name: str, text: str) -> Family:
        return self._family(name, "gauge", text)

    def _counter(self, name: str, text: str) -> Family:
        return self._family(name, "counter", text)

    def _histogram(self, name: str, text: str) -> Family:
        return self._family(name, "histogram", text)

    def _family(self, name: str, kind: Kind, text: str) -> Family:
        family = Family(name, kind, text)
        self.families.append(family)
        return family
