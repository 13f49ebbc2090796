"""The replacement of all children of the parent: after ``SIGHUP``, and in development when the code has changed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from ...log.output.bounded import get_bounded_logger
from ..systemd import SystemdNotifier
from .slot import Slot

logger = get_bounded_logger("django_loco.servers")


class Replacement:
    """Replaces the children of all slots, one slot after the other.

    1. ``begin`` chooses the children that run at that time.
    2. ``go_on`` starts a new child in the next slot. Once the new child is ready, the parent tells the old one to stop.
       When that has ended, ``go_on`` starts the next one.
    3. If a new child does not get ready, ``keep_the_others`` lets the old children stay.
    """

    def __init__(
        self, slots: Sequence[Slot], systemd: SystemdNotifier, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots, self._systemd, self._clock = slots, systemd, clock
        self._is_on = False
        self._left: deque[Slot] = deque()
        self._began_at = -math.inf

    def begin(self, reason: str, *, fills: bool) -> None:
        """Replace all children. ``fills``: also start those at once that wait for their start.

        If a replacement is in progress, start over, because the code may have changed again.
        """
        logger.info("Replacing every process (%s)", reason)
        self._is_on, self._left = True, deque(self._slots)
        self._began_at = self._clock()
        self._systemd.reloading()
        for slot in self._slots:
            if slot.present is None and fills:
                slot.fill_at = self._began_at

    def go_on(self) -> None:
        """Start the next child, unless a slot is being replaced. After the last one, tell systemd."""
        if not self._is_on or any(slot.is_shared for slot in self._slots):
            return
        while self._left:
            slot = self._left.popleft()
            if slot.present and slot.present.began < self._began_at:
                if slot.renew():
                    return
                self._left.clear()
        self._is_on = False
        self._systemd.ready()

    def keep_the_others(self) -> None:
        """Replace no more children, because a new one does not start."""
        self._left.clear()

    def end(self) -> None:
        """Forget the replacement, because all children are to end."""
        self._is_on = False
