"""Every operation on jobs, every sub-command of ``loco_jobs``, ``loco_status`` and ``loco_doctor``, on every queue.

A new one fails ``test_nothing_is_left_out`` until it has a case here. A case is a function of the same name: it does
the operation once on jobs in a store, and looks at the store. What happens at the edges is tested elsewhere.
"""

from __future__ import annotations

import argparse
import inspect
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_loco import jobs
from django_loco.core.job import FAILED, FOREVER, READY, RUNNING, SUCCESSFUL, Job, first_id, new_id, utcnow
from django_loco.core.job.limits import Limit
from django_loco.management.commands.loco_jobs import Command
from django_loco.queues import Queue, queue_for
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.workers import Role, WorkerInfo
from django_loco.tasks import Node, Workflow, batch
from django_loco.tasks.job_result import JobResult
from tests.app import tasks
from tests.integration.admin import conftest as admin_conftest

from .conftest import CLAIM, LOCO

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "second"])

stored = admin_conftest.stored


class World(NamedTuple):
    """A store with a worker that is registered, and ways to fill it."""

    queue: Queue
    stored: Callable[..., Job]
    """Stores a job in a state."""

    file: Path

    def run(self, *words: str, command: str = "loco_jobs") -> str:
        out = io.StringIO()
        call_command(command, *words, stdout=out)
        return out.getvalue()

    def of(self, job: Job) -> Job:
        found = self.queue.get(job.id)
        assert found is not None
        return found

    def fetched(self) -> list[str]:
        return [job.id for job in self.queue.fetch(CLAIM)]


Case = Callable[[World], None]
OPERATIONS: dict[str, Case] = {}
SEARCHES: dict[str, Case] = {}
RESULTS: dict[str, Case] = {}
COMMANDS: dict[str, Case] = {}
WORKER = "web-1:7:abc"
#: Why some commands refuse jobs in memory.
MEMORY = "are in the memory of the processes that enqueue them"


def case(cases: dict[str, Case], *names: str) -> Callable[[Case], Case]:
    """Add a function to ``cases``, under its own name without what is after ``_of_``, or under ``names``."""

    def add(function: Case) -> Case:
        for name in names or (function.__name__.partition("_of_")[0],):
            assert name not in cases
            cases[name] = function
        return function

    return add


@case(OPERATIONS)
def signal(world: World) -> None:
    job = world.stored("waiting")
    assert jobs.signal(job, "approved", [1])
    assert json.loads(world.of(job).signals or "") == {"approved": {"value": [1]}}
    waiting = world.stored("waiting", waits='{"approved":["signal",null]}', run_after=FOREVER)
    before = utcnow()
    assert jobs.signal(waiting, "approved")
    assert before <= world.of(waiting).due_at <= utcnow()
    assert waiting.id in world.fetched()
    assert not jobs.signal(job, "approved", 2)


@case(OPERATIONS)
def limits(world: World) -> None:
    world.queue.enqueue([replace(world.stored("waiting"), id=new_id(), limit_key="api:7")])
    [state, other] = jobs.limits()
    assert (state.backend, state.name, state.waiting, state.running, state.closed) == ("default", "api", 1, 0, 0)
    assert (state.concurrency, state.rate, state.burst, state.is_changed) == (5, "100/m", 1, False)
    assert (other.backend, other.waiting) == ("bulk", 0)


@case(OPERATIONS)
def set_limit(world: World) -> None:
    jobs.set_limit("api", concurrency=None, burst=9, backend="default")
    assert world.queue.changed_limits() == {"api": Limit(rate="100/m", burst=9)}
    assert queue_for("bulk").changed_limits() == {}


@case(OPERATIONS)
def reset_limit(world: World) -> None:
    jobs.set_limit("api", rate="1/s")
    assert jobs.reset_limit("api", backend="default")
    assert not jobs.reset_limit("api", backend="default")
    assert world.queue.changed_limits() == {}
    assert [state.rate for state in jobs.limits()] == ["100/m", "1/s"]


