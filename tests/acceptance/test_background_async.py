"""Jobs in memory, through the ends of real processes: run in the time there is, or kept for the next process."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

pytestmark = pytest.mark.own_database

ENQUEUE = "from django_loco.tasks import enqueue_many; from tests.app import tasks; enqueue_many(tasks.{}, {})\n"


@pytest.fixture
def site(site):
    site.settings["WORKER_MODE"] = "BackgroundAsync"
    return site


def shell(site, code):
    """What is tested is how the process ends."""
    return site.manage("shell", "--verbosity", "0", "--command", code)


def ended(site):
    path = site.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(int(line.split()[1]) for line in lines if line.startswith("end "))


def kept(site):
    return sum(len(path.read_text().splitlines()) for path in site.folder.rglob("*.jobs"))


@pytest.mark.parametrize("task", ["step", "astep"])
def test_a_command_that_has_come_to_its_end_runs_its_jobs_first(site, task):
    shell(site, ENQUEUE.format(task, "range(50)"))
    assert ended(site) == Counter(range(50))
    assert kept(site) == 0


def test_a_command_that_fails_does_so_too(site):
    site.manage("shell", "--verbosity", "0", "-c", ENQUEUE.format("step", "range(50)") + "raise SystemExit(3)", code=3)
    assert ended(site) == Counter(range(50))


def test_what_there_is_no_time_for_is_kept_and_runs_in_the_next_process_once(site):
    site.settings["LOCO"] = {"NUM_WORKERS": 2, "SHUTDOWN_TIMEOUT": 1}
    shell(site, ENQUEUE.format("step", "[(number, 0.1) for number in range(60)]"))
    done, waiting = sum(ended(site).values()), kept(site)
    assert 0 < done < 60
    assert done + waiting == 60

    site.settings["LOCO"] = {"NUM_WORKERS": 10}
    shell(site, ENQUEUE.format("step", "[1000]"))
    assert ended(site) == Counter([*range(60), 1000])
    assert kept(site) == 0


def test_ctrl_c_while_a_command_finishes_its_jobs_keeps_those_that_wait(site):
    site.settings["LOCO"] = {"NUM_WORKERS": 1, "SHUTDOWN_TIMEOUT": 60}
    code = ENQUEUE.format("step", "[(0, 0), *[(number, 2) for number in range(1, 6)]]")
    code += UNTIL_ENDED.format(str(site.folder), 1)
    code += "import threading; threading._register_atexit(lambda: print('the interpreter ends', flush=True))"
    process = site.start("shell", "--verbosity", "0", "--command", code)
    process.wait_for("the interpreter ends")
    time.sleep(0.2)  # the line comes right before the wait for the jobs, of which nothing tells
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert "Traceback" not in process.output
    done = sum(ended(site).values())
    assert 0 < done < 6
    assert done + kept(site) == 6


UNTIL_ENDED = """
import pathlib, time
notes, deadline = pathlib.Path({!r}, "notes"), time.monotonic() + 20
while not notes.exists() or notes.read_text().count("end ") < {}:
    assert time.monotonic() < deadline
    time.sleep(0.05)
"""


def test_a_deferred_job_is_kept_with_its_time(site):
    later = "from datetime import timedelta; from tests.app.tasks import step\n"
    shell(site, later + "step.using(run_after=timedelta(seconds=4)).enqueue(7)")
    assert (ended(site), kept(site)) == (Counter(), 1)
    shell(site, f"from tests.app.tasks import step; step.enqueue(8)\n{UNTIL_ENDED.format(str(site.folder), 2)}")
    assert ended(site) == Counter([7, 8])


FORK = """
import os
from tests.app.tasks import step
first = step.enqueue(1)
child = os.fork()
step.enqueue(2 if child else 3)
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_runs_its_own_jobs_and_not_its_parents(site):
    shell(site, "import warnings; warnings.simplefilter('ignore')\n" + FORK)
    assert ended(site) == Counter([1, 2, 3])


def test_a_job_may_enqueue_another(site):
    shell(site, "from tests.app.tasks import chain; chain.enqueue(5)")
    assert ended(site) == Counter([5, 4, 3, 2, 1, 0])


def test_jobs_may_enqueue_others_for_another_alias(site):
    """The worker of that one has found nothing for a second, and has ended."""
    backend = {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": ["default", "emails"]}
    site.settings["TASKS"] = {"default": backend, "other": backend}
    begin = "step.using(backend='other').enqueue(9); rally.enqueue(4, 'default', 'other')"
    shell(site, f"from tests.app.tasks import rally, step; {begin}")
    assert (ended(site), kept(site)) == (Counter([9, 4, 3, 2, 1, 0]), 0)


def test_at_the_end_a_running_job_may_enqueue_the_first_one_of_another_alias(site):
    backend = {"BACKEND": "django_loco.backend.LocoBackend", "QUEUES": ["default", "emails"]}
    site.settings["TASKS"] = {"default": backend, "other": backend}
    serve = "from django_loco.worker import in_process; in_process.serves(20)\n"
    begin = "from tests.app.tasks import rally; rally.enqueue(1, 'default', 'other')\n"
    shell(site, f"{serve}{begin}while not in_process.started()['default'].health()['running']: pass")
    assert (ended(site), kept(site)) == (Counter([1]), 1)


def test_a_workflow_and_a_batch_go_on_in_the_next_processes(site):
    site.settings["LOCO"] = {"NUM_WORKERS": 1, "SHUTDOWN_TIMEOUT": 1}
    begin = "from django_loco.tasks import Workflow, batch\nfrom tests.app.tasks import followed, step\n"
    begin += "flow = Workflow(on_success=followed)\nfor number in range(4):\n"
    begin += "    flow.add(step, number, 0.7, name=str(number), after=[str(number - 1)] if number else [])\n"
    begin += "flow.enqueue()\nwith batch(on_success=followed) as b: b.enqueue_many(step, [(4, 0.7), (5, 0.7)])"
    shell(site, begin)
    assert 0 < sum(ended(site).values()) < 6
    for timeout in (1, 30):
        site.settings["LOCO"] = {"NUM_WORKERS": 1, "SHUTDOWN_TIMEOUT": timeout}
        shell(site, ENQUEUE.format("step", "[1000]"))
    notes = [line for line in (site.folder / "notes").read_text().splitlines() if "1000" not in line]
    assert [line for line in notes if line in {f"end {number}" for number in range(4)}] == [
        f"end {number}" for number in range(4)
    ]
    assert Counter(line for line in notes if line.startswith("end ")) == Counter(f"end {each}" for each in range(6))
    assert len([line for line in notes if line.startswith("followed ")]) == 2
    assert kept(site) == 0
