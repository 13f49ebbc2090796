import errno
import json
import os
import threading
from datetime import timedelta

import pytest

from django_loco.core.job import READY, RUNNING, Job, Outcome, utcnow
from django_loco.exceptions import QueueFull
from django_loco.queues import Claim
from django_loco.queues.memory import MemoryQueue, spool


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def queue(**options):
    return MemoryQueue("default", options)


@pytest.fixture
def waiting():
    return [
        job(arguments='[["\\u0000"],{}]', priority=5, tags=("a",), options={"timeout": 5}),
        job(run_after=utcnow() + timedelta(hours=1), key="tick", lost=1, worker_ids=("w",)),
        job(is_async=True, queue_name="ü"),
    ]


def test_what_waits_moves_to_the_next_process(tmp_path, waiting):
    old, new = queue(), queue()
    old.enqueue(waiting)
    assert old.save(tmp_path / "made" / "as needed") == 3
    assert old.counts() == {}
    assert new.load(tmp_path / "made" / "as needed") == 3
    assert [new.get(each.id) for each in waiting] == waiting
    assert new.load(tmp_path / "made" / "as needed") == 0


def test_what_is_held_stays(tmp_path):
    old = queue()
    [held] = old.enqueue([job()])
    old.fetch(Claim(worker_id="w", lease=30, threads=1))
    [free] = old.enqueue([job()])
    assert old.save(tmp_path) == 1
    assert old.counts() == {("default", RUNNING): 1}
    new = queue()
    new.load(tmp_path)
    assert (new.get(held.id), new.get(free.id)) == (None, free)


