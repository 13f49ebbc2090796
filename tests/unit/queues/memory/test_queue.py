import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from django_loco.core.job import READY, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.exceptions import LocoConfigurationError, QueueFull
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.memory import MemoryQueue, keys

PATIENCE = 20.0


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def run(queue, **given):
    """Fetch everything and finish it."""
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=10_000))
    queue.finish([Outcome(job=each, status=SUCCESSFUL, return_value="1", **given) for each in held])
    return held


#: Interrupts calls by real signals. Each call after that would wait forever if one had left the lock taken.
INTERRUPTED = """
import random, signal
from django_loco.core.job import Job
from django_loco.queues.memory import MemoryQueue

def interrupt(*_):
    raise KeyboardInterrupt

queue = MemoryQueue("default", {})
[job] = queue.enqueue([Job(task_path="a.b", backend="default")])
signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
while interrupted < 400:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 2e-4))
        while True:
            queue.get(job.id)
    except KeyboardInterrupt:
        interrupted += 1
    queue.get(job.id)
"""


@pytest.mark.slow
def test_ctrl_c_leaves_no_lock_taken():
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60)


def test_a_finalizer_may_use_the_queue_while_its_thread_does():
    queue = MemoryQueue("default", {})
    with queue._lock:
        [enqueued] = queue.enqueue([job()])
    assert run(queue)[0].id == enqueued.id


def test_it_is_not_shared():
    assert MemoryQueue("default", {}).is_shared is False
    assert MemoryQueue("default", {}).database is None


def test_only_the_youngest_results_are_kept():
    queue = MemoryQueue("default", {"max_results": 3})
    jobs = queue.enqueue([job() for _ in range(5)])
    held = run(queue)
    assert [queue.get(each.id) is not None for each in held] == [False, False, True, True, True]
    assert len(queue.list()) == 3
    assert len(jobs) == 5


@pytest.mark.parametrize(("limit", "kept"), [({}, 1_000), ({"max_results": None}, 1_200), ({"max_results": 0}, 0)])
def test_how_many_results_are_kept(limit, kept):
    queue = MemoryQueue("default", limit)
    queue.enqueue([job() for _ in range(1_200)])
    run(queue)
    assert queue.counts().get(("default", SUCCESSFUL), 0) == kept


def test_a_full_queue_takes_all_or_none():
    queue = MemoryQueue("mail", {"max_waiting": 3})
    queue.enqueue([job(), job(run_after=utcnow() + timedelta(hours=1))])
    with pytest.raises(QueueFull, match=r"TASKS\['mail'\]\['OPTIONS'\]\['max_waiting'\] = 3"):
        queue.enqueue([job(), job()])
    assert queue.counts() == {("default", READY): 2}
    queue.enqueue([job()])


def test_known_keys_need_no_room():
    queue = MemoryQueue("default", {"max_waiting": 1})
    queue.enqueue([job(key="k")])
    assert queue.enqueue([job(key="k"), job(key="k")]) == []


def test_a_retry_always_finds_room():
    queue = MemoryQueue("default", {"max_waiting": 1})
    queue.enqueue([job()])
    held = queue.fetch(Claim(worker_id="w", lease=30, threads=1))
    queue.enqueue([job()])
    assert queue.finish([Outcome.released(held[0])]) == set()
    assert queue.counts() == {("default", READY): 2}


@pytest.mark.parametrize("name", ["max_waiting", "max_results"])
@pytest.mark.parametrize("value", [-1, "5", 1.5, True])
def test_a_wrong_limit_is_named(name, value):
    with pytest.raises(LocoConfigurationError, match=name):
        MemoryQueue("default", {name: value})


def test_a_job_that_is_run_at_once_has_a_lease_and_a_token_too():
    queue = MemoryQueue("default", {})
    held = queue.hold(job(key="s@1"), "w", 30)
    assert queue.rescue() == []
    assert [one.id for one in queue.series("s")] == [held.id]
    assert queue.finish([Outcome(job=replace(held, token="another"), status=SUCCESSFUL)]) == {held.id}
    assert queue.finish([Outcome(job=held, status=SUCCESSFUL)]) == set()


def test_keys_are_remembered_up_to_a_number(monkeypatch):
    monkeypatch.setattr(keys, "MAX_KEYS", 2)
    queue = MemoryQueue("default", {})
    queue.enqueue([job(key="a"), job(key="b"), job(key="c")])
    assert queue.enqueue([job(key="b"), job(key="c")]) == []
    assert len(queue.enqueue([job(key="a")])) == 1