@case(COMMANDS, "loco_jobs limits")
def limits_of_command(world: World) -> None:
    assert "default  api    5            100/m  1      0        0" in world.run("limits")
    assert [each["name"] for each in json.loads(world.run("limits", "--format", "json"))] == ["api", "api"]


@case(COMMANDS, "loco_jobs set-limit")
def set_limit_of_command(world: World) -> None:
    assert world.run("set-limit", "api", "--concurrency", "none", "--rate", "5/s", "--backend", "default") == (
        "The limit api is changed. To end that: loco_jobs set-limit api --reset\n"
    )
    assert world.queue.changed_limits() == {"api": Limit(rate="5/s")}
    assert world.run("set-limit", "api", "--reset") == "The limit api is again as LOCO['LIMITS'] declares it.\n"
    assert world.queue.changed_limits() == {}


@case(COMMANDS, "loco_jobs signal")
def signal_of_command(world: World) -> None:
    job = world.stored("running")
    assert world.run("signal", job.id, "approved", "2") == f"Sent the signal 'approved' to job {job.id}.\n"
    assert json.loads(world.of(job).signals or "") == {"approved": {"value": 2}}


@case(COMMANDS, "loco_jobs batches")
def batches_of_command(world: World) -> None:
    assert world.run("batches") == "There are no batches.\n"
    with batch("import", metadata={"a": 1}) as own:
        own.enqueue_many(tasks.sync_stock, [{"shop": "a"}, {"shop": "b"}])
    assert own.id in world.run("batches")
    shown = json.loads(world.run("batches", own.id, "--format", "json"))
    assert (shown["name"], shown["state"], shown["total"], shown["left"]) == ("import", "sealed", 2, 2)
    assert shown["metadata"] == {"a": 1}
    assert "loco_jobs list batch:" in world.run("batches", own.id)
    assert world.run("batches", own.id[-8:].upper()) == world.run("batches", str(UUID(own.id)))
    with pytest.raises(CommandError, match=r"No batch or workflow has an id that ends with 99999999\."):
        world.run("batches", "99999999")
    with pytest.raises(CommandError, match="Cancel would take up to 2 jobs"):
        world.run("batches", own.id, "--cancel")
    assert world.run("batches", own.id, "--cancel", "--yes") == "Cancelled 2 jobs.\n"
    told = world.run("batches", own.id, "--retry", "--yes", "--format", "json")
    assert json.loads(told) == {"id": own.id, "retried": 2}
    [line] = world.run("batches", "--format", "json", "--limit", "1").splitlines()
    assert json.loads(line)["left"] == 2
    for words in (["--cancel"], ["--retry"], ["nothing"], ["nothing", "--cancel"]):
        with pytest.raises(CommandError, match="batch"):
            world.run("batches", *words)


@pytest.fixture
def queue(queue: Queue, settings: Any) -> Iterator[Queue]:
    """The store of the alias ``default``; that of the alias ``bulk`` is another database."""
    options = {"queue": "database", "database": "second"}
    settings.TASKS = {
        "default": settings.TASKS["default"],
        "bulk": {"BACKEND": LOCO, "QUEUES": ["default", "emails"], "OPTIONS": options},
    }
    settings.LOCO = {**settings.LOCO, "LIMITS": {"api": {"concurrency": 5, "rate": "100/m"}}}
    queue_for("bulk").clear()
    yield queue_for("default")
    queue_for("bulk").clear()


@pytest.fixture
def world(queue: Queue, stored: Callable[..., Job], tmp_path: Path) -> World:
    queue.register(
        WorkerInfo(
            worker_id=WORKER,
            host="web-1",
            pid=7,
            queues=None,
            tags=None,
            threads=10,
            coroutines=10,
            lease=60.0,
            started_at=utcnow(),
            role=Role.WORKER,
        )
    )
    return World(queue, stored, tmp_path / "jobs.jsonl")


# Functions of ``jobs``


@case(OPERATIONS)
def aliases(world: World) -> None:
    assert jobs.aliases() == ["default", "bulk"]


@case(OPERATIONS)
def get(world: World) -> None:
    job = world.stored("running")
    assert jobs.get(job.id, backend="default") == jobs.get(job.id) == job


