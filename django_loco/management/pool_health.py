"""Health of several processes alike, as their parent can tell it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..assembly.restarter import KEEPS_DYING, State
from ..process.children.parent import Parent
from ..process.children.slot import Slot

#: In how many seconds each process has to give a sign of its progress, again and again.
SIGN_SECONDS = 1.0
#: Seconds without such a sign after which one is stuck. It gives none while a component of it is.
SILENT = 10.0
#: Seconds that one may take to start.
SLOW = 60.0


class PoolHealth:
    """What the parent knows of its processes: which have started, and when each gave a sign of progress.

    What their components say of themselves is not known here; that a component is stuck shows in the lack of signs.
    """

    def __init__(self, processes: Parent, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes, self._clock = processes, clock

    def health(self) -> dict[str, Any]:
        """Return a part for each place: ``state``, ``alive``, ``pid``, ``deaths``, ``last_sign_age``, ``stuck``."""
        return {"components": {f"process {slot.number}": self._of(slot) for slot in self._processes.slots}}

    def _of(self, slot: Slot) -> dict[str, Any]:
        child = slot.present
        if child is None:
            state = State.FAILED if slot.deaths >= KEEPS_DYING else State.STARTING
            return {"state": str(state), "alive": False, "pid": None, "deaths": slot.deaths, "stuck": False}
        now = self._clock()
        silent, patience = (now - child.heard, SILENT) if child.is_ready else (now - child.began, SLOW)
        return {
            "state": str(State.RUNNING if child.is_ready else State.STARTING),
            "alive": True,
            "pid": child.pid,
            "deaths": slot.deaths,
            "last_sign_age": round(now - child.heard, 3),
            "stuck": silent > patience,
        }
