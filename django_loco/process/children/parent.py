"""Several processes that do the same work, and their parent, which does none.

The parent opens no connection and runs no job. Its threads listen for signals, write the log, answer health checks and,
in development, look for changed code. Its children are new processes rather than forked copies: no lock,
connection or thread of the parent's exists in them, and new code is loaded by whoever is started next.

How it begins
-------------
The first child is started alone. If it ends before it serves, the project is at fault, and the parent ends with the
same exit code. Once it serves, the others are started.

Who replaces whom
-----------------
A child that has ended is replaced: at once if it did so in good order (it has run as many jobs as it may), after a
pause that grows if it died. Its successor is told of the death and frees the jobs, for which no lease has to run out:
the parent *knows* what others could but presume. (It is freed like any other, under the token with which it was held.)

A change of all (``SIGHUP``) goes from place to place: a new child starts, and once it serves the old one is told to
end. If a new one does not come so far, the old ones stay.

Signals
-------
They are passed on through the ``link``; see there why. A child whose parent is gone ends in good order by itself.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ...log.bounded import get_bounded_logger
from ...shutdown import CLEAN, FORCED, TAIL, remember
from ..autoreload import KILLED, RELOAD, FileWatch
from ..signals.escalation import Level
from ..signals.listener import Signals
from ..stack_dump import log_stacks
from ..systemd import Notifier
from .child import Child, ended, start
from .identity import Place
from .mailbox import Inbox
from .slot import END, Seat

#: The signals that the parent listens to beside those that ask for its end.
OTHERS = (signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN)

logger = get_bounded_logger("django_loco.servers")


class Processes:
    """The parent.

    1. ``run`` opens the first seat, and then lets ``look`` do what there is to do: after each signal, each word and
       each end of a child, and by the clock.
    2. It returns when the exit code is known: no child is left and none is to be started, for a signal asked for the
       end or all have drained; or the first one of all did not come up.
    """

    def __init__(
        self,
        count: int,
        timeout: float,
        *,
        drain: bool = False,
        pulse: float = 0.0,
        reloads: bool = False,
        start: Callable[[Place], Child] = start,
        ended: Callable[[], Iterable[tuple[int, int]]] = ended,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """``timeout`` is ``SHUTDOWN_TIMEOUT`` in seconds; with ``drain`` those who end in good order have no successor.

        With ``reloads`` all are replaced when the code has changed. Each is to give a sign of its progress every
        ``pulse`` seconds, or as often as systemd wants to know; 0: never. ``options`` are those of ``Seat``.
        """
        self._notifier = notifier or Notifier.of_process()
        pulse = self._notifier.watchdog / 3 or pulse
        self.seats = [Seat(number, start, clock=clock, pulse=pulse, **options) for number in range(1, count + 1)]
        self.code: int | None = None
        """The exit code, once that is known."""
        self._patience = timeout + 2 * TAIL
        self._drain, self._reloads = drain, reloads
        self._ended, self._clock = ended, clock
        self._signals = 0
        self._is_open = self._is_complete = self._is_quiet = self._is_changing = False
        self._worst = CLEAN
        self._to_change: deque[Seat] = deque()
        self._change_began = -math.inf
        self._had_terminal = _has_terminal()

    def run(self) -> int:
        """Run to the end; return the exit code."""
        with Inbox() as inbox:

            def tell(name: str) -> None:
                inbox.put(partial(self.on_signal, name))

            with Signals(tell, {number: partial(tell, number.name) for number in OTHERS}, is_last=True):
                self.open()
                self._watch_files(inbox)
                while self.code is None:
                    inbox.wait(self.patience, [child.link for child in self.children if not child.is_silent])
                    self.look()
        return self.code

    @property
    def children(self) -> list[Child]:
        """All processes there are."""
        return [child for seat in self.seats for child in seat.children]

    @property
    def patience(self) -> float:
        """Seconds until there is something to do by the clock."""
        moments = [child.kill_at for child in self.children]
        if self._may_start:
            moments += [seat.fill_at for seat in self.seats]
        seconds = min(moments, default=math.inf) - self._clock()
        return max(0.0, min(seconds, self._notifier.watchdog / 3 or math.inf))

    def open(self) -> None:
        """Start the first child."""
        if not self.seats[0].fill(is_first=True):
            self.code = FORCED

    def on_signal(self, name: str) -> None:
        """Do what a signal asks for."""
        match name:
            case "SIGCHLD":
                pass  # It has woken us up.
            case "SIGTTIN":
                log_stacks()
                self._tell_all(name)
            case "SIGTSTP":
                logger.info("Quiet: no process takes another job. SIGHUP starts them anew, SIGTERM ends them")
                self._is_quiet = True
                self._tell_all(name)
            case "SIGHUP" if not self._signals and _has_terminal() == self._had_terminal:
                self._change_all("SIGHUP")
            case _:  # A terminal that was closed counts as this, too.
                self._end(name)

    def look(self) -> None:
        """Do what there is to do."""
        for pid, code in self._ended():
            for seat, child in self._pairs(pid):
                self._hear(seat, child)
                self._bury(seat, child, code)
        for seat, child in self._pairs():
            self._hear(seat, child)
            self._lose_patience(seat, child)
        for seat in self.seats if self._may_start else ():
            if seat.fill_at <= self._clock():
                seat.fill()
        self._go_on_changing()
        self._consider_end()
        if self._is_well:
            self._notifier.alive()

    def _pairs(self, pid: int | None = None) -> list[tuple[Seat, Child]]:
        return [(seat, child) for seat in self.seats for child in seat.children if pid in (None, child.pid)]

    def _hear(self, seat: Seat, child: Child) -> None:
        was_ready = child.is_ready
        child.hear()
        if child.is_ready and not was_ready:
            self._on_ready(seat, child)

    def _lose_patience(self, seat: Seat, child: Child) -> None:
        if child.kill_at <= self._clock():
            logger.error("Process %d (pid %d) has not ended in time and is killed", seat.number, child.pid)
            self._kill(child)

    def _on_ready(self, seat: Seat, child: Child) -> None:
        logger.info("Process %d runs (pid %d)", seat.number, child.pid)
        if not self._is_open:
            self._is_open = True
            for other in self.seats[1:]:
                other.fill_at = self._clock()
        if child is seat.heir and (leaving := seat.promote()):
            self._tell_to_end(leaving, END)
        if self._is_quiet:
            child.tell("SIGTSTP")
        if not self._is_complete and all(seat.present and seat.present.is_ready for seat in self.seats):
            self._is_complete = True
            self._notifier.ready()

    def _bury(self, seat: Seat, child: Child, code: int) -> None:
        was_heir = child is seat.heir
        seat.bury(child, code)
        child.ended(code)
        if self._signals:
            self._worst = self._worst if code in (CLEAN, RELOAD) or child.is_expendable else FORCED
        elif not self._is_open:
            self.code = code if code >= 0 else KILLED - code
        elif self._drain and code == CLEAN:
            seat.fill_at = math.inf
        elif was_heir:
            logger.error("The new process %d does not come up. The others stay as they are", seat.number)
            self._to_change.clear()

    def _watch_files(self, inbox: Inbox) -> None:
        if self._reloads:
            FileWatch(lambda: inbox.put(partial(self._on_change, inbox))).start_with_folders()

    def _on_change(self, inbox: Inbox) -> None:
        self._watch_files(inbox)
        if not self._signals:
            self._change_all("the code has changed")

    def _change_all(self, reason: str) -> None:
        """Begin to replace all, once more if that is under way: the code may have changed since."""
        logger.info("Every process is replaced by a new one (%s)", reason)
        self._is_quiet, self._is_changing = False, True
        self._change_began = self._clock()
        self._notifier.reloading()
        self._to_change = deque(self.seats)
        for seat in self.seats:
            if seat.present is None and self._is_open:
                seat.fill_at = self._change_began

    def _go_on_changing(self) -> None:
        if not self._is_changing or not self._is_open or any(seat.is_shared for seat in self.seats):
            return
        while self._to_change:
            seat = self._to_change.popleft()
            if seat.present and seat.present.began < self._change_began:
                if seat.renew():
                    return
                self._to_change.clear()
        self._is_changing = False
        self._notifier.ready()

    def _end(self, name: str) -> None:
        if not self._signals:
            logger.info("Stopping (%s): a second signal ends the wait", name)
            self._notifier.stopping()
            remember()
        self._signals += 1
        self._is_changing = False
        for seat, child in self._pairs():
            self._hear(seat, child)  # a busy machine may have let it come far since
        for child in self.children:
            if child.ends < self._signals:  # for one that leaves anyway, the first signal is no second one
                self._tell_to_end(child, name)

    def _tell_to_end(self, child: Child, name: str) -> None:
        child.ends += 1
        if self._signals >= Level.KILL:
            self._kill(child)
        elif not child.is_loaded:  # nothing can be lost
            child.is_expendable = True
            self._kill(child)
        else:
            child.tell(name)
            child.kill_at = min(child.kill_at, self._clock() + self._patience)

    def _kill(self, child: Child) -> None:
        child.kill_at = math.inf
        child.kill()

    def _tell_all(self, name: str) -> None:
        for child in self.children:
            child.tell(name)

    def _consider_end(self) -> None:
        if self.code is not None or self.children:
            return
        if self._signals:
            self.code = self._worst
        elif self._drain and all(seat.fill_at == math.inf for seat in self.seats):
            self.code = CLEAN

    @property
    def _may_start(self) -> bool:
        return self.code is None and not self._signals and not self._is_quiet

    @property
    def _is_well(self) -> bool:
        """Whether all have come up once, and those that serve have been heard of lately."""
        since = self._clock() - self._notifier.watchdog
        return self._is_complete and all(child.heard >= since for child in self.children if child.is_ready)


def _has_terminal() -> bool:
    """Whether there is a terminal by which this process can be told something; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
