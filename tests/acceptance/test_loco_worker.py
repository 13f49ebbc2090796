"""``loco_worker`` and ``loco_scheduler`` as processes of their own."""

from __future__ import annotations

import signal
import threading

import pytest

from django_loco.process.signals.escalation import ONE_SIGNAL_SECONDS
from django_loco.shutdown import CLEAN, FORCED

BACKEND = {"BACKEND": "django_loco.backend.LocoBackend"}


def enqueue(project, *names: str, queue: str = "default") -> None:
    code = f"from pages.tasks import work\nfor name in {names!r}: work.using(queue_name={queue!r}).enqueue(name)"
    project.shell(code)


def start(project, *arguments: str):
    process = project.start("loco_worker", *arguments)
    process.wait_for(r"stop +Ctrl-C")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_jobs_end(project, number):
    enqueue(project, "job")
    process = start(project)
    process.wait_for("job job begins")
    process.signal(number)
    process.wait_for(rf"Stopping \({number.name}\)")
    project.open_gate("job")
    assert process.wait() == CLEAN
    assert "job job ends" in process.lines


@pytest.mark.parametrize("arguments", [(), ("--reload",)])
def test_a_terminal_that_closes_lets_jobs_end_though_it_sends_several_signals(project, arguments):
    enqueue(project, "job")
    process = start(project, *arguments)
    process.wait_for("job job begins")
    process.signal(signal.SIGHUP)
    process.wait_for(r"Stopping \(SIGHUP\)")
    threading.Event().wait(2 * ONE_SIGNAL_SECONDS)
    process.signal(signal.SIGHUP)
    process.signal(signal.SIGTTIN)  # when this has an effect, the one before has been handled
    process.wait_for("Stacks of all threads")
    project.open_gate("job")
    assert process.wait() == CLEAN
    assert "job job ends" in process.lines
    assert "Second signal" not in process.output


def test_a_second_signal_hands_jobs_back_to_other_workers(project):
    enqueue(project, "job")
    process, other = start(project), start(project, "--queues", "emails")
    process.wait_for("job job begins")
    process.signal(signal.SIGTERM)
    process.wait_for("Stopping")
    process.signal(signal.SIGINT)
    assert process.wait() == FORCED
    other.terminate()
    start(project).wait_for("job job begins")


def test_what_is_not_done_at_the_deadline_goes_back(project):
    project.settings["LOCO"] = {"SHUTDOWN_TIMEOUT": 1}
    enqueue(project, "job")
    process = start(project)
    process.wait_for("job job begins")
    assert process.terminate() == FORCED
    assert "Stopped by force" in process.output
    assert "Handed back or cut off: 1 by the worker" in process.output
    start(project).wait_for("job job begins")


def test_drain_ends_it_when_no_job_is_left(project):
    for name in ("one", "two"):
        project.open_gate(name)
    enqueue(project, "one", "two")
    process = start(project, "--drain")
    assert process.wait() == CLEAN
    assert {"job one ends", "job two ends"} <= set(process.lines)


def test_drain_runs_what_jobs_of_one_alias_enqueue_for_another(project):
    """The worker of each alias has nothing to do for seconds, while a job of the other one sleeps."""
    project.settings["TASKS"] = {"default": BACKEND, "other": BACKEND}
    code = """
@task
def rally(left, alias="default"):
    import time
    time.sleep(1.5)
    other = {"default": "other", "other": "default"}[alias]
    if left:
        rally.using(backend=other).enqueue(left - 1, other)
    say(f"rally {left} ends")
"""
    project.write("pages/tasks.py", (project.folder / "pages/tasks.py").read_text() + code)
    project.shell("from pages.tasks import rally; rally.enqueue(5)")
    process = start(project, "--drain")
    assert process.wait() == CLEAN
    assert [line for line in process.lines if line.startswith("rally")] == [
        f"rally {left} ends" for left in (5, 4, 3, 2, 1, 0)
    ]


def test_it_ends_after_so_many_jobs(project):
    for name in ("one", "two"):
        project.open_gate(name)
    enqueue(project, "one", "two")
    process = start(project, "--max-jobs", "1")
    assert process.wait() == CLEAN
    assert [line for line in process.lines if line.endswith("ends")] == ["job one ends"]


