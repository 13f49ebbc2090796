"""Workers as they are told to the others of their queue."""

import json
from datetime import UTC, datetime

from django_loco.queues.workers import WorkerInfo, split_command, text_of_worker, with_stacks, worker_of_text

WORKER = WorkerInfo(
    worker_id="w", host="h", pid=7, queues=("a", "b"), tags=(), threads=5, coroutines=9, lease=30.0,
    started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), busy=2, heartbeat_age=4.0,
)  # fmt: skip


def test_a_worker_is_read_as_it_was_told():
    assert worker_of_text("w", text_of_worker(WORKER), 4.0) == WORKER


def test_a_worker_of_a_newer_version_is_alive_to_older_ones():
    newer = json.dumps(json.loads(text_of_worker(WORKER)) | {"colour": "9.9"})
    assert worker_of_text("w", newer, 4.0) == WORKER


def test_a_worker_of_an_earlier_version_takes_jobs_and_no_commands():
    earlier = json.loads(text_of_worker(WORKER))
    for field in ("state", "role", "memory", "release"):
        del earlier[field]
    found = worker_of_text("w", json.dumps(earlier), 4.0)
    assert found == WORKER
    assert (found.takes_jobs, found.role) == (True, "")


def test_a_text_that_cannot_be_read_tells_of_a_dead_worker():
    for text in ("", "[]", "{}", '{"queues": 3}', text_of_worker(WORKER).replace("30.0", '"x"')):
        found = worker_of_text("w", text, 4.0)
        assert (found.worker_id, found.heartbeat_age, found.is_alive) == ("w", 4.0, False)


def test_a_wish_for_stacks_leaves_the_command_as_it_is():
    assert split_command("quiet") == ("quiet", "")
    assert split_command(with_stacks("", "7")) == ("", "7")
    assert split_command(with_stacks(with_stacks("quiet", "7"), "8")) == ("quiet", "8")