@case(OPERATIONS, "filter")
def find(world: World) -> None:
    made = {state: world.stored(state).id for state in jobs.STATES}
    for state, job_id in made.items():
        assert [job.id for job in jobs.filter(f"status:{state} task:add args.a:1 newer:1h")] == [job_id]


@case(OPERATIONS)
def escape(world: World) -> None:
    made = {name: replace(world.stored(), id=new_id(), queue_name=name) for name in ("a*", "a?", r"a\*", "ab", "a b*")}
    world.queue.enqueue([*made.values()])
    for name, job in made.items():
        found = jobs.filter(queue=jobs.escape(name))
        assert [*found.ids()] == [*jobs.filter(str(found)).ids()] == [job.id]
        assert found.count() == jobs.filter(queue=jobs.escape(name), priority=0).count() == 1
    assert jobs.filter(queue="a*").count() == len(made)


@case(OPERATIONS)
def retry(world: World) -> None:
    job = world.stored("failed")
    assert jobs.retry(job.id) == 1
    assert (world.of(job).status, len(world.of(job).errors), world.fetched()) == (READY, 1, [job.id])


@case(OPERATIONS)
def cancel(world: World) -> None:
    waiting, running = world.stored(), world.stored("running")
    assert jobs.cancel([waiting, running], by="anna") == 2
    assert [jobs.state_of(world.of(job), utcnow()) for job in (waiting, running)] == ["cancelled"] * 2
    assert world.queue.lost([running]) == {running.id}


@case(OPERATIONS)
def discard(world: World) -> None:
    job = world.stored("failed")
    assert jobs.discard(job, by="anna") == 1
    assert jobs.state_of(world.of(job), utcnow()) == "cancelled"


@case(OPERATIONS)
def delete(world: World) -> None:
    job = world.stored("done")
    assert jobs.delete(job) == 1
    assert world.queue.get(job.id) is None


@case(OPERATIONS)
def move(world: World) -> None:
    job = world.stored()
    assert jobs.move(job, queue="emails") == 1
    assert world.of(job).queue_name == "emails"


@case(OPERATIONS)
def update(world: World) -> None:
    job = world.stored()
    assert jobs.update(job, priority=7, args=[3, 4], tags=["a"], run_after=timedelta(hours=1)) == 1
    changed = world.of(job)
    assert (changed.priority, changed.arguments, changed.tags) == (7, "[[3,4],{}]", ("a",))
    assert world.fetched() == []


@case(OPERATIONS)
def run_again(world: World) -> None:
    job = world.stored("done")
    result = jobs.run_again(job, args=[3, 4])
    assert (world.fetched(), result.args, world.of(job)) == ([result.id], [3, 4], job)


@case(OPERATIONS, "workflow", "workflows")
def workflows(world: World) -> None:
    flow = Workflow("nightly")
    first = flow.add(tasks.add, 1, 2)
    last = flow.add(tasks.add, 3, 4, after=[first])
    flow.enqueue()
    assert ([each.id for each in jobs.workflows()], jobs.workflow(flow.id).name) == ([flow.id], "nightly")
    [job] = jobs.filter(f"workflow:{flow.id} status:waiting")
    assert (job.id, world.fetched(), jobs.cancel([last.id]), jobs.cancel([first.id])) == (first.id, [first.id], 1, 1)
    assert jobs.workflow(flow.id).state == "finished"


@case(OPERATIONS, "pause", "paused", "resume")
def pauses(world: World) -> None:
    job = world.stored()
    jobs.pause(queue="default", backend="default")
    assert (jobs.paused(), world.fetched()) == ({"default": ["default"]}, [])
    assert jobs.resume(queue="default") is True
    assert (jobs.paused(), world.fetched()) == ({}, [job.id])

    job = world.stored()
    jobs.pause(task=job.task_path, backend="default")
    assert (jobs.paused("task"), world.fetched()) == ({"default": [job.task_path]}, [])
    assert jobs.resume(task=job.task_path) is True
    assert (jobs.paused("task"), world.fetched()) == ({}, [job.id])


