"""The parent of several worker processes: starts, replaces and stops them, as gunicorn's arbiter does.

The parent opens no database connection and runs no job. Its threads listen for signals, write the log, answer health
checks and, in development, watch the code. Its children are new processes rather than forks: they share no lock,
connection or thread with the parent, and each loads the newest code.

Start
-----
The first child is started alone. If it ends before it is ready, the project has an error, and the parent exits with the
same code. Once it is ready, the others are started.

Replacement
-----------
A child that has ended is replaced: at once if it ended cleanly (after ``--max-jobs``), after a growing pause if it
died. The successor is given the key of the dead process and releases the dead process's jobs without waiting for their
leases, because the parent *knows* that the process is dead. (Each job is still released under the token of its lease.)

``SIGHUP`` replaces all children, one slot after the other: see ``replacement``.

Signals
-------
Signals are passed on through the control channel. A child whose parent has died shuts down.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ...log.output.bounded import get_bounded_logger
from ...shutdown import AFTER_DEADLINE_SECONDS, CLEAN, FORCED, remember
from ..exit_codes import REPLACE, shell_code
from ..reloading.autoreload import CodeWatch
from ..signals.escalation import Level, signals_after
from ..signals.handlers import SignalHandlers
from ..stack_dump import log_stacks
from ..systemd import SystemdNotifier
from .child import Child, ended, start
from .identity import ProcessIdentity
from .mailbox import Mailbox
from .replacement import Replacement
from .slot import STOP_SIGNAL, Slot

#: Signals that the parent handles in addition to the signals that stop it.
OTHER_SIGNALS = (signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN)

logger = get_bounded_logger("django_loco.servers")


class Parent:
    """Runs and replaces the child processes.

    1. ``run`` fills the first slot, then calls ``look`` after each signal, each message and each end of a child, and
       when a timeout has passed.
    2. It returns once the exit code is known. This is when a signal asked for the end or all children have drained, and
       no child is left; or when the very first child did not get ready.
    """

    def __init__(
        self,
        count: int,
        timeout: float,
        *,
        drain: bool = False,
        keepalive_seconds: float = 0.0,
        reloads: bool = False,
        start: Callable[[ProcessIdentity], Child] = start,
        ended: Callable[[], Iterable[tuple[int, int]]] = ended,
        systemd: SystemdNotifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """``timeout``: ``LOCO["SHUTDOWN_TIMEOUT"]``, in seconds. ``drain``: do not replace children that end cleanly.

        ``reloads``: replace all children when the code changes. ``keepalive_seconds``: how often each child reports its
        progress, unless systemd asks for shorter intervals; 0: never. ``options`` are the options of ``Slot``.
        """
        self._systemd = systemd or SystemdNotifier.of_process()
        keepalive_seconds = self._systemd.watchdog / 3 or keepalive_seconds
        self.slots = [
            Slot(number, start, clock=clock, keepalive_seconds=keepalive_seconds, **options)
            for number in range(1, count + 1)
        ]
        self.code: int | None = None
        """The exit code; ``None`` until it is known."""
        self._kill_after_seconds = timeout + 2 * AFTER_DEADLINE_SECONDS
        self._drain, self._reloads = drain, reloads
        self._ended, self._clock = ended, clock
        self._signals = 0
        self._is_open = self._is_complete = self._is_quiet = False
        self._worst = CLEAN
        self._replacement = Replacement(self.slots, self._systemd, clock)
        self._had_terminal = _has_terminal()

    def run(self) -> int:
        """Run to the end; return the exit code."""
        with Mailbox() as mailbox:

            def put(name: str) -> None:
                mailbox.put(partial(self.on_signal, name))

            with SignalHandlers(put, {number: partial(put, number.name) for number in OTHER_SIGNALS}, is_last=True):
                self.open()
                self._watch_files(mailbox)
                while self.code is None:
                    mailbox.wait(
                        self.seconds_to_wait, [child.channel for child in self.children if not child.is_silent]
                    )
                    self.poll_children()
        return self.code

    @property
    def children(self) -> list[Child]:
        """All child processes."""
        return [child for slot in self.slots for child in slot.children]

    @property
    def seconds_to_wait(self) -> float:
        """Seconds until the next timeout."""
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
        """Handle a signal."""
        match name:
            case "SIGCHLD":
                pass  # It has only woken the parent up.
            case "SIGTTIN":
                log_stacks()
                self._send_all(name)
            case "SIGTSTP":
                if not self._is_quiet:
                    logger.info(
                        "Quiet: no process takes another job. SIGHUP replaces the processes, Ctrl-C or SIGTERM ends "
                        "them"
                    )
                self._is_quiet = True
                self._send_all(name)
            case "SIGHUP" if not self._signals and _has_terminal() == self._had_terminal:
                self._replace_all("SIGHUP")
            case _ if signals_after(name, self._signals) > self._signals:  # Also SIGHUP from a closed terminal.
                self._end(name)

    def poll_children(self) -> None:
        """Handle everything that has happened since the last call."""
        for pid, code in self._ended():
            for slot, child in self._pairs(pid):
                self._receive(slot, child)
                self._on_end(slot, child, code)
        for slot, child in self._pairs():
            self._receive(slot, child)
            self._kill_late(slot, child)
        for slot in self.slots:
            if self._may_start and slot.fill_at <= self._clock():
                slot.fill()
        if self._is_open:
            self._replacement.go_on()
        self._consider_end()
        if self._is_well:
            self._systemd.alive()

    def _pairs(self, pid: int | None = None) -> list[tuple[Slot, Child]]:
        return [(slot, child) for slot in self.slots for child in slot.children if pid in (None, child.pid)]

    def _receive(self, slot: Slot, child: Child) -> None:
        was_ready = child.is_ready
        child.receive()
        if child.is_ready and not was_ready:
            self._on_ready(slot, child)

    def _kill_late(self, slot: Slot, child: Child) -> None:
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
            self._tell_to_end(leaving, STOP_SIGNAL)
        if self._is_quiet:
            child.send("SIGTSTP")
        if not self._is_complete and all(slot.present and slot.present.is_ready for slot in self.slots):
            self._is_complete = True
            self._systemd.ready()

    def _on_end(self, slot: Slot, child: Child, code: int) -> None:
        was_heir = child is slot.heir
        slot.note_end(child, code)
        child.note_end(code)
        if self._signals:
            self._worst = self._worst if code in (CLEAN, REPLACE) or child.is_expendable else FORCED
        elif not self._is_open:
            self.code = shell_code(code)
        elif self._drain and code == CLEAN:
            slot.fill_at = math.inf
        elif was_heir:
            logger.error("The new process %d does not start. The present processes are kept", slot.number)
            self._replacement.keep_the_others()

    def _watch_files(self, mailbox: Mailbox) -> None:
        if self._reloads:
            CodeWatch(lambda: mailbox.put(partial(self._on_change, mailbox))).start_with_folders()

    def _on_change(self, mailbox: Mailbox) -> None:
        self._watch_files(mailbox)
        if not self._signals:
            self._replace_all("the code has changed")

    def _replace_all(self, reason: str) -> None:
        self._is_quiet = False
        self._replacement.begin(reason, fills=self._is_open)

    def _end(self, name: str) -> None:
        if not self._signals:
            logger.info("Stopping (%s): a second signal ends the wait", name)
            self._systemd.stopping()
            remember()
        self._signals += 1
        self._replacement.end()
        for slot, child in self._pairs():
            self._receive(slot, child)  # its reports may not have been read yet
        for child in self.children:
            if child.ends < self._signals:  # a child that is being replaced was already told once
                self._tell_to_end(child, name)

    def _tell_to_end(self, child: Child, name: str) -> None:
        child.ends += 1
        if self._signals >= Level.KILL:
            self._kill(child)
        elif not child.is_loaded:  # so it has no work to lose
            child.is_expendable = True
            self._kill(child)
        else:
            child.send(name)
            child.kill_at = min(child.kill_at, self._clock() + self._kill_after_seconds)

    def _kill(self, child: Child) -> None:
        child.kill_at = math.inf
        child.kill()

    def _send_all(self, name: str) -> None:
        for child in self.children:
            child.send(name)

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
        """Whether all children have been ready once, and all that are ready have reported progress recently."""
        since = self._clock() - self._systemd.watchdog
        return self._is_complete and all(child.received_at >= since for child in self.children if child.is_ready)


def _has_terminal() -> bool:
    """Whether this process has a terminal that is open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
