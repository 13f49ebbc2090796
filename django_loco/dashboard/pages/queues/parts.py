"""Each queue as the page of queues shows it."""

from __future__ import annotations

import json
from typing import Any

from .... import jobs
from ....jobs.presentation.numbers import number_text
from ....jobs.presentation.rates import NONE
from ....log.plain_text import one_line
from ...charts.activity import RANGES, Range
from ...charts.breakdown import Sums
from ...charts.chart import small_chart
from ...charts.durations import estimated, oldest
from ...links import list_url
from ...pausing import paused_part
from .facts import QueuesRead


def parts_of(read: QueuesRead, chosen: Range, *, may_pause: bool) -> dict[str, dict[str, Any]]:
    """Return the context of the parts."""
    return {
        "paused": paused_part(read.pauses, may_pause=may_pause),
        "list": {
            "rows": [_row(each, read, chosen) for each in read.shown.stats],
            "more": read.shown.more,
            "has_aliases": len(jobs.aliases()) > 1,
            "may_pause": may_pause,
            "chosen": chosen,
            "ranges": RANGES,
        },
    }


def _row(stats: jobs.QueueStats, read: QueuesRead, chosen: Range) -> dict[str, Any]:
    key = (stats.backend, stats.queue)
    words = ("queue", stats.queue), ("backend", stats.backend)
    sums = read.sums.by_queue.get(key) or Sums(chosen.bars)
    return {
        "stats": stats,
        "id": f"q-{stats.backend}-{stats.queue}",
        "name": one_line(stats.queue),
        "alias": one_line(stats.backend),
        "value": json.dumps(key),
        "url": list_url(*words),
        "running_url": list_url(("status", "running"), *words),
        "failed_url": list_url(("status", "failed"), *words),
        "oldest": oldest(stats.oldest_due_age, is_read=key not in read.shown.unread),
        "is_unserved": key in read.unserved,
        "rates": read.sums.rates.get(key, NONE),
        "ended": number_text(sums.runs),
        "chart": small_chart(sums.ended_by_bar, sums.failed_by_bar),
        "wait": estimated(sums.wait(95)),
        "run": estimated(sums.duration(95)),
        "tasks": [_task(path, of_task, words) for path, of_task in read.sums.tasks.get(key, ())],
    }


def _task(path: str, sums: Sums, words: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {
        "name": one_line(path.rpartition(".")[2]),
        "path": one_line(path),
        "url": list_url(("task", path), *words),
        "failed_url": list_url(("status", "failed"), ("task", path), *words),
        "runs": number_text(sums.runs),
        "failed": number_text(sums.failed) if sums.failed else "",
        "typical": estimated(sums.duration(50)),
        "slow": estimated(sums.duration(95)),
    }
