"""The contract of waiting: ``wait`` and ``interrupt``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ...core.job import Outcome
from .case import HUNG_AFTER_SECONDS, ContractCase


class WaitContract(ContractCase):
    """New jobs end a wait, and so does an interrupt."""

    def test_a_wait_ends_by_itself(self) -> None:
        started = time.monotonic()
        self.queue.wait(0.05)
        self.queue.wait(0)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS

    def test_a_new_job_ends_it(self) -> None:
        assert self._first_fetched_after(self.enqueue)

    def test_a_restored_job_ends_it(self) -> None:
        assert self._first_fetched_after(lambda: self.queue.restore([self.job()]))

    def test_a_job_handed_back_ends_it(self) -> None:
        held = self.held()
        assert self._first_fetched_after(lambda: self.queue.finish([Outcome.released(held)]))

    def test_a_rescued_job_ends_it(self) -> None:
        self.enqueue()
        self.fetch(lease=0)
        assert self._first_fetched_after(self.queue.rescue)

    def test_many_jobs_one_after_the_other_are_all_noticed(self) -> None:
        fetched: list[str] = []

        def work() -> None:
            while len(fetched) < 200:
                self.queue.wait(HUNG_AFTER_SECONDS)
                fetched.extend(job.id for job in self.fetch())
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        stored = [self.enqueue().id for _ in range(200)]
        worker.join(HUNG_AFTER_SECONDS / 2)
        if worker.is_alive():
            fetched += [""] * 200  # give up
            self.queue.interrupt()
            worker.join()
        assert sorted(fetched) == sorted(stored)

    def test_an_interrupt_ends_every_wait(self) -> None:
        ended = threading.Event()

        def wait(_: int) -> float:
            started = time.monotonic()
            while not ended.is_set():
                self.queue.wait(HUNG_AFTER_SECONDS)
            return time.monotonic() - started

        self.queue  # noqa: B018 - made before the threads need it

        def end() -> None:
            ended.set()
            self.queue.interrupt()

        timer = threading.Timer(0.1, end)
        timer.start()
        assert max(self.side_by_side(wait, threads=3)) < HUNG_AFTER_SECONDS / 2
        timer.join()

    def test_an_interrupt_just_before_a_wait_is_not_lost(self) -> None:
        self.queue.wait(0)
        self.queue.interrupt()
        started = time.monotonic()
        self.queue.wait(HUNG_AFTER_SECONDS)
        self.queue.close()
        assert time.monotonic() - started < HUNG_AFTER_SECONDS / 2

    def _first_fetched_after(self, act: Callable[[], Any]) -> bool:
        """Wait and fetch in a thread, as a worker does.

        When it has nothing to do, call ``act``. Return whether it then fetched a job before its wait was over.
        """
        idle, fetched = threading.Event(), threading.Event()

        def work() -> None:
            self.queue.wait(0.2)  # returns at once if something happened before
            while not fetched.is_set():
                idle.set()
                self.queue.wait(HUNG_AFTER_SECONDS)
                if self.fetch():
                    fetched.set()
            self.queue.close()

        self.queue  # noqa: B018 - made before the thread needs it
        worker = threading.Thread(target=work)
        worker.start()
        assert idle.wait(HUNG_AFTER_SECONDS)
        started = time.monotonic()
        act()
        in_time = fetched.wait(HUNG_AFTER_SECONDS / 2)
        fetched.set()
        self.queue.interrupt()
        worker.join()
        return in_time and time.monotonic() - started < HUNG_AFTER_SECONDS / 2
