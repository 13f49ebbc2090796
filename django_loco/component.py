"""The base classes of components: parts of a process with their own threads, such as a worker or a scheduler."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.db import close_old_connections, connections

from .core.threads.periodic_thread import PeriodicThread
from .core.threads.stray_forks import ForksEndHere
from .log.safe import get_logger

logger = get_logger(__name__)


class Component(ABC):
    """A part of the process with its own threads: a worker, a scheduler, or a class of your project.

    1. ``start`` starts its threads and returns at once. Use daemon threads; others would keep the process from ending.
    2. ``quiet`` makes it take no more work; running work goes on.
    3. ``stop`` makes it end when its running work is done, but no later than ``deadline``.
    4. ``join`` waits for the end.

    All four may be called from any thread and more than once; only ``join`` blocks. A component runs once: to run it
    again, create another one. ``Loop`` is a component to which you add only the work.
    """

    name: ClassVar[str]
    """Its name in logs, on the banner, in health and after ``--component``; by default the name of the class."""

    error: BaseException | None = None
    """The exception that ended it, if it knows one; for the log."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    @abstractmethod
    def start(self) -> None:
        """Start the threads. Raises if that can never work, but not for a temporary problem such as a lost database."""

    @abstractmethod
    def quiet(self) -> None:
        """Take no more work."""

    @abstractmethod
    def stop(self, deadline: float) -> None:
        """End when the running work is done; at ``deadline`` (``time.monotonic()``, seconds) hand back the rest."""

    @abstractmethod
    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the end (``None``: without a limit); return whether it has ended."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it runs. A component that was started, was not stopped and is not alive has died."""

    def health(self) -> dict[str, Any]:
        """Return its progress as JSON values, at least ``{"alive": bool}``.

        ``"stuck": True`` says that it makes no progress although it is alive. Anyone who can reach ``/_health``
        can read this.
        """
        return {"alive": self.is_alive}


class Loop(Component):
    """A component with one thread, which calls ``turn`` repeatedly. Write ``turn``, and ``open`` and ``close``.

    1. The thread calls ``open``, then ``turn`` repeatedly.
    2. An exception from either ends the thread. The component has died; the supervisor logs that and starts another.
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
    """Seconds after which health calls a turn, or ``open``, stuck."""

    def __init__(self) -> None:
        self._quiet = threading.Event()
        self._is_open = False
        self._last_turn = time.monotonic()
        self._busy_since: float | None = None
        self._thread = _LoopThread(self)

    def open(self) -> None:
        """Open the resources that the turns need; called in the thread."""

    @abstractmethod
    def turn(self) -> float | None:
        """Do the work once; return the seconds until the next turn, or ``None`` for ``every``.

        It should not wait longer than a few seconds without checking ``stopping``.
        """

    def close(self) -> None:
        """Close what ``open`` has opened, even if it failed midway; called at the end of the thread."""

    @property
    def stopping(self) -> bool:
        """Whether a turn should end soon."""
        return self._quiet.is_set()

    def start(self) -> None:
        """Start the thread, once."""
        if not self._thread.has_started:
            self._last_turn = time.monotonic()
            self._thread.start()

    def quiet(self) -> None:
        """Take no more turns."""
        self._quiet.set()

    def stop(self, deadline: float) -> None:  # noqa: ARG002 - a turn cannot be interrupted
        """End after the present turn."""
        self._quiet.set()
        self._thread.end()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the end of the thread; return whether it has ended."""
        return self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive

    def health(self) -> dict[str, Any]:
        """Return ``alive``, ``last_turn_age`` (seconds since the last turn ended) and ``stuck``."""
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
            with ForksEndHere():
                self.close()
        except BaseException:
            logger.exception("The %s could not close its resources", self.name)
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
