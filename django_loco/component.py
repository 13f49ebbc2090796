"""What runs beside the web server, or instead of it: one set of verbs for all."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.db import close_old_connections, connections

from .core.threads.periodic_thread import PeriodicThread
from .log.safe import get_logger

logger = get_logger(__name__)


class Component(ABC):
    """A part of the process with threads of its own: a worker, a scheduler, or a class of yours.

    1. ``start`` brings its threads up and returns at once. Threads are daemons, so that none can keep the
       process from ending, and are always joined, so that none is cut off.
    2. ``quiet`` stops it from taking anything new; what runs goes on.
    3. ``stop`` says that it should end as soon as what runs is done, and at the latest at ``deadline``.
    4. ``join`` waits for that.

    All four may be called from any thread, more than once, and in a signal handler's wake; only ``join`` blocks.
    A component runs once: whoever wants it again makes another. See ``Loop`` for one that has all but its work.
    """

    name: ClassVar[str]
    """The word for it in logs, on the banner, in health and after ``--component``; by default the name of the class."""

    error: BaseException | None = None
    """What made it die, if it knows: for the log."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    @abstractmethod
    def start(self) -> None:
        """Bring the threads up. Raises if that cannot work; what can heal itself (a lost database) does not raise."""

    @abstractmethod
    def quiet(self) -> None:
        """Take nothing new from now on."""

    @abstractmethod
    def stop(self, deadline: float) -> None:
        """End when what runs is done; at ``deadline`` (``time.monotonic()``, seconds) hand back what is not."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (``None``: for ever) for the end; return whether it has come."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it does its work: a component that was started, was not stopped and is not alive has died."""

    def health(self) -> dict[str, Any]:
        """Return what tells progress, as JSON values; at least ``{"alive": bool}``.

        ``"stuck": True`` says that it gets nowhere although it is alive. Whoever can reach ``/_health`` can read this.
        """
        return {"alive": self.is_alive}


class Loop(Component):
    """A component with one thread, which takes one turn after the other. Fill in ``turn``, perhaps ``open``, ``close``.

    1. The thread calls ``open``, then ``turn`` over and over.
    2. An exception from either ends the thread: the component has died, and the supervisor logs it and starts another.
    3. After ``quiet`` there are no more turns. After ``stop``, or an exception, the thread calls ``close`` and ends.

    ::

        class PriceFeed(Loop):
            name = "price-feed"

            def open(self):
                self.stream = connect(timeout=1)

            def turn(self):
                for price in self.stream.read():
                    change_price.enqueue(price.sku, price.amount)

            def close(self):
                self.stream.close()
    """

    every: ClassVar[float] = 1.0
    """Seconds between the end of one turn and the next, unless ``turn`` says otherwise."""

    stuck_after: ClassVar[float] = 60.0
    """Seconds that a turn, or ``open``, may take before health calls it stuck."""

    def __init__(self) -> None:
        self._quiet = threading.Event()
        self._is_open = False
        self._last_turn = time.monotonic()
        self._busy_since: float | None = None
        self._thread = _LoopThread(self)

    def open(self) -> None:
        """Get what the turns need; in the thread."""

    @abstractmethod
    def turn(self) -> float | None:
        """Do it once; return the seconds until the next turn, or ``None`` for ``every``.

        It should wait for nothing longer than a few seconds, or look at ``stopping`` while it waits.
        """

    def close(self) -> None:
        """Let go of what ``open`` got, also if that failed midway; in the thread, at its end."""

    @property
    def stopping(self) -> bool:
        """Whether a turn should come to its end."""
        return self._quiet.is_set()

    def start(self) -> None:
        """Start the thread, once."""
        if not self._thread.has_started:
            self._last_turn = time.monotonic()
            self._thread.start()

    def quiet(self) -> None:
        """Take no more turns."""
        self._quiet.set()

    def stop(self, deadline: float) -> None:  # noqa: ARG002 - a turn cannot be cut off
        """End after the present turn."""
        self._quiet.set()
        self._thread.end()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the thread's end; return whether it has come."""
        return self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive

    def health(self) -> dict[str, Any]:
        """Return ``alive``, ``last_turn_age`` (seconds since a turn came to its end) and ``stuck``."""
        now, busy_since = time.monotonic(), self._busy_since
        stuck = busy_since is not None and now - busy_since > self.stuck_after
        return {"alive": self.is_alive, "last_turn_age": round(now - self._last_turn, 3), "stuck": stuck}

    def _take_turn(self) -> float:
        self._busy_since = time.monotonic()
        if not self._is_open:
            self.open()
            self._is_open = True
        seconds = None if self._quiet.is_set() else self.turn()
        self._last_turn, self._busy_since = time.monotonic(), None
        close_old_connections()
        return self.every if seconds is None else seconds

    def _close(self) -> None:
        try:
            self.close()
        except BaseException:
            logger.exception("The %s could not close what it had opened", self.name)
        finally:
            connections.close_all()


class _LoopThread(PeriodicThread):
    """The thread of a ``Loop``, which an exception ends."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(f"loco-{loop.name}", component=loop.name)
        self._loop = loop

    def turn(self) -> float:
        return self._loop._take_turn()  # noqa: SLF001 - a part of it

    def failed(self, error: BaseException) -> float:
        self._loop.error = error  # the supervisor logs it
        self.end()
        return 0.0

    def close(self) -> None:
        self._loop._close()  # noqa: SLF001
