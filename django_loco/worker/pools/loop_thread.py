"""The thread of the event loop for jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from ...core.threads import DaemonThread
from ...core.threads.stray_forks import end_fork, forks
from ...log.labels import bind
from ...log.safe import get_logger
from .tidy_executor import TidyExecutor

logger = get_logger("django_loco.worker")

#: The time between two beats of the loop, which show that it is not held up.
BEAT_SECONDS = 1.0
#: The time that cancelled tasks have at the end of the loop.
_CLEANUP_SECONDS = 0.1


class LoopThread:
    """An event loop in a thread of its own. It goes on whatever a job does to it.

    1. ``start`` starts the thread, which calls ``on_start``.
    2. The loop runs what other threads send it with ``call``, and calls ``on_beat`` every ``BEAT_SECONDS``.
    3. ``stop`` lets the thread call ``on_end``, cancel the tasks that are left, and end.

    The three functions are called in the thread.
    """

    def __init__(
        self,
        *,
        on_start: Callable[[], object],
        on_beat: Callable[[], object],
        on_end: Callable[[], object],
    ) -> None:
        """Starts nothing."""
        self.loop = asyncio.new_event_loop()
        self._is_stopped = False
        self._on_start, self._on_beat, self._on_end = on_start, on_beat, on_end
        self._thread: DaemonThread | None = None
        self._forks = forks()
        self._last_beat = time.monotonic()

    def start(self) -> None:
        """Start the thread. If the system has none, close the loop, and raise the system's error."""
        thread = DaemonThread(target=self._run, name="loco-worker-loop")
        try:
            thread.start()
        except BaseException:
            self.loop.close()
            raise
        self._thread = thread

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call ``function`` on the loop if it is open. Other threads may close it at any time."""
        with suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """End the thread, or let it end as soon as it is started."""
        self._is_stopped = True
        self.call(self.loop.stop)

    def join(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the thread."""
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def has_ended(self) -> bool:
        """Whether the thread was started and does not run any more."""
        return self._thread is not None and not self._thread.is_alive()

    @property
    def lag(self) -> float:
        """The seconds for which a job has been holding up the loop by not awaiting; usually 0."""
        if self._thread is None or not self._thread.is_alive():
            return 0.0
        return max(0.0, time.monotonic() - self._last_beat - 2 * BEAT_SECONDS)

    def _run(self) -> None:
        bind(component="worker")
        self._on_start()
        self._forks = forks()
        self._last_beat = time.monotonic()
        executor = TidyExecutor()
        self.loop.set_default_executor(executor)
        self.loop.shutdown_default_executor = _keep_executor  # type: ignore[method-assign]
        self.loop.call_soon(self._beat)
        while not self._is_stopped:
            try:
                self.loop.run_forever()
            except BaseException:  # asyncio lets SystemExit and KeyboardInterrupt of any task through
                logger.exception("A job's asyncio task tried to end the event loop, which goes on")
        self._on_end()
        _end(self.loop)
        executor.close()

    def _beat(self) -> None:
        if self._forks != forks():  # a job forked and awaits here: the other jobs belong to the parent process
            end_fork()
        self._last_beat = time.monotonic()
        self.loop.call_later(BEAT_SECONDS, self._beat)
        self._on_beat()


async def _keep_executor(*args: object, **kwargs: object) -> None:
    """Replace ``loop.shutdown_default_executor``, which would keep later jobs from using ``asyncio.to_thread``."""
    logger.warning("A job has called loop.shutdown_default_executor(), which does nothing here: other jobs use it")


def _end(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_CLEANUP_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
