"""Sleeps and waits of jobs in words, for log lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import override

from ....core.job import utcnow
from ....core.job.waits import Wait
from ....jobs.presentation.age import age
from ....jobs.presentation.reasons.reason import time_text

#: The number of sleeps and waits that one log line names.
_WAITS_SHOWN = 3
_MINUTE_SECONDS = 60


def waits_text(waits: Sequence[Wait]) -> str:
    """Return ``waits for the signal 'approved' until 2026-12-03 10:00:00 UTC, for 3 d``."""
    texts = []
    for wait in waits[:_WAITS_SHOWN]:
        end = "" if wait.until is None else f" until {time_text(wait.until)}, for {time_until(wait.until)}"
        texts.append(f"{'waits for the signal' if wait.is_signal else 'sleeps at'} {wait.name!r:.100}{end}")
    if more := len(waits) - len(texts):
        texts.append(f"and {more} more")
    return ", ".join(texts)


def time_until(moment: datetime) -> str:
    """Return the time from now to ``moment``, in the form of ``length_text``."""
    return length_text(max(0.0, (moment - utcnow()).total_seconds()))


def length_text(seconds: float) -> str:
    """Return ``7.0 s`` or ``3 d 2 h``."""
    if round(seconds) <= _MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    with override("en"):  # whatever the job has activated
        return age(round(seconds))
