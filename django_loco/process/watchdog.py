"""Tells systemd, or the parent of several processes, that this process makes progress."""

from __future__ import annotations

from collections.abc import Callable

from ..core.threads.periodic_thread import PeriodicThread
from ..log.output.bounded import get_bounded_logger

logger = get_bounded_logger("django_loco.servers")


class Watchdog(PeriodicThread):
    """Calls ``send_keepalive`` regularly while ``is_well()``."""

    def __init__(self, every: float, is_well: Callable[[], bool], send_keepalive: Callable[[], None]) -> None:
        """``every`` is in seconds; 0: never."""
        super().__init__("loco-watchdog")
        self._every, self._is_well, self._send_keepalive = every, is_well, send_keepalive
        self._was_well = True

    def start(self) -> None:
        """Start the thread, unless ``every`` is 0."""
        if self._every:
            super().start()

    def run(self) -> None:
        """Begin with a wait, because the first report is due only after ``every`` seconds."""
        self.ended.wait(self._every)
        super().run()

    def turn(self) -> float:
        """Report progress, or log once that the process makes none."""
        is_well = self._is_well()
        if is_well:
            self._send_keepalive()
        elif self._was_well:
            logger.error("No progress; systemd or the parent process may kill this process")
        self._was_well = is_well
        return self._every

    def failed(self, error: BaseException) -> float:
        """Log the first of several errors."""
        if not self.backoff.failures:
            logger.error("This process cannot report its progress to systemd or the parent process: %r", error)
        return super().failed(error)
