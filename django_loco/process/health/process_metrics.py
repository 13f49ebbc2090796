"""The metrics of this process, made from its health. For processes without a web server.

They read no queue, so they are available while a queue cannot be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...metrics.exposition import Family, Kind
from ...metrics.tick_counts import counts
from . import report


class Shown(NamedTuple):
    """How a number from a component's health is shown."""

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, str] = {}


#: The numbers of components by their names in ``/_health``.
SHOWN: Mapping[str, Shown] = {
    "deaths": Shown("loco_component_deaths", "gauge", "How often in a row the component has died."),
    "last_sign_age": Shown("loco_process_last_sign_age_seconds", "gauge", "Since the child last reported progress."),
    "last_poll_age": Shown("loco_worker_last_poll_age_seconds", "gauge", "Since the queue last answered the worker."),
    "last_heartbeat_age": Shown("loco_worker_last_heartbeat_age_seconds", "gauge", "Since leases were renewed."),
    "running": Shown("loco_worker_jobs", "gauge", "Jobs that the worker holds.", {"state": "running"}),
    "buffered": Shown("loco_worker_jobs", "gauge", "", {"state": "buffered"}),
    "unstored": Shown("loco_worker_jobs", "gauge", "", {"state": "unstored"}),
    "abandoned": Shown("loco_worker_jobs", "gauge", "", {"state": "abandoned"}),
    "done": Shown("loco_worker_attempts_total", "counter", "Attempts that ended since the start.", {"result": "done"}),
    "failed": Shown("loco_worker_attempts_total", "counter", "", {"result": "failed"}),
    "retried": Shown("loco_worker_attempts_total", "counter", "", {"result": "retried"}),
    "refused": Shown("loco_outcomes_refused_total", "counter", "Outcomes that came too late, as the lease was lost."),
    "active_threads": Shown("loco_worker_active_threads", "gauge", "Threads inside a job."),
    "thread_limit": Shown("loco_worker_thread_limit", "gauge", "Threads that may run jobs now."),
    "loop_lag": Shown("loco_worker_loop_lag_seconds", "gauge", "For how long a job has blocked the event loop."),
    "suspects": Shown("loco_worker_suspects", "gauge", "Jobs that wait to run alone, as workers died with them."),
    "schedules": Shown("loco_scheduler_schedules", "gauge", "Schedules that run."),
    "broken": Shown("loco_scheduler_broken_schedules", "gauge", "Schedules that are wrong and off."),
    "last_pass_age": Shown("loco_scheduler_last_pass_age_seconds", "gauge", "Since it last looked for due ticks."),
    "late_by": Shown("loco_scheduler_late_seconds", "gauge", "How late its most overdue tick is."),
    "late_ticks": Shown("loco_scheduler_late_ticks_total", "counter", "Ticks that fired more than 5 seconds late."),
}


def process_families() -> list[Family]:
    """Return the metrics of the components of this process."""
    up = Family("loco_component_up", "gauge", "Whether the component makes progress, or waits for a store.")
    families: dict[str, Family] = {up.name: up}
    for name, own in report.components().items():
        up.add(report.verdict(own) != report.FAILING, component=name)
        for key, shown in SHOWN.items():
            value = own.get(key)
            if isinstance(value, int | float):  # an age is None before the first event
                family = families.setdefault(shown.name, Family(shown.name, shown.kind, shown.help))
                family.add(value, component=name, **shown.labels)
    dropped = Family("loco_log_dropped_lines_total", "counter", "Log lines that could not be written.")
    dropped.add(report.log_health()["dropped"])
    return [*families.values(), tick_family(), *schedule_families(), dropped]


def schedule_families() -> list[Family]:
    """Return when each schedule of this process's scheduler last fired, and how often it should."""
    known = Family("loco_schedule_known_timestamp_seconds", "gauge", "When the process began to count its ticks.")
    fired = Family("loco_schedule_last_fired_timestamp_seconds", "gauge", "When it fired last, or was paused.")
    period = Family("loco_schedule_period_seconds", "gauge", "The longest time between its next ticks.")
    for name, times in counts.times().items():
        if times.period:
            known.add(times.known_since, schedule=name)
            period.add(times.period, schedule=name)
            if times.fired is not None:
                fired.add(times.fired, schedule=name)
    return [known, fired, period]


def tick_family() -> Family:
    """Return the counts of the ticks of this process's scheduler."""
    ticks = Family("loco_ticks_total", "counter", "Ticks of each schedule by what became of them.")
    for (schedule, outcome, reason), number in counts.all().items():
        ticks.add(number, schedule=schedule, outcome=outcome, **({"reason": reason} if reason else {}))
    return ticks
