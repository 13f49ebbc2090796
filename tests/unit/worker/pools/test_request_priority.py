"""Jobs give way to requests, and are not held up for ever by them."""

from __future__ import annotations

import math
import sys
import threading
import time

import pytest
from django.core.signals import request_finished, request_started

from django_loco.worker.outcomes.inbox import OutcomeInbox
from django_loco.worker.pools import request_priority as module
from django_loco.worker.pools.request_priority import (
    HEAVY_SECONDS,
    MAX_REST_SECONDS,
    MAX_WAIT_SECONDS,
    QUIET_SECONDS,
    REST_FACTOR,
    SWITCH_SECONDS,
    YOUNG_SECONDS,
    RequestPriority,
    shorten_turns,
)
from django_loco.worker.pools.threads import ThreadPool

from .. import tasks
from ..support import claimed_of, job, wait_until


class Clock:
    """A clock, and a wait that moves it: ``on_wait`` is what happens meanwhile."""

    def __init__(self):
        self.now = 100.0
        self.waits = []
        self.on_wait = lambda: None

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        self.on_wait()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def request_priority(clock, monkeypatch):
    request_priority = RequestPriority(clock)
    request_priority.listen()
    monkeypatch.setattr(request_priority._news, "wait", clock.wait)
    return request_priority


def begin():
    request_started.send(sender=None)


def end():
    request_finished.send(sender=None)


def in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def wait_briefly(condition):
    """Give what must not happen a chance to."""
    until = time.monotonic() + 0.05
    while time.monotonic() < until and not condition():
        threading.Event().wait(0.002)
    return condition()


def test_without_requests_nobody_waits(request_priority, clock):
    request_priority.wait_for_requests()
    assert clock.waits == []


def test_a_young_request_is_given_way_until_it_ends(request_priority, clock):
    begin()
    clock.on_wait = end
    request_priority.wait_for_requests()
    assert clock.waits == [pytest.approx(YOUNG_SECONDS)]
    request_priority.wait_for_requests()
    assert len(clock.waits) == 1


def test_the_end_of_a_request_wakes_who_waits():
    request_priority = RequestPriority()
    request_priority.listen()
    begin()
    waited = threading.Event()
    thread = threading.Thread(target=lambda: (request_priority.wait_for_requests(), waited.set()))
    thread.start()
    end()
    assert waited.wait(5)
    thread.join()


def test_a_request_that_takes_long_holds_nobody_up(request_priority, clock):
    in_thread(begin)
    clock.now += YOUNG_SECONDS
    request_priority.wait_for_requests()
    assert clock.waits == []


def test_who_has_waited_for_one_request_waits_for_no_other_beyond_the_limit(request_priority, clock):
    begin()
    clock.now += YOUNG_SECONDS / 2
    clock.on_wait = begin
    request_priority.wait_for_requests()
    assert sum(clock.waits) == pytest.approx(MAX_WAIT_SECONDS)


def test_requests_whose_end_nobody_tells_are_forgotten(request_priority, clock):
    # Side by side: a thread that has ended may leave its id to the next.
    held = threading.Event()
    threads = [threading.Thread(target=lambda: (begin(), held.wait(5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(request_priority._begun) == 3)
    clock.now += 2 * YOUNG_SECONDS
    begin()
    assert list(request_priority._begun) == [threading.get_ident()]
    held.set()
    for thread in threads:
        thread.join()


def test_jobs_that_compute_have_a_rest_after_them(request_priority, clock):
    assert request_priority.rest_after(1) == 0, "there are no requests"
    begin()
    end()
    assert request_priority.rest_after(HEAVY_SECONDS / 2) == 0
    assert request_priority.rest_after(HEAVY_SECONDS) == REST_FACTOR * HEAVY_SECONDS
    assert request_priority.rest_after(60) == MAX_REST_SECONDS
    clock.now += QUIET_SECONDS + 1
    assert request_priority.rest_after(1) == 0


def test_no_job_is_begun_while_a_request_is_answered(start, queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(module, "YOUNG_SECONDS", 60)
    is_waiting = threading.Event()
    wait_for_requests = RequestPriority.wait_for_requests

    def wait(request_priority: RequestPriority) -> None:
        if request_priority._begun:
            is_waiting.set()
        wait_for_requests(request_priority)

    monkeypatch.setattr(RequestPriority, "wait_for_requests", wait)
    fetcher = start()._fetcher
    wait_until(fetcher.wants_jobs.is_set)
    begin()
    try:
        queue.enqueue([job("tell", "late")])
        tasks.retried(is_waiting)
        assert not wait_briefly(lambda: tasks.told)
    finally:
        end()
    wait_until(lambda: tasks.told)


def test_jobs_are_run_though_there_is_a_young_request_all_the_time(start, queue):
    over = threading.Event()

    def ask():
        while not over.wait(YOUNG_SECONDS / 5):
            begin()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        start()
        queue.enqueue([job("tell", str(number)) for number in range(10)])
        wait_until(lambda: len(tasks.told) == 10)
    finally:
        over.set()
        thread.join()


def test_turns_are_shortened_once_and_not_if_somebody_has_chosen():
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        shorten_turns()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        sys.setswitchinterval(0.01)
        shorten_turns()
        assert sys.getswitchinterval() == pytest.approx(0.01)
    finally:
        sys.setswitchinterval(before)


class Strict(RequestPriority):
    """Wants a long rest after every job, and notes of whom."""

    def __init__(self):
        super().__init__()
        self.resting = []
        self._on_start()
        self._on_end()

    def rest_after(self, computed):
        assert 0 <= computed < 5
        self.resting.append(threading.current_thread().name)
        return 60.0


def test_all_threads_but_the_first_rest_and_end_at_once_if_asked_to():
    request_priority, finished = Strict(), OutcomeInbox()
    pool = ThreadPool(2, "default", finished.add, request_priority=request_priority)
    pool.submit([claimed_of("wait_for", name) for name in "ab"])
    for name in "ab":
        tasks.retried(tasks.events[f"{name} began"])
    for name in "ab":
        tasks.events[name].set()
    wait_until(lambda: request_priority.resting)
    pool.submit([claimed_of("tell", number) for number in range(3)])
    wait_until(lambda: tasks.told == [0, 1, 2])
    assert request_priority.resting == ["loco-worker-2"]
    pool.close()
    assert pool.join(5)


def test_no_thread_rests_in_a_process_that_has_had_no_request():
    assert not RequestPriority().has_seen_requests
    request_priority = Strict()
    request_priority._latest = -math.inf
    finished: OutcomeInbox = OutcomeInbox()
    pool = ThreadPool(2, "default", finished.add, request_priority=request_priority)
    pool.submit([claimed_of("tell", number) for number in range(30)])
    wait_until(lambda: len(tasks.told) == 30)
    assert request_priority.resting == []
    pool.close()
    assert pool.join(5)
