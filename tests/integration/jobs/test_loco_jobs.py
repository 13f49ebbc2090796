"""``manage.py loco_jobs`` on every queue: each command, its formats, its questions and its errors."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class

from django_loco import jobs
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, utcnow
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.operations.workflows.nodes import waits_for_nodes
from django_loco.management.loco_jobs import bulk
from django_loco.queues import Queue
from django_loco.queues.workers import Role, WorkerInfo
from django_loco.tasks import Workflow
from tests.app import tasks

from .conftest import CLAIM, drain

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("loco_jobs", *words, stdout=out)
    return out.getvalue()


def failed(*texts: str) -> list[str]:
    results = [tasks.fail.enqueue(text) for text in texts]
    drain()
    return [result.id for result in results]


def run_as_process(*words: str) -> str:
    """Run it as on a command line, where a queue in memory has no jobs of other processes."""
    command, out = load_command_class("django_loco", "loco_jobs"), io.StringIO()
    command._called_from_command_line = True  # type: ignore[attr-defined]
    call_command(command, *words, stdout=out)
    return out.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# To look at


def test_a_list_has_a_row_per_job_the_newest_first():
    failed("oops")
    tasks.add.using(run_after=utcnow() + timedelta(hours=2, minutes=5)).enqueue(1, 2)
    headings, first, second = run("list").splitlines()
    assert headings.split() == ["ID", "STATE", "TASK", "QUEUE", "ENQUEUED", "ATTEMPT", "ERROR"]
    assert "scheduled, in 2 h 4 min" in first
    assert "tests.app.tasks.add" in first
    assert second.split()[1:4] == ["failed", "tests.app.tasks.fail", "default"]
    assert second.split()[-2:] == ["1", "ValueError"]
    assert run("list", "status:failed", "--limit", "1").splitlines()[1].split() == second.split()
    assert run("list", "task:nothing.*") == "No job matches.\n"
    assert run("list", "task:nothing.*", "--no-color", "--traceback") == "No job matches.\n"


def test_a_name_that_is_misspelt_is_told():
    failed("oops")
    hint = "There is no queue 'emial'. Did you mean 'emails'?\n"
    assert run("list", "queue:emial") == f"No job matches.\n{hint}"
    assert run("retry", "queue:emial", "--yes").endswith(hint)
    assert run("list", "queue:emial", "--format", "json") == ""


def test_a_word_of_a_filter_may_begin_with_a_minus():
    bulk, other = (tasks.add.using(tags=tags).enqueue(1, 2).id for tags in (["bulk"], []))
    for words in (["-tag:bulk"], ["status:waiting", "-tag:bulk"], ["-tag:bulk", "--limit", "5"], ["--", "-tag:bulk"]):
        shown = run("list", *words)
        assert other in shown
        assert bulk not in shown
    assert run("list", "-args.0:1") == "No job matches.\n"
    assert run("cancel", "-tag:bulk", "--yes") == "Cancelled 1 job.\n"
    for words, error in (
        (["-tga:bulk"], "Did you mean 'tag'?"),
        (["--tag:bulk"], "unrecognized arguments: --tag:bulk"),
    ):
        with pytest.raises(CommandError, match=re.escape(error)):
            run("list", *words)


def test_lists_for_programs():
    tasks.add.using(priority=3).enqueue(1, b="x,y")
    [shown] = map(json.loads, run("list", "--format", "json").splitlines())
    assert (shown["args"], shown["kwargs"], shown["priority"], shown["state"]) == ([1], {"b": "x,y"}, 3, "waiting")
    [row] = csv.DictReader(io.StringIO(run("list", "--format", "csv")))
    assert (row["id"], row["kwargs"], row["finished_at"]) == (shown["id"], '{"b": "x,y"}', "")


def test_one_job_in_full(settings):
    [job_id] = failed("oops")
    text = run("show", job_id)
    assert "state              failed" in text
    assert 'args               ["oops"]' in text
    assert "Error 1 of 1: builtins.ValueError" in text
    assert "ValueError: oops" in text
    assert json.loads(run("show", job_id, "--format", "json"))["errors"][0]["class"] == "builtins.ValueError"
    settings.LOCO = {**settings.LOCO, "REDACT": ["text", "message"]}
    assert "oops" not in run("show", job_id).partition("Error")[0]


def test_the_numbers_of_each_queue():
    assert run("stats") == "There are no jobs.\n"
    failed("oops")
    tasks.add.enqueue(1, 2)
    row = run("stats").splitlines()[1].split()
    assert row[:6] == ["default", "default", "1", "0", "1", "0"]
    [stats] = json.loads(run("stats", "--format", "json"))
    assert (stats["ready"], stats["failed"], stats["is_paused"]) == (1, 1, False)
    assert run("stats", "--format", "csv").splitlines()[1].startswith("default,default,1,0,1,0,")
    assert stats["failed_last_hour"] == 1  # its worker has written it at its end


def test_why_a_job_does_not_run(queue):
    waiting = tasks.add.enqueue(1, 2).id
    assert "No worker of TASKS['default'] is alive." in run("why", waiting)
    run("pause", "default")
    assert [reason["code"] for reason in json.loads(run("why", waiting, "--format", "json"))] == ["paused", "no worker"]
    run("resume", "default")
    queue.fetch(CLAIM)
    assert "The worker worker-1 runs it since" in run("why", waiting)
    [broken] = failed("oops")
    assert "It has failed for good after 1 attempt: ValueError: oops" in run("why", broken)


# To do something


def test_jobs_are_retried_by_filter_and_by_id():
    first, second = failed("a", "b")
    assert run("retry", "status:failed", "--dry-run") == "Retry would take 2 jobs. Nothing was changed.\n"
    assert run("retry", first) == "Retried 1 job.\n"
    assert (jobs.get(first).status, jobs.get(second).status) == (READY, FAILED)
    assert run("retry", "error:ValueError", "--yes") == "Retried 1 job.\n"
    assert jobs.get(second).status == READY


def test_jobs_are_cancelled_discarded_and_deleted(queue):
    running, *_ = (tasks.add.enqueue(number, 1) for number in range(3))
    queue.fetch(CLAIM)
    waiting = [tasks.add.enqueue(number, 2) for number in range(2)]
    assert run("cancel", running.id) == "Cancelled 1 job.\n"
    assert "with loco_jobs" in jobs.get(running).errors[-1].traceback
    assert run("discard", *(result.id for result in waiting), "--yes") == "Discarded 2 jobs.\n"
    assert jobs.filter("status:cancelled").count() == 3
    assert run("delete", "status:cancelled", "--yes") == "Deleted 3 jobs.\n"
    assert run("delete", "--all", "--yes").startswith("No such job can be taken by delete")
    assert jobs.filter("status:running").count() == 2


def test_a_purge_deletes_only_what_has_finished():
    failed("a")
    tasks.add.enqueue(1, 2)
    assert run("purge", "--all", "--yes") == "Purged 1 job.\n"
    assert [job.status for job in jobs.filter()] == [READY]


@pytest.mark.parametrize("verb", ["delete", "purge"])
def test_jobs_that_stay_for_their_once_keys_are_counted(queue: Queue, verb: str):
    long_ago = utcnow() - timedelta(days=30)
    done = replace(jobs.get(tasks.add.enqueue(1, 2)), status=SUCCESSFUL, finished_at=utcnow())
    keyed = [replace(done, id=f"{number:032x}", key=f"nightly@{number}") for number in range(3)]
    queue.clear()
    queue.restore([replace(done, id="f" * 32), replace(keyed[0], finished_at=long_ago), *keyed[1:]])
    kept = "2 jobs with a once-key, such as a schedule's: the queue still has to know it, for LOCO['RESULT_TTL'] after "
    if not queue.keeps_keyed_jobs:
        assert run(verb, "--all", "--dry-run") == f"{verb.capitalize()} would take 4 jobs. Nothing was changed.\n"
        assert run(verb, "--all", "--yes") == f"{verb.capitalize()}d 4 jobs.\n"
        return
    first, second = run(verb, "--all", "--dry-run").splitlines()
    assert first == f"{verb.capitalize()} would take 2 jobs. Nothing was changed."
    assert second.startswith(f"It would leave alone {kept}")
    first, second = run(verb, "--all", "--yes").splitlines()
    assert first == f"{verb.capitalize()}d 2 jobs."
    assert second.startswith(f"Left alone: {kept}")
    assert jobs.filter().delete().keys_kept == 2


def test_jobs_are_moved_and_changed():
    job_id = tasks.add.enqueue(1, 2).id
    assert run("move", job_id, "--queue", "emails") == "Moved 1 job.\n"
    assert (
        run(
            "update",
            job_id,
            "--priority",
            "7",
            "--run-after",
            "1h",
            "--args",
            "[5]",
            "--kwargs",
            '{"b": 6}',
            "--tags",
            "x,y",
        )
        == "Updated 1 job.\n"
    )
    job = jobs.get(job_id)
    assert (job.queue_name, job.priority, job.tags, job.arguments) == ("emails", 7, ("x", "y"), '[[5],{"b":6}]')
    assert run("update", job_id, "--run-after", "now", "--tags", "") == "Updated 1 job.\n"
    assert jobs.state_of(jobs.get(job_id), utcnow()) == "waiting"
    drain()
    assert (jobs.get(job_id).status, jobs.get(job_id).return_value) == (SUCCESSFUL, "11")


def test_a_new_time_for_many_jobs_releases_none_that_waits_for_more():
    workflow = Workflow("order")
    first = workflow.add(tasks.add, 1, 2, name="first")
    workflow.add(tasks.add, 3, 4, after=[first])
    workflow.enqueue()
    later = tasks.add.using(run_after=timedelta(hours=1)).enqueue(5, 6)
    [held] = [job for job in jobs.filter(f"batch:{workflow.id}") if waits_for_nodes(job)]
    assert run("update", "task:*.add", "--run-after", "now", "--dry-run") == (
        "Update would take 3 jobs. Nothing was changed.\n"
        "It would leave alone jobs waiting for a signal, for the end of a sleep, or for other jobs. To update one of "
        "them, give its id alone.\n"
    )
    left = "Left alone: 1 job waiting for a signal"
    assert left in run("update", "task:*.add", "--run-after", "1m", "--yes")
    assert left in run("update", later.id, held.id, "--run-after", "5m", "--yes")
    count = jobs.filter("task:*.add").update(run_after=timedelta(0))
    assert (count, count.left_alone) == (2, 1)
    assert jobs.update([later.id, held.id], run_after=timedelta(0)) == 1
    assert waits_for_nodes(jobs.get(held.id))
    assert run("update", "task:*.add", "--priority", "5", "--yes") == "Updated 3 jobs.\n"
    assert run("update", held.id, "--run-after", "now") == "Updated 1 job.\n"
    assert not waits_for_nodes(jobs.get(held.id))


def test_a_queue_is_paused_and_resumed():
    assert run("pause", "emails") == (
        "The queue 'emails' is paused. Jobs that run go on. To end the pause: loco_jobs resume emails\n"
    )
    assert jobs.paused() != {}
    assert "paused" in run("stats")
    assert run("resume", "emails") == "The queue 'emails' is not paused any more.\n"
    assert run("resume", "emails") == "The queue 'emails' was not paused.\n"


def test_a_task_that_only_the_store_knows_is_paused(queue):
    with pytest.raises(CommandError, match=r"no task 'shop\.old' is known: .* use force=True, or --force"):
        run("pause", "--task", "shop.old")
    queue.enqueue([Job(task_path="shop.old", backend="default")])
    assert "The task 'shop.old' is paused." in run("pause", "--task", "shop.old")
    assert "The task 'shop.new' is paused." in run("pause", "--task", "shop.new", "--force")
    assert jobs.paused("task", backend="default") == {"default": ["shop.new", "shop.old"]}


def test_a_task_and_a_tag_are_paused_and_resumed(queue):
    waiting = tasks.add.using(tags=["odd one"]).enqueue(1, 2).id
    path = tasks.add.module_path
    assert run("pause", "--task", path).endswith(f"To end the pause: loco_jobs resume --task {path}\n")
    assert run("pause", "--tag", "odd one").endswith("To end the pause: loco_jobs resume --tag 'odd one'\n")
    codes = [reason["code"] for reason in json.loads(run("why", waiting, "--format", "json"))]
    assert codes == ["tag paused", "task paused", "no worker"]
    assert f"Its task {path} is paused." in run("why", waiting)
    assert queue.fetch(CLAIM) == []
    assert run("resume", "--task", path) == f"The task {path!r} is not paused any more.\n"
    assert run("resume", "--tag", "odd one") == "The tag 'odd one' is not paused any more.\n"
    assert run("resume", "--tag", "odd one") == "The tag 'odd one' was not paused.\n"
    assert [job.id for job in queue.fetch(CLAIM)] == [waiting]


def test_a_resume_of_a_wrong_name_is_an_error_that_says_what_is_paused():
    path = tasks.add.module_path
    jobs.pause(queue="emails")
    jobs.pause(task=path)
    jobs.pause(tag="bulk")
    for words, remedy in (
        (["defualt"], "The queue 'defualt' was not paused. No alias of TASKS has a queue 'defualt'. Did you mean"),
        (
            ["emial"],
            "The queue 'emial' was not paused. Did you mean 'emails'? To end its pause: loco_jobs resume emails",
        ),
        ([path], f"A task of this name is paused. To end that: loco_jobs resume --task {path}"),
        (["bulk"], "A tag of this name is paused. To end that: loco_jobs resume --tag bulk"),
        (["--task", "emails"], "A queue of this name is paused. To end that: loco_jobs resume emails"),
        (["--task", path[:-1]], f"Did you mean {path!r}? To end its pause: loco_jobs resume --task {path}"),
        (["--task", "shop.nothing"], "The task 'shop.nothing' was not paused. No task 'shop.nothing' is known: "),
    ):
        with pytest.raises(CommandError) as caught:
            run("resume", *words)
        assert remedy in str(caught.value)
        assert caught.value.returncode == 1
    assert run("resume", "default") == "The queue 'default' was not paused.\n"


def test_a_worker_is_told_what_to_do(queue):
    info = WorkerInfo(
        worker_id="host:1:ab", host="host", pid=1, queues=None, tags=None, threads=1, coroutines=1, lease=60.0,
        started_at=utcnow(), role=Role.WORKER,
    )  # fmt: skip
    queue.register(info)
    queue.register(replace(info, worker_id="clock:9:cd/0", role=Role.SCHEDULER))
    with pytest.raises(CommandError, match=r"no worker 'nosuch' is registered\. Choices are: host:1:ab\.$"):
        run("stop", "nosuch")
    with pytest.raises(CommandError, match=r"is a scheduler, which takes no commands\. Stop its process\.$"):
        run("stop", "clock:9:cd")
    assert "takes no more jobs within two seconds" in run("quiet", "host:1:ab")
    assert queue.command_of("host:1:ab") == "quiet"
    assert "takes jobs again" in run("unquiet", "host:1:ab")
    assert queue.command_of("host:1:ab") == ""
    assert "was told to stop" in run("stop", "host:1:ab", "--backend", "default")
    assert queue.command_of("host:1:ab") == "stop"
    queue.register(replace(info, role=Role.SHARED))
    with pytest.raises(CommandError, match="shares its process with a web server"):
        run("stop", "host:1:ab")


@pytest.mark.parametrize(("answer", "status"), [("y\n", READY), ("Yes\n", READY), ("n\n", FAILED), ("\n", FAILED)])
def test_on_a_terminal_it_asks_before_it_changes_many(monkeypatch, answer, status):
    ids = failed("a", "b")
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said = run("retry", "--all")
    assert said.startswith("Retry 2 jobs? [y/N] ")
    assert ("Nothing was changed." in said) == (status == FAILED)
    assert {jobs.get(job_id).status for job_id in ids} == {status}


# Mistakes


def test_the_end_of_an_id_as_in_the_log_is_enough(queue: Queue):
    [job_id] = failed("oops")
    end = job_id[-8:]
    for word in (end, end.upper(), f"#{end}", f"fail#{end}/1"):
        assert run("show", word).split()[:2] == ["id", job_id]
    assert job_id in run("why", end)
    assert run("list", end) == run("list", job_id)
    assert run("retry", end) == "Retried 1 job.\n"
    with pytest.raises(CommandError, match=r"No job has an id that ends with 99999999\.$"):
        run("cancel", "99999999")
    queue.enqueue([Job(id=f"{digit * 24}{end}", task_path="tests.app.tasks.add", backend="default") for digit in "01"])
    with pytest.raises(CommandError, match=f"More than one job has an id that ends with {end}, such as "):
        run("cancel", end)


def test_an_id_that_ends_so_may_be_older_than_what_is_looked_at(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_loco.management.loco_jobs.ids.WINDOW", 1)
    failed("oops", "again")
    with pytest.raises(CommandError, match=r"None of the newest 1 jobs has an id that ends with 99999999\."):
        run("cancel", "99999999")


def test_how_far_it_came_before_a_refusal_is_told(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    queue.enqueue([Job(id="01" + 30 * "0", task_path="tests.app.tasks.fail", backend="default")])
    queue.enqueue([Job(task_path="tests.app.tasks.add", backend="default")])
    monkeypatch.setattr("django_loco.jobs.operations.bulk.BATCH", 1)
    update = ("--args", "[1, 2]", "--yes")
    with pytest.raises(CommandError, match=r"^1 job was updated, then others were refused\. Run .*fail") as caught:
        run("update", "--all", *update)
    assert caught.value.returncode == 1
    with pytest.raises(CommandError, match=r"^[^,]*tests\.app\.tasks\.fail"):
        run("update", "task:fail", *update)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["retry"], "loco_jobs retry needs ids or a filter. For all jobs, give --all."),
        (["purge"], "For all jobs, give --all."),
        *(
            ([*verb, *blank, "--yes"], f"loco_jobs {verb[0]} needs ids or a filter. For all jobs, give --all.")
            for verb in (["delete"], ["cancel"], ["move", "--queue", "emails"], ["move", "--from=default", "--to=bulk"])
            for blank in ([""], ["  "], ["", ""])  # a shell's variable that is not set
        ),
        (["retry", "all"], "For all jobs, write: loco_jobs retry --all"),
        (["purge", "default"], "For the jobs of a queue, write queue:default"),
        (["delete", "", "--all", "--yes"], "Give a filter or --all, not both."),
        (["delete", "status:failed", "--all"], "Give a filter or --all, not both."),
        (["list", "status:faild"], "Did you mean 'failed'?"),
        (["list", "failed"], "For the jobs in this state, write status:failed"),
        (["list", "task=tests.app.tasks.add"], ". Write task:tests.app.tasks.add"),
        (["list", "status:failed", "args.0=1"], ". Write args.0:1"),
        (["list", "colour=red"], "For the jobs of a queue, write queue:colour=red"),
        (["list", "--backend", "defualt"], "Did you mean 'default'?"),
        (["show", "01a220e4884f7d2ba19ca3780b5165c2"], "There is no job 01a220e4884f7d2ba19ca3780b5165c2"),
        (["show", "seven"], "'seven' is not the id of a job: 32 hexadecimal digits, or the last 8"),
        (["retry", "01a220e4884f7d2ba19ca3780b5165c2"], "There is no job"),
        (["pause", "emial"], "Did you mean 'emails'?"),
        (["pause", "--task", "tests.app.tasks.ad"], "Did you mean 'tests.app.tasks.add'?"),
        (["quiet", "nobody"], "no worker 'nobody' is registered"),
        (["stop"], "the following arguments are required: worker"),
        (["update", "--all"], "Give at least one of --priority"),
        (["update", "--all", "--priority", "700"], "from -100 to 100"),
        (["update", "--all", "--args", "7"], "'7' is not a JSON list, such as [1, 2]"),
        (["update", "--all", "--kwargs", "[]"], "is not a JSON object"),
        (["update", "--all", "--run-after", "soon"], "'soon' is no time"),
        (["list", "--limit", "0"], "'0' is not a whole number above 0"),
        (["move", "--all"], "loco_jobs move needs --queue, or --from and --to."),
        (["move", "--all", "--from", "default"], "loco_jobs move needs --queue, or --from and --to."),
        (["move", "--all", "--queue", "x", "--from", "default", "--to", "bulk"], "Give --from and --to, or --queue"),
        (["move", "--from", "default", "--to", "bulk"], "For all jobs, give --all."),
        (["move", "--from", "default", "--to", "bulk", "--all", "status:failed"], "Give a filter or --all, not both."),
        (["move", "--from", "default", "--to", "default", "--all"], "are both 'default'"),
        (["move", "--from", "default", "--to", "blk", "--all"], "Did you mean 'bulk'?"),
        (["rerty"], "invalid choice: 'rerty'"),
    ],
)
def test_mistakes_name_the_remedy(words, error):
    tasks.add.enqueue(1, 2)
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert error in str(caught.value)
    assert jobs.filter("status:waiting").count() == 1


def test_without_a_terminal_many_need_a_yes(monkeypatch):
    ids = failed("a", "b")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(CommandError, match=r"Retry would take 2 jobs\. To do it, give --yes\."):
        run("retry", "status:failed")
    assert {jobs.get(job_id).status for job_id in ids} == {FAILED}


def test_what_is_not_possible_with_one_job_is_an_error(queue):
    job_id = tasks.add.enqueue(1, 2).id
    queue.fetch(CLAIM)
    with pytest.raises(CommandError, match=r"is running, so it cannot be retried"):
        run("retry", job_id)
    with pytest.raises(CommandError, match=r"is running, so it cannot be deleted"):
        run("delete", job_id)
    assert jobs.get(job_id).status == RUNNING


@pytest.mark.parametrize(
    "words",
    [
        ["pause", "default"],
        ["resume", "default"],
        ["resume", "--tag", "bulk"],
        ["cancel", "--all", "--yes"],
        ["purge", "--all", "--dry-run"],
        ["batches", "--cancel", "01a220e4884f7d2ba19ca3780b5165c2"],
        ["set-limit", "api", "--concurrency", "1"],
    ],
)
def test_what_would_only_change_the_memory_of_the_command_is_refused(queue: Queue, words):
    if queue.is_shared:
        with contextlib.suppress(CommandError):
            assert run_as_process(*words)
        return
    with pytest.raises(CommandError, match=r"would change nothing: .* Set WORKER_MODE = 'BackgroundQueue' and use"):
        run_as_process(*words)
    assert jobs.paused() == {}
    assert run_as_process("list") == "No job matches.\n"


def test_a_queue_that_is_away_is_an_error(queue: Queue, monkeypatch: Any):
    def away(*args: Any, **given: Any) -> Any:
        raise QueueUnavailable("the store is away")

    monkeypatch.setattr(queue, "list", away)
    monkeypatch.setattr(queue, "counts", away)
    for words in (["list"], ["stats"], ["retry", "--all", "--yes"]):
        with pytest.raises(CommandError, match="the store is away"):
            run(*words)


def test_a_user_without_a_name_is_somebody(monkeypatch):
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(bulk, "getuser", nameless)
    job_id = tasks.add.enqueue(1, 2).id
    run("cancel", job_id)
    assert "cancelled by somebody with loco_jobs" in jobs.get(job_id).errors[-1].traceback
