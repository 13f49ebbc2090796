"""The health of the processes of ``loco_worker --processes``, as their parent reports it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..assembly.supervised_component import FAILED_AFTER_DEATHS, State
from ..process.children.parent import Parent
from ..process.children.slot import Slot

#: How often each process reports progress, in seconds.
KEEPALIVE_SECONDS = 1.0
#: A process without a report for this many seconds is stuck. It does not report while one of its components is stuck.
SILENT_SECONDS = 10.0
#: Seconds that a process may take to start.
START_SECONDS = 60.0


class ChildrenHealth:
    """Reports which processes have started, and when each last reported progress.

    The parent does not know the health of their components, but a process with a stuck component does not report.
    """

    def __init__(self, processes: Parent, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes, self._clock = processes, clock

    def health(self) -> dict[str, Any]:
        """Return for each slot: ``state``, ``alive``, ``pid``, ``deaths``, ``last_sign_age``, ``stuck``."""
        return {"components": {f"process {slot.number}": self._of(slot) for slot in self._processes.slots}}

    def _of(self, slot: Slot) -> dict[str, Any]:
        child = slot.present
        if child is None:
            state = State.FAILED if slot.deaths >= FAILED_AFTER_DEATHS else State.STARTING
            return {"state": str(state), "alive": False, "pid": None, "deaths": slot.deaths, "stuck": False}
        now = self._clock()
        since, limit = (child.received_at, SILENT_SECONDS) if child.is_ready else (child.began, START_SECONDS)
        return {
            "state": str(State.RUNNING if child.is_ready else State.STARTING),
            "alive": True,
            "pid": child.pid,
            "deaths": slot.deaths,
            "last_sign_age": round(now - child.received_at, 3),
            "stuck": now - since > limit,
        }
