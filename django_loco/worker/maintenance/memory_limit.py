"""Ends the workers of this process when it uses too much memory."""

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
    """Return the megabytes of memory that this process uses now, or its peak use if the system shows nothing else."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / MEGABYTE if sys.platform == "darwin" else peak / 1024
    return pages * resource.getpagesize() / MEGABYTE


class MemoryLimit(Loop):
    """Checks once a second how much memory the process uses, and calls ``on_excess`` once when it is too much."""

    name = "memory limit"
    every: ClassVar[float] = 1.0

    def __init__(self, megabytes: float, on_excess: Callable[[], None], used: Callable[[], float] = resident) -> None:
        """``used`` returns the megabytes in use."""
        super().__init__()
        self._megabytes, self._on_excess, self._used = megabytes, on_excess, used
        self._is_exceeded = False

    def turn(self) -> None:
        """Check."""
        used = self._used()
        if used > self._megabytes and not self._is_exceeded:
            self._is_exceeded = True
            logger.warning("This process uses %.0f MB, more than --max-memory %g: it ends", used, self._megabytes)
            self._on_excess()
