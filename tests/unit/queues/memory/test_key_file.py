"""Once-keys of memory queues, reserved by many processes."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_loco.core.job import FAILED, SUCCESSFUL, Job, Outcome
from django_loco.exceptions import RAISED_INTO_JOBS, QueueFull, QueueUnavailable
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue, key_file
from django_loco.queues.memory.key_file import OnceKeys
from django_loco.worker.pools.inline import run_inline

KEYS = [f"tick-{number}" for number in range(50)]
RESERVE = """
import sys
from pathlib import Path
from django_loco.queues.memory.key_file import OnceKeys
keys = OnceKeys(Path(sys.argv[1]), 3600)
print(*(key for number in range(50) for key in keys.reserve([f"tick-{number}"])))
"""
HOLD = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN IMMEDIATE")
file.execute("INSERT INTO once VALUES ('half', 0)")
print("held", flush=True)
sys.stdin.read()
"""


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "as needed" / "once-keys.sqlite3"


@pytest.fixture
def queues(path):
    """Queues as two processes have them."""
    made = [MemoryQueue("default", {}), MemoryQueue("default", {})]
    for queue in made:
        queue.keys.shared = OnceKeys(path, 3600)
    return made


def test_a_key_is_reserved_once(path):
    one, other = OnceKeys(path, 3600), OnceKeys(path, 3600)
    assert one.reserve(["a", "b"]) == {"a", "b"}
    assert other.reserve(["b", "c"]) == {"c"}
    assert one.reserve(["a", "b", "c"]) == set()
    assert one.reserve([]) == set()


@pytest.mark.slow
def test_processes_and_threads_at_once_reserve_each_key_once(path):
    command = [sys.executable, "-c", RESERVE, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    here = OnceKeys(path, 3600)
    with ThreadPoolExecutor(4) as pool:
        mine = [key for keys in pool.map(lambda key: here.reserve([key]), [*KEYS, *KEYS]) for key in keys]
    theirs = [key for process in processes for key in process.communicate()[0].split()]
    assert sorted([*mine, *theirs]) == sorted(KEYS)


def test_what_a_killed_process_held_is_free(path):
    keys = OnceKeys(path, 3600)
    keys.reserve(["before"])
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    reserved = []
    waiting = threading.Thread(target=lambda: reserved.append(keys.reserve(["before", "half"])))
    waiting.start()
    os.kill(holder.pid, signal.SIGKILL)
    waiting.join()
    holder.communicate()
    assert reserved == [{"half"}]


def test_a_file_that_is_held_for_too_long_is_an_error_and_reserves_nothing(path, monkeypatch):
    monkeypatch.setattr(key_file, "RESERVE_SECONDS", 0.05)
    keys = OnceKeys(path, 3600)
    keys.reserve(["a"])
    with sqlite3.connect(path) as file:
        file.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueUnavailable, match=r"once-keys\.sqlite3 is held by another process"):
            keys.reserve(["b"])
        assert keys.works
    file.close()
    assert keys.reserve(["b"]) == {"b"}


def test_a_folder_that_cannot_be_written_costs_only_the_sharing(tmp_path, caplog):
    (tmp_path / "taken").write_text("no folder")
    keys = OnceKeys(tmp_path / "taken" / "once-keys.sqlite3", 3600)
    assert not keys.works
    for _ in range(3):
        assert keys.reserve(["a"]) == {"a"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "so that schedules run once in each process that has a scheduler" in caplog.text
    queue = MemoryQueue("default", {})
    queue.keys.shared = keys
    assert len(queue.enqueue([job(key="a"), job(key="a")])) == 1
    assert queue.enqueue([job(key="a")]) == []


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_an_interruption_of_a_job_that_reserves_a_key_comes_through(path, monkeypatch, interruption):
    def interrupt(*args: object) -> None:
        raise interruption

    monkeypatch.setattr(key_file, "make_folder", interrupt)
    with pytest.raises(interruption):
        OnceKeys(path, 3600).reserve(["a"])


def test_a_spoilt_file_is_begun_anew(path, caplog):
    keys = OnceKeys(path, 3600)
    keys.reserve(["a"])
    path.write_bytes(b"no database" * 1000)
    assert keys.reserve(["a"]) == {"a"}
    assert keys.reserve(["a"]) == set()
    assert "was damaged and has been created again" in caplog.text
    assert path.with_suffix(".damaged").exists()


def test_a_deleted_file_is_made_anew(path):
    keys = OnceKeys(path, 3600)
    keys.reserve(["a"])
    path.unlink()
    path.parent.rmdir()
    assert keys.reserve(["a"]) == {"a"}
    assert keys.reserve(["a"]) == set()


def test_old_keys_are_deleted(path):
    now = 1_000_000.0
    keys = OnceKeys(path, 3600, clock=lambda: now)
    keys.reserve(["old"])
    now += 3601
    keys.reserve(["young"])
    assert OnceKeys(path, 3600, clock=lambda: now).reserve(["more", "young"]) == {"more"}
    assert keys.reserve(["old", "young"]) == {"old"}


def test_a_key_lets_one_job_in_for_all_processes(queues):
    one, other = queues
    assert len(one.enqueue([job(key="a"), job(), job(key="a")])) == 2
    assert [each.key for each in other.enqueue([job(key="a"), job(key="b"), job()])] == ["b", None]
    assert one.enqueue([job(key="b")]) == []


def test_a_full_queue_reserves_nothing(path):
    full, other = MemoryQueue("default", {"max_waiting": 1}), MemoryQueue("default", {})
    for queue in (full, other):
        queue.keys.shared = OnceKeys(path, 3600)
    with pytest.raises(QueueFull):
        full.enqueue([job(key="a"), job(key="b")])
    assert len(other.enqueue([job(key="a"), job(key="b")])) == 2


def test_a_queue_whose_keys_are_held_by_others_takes_nothing(queues, path, monkeypatch):
    monkeypatch.setattr(key_file, "RESERVE_SECONDS", 0.05)
    one, other = queues
    one.enqueue([job(key="before")])
    with sqlite3.connect(path) as file:
        file.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueUnavailable):
            one.enqueue([job(key="a")])
        assert one.enqueue([job()])
    file.close()
    assert [each.key for each in other.enqueue([job(key="a")])] == ["a"]


def test_keys_are_known_after_a_restart(queues, path):
    one, _ = queues
    one.enqueue([job(key="a")])
    one.finish([Outcome(job=each, status=SUCCESSFUL) for each in one.fetch(Claim(worker_id="w", lease=30, threads=1))])
    restarted = MemoryQueue("default", {})
    restarted.keys.shared = OnceKeys(path, 3600)
    assert restarted.enqueue([job(key="a")]) == []


def test_clear_forgets_shared_keys(queues):
    one, other = queues
    one.enqueue([job(key="a")])
    other.clear()
    assert len(other.enqueue([job(key="a")])) == 1


def test_a_job_in_the_foreground_runs_in_one_process(queues):
    one, other = queues
    ended = [run_inline(queue, Job(task_path="math.nothing", backend="default", key="a")) for queue in (one, other)]
    assert [each is not None for each in ended] == [True, False]


def test_a_job_in_the_foreground_is_tried_again_though_its_key_is_known(queues):
    one, _ = queues
    ended = run_inline(one, Job(task_path="tests.unit.worker.tasks.fail_often", backend="default", key="a"))
    assert ended is not None
    assert (ended.status, len(ended.errors)) == (FAILED, 3)