def test_it_ends_after_so_many_jobs_of_one_of_its_aliases(project):
    project.settings["TASKS"] = {"default": BACKEND | {"QUEUES": ["default", "emails"]}, "idle": BACKEND}
    for name in ("one", "two"):
        project.open_gate(name)
    enqueue(project, "one", "two")
    process = start(project, "--max-jobs", "1")
    assert process.wait() == CLEAN
    assert [line for line in process.lines if line.endswith("ends")] == ["job one ends"]
    assert "the limit of jobs or memory is reached" in process.output


def test_only_the_queues_it_is_told(project):
    for name in ("one", "two"):
        project.open_gate(name)
    enqueue(project, "one")
    enqueue(project, "two", queue="emails")
    process = start(project, "--queues", "emails", "--drain")
    assert process.wait() == CLEAN
    assert [line for line in process.lines if line.endswith("ends")] == ["job two ends"]


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ({"WORKER_MODE": "BackgroundAsync"}, (), "This worker would never get a job"),
        ({"WORKER_MODE": "ForegroundBlocking"}, (), "This worker would never get a job"),
        ({}, ("--queues", "email"), "TASKS has no queue 'email'. Did you mean 'emails'?"),
        ({}, ("--queues", "a,,b"), "has an empty name"),
        ({}, ("--backend", "defualt"), "Did you mean 'default'?"),
        ({}, ("--drain", "--scheduler"), "Leave one of them out"),
    ],
)
def test_nonsense_is_refused(project, settings, arguments, said):
    project.settings |= settings
    assert said in project.answer("loco_worker", *arguments, code=1)


def test_numbers_are_from_one_on(project):
    assert "not a whole number of 1 or more" in project.answer("loco_worker", "--concurrency", "0", code=2)


def test_missing_tables_are_named_with_the_remedy(project):
    (project.folder / "db.sqlite3").unlink()
    assert "run manage.py migrate django_loco" in project.answer("loco_worker", code=1)


@pytest.mark.parametrize("tasks", [{"default": BACKEND | {"QUEUES": ["emails"]}}, {"jobs": BACKEND}])
def test_neither_an_alias_nor_a_queue_need_be_called_default(project, tasks):
    contrib = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "messages", "sessions")]
    project.settings |= {"INSTALLED_APPS": [*contrib, "django_loco"], "TASKS": tasks}
    project.manage("shell", "-c", "import django_loco.admin")


def test_a_database_that_is_away_for_now_is_waited_for(project):
    away = project.folder / "away"
    away.mkdir()
    database = project.folder / "db.sqlite3"
    database.rename(away / "db.sqlite3")
    database.mkdir()  # sqlite3: unable to open database file
    process = start(project)
    database.rmdir()
    (away / "db.sqlite3").rename(database)
    enqueue(project, "job")
    process.wait_for("job job begins")


def test_the_scheduler_alone(project):
    project.write(
        "pages/schedules.py",
        "from django_loco import scheduler\nfrom pages.tasks import work\n"
        "scheduler.every(work, seconds=1, args=['tick'], name='ticking')\n",
    )
    project.open_gate("tick")
    assert "ticking" in project.answer("loco_scheduler", "--list")
    process = project.start("loco_scheduler")
    process.wait_for("scheduler +1 schedule; next is ticking")
    start(project).wait_for("job tick ends", count=2)
    assert process.terminate() == CLEAN


def test_a_project_without_schedules(project):
    assert "There are no schedules." in project.answer("loco_scheduler", "--list")


def test_the_log_says_which_worker_died_and_who_has_its_jobs(project):
    project.settings["LOCO"] = {"LEASE": 3}
    enqueue(project, "job")
    first = start(project)
    first.wait_for("job job begins")
    other = start(project)
    first.signal(signal.SIGKILL)
    first.wait()
    found = other.wait_for(r"Worker \S+ \(process (\d+) on \S+\) has died: no heartbeat for \d s")
    assert int(found[1]) == first.pid
    other.wait_for("job job begins")
    project.open_gate("job")
    other.wait_for("job job ends")
    assert other.terminate() == CLEAN
    code = "from django_loco.queues import queue_for; print('workers:', len(queue_for('default').workers()))"
    assert "workers: 0" in project.shell(code)


def test_a_database_file_that_is_made_anew_is_noticed_at_once(project):
    process = start(project)
    enqueue(project, "job")
    process.wait_for("job job begins")
    project.open_gate("job")
    process.wait_for("job job ends")
    for file in project.folder.glob("*.sqlite3*"):
        file.unlink()
    process.wait_for("was deleted or replaced")
    project.migrate()
    enqueue(project, "next")
    process.wait_for("job next begins")
    project.open_gate("next")
    assert process.terminate() == CLEAN