@case(OPERATIONS, "workers", "quiet", "unquiet", "stop")
def control(world: World) -> None:
    assert [(worker.worker_id, worker.backend) for worker in jobs.workers()] == [(WORKER, "default")]
    for tell, command in ((jobs.quiet, "quiet"), (jobs.unquiet, ""), (jobs.stop, "stop")):
        tell(WORKER)
        assert world.queue.command_of(WORKER) == command


@case(OPERATIONS)
def schedulers(world: World) -> None:
    assert jobs.schedulers() == []
    [worker] = world.queue.workers()
    world.queue.register(replace(worker, worker_id="a:1:scheduler", role=Role.SCHEDULER))
    [found] = jobs.schedulers()
    assert (found.worker_id, found.backend, found.is_alive) == ("a:1:scheduler", "default", True)
    assert [each.worker_id for each in jobs.workers()] == [WORKER]
    world.queue.unregister("a:1:scheduler")


@case(OPERATIONS)
def stats(world: World) -> None:
    world.stored("failed")
    world.stored()
    [found] = jobs.stats()
    assert (found.backend, found.queue, found.ready, found.failed) == ("default", "default", 1, 1)


@case(OPERATIONS)
def rates(world: World) -> None:
    labels = Labels(minute_of(utcnow().timestamp()) - 1, "emails", "shop.send", "failed")
    world.queue.record([Minute(labels, (3, *[0] * (len(NUMBERS) - 1)))])
    assert jobs.rates()["default", "emails"].failed_last_hour == 3


@case(OPERATIONS, "log", "shown_job", "state_of", "why")
def look(world: World) -> None:
    job = world.stored("failed")
    assert (jobs.log(job), jobs.state_of(job, utcnow())) == ("", "failed")
    assert jobs.shown_job(job, utcnow())["errors"][0]["class"] == "builtins.ValueError"
    assert [reason.code for reason in jobs.why(job)] == ["failed"]


# Methods of a search


@case(SEARCHES, "retry", "cancel", "discard", "delete", "do")
def operate_on_searches(world: World) -> None:
    failed, waiting = world.stored("failed"), world.stored()
    assert jobs.filter("status:failed").retry() == 1
    assert jobs.filter(id=waiting).cancel(by="anna") == 1
    assert jobs.filter("status:waiting").discard(by="anna") == 1
    assert jobs.filter("status:cancelled").delete() == 2
    assert [world.queue.get(job.id) for job in (failed, waiting)] == [None, None]


@case(SEARCHES, "move", "update")
def change_searches(world: World) -> None:
    job = world.stored()
    assert jobs.filter("queue:default").update(priority=9) == 1
    assert jobs.filter("priority:9").move(queue="emails") == 1
    assert (world.of(job).priority, world.of(job).queue_name) == (9, "emails")


@case(SEARCHES, "filter", "first", "exists", "ids", "count", "page")
def read_searches(world: World) -> None:
    old = world.stored(id=first_id(utcnow() - timedelta(hours=1)))
    new = world.stored("failed")
    every = jobs.filter("task:add")
    assert (every.first(), every.exists(), [*every.ids()], every.count()) == (new, True, [new.id, old.id], 2)
    assert [*every.filter("status:waiting").ids()] == [old.id]
    page = every.page(1)
    assert [job.id for each in (page, every.page(1, before=page.next)) for job in each.jobs] == [new.id, old.id]


# Methods of a result


@case(RESULTS, "refresh", "arefresh", "wait", "await_", "log", "alog")
def read_results(world: World) -> None:
    job = world.stored("done")
    for result in (tasks.add.get_result(job.id), tasks.add.get_result(job.id)):
        result.refresh()
        async_to_sync(result.arefresh)()
        ended: list[Any] = [result.wait(1).return_value, async_to_sync(result.await_)(1).return_value]
        assert ended == [{"sum": 3.1}] * 2
        assert result.log() == async_to_sync(result.alog)() == ""


@case(RESULTS, "cancel", "acancel", "retry", "aretry")
def change_results(world: World) -> None:
    result = tasks.add.get_result(world.stored().id)
    result.cancel()
    assert result.status == FAILED
    result.retry()
    async_to_sync(result.acancel)()
    async_to_sync(result.aretry)()
    assert result.status == READY


