"""The parts of the overview."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .... import jobs
from ....core.job import Job
from ....jobs.page_parts.scope import BY_QUEUE, Scope
from ....jobs.presentation.numbers import number_text
from ....jobs.presentation.rates import WRITTEN_AFTER_MINUTES
from ....jobs.presentation.shown import summary_of
from ....log.plain_text import one_line
from ...charts.activity import RANGES, Range, releases
from ...charts.chart import chart, clock_of, sparkline, top_of
from ...charts.durations import coarse, estimated, oldest
from ...frame import is_elsewhere
from ...links import job_url, list_url
from ...pausing import paused_part
from .facts import Facts
from .health import health_of

PARTS = ("health", "activity", "queues", "paused", "workers", "schedules", "failures")
#: The parts that are left out for users who may see only a part of the jobs.
ABOUT_ALL = ("paused", "workers", "schedules")
#: The most failures and groups of failures that are shown, and the most characters of an error's text.
NEWEST, GROUPS, MOST_TEXT = 6, 6, 200
#: The most workers that are shown. The page of workers has more.
WORKERS = 20
#: The most queues that are shown: a page with 50,000 queues would have 50 MB.
QUEUES = 30


def parts_of(facts: Facts, chosen: Range, pages: Mapping[str, str], *, may_pause: bool) -> dict[str, dict[str, Any]]:
    """Return the context of each part by its name. For ``pages`` see ``health_of``."""
    context = {
        "has_aliases": len(jobs.aliases()) > 1,
        "may_pause": may_pause,
        "workers_url": pages.get("workers", ""),
        "schedules_url": pages.get("schedules", ""),
        "more_workers": max(0, len(facts.workers) - WORKERS),
        "health": health_of(facts, pages),
        "queues": _queues(facts),
        "other_queues": max(0, len(facts.queues) - QUEUES),
        "queues_url": pages.get("queues", ""),
        "workers": [_worker(each) for each in facts.workers[:WORKERS]],
        "schedules": [(each, bool(each.zone) and is_elsewhere(each.next_runs[0])) for each in facts.schedules.upcoming],
        "off": facts.schedules.off,
        "newest": [_failure(job) for job in facts.failures[:NEWEST]],
        "groups": _groups(facts.failures),
        "read": len(facts.failures),
        "all_failures_url": pages.get("failures", ""),
        **_activity(facts, chosen),
    }
    parts = dict.fromkeys([name for name in PARTS if _is_seen(name, facts.scope)], context)
    if "schedules" not in pages:
        parts.pop("schedules", None)
    if "paused" in parts:
        parts["paused"] = paused_part(facts.pauses, may_pause=may_pause)
    return parts


def _is_seen(part: str, scope: Scope) -> bool:
    return scope.is_made_of(BY_QUEUE) if part == "queues" else part not in ABOUT_ALL or not scope.is_narrowed


def _activity(facts: Facts, chosen: Range) -> dict[str, Any]:
    bars = facts.activity.bars
    return {
        "bars": [(bar, clock_of(bar.at, of_days=chosen.is_of_days)) for bar in bars if bar.runs],
        "chart": chart(bars, of_days=chosen.is_of_days, marks=releases(facts.workers)),
        "top": number_text(top_of(bars)),
        "first": bars[0].at,
        "first_text": clock_of(bars[0].at, of_days=chosen.is_of_days),
        "chosen": chosen,
        "ranges": RANGES,
        "runs": number_text(sum(bar.runs for bar in bars)),
        "failed": number_text(sum(bar.failed for bar in bars)),
        "percentiles": [
            (each.percent, estimated(each.wait), estimated(each.run))
            for each in facts.activity.percentiles
            if each.wait is not None or each.run is not None
        ],
    }


def _largest(queues: Sequence[jobs.QueueStats]) -> list[jobs.QueueStats]:
    """Return, in their original order, the queues with the most jobs that have not succeeded."""
    largest = sorted(queues, key=lambda each: -(each.ready + each.running + each.failed))[:QUEUES]
    return sorted(largest, key=lambda each: (each.backend, each.queue))


def _queues(facts: Facts) -> list[dict[str, Any]]:
    rows = []
    for each in _largest(facts.queues):
        key = (each.backend, each.queue)
        words = ("queue", each.queue), ("backend", each.backend)
        rows.append(
            {
                "stats": each,
                "id": f"q-{each.backend}-{each.queue}",
                "name": one_line(each.queue),
                "value": json.dumps(key),
                "url": list_url(*words),
                "failed_url": list_url(("status", "failed"), *words),
                "oldest": oldest(facts.ages.get(key), is_read=key not in facts.unread),
                "rates": facts.rates.get(key),
                "line": sparkline(facts.activity.lines.get(key, ())[:-WRITTEN_AFTER_MINUTES]),
            }
        )
    return rows


def _worker(worker: jobs.AliasWorker) -> dict[str, Any]:
    slots = worker.threads + worker.coroutines
    return {
        "worker": worker,
        "id": f"w-{worker.backend}-{worker.worker_id}",
        "name": one_line(worker.worker_id),
        "host": one_line(worker.host),
        "queues": None if worker.queues is None else one_line(", ".join(worker.queues)),
        "slots": slots,
        "silent": "" if worker.is_alive else coarse(worker.heartbeat_age),
        "url": list_url(("status", "running"), ("worker", worker.worker_id)),
    }


def _failure(job: Job) -> dict[str, Any]:
    return {
        "id": f"failure-{job.id}",
        "url": job_url(job.id),
        "task": one_line(job.task_path),
        "queue": one_line(job.queue_name),
        "text": summary_of(job.errors[-1])[:MOST_TEXT] if job.errors else "",
        "at": job.finished_at,
    }


def _groups(failures: Sequence[Job]) -> list[dict[str, Any]]:
    kinds = Counter((job.errors[-1].exception_class_path if job.errors else "", job.task_path) for job in failures)
    return [
        {
            "id": f"error-{error}-{task}",
            "error": one_line(error.rpartition(".")[2]) or "?",
            "path": one_line(error),
            "task": one_line(task),
            "count": count,
            "url": list_url(("status", "failed"), ("task", task), *([("error", error)] if error else [])),
        }
        for (error, task), count in kinds.most_common(GROUPS)
    ]
