"""``manage.py loco_status`` on every queue: what it shows, and when it fails."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from django_loco import jobs, scheduler
from django_loco.core.job import utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.locks import lock
from django_loco.management import status
from django_loco.management.commands import loco_status
from django_loco.queues import Queue
from django_loco.queues.workers import Role, WorkerInfo
from tests.app import tasks

from .conftest import CLAIM, drain

pytestmark = pytest.mark.django_db(transaction=True)


FAILED = "Jobs that failed in the last hour and were not retried since"


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("loco_status", *words, stdout=out)
    return out.getvalue()


def section(text: str, title: str) -> list[str]:
    return text.partition(f"{title}\n")[2].partition("\n\n")[0].splitlines()


@pytest.fixture
def worker(queue: Queue) -> WorkerInfo:
    worker = WorkerInfo(
        worker_id="web-1:7:abc",
        host="web-1",
        pid=7,
        queues=None,
        tags=(),
        threads=10,
        coroutines=100,
        lease=30.0,
        started_at=utcnow(),
        busy=3,
    )
    queue.register(worker)
    return worker


def test_nothing_to_show():
    text = run("--backend", "default")
    assert section(text, "Workers") == ["  No worker is registered."]
    assert section(text, "Queues") == ["  There are no jobs."]
    assert section(text, FAILED) == ["  None."]


def test_one_screen(worker, settings):
    settings.LOCO = {**settings.LOCO, "SCHEDULE": {"nightly": {"task": "tests.app.tasks.add", "cron": "0 3 * * *"}}}
    for text in ("a", "b"):
        tasks.fail.enqueue(text)
    drain()
    tasks.add.enqueue(1, 2)
    jobs.pause(queue="emails", backend="default")
    text = run()
    assert [line.split()[:3] for line in section(text, "Workers")[1:]] == [["web-1:7:abc", "web-1", "7"]]
    assert "all     none  3 of 110" in section(text, "Workers")[1]
    queues = [line.split() for line in section(text, "Queues")[1:]]
    assert [row[:6] for row in queues] == [["default", "default", "1", "0", "2", "0"], ["default", "emails", *"0000"]]
    assert queues[1][-1] == "paused"
    assert section(text, FAILED)[1].split()[:2] == ["2", "builtins.ValueError"]
    assert any("nightly" in line for line in section(text, "Schedules that are due next")) == bool(scheduler.upcoming())


def test_paused_tasks_and_tags_are_listed(queue):
    assert "Paused" not in run()
    jobs.pause(tag="odd one", backend="default")
    jobs.pause(task="tests.app.tasks.add", backend="default")
    lines = [line.split() for line in section(run(), "Paused tasks and tags")]
    assert lines[0] == ["ALIAS", "KIND", "NAME"]
    assert [line[:3] for line in lines[1:]] == [["default", "tag", "odd"], ["default", "task", "tests.app.tasks.add"]]
    pauses = json.loads(run("--format", "json"))["pauses"]
    assert pauses[1] == {"backend": "default", "kind": "task", "name": "tests.app.tasks.add"}


def test_the_same_for_programs(worker):
    tasks.fail.enqueue("a")
    drain()
    status = json.loads(run("--format", "json"))
    assert status["workers"][0]["is_alive"] is True
    assert status["queues"][0]["failed"] == 1
    assert status["failures"][0]["count"] == 1
    assert status["problems"] == []


def test_thresholds_decide_over_the_exit_code(queue, worker):
    for _ in range(3):
        tasks.add.enqueue(1, 2)
    assert run("--max-waiting", "3", "--max-age", "60", "--require-worker", "--backend", "default")
    with pytest.raises(CommandError, match=r"default/default: 3 jobs wait, more than 2\."):
        run("--max-waiting", "2")
    queue.unregister(worker.worker_id)
    with pytest.raises(CommandError, match=r"No worker of default is alive\."):
        run("--require-worker")


def test_no_more_jobs_are_counted_than_a_threshold_needs(queue, monkeypatch):
    monkeypatch.setattr(jobs, "COUNTED", 2)
    asked = []
    counts = queue.counts
    monkeypatch.setattr(queue, "counts", lambda limit=None: (limit and asked.append(limit), counts(limit))[1])
    for number in range(5):
        tasks.add.enqueue(number, 2)
        if number == 1:
            run("--max-waiting", "4", "--backend", "default")
            assert asked == [3]
    asked.clear()
    assert run("--max-waiting", "5", "--backend", "default")
    assert asked == [3, 7]
    with pytest.raises(CommandError, match=r"default/default: 5 jobs wait, more than 4\."):
        run("--max-waiting", "4")


def test_a_threshold_up_to_which_nobody_can_count_is_refused():
    assert run("--max-waiting", "1000000")
    with pytest.raises(CommandError, match=r"1000001 is more than 1,000,000, up to which jobs are counted\."):
        run("--max-waiting", "1000001")


def test_jobs_in_the_memory_of_other_processes_are_not_kept_secret(queue, capsys):
    call_command("loco_status", "--backend", "default")
    assert ("so this command sees none of them" in capsys.readouterr().err) == (not queue.is_shared)


def test_schedulers_are_shown_apart_from_workers(queue, worker):
    with pytest.raises(CommandError, match=r"No scheduler is alive\."):
        run("--require-scheduler")
    assert section(run(), "Schedulers") == ["  None is registered."]
    described = {"role": Role.SCHEDULER, "queues": (), "tags": None, "threads": 0, "coroutines": 0, "schedules": 12}
    queue.register(replace(worker, worker_id="web-1:8:abc/0", **described))
    text = run("--require-scheduler", "--require-worker", "--backend", "default")
    assert [row.split()[:5] for row in section(text, "Schedulers")] == [
        ["SCHEDULER", "HOST", "PID", "SCHEDULES", "TAGS"],
        ["web-1:8:abc", "web-1", "7", "12", "any"],
    ]
    assert len(section(text, "Workers")) == 2
    [known] = json.loads(run("--format", "json"))["schedulers"]
    assert (known["role"], known["is_alive"], known["schedules"]) == ("scheduler", True, 12)


def test_jobs_that_have_waited_for_too_long_unless_their_queue_is_paused(queue, monkeypatch):
    tasks.add.enqueue(1, 2)
    monkeypatch.setattr(queue, "oldest_due", lambda queues=None: utcnow().replace(year=2020))
    with pytest.raises(
        CommandError, match=r"default/default: the oldest due job has waited for .* d .* h, more than 60 s"
    ):
        run("--max-age", "60")
    jobs.pause(queue="default")
    assert "paused" in run("--max-age", "60")


def test_a_queue_that_is_away_is_an_error(queue: Queue, monkeypatch: Any):
    def away(*args: Any, **given: Any) -> Any:
        raise QueueUnavailable("the store is away")

    monkeypatch.setattr(queue, "counts", away)
    with pytest.raises(CommandError, match="the store is away"):
        run()
    with pytest.raises(CommandError, match="Did you mean 'default'"):
        run("--backend", "defualt")


@pytest.fixture
def away_once(queue: Queue, monkeypatch: Any) -> None:
    """A queue that does not answer the second of three times, after which the command is interrupted."""
    turns = iter([None, QueueUnavailable("the store is away"), None])

    def sometimes_away() -> Any:
        if error := next(turns):
            raise error
        return []

    waits = iter([None, None, KeyboardInterrupt])

    def wait(seconds: float) -> None:
        assert seconds == loco_status.WATCH_SECONDS
        if error := next(waits):
            raise error

    monkeypatch.setattr(queue, "workers", sometimes_away)
    monkeypatch.setattr("django_loco.management.commands.loco_status.time.sleep", wait)


@pytest.mark.usefixtures("away_once")
def test_it_is_watched_until_it_is_interrupted(queue: Queue):
    """Also while the queue is away. Ctrl-C is how it ends, so that is no error."""
    queue.fetch(CLAIM)
    screens = run("--watch", "--backend", "default").split(loco_status.CLEAR)[1:]
    assert ["store is away" in screen for screen in screens] == [False, True, False]
    assert "There are no jobs." in screens[2]


@pytest.mark.usefixtures("away_once")
def test_programs_that_watch_get_one_object_per_line():
    first, away, last = map(json.loads, run("--watch", "--format", "json", "--backend", "default").splitlines())
    assert first["queues"] == last["queues"] == []
    assert sorted(away) == ["at", "error"]
    assert away["error"] == "the store is away"


@pytest.mark.parametrize(
    ("lines", "size", "shown"),
    [
        (["one", "two"], (9, 3), ["one", "two"]),
        (["one", "two", "three"], (9, 3), ["one", "… 2 more "]),
        (["one", "two", "three"], (20, 1), ["… 3 more lines"]),
        (["a long one", "短い行"], (4, 9), ["a lo", "短い"]),
    ],
)
def test_what_fits_into_a_terminal(lines, size, shown):
    assert status.fitting(lines, os.terminal_size(size)) == shown


@pytest.mark.parametrize("flag", ["--locks", "--watch"])
@pytest.mark.parametrize(
    "threshold", [("--max-age", "1"), ("--max-waiting", "1"), ("--require-worker",), ("--require-scheduler",)]
)
def test_thresholds_that_could_not_fail_are_refused(flag, threshold):
    with pytest.raises(CommandError, match=rf"^{flag} and {threshold[0]} contradict each other\."):
        run(flag, *threshold)


def test_programs_learn_which_schedules_are_due_next(monkeypatch):
    at = utcnow()
    due = scheduler.Upcoming("nightly", "0 3 * * *", "each night", "UTC", "shop.report", (at,), (), "settings")
    later = due._replace(name="later", next_runs=(at + timedelta(hours=1),))
    paused, never = due._replace(name="paused", paused=True), due._replace(name="never", next_runs=())
    monkeypatch.setattr(scheduler, "upcoming", lambda: [later, paused, never, due])
    found = json.loads(run("--format", "json"))["schedules"]
    assert [each["name"] for each in found] == ["nightly", "later"]
    assert (found[0]["next_runs"], found[0]["task"]) == ([at.isoformat()], "shop.report")


@pytest.mark.parametrize("words", [(), ("--watch",), ("--locks",)])
@pytest.mark.parametrize("wrong", [{"WORKER_MODE": "x"}, {"TASKS": {}}])
def test_a_wrong_setting_is_an_error_of_the_command(monkeypatch, words, wrong):
    monkeypatch.setattr("django_loco.management.commands.loco_status.time.sleep", lambda seconds: pytest.fail("waits"))
    with override_settings(**wrong), pytest.raises(CommandError, match=next(iter(wrong))):
        run(*words)


def test_locks():
    assert section(run("--locks"), "Locks") == ["  No lock is held."]
    with lock("stock 42") as mine:
        [headings, row] = section(run("--locks", "--backend", "default"), "Locks")
        assert headings.split() == ["NAME", "ALIAS", "HOLDER", "JOB", "SINCE", "TOKEN", "WAITING"]
        assert row.split()[:3] == ["stock", "42", "default"]
        assert row.split()[-2:] == [str(mine.token), "0"]
        with timezone.override("Asia/Kolkata"):
            assert section(run("--locks"), "Locks")[1].split()[-3] == "IST"
        [told] = json.loads(run("--locks", "--format", "json"))["locks"]
        assert (told["name"], told["token"], told["job"]) == ("stock 42", mine.token, "")
    with pytest.raises(CommandError, match="defualt"):
        run("--locks", "--backend", "defualt")