# Sub-commands of ``loco_jobs``, and the other commands about jobs


@case(COMMANDS, "loco_jobs list", "loco_jobs show", "loco_jobs why", "loco_jobs stats")
def commands_that_show(world: World) -> None:
    job = world.stored("failed")
    assert job.id in world.run("list", "status:failed", "--backend", "default")
    assert job.id in world.run("show", job.id)
    assert "It has failed for good" in world.run("why", job.id[-8:])
    assert world.run("stats").splitlines()[1].split()[:2] == ["default", "default"]


@case(COMMANDS, "loco_jobs workflows")
def command_of_workflows(world: World) -> None:
    assert world.run("workflows") == "There is no workflow.\n"
    flow = Workflow("nightly", metadata={"day": 1})
    first = flow.add(tasks.add, 1, 2, name="extract")
    flow.add(tasks.add, 3, 4, after=[first], name="load", on_failed="run")
    flow.enqueue()
    row = world.run("workflows", "--backend", "default").splitlines()[1].split()
    assert row[:8] == [flow.id, "nightly", "running", "2", "0", "0", "0", "2"]
    with timezone.override("Asia/Kolkata"):
        assert world.run("workflows").splitlines()[1].endswith(" IST")
    title, _, *nodes = world.run("workflows", flow.id[-8:]).splitlines()
    assert title == f"Workflow {flow.id} 'nightly' is running."
    assert [line.split() for line in nodes] == [
        ["extract", "waiting", first.id],
        ["load", "scheduled", Node(flow.id, "load").id, "extract", "run"],
    ]
    assert json.loads(world.run("workflows", flow.id, "--format", "json"))["nodes"][1]["after"] == ["extract"]
    assert json.loads(world.run("workflows", "--format", "json"))["metadata"] == {"day": 1}
    with batch("import") as own:
        own.enqueue(tasks.add.using(run_after=timedelta(days=1)), 1, 2)
    with pytest.raises(CommandError, match=f"{own.id} is a batch, not a workflow: loco_jobs batches {own.id}"):
        world.run("workflows", own.id)
    with pytest.raises(CommandError, match="Cancel would take up to 2 nodes"):
        world.run("workflows", flow.id, "--cancel")
    assert world.run("workflows", flow.id, "--cancel", "--yes") == "Cancelled 2 nodes.\n"
    with pytest.raises(CommandError, match=f"Workflow {flow.id} has finished"):
        world.run("workflows", flow.id, "--cancel", "--yes")
    with pytest.raises(CommandError, match="Retry would take up to 2 nodes"):
        world.run("workflows", flow.id, "--retry")
    told = world.run("workflows", flow.id, "--retry", "--yes", "--format", "json")
    assert json.loads(told) == {"id": flow.id, "retried": 2}
    assert world.fetched() == [first.id]
    for words, problem in ((["--retry"], "Give the id"), (["0" * 32], "There is no batch or workflow")):
        with pytest.raises(CommandError, match=problem):
            world.run("workflows", *words)


@case(COMMANDS, *(f"loco_jobs {name}" for name in ("retry", "cancel", "discard", "update", "delete", "purge")))
def commands_that_change(world: World) -> None:
    failed, waiting, done = world.stored("failed"), world.stored(), world.stored("done")
    assert world.run("retry", "status:failed", "--yes") == "Retried 1 job.\n"
    assert world.run("update", waiting.id, "--priority", "5") == "Updated 1 job.\n"
    assert world.run("cancel", "priority:5", "--yes") == "Cancelled 1 job.\n"
    assert world.run("discard", failed.id) == "Discarded 1 job.\n"
    assert world.run("delete", failed.id) == "Deleted 1 job.\n"
    assert world.run("purge", "--all", "--yes") == "Purged 2 jobs.\n"
    assert [world.queue.get(job.id) for job in (failed, waiting, done)] == [None] * 3


