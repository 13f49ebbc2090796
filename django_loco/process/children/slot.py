"""A slot of the parent: a number, the process that runs in it, and the time to start the next process."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Callable, Iterator

from ...core.backoff import Backoff
from ...log.output.bounded import get_bounded_logger
from ...shutdown import CLEAN
from ..exit_codes import REPLACE
from .child import Child
from .identity import ProcessIdentity

#: Seconds between two starts while the processes of a slot keep dying, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: A process that lives for this many seconds has *settled*: earlier deaths no longer count.
SETTLED_SECONDS = 60.0
#: A successor is given the keys of this many dead processes at most.
MAX_DEAD_KEYS = 5
#: The signal that stops a process that is replaced.
STOP_SIGNAL = "SIGTERM"

logger = get_bounded_logger("django_loco.servers")


class Slot:
    """The place of one process of the parent. The number stays the same; the process is replaced when it ends.

    1. ``fill`` starts a process. When it has ended, ``note_end`` decides when to start the next one.
    2. To replace it, ``renew`` starts an ``heir`` beside the ``present`` one; once the heir is ready, ``promote`` lets
       the present one leave.
    """

    def __init__(
        self,
        number: int,
        start: Callable[[ProcessIdentity], Child],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        keepalive_seconds: float = 0.0,
    ) -> None:
        """``jitter``: see ``Backoff``; ``keepalive_seconds``: see ``ProcessIdentity``."""
        self.number = number
        self.present: Child | None = None
        self.heir: Child | None = None
        self.leaving: Child | None = None
        self.fill_at = math.inf
        """When to start the next process, by ``clock``."""
        self._dead: tuple[str, ...] = ()
        self._keepalive_seconds = keepalive_seconds
        self._backoff = Backoff(FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, clock=clock, jitter=jitter)
        self._start, self._clock = start, clock

    @property
    def deaths(self) -> int:
        """How many processes in a row died without settling."""
        return self._backoff.failures

    @property
    def children(self) -> Iterator[Child]:
        """Its processes: one, or two while it is replaced."""
        return (child for child in (self.leaving, self.present, self.heir) if child)

    @property
    def is_shared(self) -> bool:
        """Whether it is being replaced."""
        return self.heir is not None or self.leaving is not None

    def fill(self, *, is_first: bool = False) -> bool:
        """Start a process; return whether it could be started. If not, try again after a pause."""
        self.present = self._make(is_first=is_first)
        self.fill_at = math.inf if self.present else self._clock() + self._backoff.failed()
        return self.present is not None

    def renew(self) -> bool:
        """Start the successor of the present process; return whether it could be started."""
        self.heir = self._make()
        return self.heir is not None

    def promote(self) -> Child | None:
        """Make the heir the present process; return the process to stop, if it is still running."""
        self.leaving, self.present, self.heir = self.present, self.heir, None
        return self.leaving

    def note_end(self, child: Child, code: int) -> None:
        """Handle the end of a process: log it if it died, and set when to start the next one."""
        pause = 0.0
        if code not in (CLEAN, REPLACE) and not child.is_expendable:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            logger.error("Process %d (pid %d) %s", self.number, child.pid, how)
            self._dead = (*self._dead, child.key)[-MAX_DEAD_KEYS:]
            if child is not self.leaving:  # the successor of a leaving process runs already
                if self._clock() - child.began > SETTLED_SECONDS:
                    self._backoff.succeeded()
                pause = self._backoff.failed()
        if child is self.leaving:
            self.leaving = None
        elif child is self.heir:
            self.heir = None
        else:
            self.present, self.heir = self.heir, None  # The heir, if any, is its successor.
            self.fill_at = math.inf if self.present else self._clock() + pause

    def _make(self, *, is_first: bool = False) -> Child | None:
        key = secrets.token_hex(4)
        identity = ProcessIdentity(
            number=self.number, key=key, dead=self._dead, is_first=is_first, sign_seconds=self._keepalive_seconds
        )
        try:
            return self._start(identity)
        except (OSError, RuntimeError) as error:  # too many processes, or the program is gone
            logger.error("Process %d cannot be started: %s", self.number, error)  # noqa: TRY400
            return None
