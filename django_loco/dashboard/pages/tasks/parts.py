"""Each task as the page of tasks shows it."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ....metrics.names import MAX_LENGTH, OTHER
from ...charts.activity import PERCENTILES, RANGES, Range
from ...charts.breakdown import Sums
from ...charts.chart import small_chart
from ...charts.durations import estimated
from ...links import list_url
from ...pausing import Pausing, paused_part
from .facts import TasksRead


def parts_of(read: TasksRead, chosen: Range, order: str, *, may_pause: bool) -> dict[str, dict[str, Any]]:
    """Return the context of the parts."""
    paused = {each.name for each in read.pauses if each.kind == "task"}
    listed = () if read.scope.is_narrowed else read.pauses
    return {
        "paused": paused_part(listed, may_pause=may_pause),
        "list": {
            "rows": [_row(path, sums) | _pausing(path, paused, read, may_pause=may_pause) for path, sums in read.tasks],
            "may_pause": may_pause,
            "more": read.more,
            "order": order,
            "chosen": chosen,
            "ranges": RANGES,
            "range_more": f"&order={order}",
        },
    }


def _row(path: str, sums: Sums) -> dict[str, Any]:
    module, _, name = one_line(path).rpartition(".")
    rate = sums.failure_rate
    return {
        "id": f"t-{path}",
        "name": name,
        "module": module,
        "url": list_url(("task", path)),
        "failed_url": list_url(("status", "failed"), ("task", path)),
        "ended": number_text(sums.runs),
        "failed": number_text(sums.failed) if sums.failed else "",
        "rate": "-" if rate is None else _percent(rate),
        "chart": small_chart(sums.ended_by_bar, sums.failed_by_bar),
        "waits": [estimated(sums.wait(percent)) for percent in PERCENTILES],
        "runs": [estimated(sums.duration(percent)) for percent in PERCENTILES],
    }


def _pausing(path: str, paused: Container[str], read: TasksRead, *, may_pause: bool) -> dict[str, Any]:
    """Return whether the task is paused, and the text of its button; nothing for the sum of several tasks."""
    pausing = Pausing("task", path)
    has_button = may_pause and len(path) < MAX_LENGTH and path != OTHER and pausing.is_within(read.scope)
    return {"is_paused": path in paused, "value": pausing.value if has_button else ""}


def _percent(share: float) -> str:
    """Return a share (0 to 1) in percent. A share above 0 is never shown as 0."""
    percent = share * 100
    if 0 < percent < 0.1:  # noqa: PLR2004 - the smallest number that is shown
        return "< 0.1 %"
    rounded = round(percent, 1)
    return f"{number_text(rounded, None if rounded % 1 else 0)} %"
