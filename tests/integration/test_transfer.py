"""Dumps, imports and moves between each two stores: nothing is lost, and nothing is changed."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations, product
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_loco import jobs
from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, error_of, new_id, utcnow
from django_loco.core.uniqueness import FINISHED
from django_loco.exceptions import JobTimeout
from django_loco.jobs.operations.reruns import following
from django_loco.jobs.transfer.dump_lines import header, line_of
from django_loco.jobs.transfer.dumping import Dump
from django_loco.jobs.transfer.parking import is_parked, parked
from django_loco.queues import Queue, queue_for
from django_loco.queues.base import Change
from django_loco.queues.memory import MemoryQueue
from django_loco.queues.records.batches import BatchCounts, key_of
from django_loco.tasks import batch
from django_loco.workflows import Workflow
from tests.app import tasks

from .jobs.conftest import CLAIM, LOCO, drain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "second"])

#: How many random jobs travel between two queues.
JOBS = 60 * int(os.environ.get("LOCO_CHAOS", "1"))
#: Characters that stores have mangled before.
LETTERS = "aä€𝄞\x7f\u2028\ud800\x00\n\t\"'\\%{}[],:@ "
STORES = ("database", "second", "redis", "memory")


@pytest.fixture
def stores(request: pytest.FixtureRequest, settings: Any, monkeypatch: Any) -> Iterator[Callable[[str], Queue]]:
    """Switch the alias ``default`` to a store by its name. Jobs in memory count as those of any process."""
    monkeypatch.setattr(MemoryQueue, "is_shared", True)
    options: dict[str, dict[str, Any]] = {
        "database": {"queue": "database"},
        "second": {"queue": "database", "database": "second"},
        "redis": request.getfixturevalue("redis_server").setting("transfer")["default"]["OPTIONS"],
        "memory": {"queue": "memory", "max_results": 10_000},
    }
    settings.TASKS = {name: {"BACKEND": LOCO, "QUEUES": [], "OPTIONS": options[name]} for name in STORES}
    for name in STORES:
        queue_for(name).clear()
    yield queue_for
    for name in STORES:
        queue_for(name).clear()


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("loco_jobs", *words, stdout=out)
    return out.getvalue()


def text(draw: random.Random, letters: str = LETTERS, length: int = 12) -> str:
    return "".join(draw.choices(letters, k=draw.randrange(length)))


def value(draw: random.Random, depth: int = 0) -> Any:
    """Return a value that JSON can keep."""
    made: list[Callable[[], Any]] = [
        lambda: text(draw),
        lambda: draw.randrange(-(10**40), 10**40),
        lambda: draw.uniform(-1e300, 1e300),
        lambda: draw.choice([None, True, False, 0, -0.0, 1e-320, 2**63, {}, []]),
        lambda: [value(draw, depth + 1) for _ in range(draw.randrange(4))],
        lambda: {text(draw): value(draw, depth + 1) for _ in range(draw.randrange(4))},
    ]
    return draw.choice(made[: 4 if depth > 3 else 6])()


def moment(draw: random.Random) -> datetime:
    return draw.choice(
        [
            datetime(1970, 1, 1, tzinfo=UTC),
            datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            utcnow() + timedelta(microseconds=draw.randrange(-(10**15), 10**15)),
        ]
    )


def maybe(draw: random.Random, make: Callable[[], Any]) -> Any:
    return make() if draw.random() < 0.5 else None


def random_job(draw: random.Random, number: int) -> Job:
    """Return a job that has any history, as no worker holds it."""
    printable = "".join(letter for letter in LETTERS if letter.isprintable())
    status = draw.choice([READY, READY, SUCCESSFUL, FAILED])
    errors = tuple(error_of(JobTimeout, text(draw)) for _ in range(draw.randrange(3)))
    return Job(
        task_path=f"shop.tasks.{text(draw, printable)}",
        backend="database",
        id=new_id(),
        arguments=json.dumps([[value(draw)], {text(draw): value(draw)}], ensure_ascii=True),
        queue_name=f"q{text(draw, printable)}",
        priority=draw.randrange(-100, 101),
        is_async=draw.random() < 0.5,
        run_after=maybe(draw, lambda: moment(draw)),
        enqueued_at=moment(draw),
        tags=tuple(f"{place}{text(draw, printable)}" for place in range(draw.randrange(4))),
        options={f"o{text(draw)}": value(draw) for _ in range(draw.randrange(3))},
        key=maybe(draw, lambda: f"{text(draw, printable)}@{number}"),
        status=status,
        started_at=maybe(draw, lambda: moment(draw)),
        last_attempted_at=maybe(draw, lambda: moment(draw)),
        finished_at=moment(draw) if status != READY else None,
        worker_ids=tuple(draw.choice(["w1", "", "ü"]) for _ in range(draw.randrange(5))),
        errors=errors,
        lost=draw.randrange(3),
        return_value=json.dumps(value(draw)) if status == SUCCESSFUL else None,
        checkpoint=maybe(draw, lambda: json.dumps(value(draw))),
        metadata=maybe(draw, lambda: json.dumps({"a": value(draw)})),
    )


def dump_of(alias: str, path: Path) -> list[str]:
    """Return the lines of a dump without the names of aliases, which differ."""
    run("dump", "--backend", alias, "--output", str(path))
    return [line.replace(f'"backend":"{alias}"', "") for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize(("source", "target"), [*permutations(STORES, 2)])
def test_a_dump_of_an_import_is_the_dump_that_was_imported(stores, tmp_path, source, target):
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    made = [random_job(draw, number) for number in range(JOBS)]
    (tmp_path / "made.jsonl").write_text(made_dump(made))
    run("import", str(tmp_path / "made.jsonl"), "--backend", source, "--yes")
    assert len(before := dump_of(source, tmp_path / "before.jsonl")) == JOBS, f"seed {seed}"
    said = run("import", str(tmp_path / "before.jsonl"), "--backend", target, "--yes")
    assert said.startswith(f"Imported {JOBS} jobs."), f"seed {seed}"
    assert dump_of(target, tmp_path / "after.jsonl") == before, f"seed {seed}"
    assert stores(target).counts() == stores(source).counts()
    again = run("import", str(tmp_path / "before.jsonl"), "--backend", target, "--yes")
    assert f"Left alone: {JOBS} jobs" in again, f"seed {seed}"


def made_dump(made: list[Job]) -> str:
    return "".join(f"{line}\n" for line in Dump(["database"], made))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "jobs.jsonl")


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def test_a_dump_of_one_store_runs_from_another_one(stores, settings, file):
    settings.TASKS = settings.TASKS | {"default": settings.TASKS["database"]}
    due, done = tasks.echo.enqueue("due"), tasks.echo.enqueue("done")
    stores("default").change([])
    later = tasks.echo.using(run_after=utcnow() + timedelta(hours=1)).enqueue("later")
    jobs.cancel(done.id)
    assert run("dump", "--backend", "default", "--output", file) == f"Dumped 3 jobs to {file}.\n"
    stores("default").clear()
    said = run("import", file, "--backend", "redis", "--dry-run")
    assert said == "Import would take 3 jobs (1 of them finished) into TASKS['redis']. Nothing was changed.\n"
    assert run("import", file, "--backend", "redis", "--yes") == (
        "Imported 3 jobs. Of these, 1 job had finished and will not run.\n"
    )
    assert run("import", file, "--backend", "redis", "--dry-run") == (
        "Import would take 0 jobs. It would leave alone 3 jobs with a known id. Nothing was changed.\n"
    )
    with pytest.raises(
        CommandError, match=r"^Import would take 0 jobs, and leave alone 3 jobs with a known id\. To do"
    ):
        run("import", file, "--backend", "redis")
    drain("redis")
    states = {job.id: jobs.state_of(job, utcnow()) for job in stores("redis").list()}
    assert states == {due.id: "done", done.id: "cancelled", later.id: "scheduled"}


def test_a_dump_goes_to_stdout_with_a_filter(stores):
    stores("redis").restore([random_job(random.Random(number), number) for number in range(20)])
    lines = run("dump", "status:failed", "--backend", "redis", "--format", "json").splitlines()
    assert len(lines) == 1 + jobs.filter("status:failed,cancelled", backend="redis").count()
    assert all(line.isascii() for line in lines)


def test_many_need_a_yes_and_one_does_not(stores, file, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    stores("database").restore([random_job(random.Random(number), number) for number in range(2)])
    run("dump", "--output", file)
    with pytest.raises(CommandError, match=r"Import would take 2 jobs.* To do it, give --yes"):
        run("import", file, "--backend", "redis")
    one = Path(file).read_text().splitlines()[:2]
    Path(file).write_text("\n".join(one))
    assert run("import", file, "--backend", "redis").startswith("Imported 1 job.")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["dump", "--backend", "rediss"], "Did you mean 'redis'?"),
        (["dump", "status:faild"], "Did you mean 'failed'?"),
        (["dump", "--output", "/nowhere/jobs.jsonl"], "/nowhere/jobs.jsonl cannot be written"),
        (["dump", "--format", "csv"], "invalid choice: 'csv'"),
        (["import", "/nowhere/jobs.jsonl"], "/nowhere/jobs.jsonl cannot be read"),
        (["import", "FILE", "--backend", "rediss"], "Did you mean 'redis'?"),
        (["import", "FILE"], "Line 2 cannot be imported: it is not JSON"),
        (["import", "FILE"], ". Nothing was imported. With --skip-errors the other lines are."),
        (["import", "FILE", "--finished", "drop"], "invalid choice: 'drop'"),
    ],
)
def test_mistakes_name_the_remedy(stores, file, words, error):
    Path(file).write_text(made_dump([]) + "{\n")
    with pytest.raises(CommandError, match=r".") as caught:
        run(*[file if word == "FILE" else word for word in words])
    assert error in str(caught.value)


def test_lines_that_are_skipped_are_said(stores, file, capsys):
    Path(file).write_text(made_dump([random_job(random.Random(1), 1)]) + "{\n")
    assert run("import", file, "--skip-errors").startswith("Imported 1 job.")
    assert "Line 3 cannot be imported: it is not JSON" in (said := capsys.readouterr().err)
    assert "Lines that were skipped: 1" in said


def test_the_memory_of_another_process_cannot_be_reached(stores, file, monkeypatch):
    monkeypatch.setattr(MemoryQueue, "is_shared", False)
    Path(file).write_text(made_dump([]))
    with pytest.raises(CommandError, match="in the memory of the processes that enqueue them"):
        run("import", file, "--backend", "memory")


def test_what_cannot_be_read_is_named_and_fails(stores, file):
    broken = random_job(random.Random(1), 1)
    stores("redis").restore([broken, random_job(random.Random(2), 2)])
    server = stores("redis").server
    server.ask("HSET", server.key("jobs"), broken.id, "nonsense")
    with pytest.raises(CommandError, match=f"lacks 1 job that cannot be read as stored.* is {broken.id}"):
        run("dump", "--backend", "redis", "--output", file)
    assert len(Path(file).read_text().splitlines()) == 2


def waiting_jobs(alias: str, number: int = JOBS) -> list[Job]:
    """Store random jobs that wait, and return them."""
    draw = random.Random()
    made = [random_job(draw, each) for each in range(number)]
    ready = [replace(job, backend=alias, status=READY, finished_at=None, return_value=None) for job in made]
    assert queue_for(alias).restore(ready) == {job.id for job in ready}
    return ready


def moved(target: str, made: list[Job]) -> list[Job]:
    return sorted((replace(job, backend=target) for job in made), key=lambda job: job.id, reverse=True)


@pytest.mark.parametrize(("source", "target"), [*permutations(STORES, 2)])
def test_jobs_are_moved_as_they_are(stores, source, target):
    made = waiting_jobs(source)
    said = run("move", "--from", source, "--to", target, "--all", "--yes")
    assert said == f"Moved {JOBS} jobs.\n"
    assert stores(target).list(limit=10_000) == moved(target, made)
    assert stores(source).list(status=READY) == []
    rests = stores(source).list(limit=10_000)
    assert {job.key is not None for job in rests} <= {True}
    assert {jobs.state_of(job, utcnow()) for job in rests} <= {"cancelled"}
    assert bool(rests) == (source in ("database", "second"))
    assert run("move", "--from", source, "--to", target, "--all") == "Moved 0 jobs.\n"


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize(("source", "target"), [*permutations(STORES, 2)])
def test_a_move_that_dies_after_a_step_is_finished_by_the_next_one(stores, monkeypatch, source, target, step):
    made = waiting_jobs(source, 20)
    calls = count()

    def dies(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def write(items: Any) -> Any:
            answer = original(items)
            if next(calls) == step:
                raise Killed
            return answer

        return write

    with monkeypatch.context() as patch:
        for alias, name in product((source, target), ("change", "restore")):
            patch.setattr(stores(alias), name, dies(getattr(stores(alias), name)))
        with suppress(Killed):
            run("move", "--from", source, "--to", target, "--all", "--yes")
    due = [job.id for alias in (source, target) for job in stores(alias).list(status=READY) if not is_parked(job)]
    assert len(set(due)) == len(due)
    run("move", "--from", source, "--to", target, "--all", "--yes")
    assert stores(target).list() == moved(target, made)
    assert stores(source).list(status=READY) == []


def test_a_worker_of_the_target_runs_what_arrives(stores, settings):
    settings.TASKS = settings.TASKS | {"default": settings.TASKS["database"]}
    results = [tasks.echo.enqueue(number) for number in range(5)]
    assert run("move", "--from", "default", "--to", "redis", "--all", "--dry-run") == (
        "Move would take 5 jobs from TASKS['default'] to TASKS['redis']. Nothing was changed.\n"
    )
    run("move", "--from", "default", "--to", "redis", "--all", "--yes")
    drain("redis")
    assert {jobs.get(result.id).status for result in results} == {SUCCESSFUL}


def test_only_what_matches_is_moved(stores):
    made = waiting_jobs("redis", 20)
    ids = [job.id for job in made[:2]]
    assert run("move", *ids, "--from", "redis", "--to", "database", "--yes") == "Moved 2 jobs.\n"
    assert len(stores("redis").list()) == 18


def test_why_says_that_a_job_is_on_its_way_and_how_to_finish_it(stores):
    [job] = waiting_jobs("redis", 1)
    stores("redis").change([Change(before=job, after=parked(job, "second"))])
    said = run("why", job.id)
    assert "It is on its way from TASKS['redis'] to TASKS['second']" in said
    assert said.endswith("loco_jobs move --from redis --to second --all\n")
    said = run("move", "--from", "redis", "--to", "database", "--all", "--yes")
    assert "Left behind by an interrupted move: 1 job. They do not run." in said
    assert run("move", "--from", "redis", "--to", "second", "--all") == "Moved 1 job.\n"


@pytest.mark.parametrize("field", ["queue_name", "task_path"])
def test_a_job_that_the_target_refuses_stays_and_fails_the_command(stores, field):
    [job, other] = waiting_jobs("redis", 2)
    bad = replace(job, **{field: "half \ud800"})
    assert stores("redis").change([Change(before=job, after=bad)]) == set()
    with pytest.raises(CommandError, match=rf"TASKS\['second'\] refuses 1 job, which stays.* {job.id}: "):
        run("move", "--from", "redis", "--to", "second", "--all", "--yes")
    assert [each.id for each in stores("second").list()] == [other.id]
    assert stores("redis").get(job.id) == bad


@pytest.mark.parametrize("flag", ["--dry-run", "--yes"])
def test_a_dry_run_refuses_the_jobs_that_the_move_refuses(stores, flag):
    job, _ = waiting_jobs("redis", 2)
    assert stores("redis").change([Change(before=job, after=replace(job, priority=10**6))]) == set()
    with pytest.raises(CommandError, match=rf"refuses 1 job, which stays.* {job.id}: priority is 1000000; it must be"):
        run("move", "--from", "redis", "--to", "second", "--all", flag)
    assert len(stores("second").list()) == (flag == "--yes")


@pytest.mark.parametrize("verb", ["import", "move"])
def test_an_interrupt_says_what_to_do(stores, file, monkeypatch, verb):
    waiting_jobs("redis", 2)
    run("dump", "--backend", "redis", "--output", file)

    def interrupt(items: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(stores("second"), "restore", interrupt)
    words = {"import": [file, "--backend", "second"], "move": ["--from", "redis", "--to", "second", "--all"]}
    with pytest.raises(CommandError, match=r"Interrupted, after 0 jobs were \w+. To finish it, run the") as caught:
        run(verb, *words[verb], "--yes")
    assert caught.value.returncode == 130


def test_a_job_that_cannot_be_read_stays(stores):
    broken, _ = waiting_jobs("redis", 2)
    server = stores("redis").server
    server.ask("HSET", server.key("jobs"), broken.id, "nonsense")
    assert run("move", "--from", "redis", "--to", "second", "--all", "--yes") == (
        "Moved 1 job. Stayed: 1 job that cannot be read as stored.\n"
    )
    assert [job.id for job in stores("redis").list()] == [broken.id]


def test_jobs_in_the_memory_of_another_process_cannot_be_moved(stores, monkeypatch):
    monkeypatch.setattr(MemoryQueue, "is_shared", False)
    for ends in (("memory", "redis"), ("redis", "memory")):
        with pytest.raises(CommandError, match=r"TASKS\['memory'\] are in the memory of the processes"):
            run("move", "--from", ends[0], "--to", ends[1], "--all")


def test_many_are_moved_only_after_a_yes(stores, monkeypatch):
    waiting_jobs("redis", 2)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(CommandError, match=r"Move would take 2 jobs from .* To do it, give --yes"):
        run("move", "--from", "redis", "--to", "second", "--all")
    assert len(stores("redis").list()) == 2


def test_members_of_a_batch_stay_in_their_store(stores: Callable[[str], Queue]) -> None:
    with batch("import", backend="database") as own:
        member = own.enqueue(tasks.add.using(backend="database"), 1, 2)
    other = tasks.add.using(backend="database").enqueue(1, 2)
    with pytest.raises(CommandError, match=f"{member.id}: it is a member of batch {own.id}, which stays"):
        run("move", "--from", "database", "--to", "redis", "--all", "--yes")
    assert [job.id for job in stores("redis").list()] == [other.id]
    assert stores("database").get(member.id) is not None


def test_a_rerun_stays_with_the_job_before_it(stores: Callable[[str], Queue]) -> None:
    queue = stores("database")
    first = Job(task_path="tests.app.tasks.add", backend="database", unique_key="k", unique_until=FINISHED)
    queue.enqueue([first])
    queue.fetch(CLAIM)
    queue.enqueue([following(replace(first, id=new_id()))])
    assert run("move", "--from", "database", "--to", "redis", "--all") == (
        "Moved 0 jobs. Stayed: 1 job with a unique key. Two that run one after the other stay together. To move the "
        "second, run the command again when the first has ended.\n"
    )
    assert stores("redis").list() == []


@pytest.mark.parametrize(("source", "target"), [("database", "redis"), ("redis", "second"), ("second", "database")])
def test_batches_and_workflows_go_on_in_another_store(stores, settings, file, source: str, target: str) -> None:
    """As when ``TASKS`` is changed between the dump and the import. The import may be repeated."""
    settings.TASKS = settings.TASKS | {"default": settings.TASKS[target]}
    stores("default").clear()
    settings.TASKS = settings.TASKS | {"default": settings.TASKS[source]}
    stores("default").clear()
    tasks.echo.enqueue("done before")
    graph = Workflow("nightly")
    first = graph.add(tasks.echo, "first", name="first")
    last = graph.add(tasks.echo, "last", name="last", after=first)
    graph.enqueue()
    with batch("import", on_success=tasks.echo) as own:
        members = [own.enqueue(tasks.add, number, 2) for number in range(3)]
    assert run("dump", "--backend", "default", "--output", file) == f"Dumped 6 jobs to {file}.\n"
    settings.TASKS = settings.TASKS | {"default": settings.TASKS[target]}
    assert run("import", file, "--yes") == "Imported 6 jobs.\n"
    assert "Left alone: 6 jobs" in run("import", file, "--yes")
    queue = stores("default")
    drain("default")
    found = {job.id: job for job in queue.list()}
    assert {found[job.id].status for job in (first, last, *members)} == {SUCCESSFUL}
    [followed] = [job for job in found.values() if job.key == key_of(own.id, 1, "success")]
    assert len(found) == 7
    assert followed.status == SUCCESSFUL
    for batch_id, total in ((own.id, 3), (graph.id, 2)):
        record = queue.get_batch(batch_id)
        assert record.counts == BatchCounts(total, total)
        assert record.called_at is not None
    assert "Left alone: 6 jobs" in run("import", file, "--yes")
    drain("default")
    assert len(queue.list()) == 7


def test_a_member_whose_batch_is_nowhere_is_refused(stores, file) -> None:
    """It is so in dumps of older releases."""
    with batch("import", backend="database") as own:
        member = own.enqueue(tasks.add.using(backend="database"), 1, 2)
    done = replace(stores("database").get(member.id), id=new_id(), status=SUCCESSFUL, finished_at=utcnow())
    jobs_of_dump = [stores("database").get(member.id), done]
    Path(file).write_text("".join(f"{line}\n" for line in [header(["database"]), *map(line_of, jobs_of_dump)]))
    stores("database").clear()
    with pytest.raises(CommandError, match=f"Line 2 .* it is a member of batch or workflow {own.id}, which is neither"):
        run("import", file, "--yes")
    assert run("import", file, "--skip-errors", "--yes").startswith("Imported 1 job.")
    assert [job.id for job in stores("database").list()] == [done.id]