@case(COMMANDS, "loco_jobs move")
def move_of_commands(world: World) -> None:
    job = world.stored()
    assert world.run("move", job.id, "--queue", "emails") == "Moved 1 job.\n"
    assert world.of(job).queue_name == "emails"
    words = ("move", "--from", "default", "--to", "bulk", "--all", "--yes")
    if not world.queue.is_shared:
        with pytest.raises(CommandError, match=MEMORY):
            world.run(*words)
        return
    assert "Moved 1 job." in world.run(*words)
    moved = queue_for("bulk").get(job.id)
    assert moved is not None
    assert (moved.queue_name, moved.backend, world.queue.get(job.id)) == ("emails", "bulk", None)


@case(COMMANDS, "loco_jobs dump", "loco_jobs import")
def dumps(world: World) -> None:
    made = [world.stored(state) for state in ("failed", "done", "waiting")]
    world.run("dump", "--output", str(world.file))
    world.queue.clear()
    if not world.queue.is_shared:
        with pytest.raises(CommandError, match=MEMORY):
            world.run("import", str(world.file), "--yes")
        return
    assert "Imported 3 jobs" in world.run("import", str(world.file), "--yes")
    assert [world.of(job) for job in made] == made


@case(COMMANDS, "loco_jobs pause", "loco_jobs resume")
def pauses_of_commands(world: World) -> None:
    job = world.stored()
    world.run("pause", "default")
    assert world.fetched() == []
    world.run("resume", "default")
    assert world.fetched() == [job.id]


@case(COMMANDS, "loco_jobs quiet", "loco_jobs unquiet", "loco_jobs stop")
def control_of_commands(world: World) -> None:
    for verb, command in (("quiet", "quiet"), ("unquiet", ""), ("stop", "stop")):
        assert WORKER in world.run(verb, WORKER)
        assert world.queue.command_of(WORKER) == command


@case(COMMANDS)
def loco_status(world: World) -> None:
    world.stored()
    shown = world.run("--backend", "default", command="loco_status")
    assert WORKER.partition(":")[0] in shown
    world.run("--max-waiting", "1", "--require-worker", "--backend", "default", command="loco_status")
    with pytest.raises(CommandError):
        world.run("--max-waiting", "0", "--backend", "default", command="loco_status")


@case(COMMANDS)
def loco_doctor(world: World) -> None:
    out = io.StringIO()
    with suppress(CommandError):  # its exit code is about the settings of these tests as well
        call_command("loco_doctor", "--format", "json", stdout=out)
    assert "TASKS['default']" in json.dumps(json.loads(out.getvalue()))


# What there is


def public(owner: object) -> set[str]:
    """Return the names of the functions of a module, or the methods of a class."""
    names = getattr(owner, "__all__", None) or [name for name in vars(owner) if not name.startswith("_")]
    return {name for name in names if inspect.isfunction(getattr(owner, name))}


def sub_commands() -> set[str]:
    parser = Command().create_parser("manage.py", "loco_jobs")
    [verbs] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {f"loco_jobs {name}" for name in verbs.choices}


@pytest.mark.parametrize(
    ("cases", "there_are"),
    [
        (OPERATIONS, public(jobs)),
        (SEARCHES, public(jobs.Search)),
        (RESULTS, public(JobResult)),
        (COMMANDS, sub_commands() | {"loco_status", "loco_doctor"}),
    ],
    ids=["jobs", "search", "result", "commands"],
)
def test_nothing_is_left_out(cases, there_are):
    assert cases.keys() == there_are


def all_cases() -> list[Any]:
    every: dict[Case, list[str]] = {}
    for kind, cases in (("jobs", OPERATIONS), ("search", SEARCHES), ("result", RESULTS), ("command", COMMANDS)):
        for name, function in cases.items():
            every.setdefault(function, []).append(f"{kind}.{name}")
    return [pytest.param(function, id=" ".join(names)) for function, names in every.items()]


@pytest.mark.parametrize("does", all_cases())
def test_every_operation(does, world):
    does(world)


def test_a_job_that_was_operated_on_runs(world):
    job = world.stored("failed")
    jobs.retry(job)
    jobs.update(job, args=[20, 22])
    [held] = world.queue.fetch(CLAIM)
    assert (held.status, held.arguments) == (RUNNING, "[[20,22],{}]")
    assert SUCCESSFUL not in {each.status for each in jobs.filter("")}
