"""What a worker does that is told something through its queue."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_loco.core.job import READY, SUCCESSFUL
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.workers import Command, with_stacks
from django_loco.worker.fetching import fetcher
from django_loco.worker.maintenance import remote_control
from django_loco.worker.maintenance.remote_control import MOST_STACKS, RemoteControl

from .. import tasks
from ..support import job, wait_until


class Told:
    """A worker that notes what it was told."""

    worker_id = "w"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def quiet(self, *, for_now: bool = False) -> None:
        self.notes.append(f"quiet {for_now}")

    def resume(self) -> None:
        self.notes.append("resume")


class OneCommand(MemoryQueue):
    """A queue with a command for every worker."""

    last: str = Command.RUN

    def command_of(self, worker_id: str) -> str:
        return self.last


@pytest.fixture
def queue() -> OneCommand:
    return OneCommand("default", {})


def test_each_command_is_obeyed_once(queue, caplog):
    caplog.set_level(logging.INFO, "django_loco.worker")
    worker, shown = Told(), []
    control = RemoteControl(queue, worker, lambda: worker.notes.append("end"), shown.append)
    for queue.last in ("", "quiet", "quiet", "", "", "stop", "stop"):
        control.obey()
    assert worker.notes == ["quiet True", "resume", "end"]
    assert shown == ["", "", ""]
    assert "Worker w was told to take no more jobs" in caplog.text


def test_stacks_are_shown_once_for_each_wish_and_change_nothing_else(queue, caplog, monkeypatch):
    monkeypatch.setattr(remote_control, "MOST_STACKS", 10**9)  # threads of other tests may still run
    caplog.set_level(logging.INFO, "django_loco.worker")
    worker, shown = Told(), []
    control = RemoteControl(queue, worker, None, shown.append)
    first = with_stacks("", "1")
    for queue.last in (first, first, with_stacks("quiet", "1"), with_stacks("quiet", "2"), "quiet", ""):
        control.obey()
    assert worker.notes == ["quiet True", "resume"]
    assert [bool(each) for each in shown] == [True, False, True, False, False]
    assert "test_stacks_are_shown_once_for_each_wish" in shown[0]
    assert caplog.text.count("Worker w was told to show its stacks") == 2


def test_of_many_stacks_not_all_are_shown(queue, monkeypatch):
    monkeypatch.setattr(remote_control, "stacks", lambda: [f"Thread {n}\n{'ä' * 100}" for n in range(1_000)])
    shown = []
    queue.last = with_stacks("", "1")
    RemoteControl(queue, Told(), None, shown.append).obey()
    [text] = shown
    assert 0.99 * MOST_STACKS <= len(text.encode()) <= MOST_STACKS
    assert text.startswith("Thread 0\n")
    assert text.endswith("ä" * 100)
    assert "there are more stacks" in text


@pytest.mark.parametrize("command", ["stop", "dance\n\u202e"])
def test_what_it_cannot_do_is_logged_once(queue, caplog, command):
    worker = Told()
    control = RemoteControl(queue, worker, None)
    queue.last = command
    for _ in range(2):
        control.obey()
    assert worker.notes == []
    [record] = caplog.records
    assert "Worker w cannot do what it was told" in record.getMessage()
    assert len(record.getMessage().splitlines()) == 1


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(fetcher, "POLL_SECONDS", 0.02)


def states(queue: MemoryQueue) -> list[Any]:
    return [worker.state for worker in queue.workers()]


@pytest.mark.usefixtures("_often")
def test_a_quiet_worker_hands_back_what_has_not_begun_and_goes_on_later(start):
    queue = MemoryQueue("default", {})
    worker = start(queue, threads=1, end_process=lambda: None)
    [running] = queue.enqueue([job("wait_for", "a")])
    tasks.retried(tasks.events["a began"])
    [info] = queue.workers()
    assert (info.role, info.state, info.memory > 0) == ("worker", "running", True)
    assert queue.command(worker.worker_id, Command.QUIET)
    wait_until(lambda: states(queue) == ["quiet"])
    [waiting] = queue.enqueue([job("nothing")])
    tasks.events["a"].set()
    wait_until(lambda: queue.get(running.id).status == SUCCESSFUL)
    assert worker.is_alive
    assert queue.get(waiting.id).status == READY
    queue.command(worker.worker_id, Command.RUN)
    wait_until(lambda: queue.get(waiting.id).status == SUCCESSFUL)
    assert states(queue) == ["running"]


@pytest.mark.usefixtures("_often")
def test_async_jobs_begin_again_as_well(start):
    queue = MemoryQueue("default", {})
    worker = start(queue)
    wait_until(queue.workers)
    queue.command(worker.worker_id, Command.QUIET)
    wait_until(lambda: states(queue) == ["quiet"])
    [one] = queue.enqueue([job("anothing")])
    queue.command(worker.worker_id, Command.RUN)
    wait_until(lambda: queue.get(one.id).status == SUCCESSFUL)


@pytest.mark.usefixtures("_often")
def test_one_whose_process_ends_stays_quiet(start):
    queue = MemoryQueue("default", {})
    worker = start(queue)
    wait_until(queue.workers)
    queue.command(worker.worker_id, Command.QUIET)
    wait_until(lambda: states(queue) == ["quiet"])
    worker.quiet()
    worker.resume()
    assert worker._fetcher.state == "quiet"


@pytest.mark.usefixtures("_often")
def test_a_stop_ends_the_process(start):
    queue, ended = MemoryQueue("default", {}), []
    worker = start(queue, end_process=lambda: ended.append(1))
    wait_until(queue.workers)
    queue.command(worker.worker_id, Command.STOP)
    wait_until(lambda: ended)


def test_the_roles_of_workers(start):
    roles = {}
    for name, options in {"site": {}, "alone": {"is_isolated": True, "end_process": lambda: None}}.items():
        queue = MemoryQueue("default", {})
        start(queue, release="r1", **options)
        wait_until(queue.workers)
        roles[name] = (queue.workers()[0].role, queue.workers()[0].release)
    assert roles == {"site": ("shared", "r1"), "alone": ("isolated", "r1")}