def test_nothing_is_nothing(tmp_path):
    assert queue().save(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
    assert queue().load(tmp_path) == 0
    assert queue().load(tmp_path / "missing") == 0


def test_a_retry_keeps_its_history(tmp_path):
    old = queue()
    old.enqueue([job()])
    [held] = old.fetch(Claim(worker_id="w", lease=30, threads=1))
    old.finish([Outcome(job=held, status=READY, run_after=utcnow() + timedelta(hours=1))])
    kept = old.get(held.id)
    old.save(tmp_path)
    new = queue()
    new.load(tmp_path)
    assert new.get(held.id) == kept
    assert kept.attempt == 2


def test_keys_are_known_after_loading(tmp_path):
    old, new = queue(), queue()
    old.enqueue([job(key="tick")])
    old.save(tmp_path)
    new.load(tmp_path)
    assert new.enqueue([job(key="tick")]) == []


def test_loading_ends_a_wait(tmp_path):
    old, new = queue(), queue()
    old.enqueue([job()])
    old.save(tmp_path)
    new.load(tmp_path)
    assert new.wait(0) is True


def test_loading_minds_no_limit(tmp_path):
    old, new = queue(), queue(max_waiting=1)
    old.enqueue([job(), job()])
    old.save(tmp_path)
    assert new.load(tmp_path) == 2
    with pytest.raises(QueueFull):
        new.enqueue([job()])


def test_each_alias_has_files_of_its_own(tmp_path):
    for alias in ("a", "b", "a-b", "a.b", "a/b", "*", "a]", "ü"):
        other = MemoryQueue(alias, {})
        other.enqueue([Job(task_path=alias, backend=alias)])
        other.save(tmp_path)
    for alias in ("a", "b", "a-b", "a.b", "a/b", "*", "a]", "ü"):
        loaded = MemoryQueue(alias, {})
        assert loaded.load(tmp_path) == 1
        assert [each.backend for each in loaded.list()] == [alias]


def test_many_processes_that_start_at_once_share_the_files(tmp_path):
    for _ in range(20):
        old = queue()
        old.enqueue([job() for _ in range(5)])
        old.save(tmp_path)
    starting = [queue() for _ in range(6)]
    threads = [threading.Thread(target=new.load, args=(tmp_path,)) for new in starting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loaded = [each.id for new in starting for each in new.list(limit=1_000)]
    assert len(loaded) == len(set(loaded)) == 100
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_use_is_left_to_its_user(tmp_path):
    old, new = queue(), queue()
    old.enqueue([job()])
    old.save(tmp_path)
    [path] = tmp_path.iterdir()
    with spool._locked(path) as lines:
        assert lines is not None
        assert new.load(tmp_path) == 0
    assert new.load(tmp_path) == 1


def test_a_process_that_dies_while_loading_loses_nothing(tmp_path, monkeypatch):
    old, dying, new = queue(), queue(), queue()
    old.enqueue([job(), job()])
    old.save(tmp_path)
    monkeypatch.setattr(dying, "_restore", lambda jobs: os.kill)
    monkeypatch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        dying.load(tmp_path)
    monkeypatch.undo()
    assert new.load(tmp_path) == 2


def test_a_damaged_line_costs_no_other(tmp_path, caplog):
    old, new = queue(), queue()
    jobs = old.enqueue([job(), job()])
    old.save(tmp_path)
    [path] = tmp_path.iterdir()
    first, second = path.read_text().splitlines(keepends=True)
    incomplete = json.dumps({"id": "x"})
    deep, tags = "[" * 100_000, json.dumps(json.loads(first) | {"tags": "7"})
    wrong = f"{incomplete}\n[]\n7\n{deep}\n{tags}\n"
    path.write_bytes(first.encode() + b'{"id": \xff\n' + wrong.encode() + second.encode())
    assert new.load(tmp_path) == 2
    assert {each.id for each in new.list()} == {each.id for each in jobs}
    assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]
    assert f"Line 2 of {path}" in caplog.text
    assert queue().load(tmp_path) == 0


def test_a_job_that_cannot_be_written_costs_no_other(tmp_path, caplog):
    old, new = queue(), queue()
    kept, odd = old.enqueue([job(), job(options={"backoff": {1, 2}})])
    old.save(tmp_path)
    assert odd.id in caplog.text
    assert new.load(tmp_path) == 1
    assert new.get(kept.id) == kept


def test_jobs_stay_if_they_cannot_be_written(tmp_path, monkeypatch):
    old = queue()
    jobs = old.enqueue([job(), job()])
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        old.save(tmp_path)
    assert {each.id for each in old.list()} == {each.id for each in jobs}
    assert list(tmp_path.iterdir()) == []
    assert len(old.fetch(Claim(worker_id="w", lease=30, threads=5))) == 2


def test_checkpoints_are_kept_and_files_from_before_there_were_any_are_read(tmp_path):
    taken: list[Job] = []
    spool.write_spool(tmp_path, "default", [Job(task_path="shop.tasks.send", backend="default", checkpoint="7")])
    [path] = tmp_path.iterdir()
    document = json.loads(path.read_text())
    del document["checkpoint"]
    path.write_text(f"{path.read_text()}{json.dumps(document)}\n")
    assert spool.read_spool(tmp_path, "default", lambda jobs, _logs: taken.extend(jobs)) == 2
    assert [job.checkpoint for job in taken] == ["7", None]


def test_kept_logs_go_with_the_jobs(tmp_path):
    old, new = MemoryQueue("default", {}), MemoryQueue("default", {})
    job, other = (Job(task_path="shop.tasks.send", backend="default") for _ in range(2))
    old.restore([job, other], {job.id: '{"text":"one"}'})
    assert old.save(tmp_path) == 2
    assert old.logs([job.id, other.id]) == {}
    assert new.load(tmp_path) == 2
    assert new.logs([job.id, other.id]) == {job.id: '{"text":"one"}'}


def test_kept_logs_stay_if_the_jobs_cannot_be_written(tmp_path, monkeypatch):
    queue, job = MemoryQueue("default", {}), Job(task_path="shop.tasks.send", backend="default")
    queue.restore([job], {job.id: '{"text":"one"}'})
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        queue.save(tmp_path / "file")
    assert queue.logs([job.id]) == {job.id: '{"text":"one"}'}


def test_a_log_that_is_no_text_is_left_out(tmp_path):
    spool.write_spool(tmp_path, "default", [Job(task_path="shop.tasks.send", backend="default")])
    [path] = tmp_path.iterdir()
    path.write_text(f"{json.dumps(json.loads(path.read_text()) | {'log': 7})}\n")
    taken: list[object] = []
    assert spool.read_spool(tmp_path, "default", lambda jobs, logs: taken.append(logs)) == 1
    assert taken == [{}]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "Free some space there"), (errno.EACCES, "that belongs to this user")]
)
def test_the_remedy_fits_the_error(number, remedy):
    assert remedy in spool.remedy_for(OSError(number, "no"))
