"""A job that kills its worker fails alone: what ran beside it comes to its end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import pytest

from django_loco.shutdown import FORCED

from .chaos import errors, notes, redis_queue, statuses, wait_until
from .project import is_running

pytestmark = pytest.mark.storm

ENQUEUE = """
from django_loco.tasks import enqueue_many
from tests.app import tasks
enqueue_many(tasks.step, [(number, 0.2) for number in range(0, {beside}, 2)])
enqueue_many(tasks.astep, [(number, 0.2) for number in range(1, {beside}, 2)])
for number in range({poison}):
    (tasks.apoison if number % 2 else tasks.poison).enqueue(1000 + number, 0.1)
enqueue_many(tasks.step, [(number, 0.2) for number in range({beside}, 2 * {beside}, 2)])
enqueue_many(tasks.astep, [(number, 0.2) for number in range({beside} + 1, 2 * {beside}, 2)])
"""
SUSPECTS = """
from django_loco.core.job import SUSPECT, Job
from django_loco.queues import queue_for
call = {{"task_path": "{task}", "backend": "default", "is_async": {is_async}, "arguments": '{arguments}'}}
queue_for("default").enqueue([Job(**call, lost=SUSPECT) for _ in range({count})])
"""


def enqueue_suspects(site, *arguments, task="tests.app.tasks.step", count=1, is_async=False):
    call = str([list(arguments), {}]).replace("'", '"')
    code = SUSPECTS.format(task=task, arguments=call, count=count, is_async=is_async)
    site.shell(code)


def deaths(site):
    """How many workers died with each stored job."""
    if queue := redis_queue(site):
        return [job.lost for job in queue.list()]
    return [lost for (lost,) in site.query("select lost from django_loco_job")]


def run_to_the_end(site, *arguments, seconds=60):
    """Start a worker, and another one whenever it has died, until every job has ended; return all of them."""
    workers = [site.start("loco_worker", *arguments)]
    until = time.monotonic() + seconds
    while {"READY", "RUNNING"} & set(statuses(site)):
        assert time.monotonic() < until, workers[-1].output
        if not workers[-1].is_running:
            workers.append(site.start("loco_worker", *arguments))
        time.sleep(0.1)
    assert workers[-1].terminate() == 0
    return workers


def isolated_in(process):
    """The process id of the last isolated worker that ``process`` has started."""
    return int(process.wait_for(r"An isolated worker \(pid (\d+)\)").group(1))


def test_those_beside_several_of_them_do_no_harm_and_come_to_none(any_site):
    any_site.settings["LOCO"] = {"LEASE": 1.5, "NUM_WORKERS": 4, "ASYNC_WORKERS": 4}
    any_site.shell(ENQUEUE.format(beside=10, poison=2))
    workers = run_to_the_end(any_site)
    assert statuses(any_site) == {"FAILED": 2, "SUCCESSFUL": 20}
    assert sum("LostJob" in text for text in errors(any_site)) == 2
    assert len(workers) <= 2 * 2 + 1, "from the third death on nobody dies with them"
    assert {notes(any_site, "start")[str(1000 + number)] for number in range(2)} == {3}


@pytest.mark.own_database
def test_processes_and_their_parent_outlive_it(site):
    site.settings["LOCO"] = {"LEASE": 1.5, "NUM_WORKERS": 4, "ASYNC_WORKERS": 4}
    site.shell(ENQUEUE.format(beside=6, poison=1))
    [parent] = run_to_the_end(site, "--processes", "2")
    assert statuses(site) == {"FAILED": 1, "SUCCESSFUL": 12}
    assert parent.output.count("was killed by signal 9") == 2


@pytest.mark.extra("sqlite")
def test_a_worker_that_is_busy_for_long_lets_suspects_run(any_site):
    any_site.settings["LOCO"] = {"LEASE": 1.5, "NUM_WORKERS": 1, "ASYNC_WORKERS": 1, "SHUTDOWN_TIMEOUT": 1}
    any_site.shell("from tests.app import tasks; tasks.step.enqueue(1, 60); tasks.astep.enqueue(2, 60)")
    worker = any_site.start("loco_worker")
    wait_until(lambda: len(notes(any_site, "start")) == 2)
    enqueue_suspects(any_site, 3, count=5)
    enqueue_suspects(any_site, 4, task="tests.app.tasks.astep", is_async=True)
    wait_until(lambda: notes(any_site, "end") == {"3": 5, "4": 1})
    worker.signal(signal.SIGTERM)
    worker.wait()


@pytest.mark.own_database
def test_drain_runs_them_too(site):
    site.settings["LOCO"] = {"LEASE": 1.5}
    enqueue_suspects(site, 1, count=3)
    worker = site.start("loco_worker", "--drain")
    assert worker.wait() == 0
    assert statuses(site) == {"SUCCESSFUL": 3}


@pytest.mark.extra("sqlite")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_the_end_of_the_process_that_started_it_is_no_death(any_site, name):
    any_site.settings["LOCO"] = {"LEASE": 1.5, "SHUTDOWN_TIMEOUT": 1}
    enqueue_suspects(any_site, 1, 60)
    worker = any_site.start("loco_worker")
    isolated = isolated_in(worker)
    wait_until(lambda: notes(any_site, "start"))
    worker.signal(signal.Signals[name])
    wait_until(lambda: not is_running(isolated), 10)
    assert (statuses(any_site), deaths(any_site)) == ({"READY": 1}, [2])
    assert worker.wait() == (FORCED if name == "SIGTERM" else -signal.SIGKILL)


@pytest.mark.own_database
def test_one_that_forks_does_not_keep_its_worker_from_learning_of_the_end(site):
    """A forked copy of the process that started it has its end of the link, too."""
    site.settings["LOCO"] = {"LEASE": 1.5, "SHUTDOWN_TIMEOUT": 1}
    enqueue_suspects(site, 1, 60)
    worker = site.start("loco_worker")
    isolated = isolated_in(worker)
    wait_until(lambda: notes(site, "start"))
    site.shell("from tests.app import tasks; tasks.leave_a_fork.enqueue(2, 20)")
    wait_until(lambda: notes(site, "end") == {"2": 1})
    worker.signal(signal.SIGKILL)
    wait_until(lambda: not is_running(isolated), 10)
    assert sorted(deaths(site)) == [0, 2]


def suspect_of(project, name):
    enqueue_suspects(project, name, task="pages.tasks.work")


def test_beside_a_development_server(project):
    project.settings["LOCO"] = {"LEASE": 1.5, "SHUTDOWN_TIMEOUT": 1}
    process = project.serve("--worker")
    suspect_of(project, "one")
    isolated = isolated_in(process)
    process.wait_for("job one begins")
    project.touch_until(process, "Restarted", "pages/tasks.py")
    wait_until(lambda: not is_running(isolated))
    process.wait_for("job one begins", count=2)
    project.open_gate("one")
    process.wait_for("job one ends")
    process.terminate()  # on a busy machine that takes longer than the timeout


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_beside_a_server_that_is_started_by_its_own_command(served, server):
    served.settings["LOCO"] = {"LEASE": 1.5}
    process = served.gunicorn() if server == "gunicorn" else served.serve("--worker", "--http", "uvicorn")
    suspect_of(served, "one")
    isolated = isolated_in(process)
    process.wait_for("job one begins")
    served.open_gate("one")
    process.wait_for("job one ends")
    wait_until(lambda: not is_running(isolated))
    assert process.terminate() == 0


def test_one_that_does_not_come_up_is_told(project):
    project.settings["LOCO"] = {"LEASE": 1.5}
    settings = project.folder / "site_settings.py"
    settings.write_text(settings.read_text() + "\nif 'DJANGO_LOCO_PLACE' in os.environ: raise RuntimeError('no')\n")
    process = project.start("loco_worker")
    process.wait_for("stop +Ctrl-C")
    suspect_of(project, "one")
    process.wait_for(
        r"isolated worker cannot be started: it ended with exit code 1 before it had begun\. Jobs that wait for one: 1"
    )
    assert process.terminate() == 0


def test_kill_9_of_an_isolated_worker_counts(site):
    site.settings["LOCO"] = {"LEASE": 8}
    enqueue_suspects(site, 1, 60)
    worker = site.start("loco_worker")
    isolated = isolated_in(worker)
    wait_until(lambda: notes(site, "start"))
    with suppress(ProcessLookupError):
        os.kill(isolated, signal.SIGKILL)
    wait_until(lambda: statuses(site) == {"FAILED": 1}, 4)  # no lease has to run out
    worker.wait_for("has failed: it took its worker down 3 times")
    assert worker.terminate() == 0
