"""How much memory this process takes up, and the end of its workers when that is too much."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from ...component import Loop
from ...log.safe import get_logger

MEGABYTE = 1024 * 1024

logger = get_logger("django_loco.worker")


def resident() -> float:
    """Return the megabytes of memory that this process takes up now; where the system does not say, at its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / MEGABYTE if sys.platform == "darwin" else peak / 1024
    return pages * resource.getpagesize() / MEGABYTE


class MemoryLimit(Loop):
    """Looks once a second at how much memory the process takes up, and once it is too much says so, once."""

    name = "memory limit"
    every: ClassVar[float] = 1.0

    def __init__(self, megabytes: float, on_excess: Callable[[], None], used: Callable[[], float] = resident) -> None:
        """``used`` returns the megabytes taken up."""
        super().__init__()
        self._megabytes, self._on_excess, self._used = megabytes, on_excess, used
        self._is_exceeded = False

    def turn(self) -> None:
        """Look."""
        used = self._used()
        if used > self._megabytes and not self._is_exceeded:
            self._is_exceeded = True
            logger.warning("This process uses %.0f MB, more than --max-memory %g: it ends", used, self._megabytes)
            self._on_excess()
