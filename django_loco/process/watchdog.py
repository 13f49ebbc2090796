"""Signs of life for whoever started this process: systemd, or the parent of several processes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..core.threads import DaemonThread
from ..log.bounded import get_bounded_logger

logger = get_bounded_logger(__name__)


class Pulse:
    """Calls ``give`` again and again, from a thread of its own, while ``is_well`` says that there is progress."""

    def __init__(self, every: float, is_well: Callable[[], bool], give: Callable[[], None]) -> None:
        """``every`` is in seconds; 0: nobody wants to know."""
        self._every, self._is_well, self._give = every, is_well, give
        self._thread = DaemonThread(target=self._run, name="loco-pulse")
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin."""
        if self._every:
            self._thread.start()

    def stop(self) -> None:
        """Give no more signs."""
        self._ended.set()

    def _run(self) -> None:
        was_well = True
        while not self._ended.wait(self._every):
            is_well = self._is_well()
            if is_well:
                self._give()
            elif was_well:
                logger.error("There is no progress here any more; who watches this process may end it")
            was_well = is_well
