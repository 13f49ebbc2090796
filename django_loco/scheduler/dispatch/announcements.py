"""Counts ticks for the metrics, and sends the signals about them, see ``django_loco.signals``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ...metrics.tick_counts import FIRED, LATE, SKIPPED, counts
from ...signals import tick_fired, tick_late, tick_skipped
from ...tasks.signals import send
from ..entry import ScheduleEntry

#: Why a tick has no job.
SkipReason = Literal["missed", "overlap", "paused", "error"]


def announce_fired(schedule: str, due_at: datetime, lateness: float, result: object, *, is_late: bool = False) -> None:
    """Send ``tick_fired``, and ``tick_late`` if ``is_late``. ``lateness`` is in seconds; ``result`` is the job's."""
    counts.add(schedule, LATE if is_late else FIRED)
    for signal in (tick_fired, tick_late) if is_late else (tick_fired,):
        send(signal, ScheduleEntry, schedule=schedule, due_at=due_at, lateness=lateness, task_result=result)


def announce_skipped(schedule: str, due_at: datetime, reason: SkipReason) -> None:
    """Send ``tick_skipped``."""
    counts.add(schedule, SKIPPED, reason)
    send(tick_skipped, ScheduleEntry, schedule=schedule, due_at=due_at, reason=reason)
