"""The clocks that a thread has seen before it rescues jobs."""

from __future__ import annotations

import threading
import time

from django_loco.queues.database.jobs.rescuing import SeenClocks


def test_clocks_are_compared_once():
    seen = SeenClocks()
    assert seen.take() is None
    before = time.monotonic(), time.time()
    seen.note()
    looked, clock = seen.take()
    assert before[0] <= looked <= time.monotonic()
    assert abs(clock - before[1]) < 60
    assert seen.take() is None


def test_a_thread_knows_nothing_of_the_looks_of_others():
    seen = SeenClocks()
    seen.note()
    found = []
    thread = threading.Thread(target=lambda: found.append(seen.take()))
    thread.start()
    thread.join()
    assert found == [None]
    assert seen.take() is not None
