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

A change of all (``SIGHUP``) goes from place to identity: a new child starts, and once it serves the old one is told to
end. If a new one does not come so far, the old ones stay.

Signals
-------
They are passed on through the ``channel``; see there why. A child whose parent is gone ends in good order by itself.
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
from ..signals.listener import SignalListener
from ..stack_dump import log_stacks
from ..systemd import SystemdNotifier
from .child import Child, ended, start
from .identity import ProcessIdentity
from .mailbox import Mailbox
from .slot import END, Slot

#: The signals that the parent listens to beside those that ask for its end.
OTHERS = (signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN)

logger = get_bounded_logger("django_loco.servers")


class Parent:
    """The parent.

    1. ``run`` opens the first slot, and then lets ``look`` do what there is to do: after each signal, each word and
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
        sign_seconds: float = 0.0,
        reloads: bool = False,
        start: Callable[[ProcessIdentity], Child] = start,
        ended: Callable[[], Iterable[tuple[int, int]]] = ended,
        systemd: SystemdNotifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """``timeout`` is ``SHUTDOWN_TIMEOUT`` in seconds; with ``drain`` those who end in good order have no successor.

        With ``reloads`` all are replaced when the code has changed. Each is to give a sign of its progress every
        ``sign_seconds`` seconds, or as often as systemd wants to know; 0: never. ``options`` are those of ``Slot``.
        """
        self._systemd = systemd or SystemdNotifier.of_process()
        sign_seconds = self._systemd.watchdog / 3 or sign_seconds
        self.slots = [
            Slot(number, start, clock=clock, sign_seconds=sign_seconds, **options) for number in range(1, count + 1)
        ]
        self.code: int | None = None
        """The exit code, once that is known."""
        self._patience = timeout + 2 * TAIL
        self._drain, self._reloads = drain, reloads
        self._ended, self._clock = ended, clock
        self._signals = 0
        self._is_open = self._is_complete = self._is_quiet = self._is_changing = False
        self._worst = CLEAN
        self._to_change: deque[Slot] = deque()
        self._change_began = -math.inf
        self._had_terminal = _has_terminal()

    def run(self) -> int:
        """Run to the end; return the exit code."""
        with Mailbox() as mailbox:

            def tell(name: str) -> None:
                mailbox.put(partial(self.on_signal, name))

            with SignalListener(tell, {number: partial(tell, number.name) for number in OTHERS}, is_last=True):
                self.open()
                self._watch_files(mailbox)
                while self.code is None:
                    mailbox.wait(self.patience, [child.channel for child in self.children if not child.is_silent])
                    self.look()
        return self.code

    @property
    def children(self) -> list[Child]:
        """All processes there are."""
        return [child for slot in self.slots for child in slot.children]

    @property
    def patience(self) -> float:
        """Seconds until there is something to do by the clock."""
        moments = [child.kill_at for child in self.children]
        if self._may_start:
            moments += [slot.fill_at for slot in self.slots]
        seconds = min(moments, default=math.inf) - self._clock()
        return max(0.0, min(seconds, self._systemd.watchdog / 3 or math.inf))

    def open(self) -> None:
        """Start the first child."""
        if not self.slots[0].fill(is_first=True):
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
                logger.info("Quiet: no process takes another job. SIGHUP replaces the processes, SIGTERM ends them")
                self._is_quiet = True
                self._tell_all(name)
            case "SIGHUP" if not self._signals and _has_terminal() == self._had_terminal:
                self._change_all("SIGHUP")
            case _:  # A terminal that was closed counts as this, too.
                self._end(name)

    def look(self) -> None:
        """Do what there is to do."""
        for pid, code in self._ended():
            for slot, child in self._pairs(pid):
                self._hear(slot, child)
                self._bury(slot, child, code)
        for slot, child in self._pairs():
            self._hear(slot, child)
            self._lose_patience(slot, child)
        for slot in self.slots if self._may_start else ():
            if slot.fill_at <= self._clock():
                slot.fill()
        self._go_on_changing()
        self._consider_end()
        if self._is_well:
            self._systemd.alive()

    def _pairs(self, pid: int | None = None) -> list[tuple[Slot, Child]]:
        return [(slot, child) for slot in self.slots for child in slot.children if pid in (None, child.pid)]

    def _hear(self, slot: Slot, child: Child) -> None:
        was_ready = child.is_ready
        child.hear()
        if child.is_ready and not was_ready:
            self._on_ready(slot, child)

    def _lose_patience(self, slot: Slot, child: Child) -> None:
        if child.kill_at <= self._clock():
            logger.error("Process %d (pid %d) did not end in time and is killed", slot.number, child.pid)
            self._kill(child)

    def _on_ready(self, slot: Slot, child: Child) -> None:
        logger.info("Process %d is ready (pid %d)", slot.number, child.pid)
        if not self._is_open:
            self._is_open = True
            for other in self.slots[1:]:
                other.fill_at = self._clock()
        if child is slot.heir and (leaving := slot.promote()):
            self._tell_to_end(leaving, END)
        if self._is_quiet:
            child.tell("SIGTSTP")
        if not self._is_complete and all(slot.present and slot.present.is_ready for slot in self.slots):
            self._is_complete = True
            self._systemd.ready()

    def _bury(self, slot: Slot, child: Child, code: int) -> None:
        was_heir = child is slot.heir
        slot.bury(child, code)
        child.ended(code)
        if self._signals:
            self._worst = self._worst if code in (CLEAN, RELOAD) or child.is_expendable else FORCED
        elif not self._is_open:
            self.code = code if code >= 0 else KILLED - code
        elif self._drain and code == CLEAN:
            slot.fill_at = math.inf
        elif was_heir:
            logger.error("The new process %d does not start. The present processes are kept", slot.number)
            self._to_change.clear()

    def _watch_files(self, mailbox: Mailbox) -> None:
        if self._reloads:
            FileWatch(lambda: mailbox.put(partial(self._on_change, mailbox))).start_with_folders()

    def _on_change(self, mailbox: Mailbox) -> None:
        self._watch_files(mailbox)
        if not self._signals:
            self._change_all("the code has changed")

    def _change_all(self, reason: str) -> None:
        """Begin to replace all, once more if that is under way: the code may have changed since."""
        logger.info("Replacing every process (%s)", reason)
        self._is_quiet, self._is_changing = False, True
        self._change_began = self._clock()
        self._systemd.reloading()
        self._to_change = deque(self.slots)
        for slot in self.slots:
            if slot.present is None and self._is_open:
                slot.fill_at = self._change_began

    def _go_on_changing(self) -> None:
        if not self._is_changing or not self._is_open or any(slot.is_shared for slot in self.slots):
            return
        while self._to_change:
            slot = self._to_change.popleft()
            if slot.present and slot.present.began < self._change_began:
                if slot.renew():
                    return
                self._to_change.clear()
        self._is_changing = False
        self._systemd.ready()

    def _end(self, name: str) -> None:
        if not self._signals:
            logger.info("Stopping (%s): a second signal ends the wait", name)
            self._systemd.stopping()
            remember()
        self._signals += 1
        self._is_changing = False
        for slot, child in self._pairs():
            self._hear(slot, child)  # a busy machine may have let it come far since
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
        elif self._drain and all(slot.fill_at == math.inf for slot in self.slots):
            self.code = CLEAN

    @property
    def _may_start(self) -> bool:
        return self.code is None and not self._signals and not self._is_quiet

    @property
    def _is_well(self) -> bool:
        """Whether all have come up once, and those that serve have been heard of lately."""
        since = self._clock() - self._systemd.watchdog
        return self._is_complete and all(child.heard >= since for child in self.children if child.is_ready)


def _has_terminal() -> bool:
    """Whether there is a terminal by which this process can be told something; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
