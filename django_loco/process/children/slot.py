"""One of the numbered identities among several processes alike, and who takes it."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Callable, Iterator

from ...core.backoff import Backoff
from ...log.bounded import get_bounded_logger
from ...shutdown import CLEAN
from ..autoreload import RELOAD
from .child import Child
from .identity import ProcessIdentity

#: Seconds between two starts in one place while its processes die one after the other, at first and at most.
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 30.0
#: Seconds that a process has to live for the deaths before it to be forgotten.
SETTLED = 60.0
#: How many of the dead a successor is told of.
REMEMBERED = 5
#: What ends a process that gets no more signals than this.
END = "SIGTERM"

logger = get_bounded_logger("django_loco.servers")


class Slot:
    """A place that is to be taken at all times.

    1. ``fill`` starts a process in it. When that has ended, ``bury`` says when there is to be another one.
    2. To be changed, ``renew`` starts an ``heir`` beside the ``present`` one; once it serves, ``promote`` lets the
       present one leave.
    """

    def __init__(
        self,
        number: int,
        start: Callable[[ProcessIdentity], Child],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        sign_seconds: float = 0.0,
    ) -> None:
        """``jitter``: see ``Backoff``; ``sign_seconds``: see ``ProcessIdentity``."""
        self.number = number
        self.present: Child | None = None
        self.heir: Child | None = None
        self.leaving: Child | None = None
        self.fill_at = math.inf
        """When to start a process in it, by ``clock``."""
        self._dead: tuple[str, ...] = ()
        self._sign_seconds = sign_seconds
        self._backoff = Backoff(FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, clock=clock, jitter=jitter)
        self._start, self._clock = start, clock

    @property
    def deaths(self) -> int:
        """How many died one soon after the other."""
        return self._backoff.failures

    @property
    def children(self) -> Iterator[Child]:
        """Its processes, of which there is one but in a change."""
        return (child for child in (self.leaving, self.present, self.heir) if child)

    @property
    def is_shared(self) -> bool:
        """Whether there are two, one of them new."""
        return self.heir is not None or self.leaving is not None

    def fill(self, *, is_first: bool = False) -> bool:
        """Start a process; return whether that was possible. If not, it is tried again after a pause."""
        self.present = self._make(is_first=is_first)
        self.fill_at = math.inf if self.present else self._clock() + self._backoff.failed()
        return self.present is not None

    def renew(self) -> bool:
        """Start a process that is to take the present one's place; return whether that was possible."""
        self.heir = self._make()
        return self.heir is not None

    def promote(self) -> Child | None:
        """Let the heir be the present one; return who is to leave, if it is still there."""
        self.leaving, self.present, self.heir = self.present, self.heir, None
        return self.leaving

    def bury(self, child: Child, code: int) -> None:
        """Take note of an end: log it if it was a bad one, and say when the slot is to be filled again."""
        pause = 0.0
        if code not in (CLEAN, RELOAD) and not child.is_expendable:
            logger.error("Process %d (pid %d) %s", self.number, child.pid, how_it_ended(code))
            self._dead = (*self._dead, child.key)[-REMEMBERED:]
            if child is not self.leaving:  # what its successor makes of it is another story
                if self._clock() - child.began > SETTLED:
                    self._backoff.succeeded()
                pause = self._backoff.failed()
        if child is self.leaving:
            self.leaving = None
        elif child is self.heir:
            self.heir = None
        else:
            self.present, self.heir = self.heir, None  # With an heir, its successor is on the way.
            self.fill_at = math.inf if self.present else self._clock() + pause

    def _make(self, *, is_first: bool = False) -> Child | None:
        key = secrets.token_hex(4)
        identity = ProcessIdentity(
            number=self.number, key=key, dead=self._dead, is_first=is_first, sign_seconds=self._sign_seconds
        )
        try:
            return self._start(identity)
        except (OSError, RuntimeError) as error:  # no room for one more; or the command has been moved away
            logger.error("Process %d cannot be started: %s", self.number, error)  # noqa: TRY400
            return None


def how_it_ended(code: int) -> str:
    """Return what to say of an exit code (``-n``: signal ``n``)."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