def test_a_unique_key_that_a_job_has_exchanged_is_forgotten():
    queue = MemoryQueue("default", {})
    for number in range(5):
        before, after = (job(id="j", unique_key=f"{key}{number}", unique_until="finished") for key in "ab")
        queue.enqueue([before])
        assert not queue.change([Change(before=before, after=replace(after, enqueued_at=before.enqueued_at))])
        assert queue._jobs.unique._last == {f"b{number}": "j"}
        run(queue)
        queue.prune(-1)
    assert queue._jobs.unique._last == {}


@pytest.mark.parametrize("action", ["enqueue", "restore", "change"])
def test_a_key_that_was_reserved_for_a_job_that_is_not_stored_is_free_again(tmp_path, monkeypatch, action):
    queue, other = MemoryQueue("default", {}), MemoryQueue("default", {})
    for each in (queue, other):
        each.share_keys(tmp_path, 60.0)
    unique = {"unique_key": "a", "unique_until": "finished"}
    waits = job()
    queue.enqueue([waits])
    reserve = queue.keys.reserve

    def overtaken(jobs):
        won = reserve(jobs)
        monkeypatch.undo()
        run(queue)
        queue.enqueue([job(**unique)])
        return won

    monkeypatch.setattr(queue.keys, "reserve", overtaken)
    if action == "change":
        assert queue.change([Change(before=waits, after=replace(waits, key="k@1"))]) == {waits.id}
    else:
        assert not getattr(queue, action)([job(key="k@1", **unique)])
    assert other.enqueue([job(key="k@1")])
    assert queue.enqueue([job(key="k@1")]) == []


def test_a_queue_that_fills_while_a_key_is_reserved_takes_no_more(tmp_path, monkeypatch):
    queue, other = MemoryQueue("default", {"max_waiting": 1}), MemoryQueue("default", {})
    for each in (queue, other):
        each.share_keys(tmp_path, 60.0)
    reserve = queue.keys.reserve

    def overtaken(jobs):
        won = reserve(jobs)
        monkeypatch.undo()
        queue.enqueue([job()])
        return won

    monkeypatch.setattr(queue.keys, "reserve", overtaken)
    with pytest.raises(QueueFull):
        queue.enqueue([job(key="k@1")])
    assert other.enqueue([job(key="k@1")])


def test_a_key_of_a_job_that_was_not_run_at_once_is_free_again(tmp_path):
    queue, other = MemoryQueue("default", {}), MemoryQueue("default", {})
    for each in (queue, other):
        each.share_keys(tmp_path, 60.0)
    unique = {"unique_key": "a", "unique_until": "finished"}
    queue.enqueue([job(**unique)])
    assert queue.hold(job(key="k@1", **unique), "w", 30) is None
    assert other.hold(job(key="k@1"), "w", 30)
    assert queue.hold(job(key="k@1"), "w", 30) is None


def test_a_repeated_outcome_in_one_list_counts_once():
    queue = MemoryQueue("default", {})
    queue.enqueue([job()])
    [held] = queue.fetch(Claim(worker_id="w", lease=30, threads=1))
    assert queue.finish([Outcome.released(held), Outcome.released(held)]) == set()
    assert len(queue.fetch(Claim(worker_id="w", lease=30, threads=5))) == 1


def test_a_deferred_job_ends_a_wait_when_it_is_due():
    queue = MemoryQueue("default", {})
    queue.enqueue([job(run_after=utcnow() + timedelta(seconds=0.5))])
    assert queue.wait(0) is False
    started = time.monotonic()
    assert queue.wait(PATIENCE) is True
    assert time.monotonic() - started < PATIENCE / 2
    assert len(queue.fetch(Claim(worker_id="w", lease=30, threads=1))) == 1


def test_an_earlier_deferred_job_shortens_a_wait():
    queue = MemoryQueue("default", {})
    queue.enqueue([job(run_after=utcnow() + timedelta(hours=1))])
    told = []
    waiter = threading.Thread(target=lambda: told.append(queue.wait(PATIENCE)))
    waiter.start()
    queue.enqueue([job(run_after=utcnow() + timedelta(seconds=0.05))])
    waiter.join(PATIENCE / 2)
    assert told == [True]


def test_what_has_been_said_once_is_not_said_again():
    """Jobs that nobody may take (a full worker, other tags) must not make its loop spin."""
    queue = MemoryQueue("default", {})
    queue.enqueue([job()])
    assert queue.wait(0) is True
    assert queue.wait(0) is False


def test_every_waiting_thread_is_told():
    queue = MemoryQueue("default", {})
    told = []
    waiters = [threading.Thread(target=lambda: told.append(queue.wait(PATIENCE))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    queue.enqueue([job()])
    for waiter in waiters:
        waiter.join()
    assert told == [True] * 3
