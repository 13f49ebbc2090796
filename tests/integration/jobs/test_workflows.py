"""Workflows as users write them: nodes that wait for others, their results, and what happens when one fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from django_loco import jobs
from django_loco.core.job import FAILED, utcnow
from django_loco.exceptions import BatchDoesNotExist, BatchFinished, InvalidArguments, InvalidState, QueueFull
from django_loco.jobs.operations.workflows.nodes import edges_to
from django_loco.jobs.operations.workflows.releasing import sweep
from django_loco.jobs.signing import is_genuine
from django_loco.queues import Claim, queue_for
from django_loco.tasks import Batch, InvalidTask, Node, Workflow, batch, chain, group, task
from django_loco.testing import drain
from django_loco.worker.pools.inline import run_once
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

#: What has run, in order.
RAN: list[object] = []


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}
    RAN.clear()


@task
def note(name, fails=False):
    RAN.append(name)
    if fails:
        raise ValueError(name)
    return name.upper()


@task(takes_context=True)
def read(context, *names):
    found = {name: context.results.get(name, "nothing") for name in names or context.results}
    RAN.append(found)
    return found


@task(takes_context=True)
async def aread(context):
    RAN.append(await context.aresults())


@task
def add(*numbers):
    return sum(numbers)


@task
def total(numbers):
    RAN.append(numbers)
    return sum(numbers)


@task(takes_context=True)
def wait_for(context):
    return dict(context.results)


@task
def show(value):
    RAN.append(value)


@task
async def aadd(*numbers):
    return sum(numbers)


@task(takes_context=True)
def double(context, number, plus=0):
    assert context.task_result.args == []
    return 2 * number + plus


@task
def once_more():
    RAN.append("once more")
    if RAN.count("once more") == 1 and "first" in RAN:
        raise ValueError("the first time")


@task
def finished(workflow_id):
    RAN.append(("finished", Workflow.get(workflow_id).state))


@task(takes_context=True)
def spread(context, number):
    flow = context.workflow
    last = [flow.add(note, f"child {place}", name=f"child {place}") for place in range(number)]
    flow.add(read, after=last, name="gather")
    if context.attempt == 1:
        raise ValueError("once more")


def run():
    return drain(raise_errors=False)


def run_one():
    """Run the best job that is due."""
    [held] = queue_for("default").fetch(Claim(worker_id="worker-1", lease=60, threads=1, coroutines=0))
    run_once(queue_for("default"), held)


def states(flow):
    flow.refresh()
    now = utcnow()
    return {job.options["node"]["name"]: jobs.state_of(job, now) for job in flow.nodes()}


def diamond(**options):
    flow = Workflow("nightly", **options)
    first = flow.add(note, "extract", name="extract")
    left, right = (flow.add(note, name, after=[first], name=name) for name in ("left", "right"))
    flow.add(read, after=[left, right], name="load")
    return flow


def test_nodes_run_when_those_before_them_have_ended():
    flow = diamond(on_finish=finished, metadata={"day": 1}).enqueue()
    assert (flow.state, flow.counts.total) == ("open", 0)
    flow.refresh()
    assert (flow.state, flow.counts.total, flow.counts.left, flow.metadata) == ("running", 4, 4, {"day": 1})
    assert states(flow) == {"extract": "waiting", "left": "scheduled", "right": "scheduled", "load": "scheduled"}
    run()
    assert RAN[0] == "extract"
    assert sorted(RAN[1:3]) == ["left", "right"]
    assert RAN[3:] == [{"left": "LEFT", "right": "RIGHT"}, ("finished", "finished")]
    assert set(states(flow).values()) == {"done"}
    assert (flow.name, flow.results["load"]) == ("nightly", {"left": "LEFT", "right": "RIGHT"})


def test_results_are_read_by_name():
    flow = Workflow()
    flow.add(note, "first", name="first")
    flow.add(note, "second", after="first", name="second")
    flow.add(read, "first", "second", "third", after="second")
    flow.add(aread, after="second")
    flow.enqueue()
    run()
    assert RAN[2:] == [{"first": "FIRST", "second": "SECOND", "third": "nothing"}, {"second": "SECOND"}]
    with pytest.raises(KeyError, match="no node 'third'"):
        flow.results["third"]
    assert "third" not in flow.results
    assert dict(jobs.workflow(flow.id).results) == dict(flow.results)
    assert sorted(flow.results) == ["aread", "first", "read", "second"]


@pytest.mark.parametrize(
    ("on_failed", "after_failure", "at_last"),
    [
        ("cancel", "cancelled", "cancelled"),
        ("run", "waiting", "done"),
        ("ignore", "scheduled", "done"),
    ],
)
def test_a_failure_is_followed_by_what_the_next_node_says(on_failed, after_failure, at_last):
    flow = Workflow()
    bad, good = flow.add(note, "bad", True, name="bad"), flow.add(tasks.add.using(priority=-1), 1, 2, name="good")
    flow.add(read, "bad", "good", after=[bad, good], on_failed=on_failed, name="next")
    flow.add(note, "last", after=["next"], name="last")
    flow.enqueue()
    run_one()
    assert states(flow)["next"] == after_failure
    run()
    assert states(flow) == {"bad": "failed", "good": "done", "next": at_last, "last": at_last}
    assert flow.state == "finished"


def test_one_that_is_cancelled_says_why():
    flow = Workflow()
    bad = flow.add(note, "bad", True, name="bad")
    node = flow.add(note, "next", after=[bad])
    flow.enqueue()
    run()
    [error] = jobs.get(node.id).errors
    assert f"because node 'bad' (job {bad.id}) has failed or was cancelled" in error.traceback
    assert jobs.get(node.id).finished_at is not None


def test_a_node_that_waits_can_be_cancelled_and_deleted():
    flow = Workflow()
    first = flow.add(note, "first", name="first")
    for name, mode in (("a", "cancel"), ("b", "ignore"), ("c", "run")):
        middle = flow.add(note, f"middle {name}", after=[first], name=f"middle {name}")
        flow.add(note, name, after=[middle], on_failed=mode, name=name)
    flow.enqueue()
    jobs.cancel(Node(flow.id, "middle a").id)
    jobs.delete(Node(flow.id, "middle b").id)
    jobs.cancel(Node(flow.id, "middle c").id)
    assert states(flow)["a"] == "cancelled"
    run()
    assert sorted(RAN) == ["b", "c", "first"]
    assert flow.state == "running"
    flow.refresh()
    assert (flow.state, tuple(flow.counts)) == ("finished", (7, 3, 0, 4))


def test_one_that_expires_counts_as_failed():
    flow = Workflow()
    first = flow.add(note, "first")
    flow.add(note, "next", after=[first])
    flow.enqueue()
    jobs.update(first.id, expires=utcnow() - timedelta(seconds=1))
    run()
    assert RAN == []
    assert flow.state == "open"
    assert set(states(flow).values()) == {"cancelled"}


def test_a_chain_hands_results_on():
    flow = chain(add.s(1, 2), double.s(plus=4), add.si(5), add.s(10)).enqueue()
    run()
    assert [flow.results[name] for name in ("add", "double", "add-2", "add-3")] == [3, 10, 5, 15]
    assert flow.name == "chain"


def test_chains_and_groups_nest():
    inner = chain(add.s(100), group(aadd.s(1), chain(add.s(2), add.s(3))), total.s())
    flow = chain(add.s(1), group(inner, add.s(7)), total.s()).enqueue("nested")
    run()
    assert RAN == [[102, 106], [208, 8]]
    assert flow.results["total-2"] == 216


def test_a_result_that_there_is_not_is_none():
    flow = Workflow()
    bad = flow.add(note, "bad", True)
    last = flow.add(chain(add.si(1), group(add.si(2), add.s(3))), after=[bad], on_failed="ignore")
    assert [node.name for node in last] == ["add-2", "add-3"]
    flow.add(wait_for, after=[bad], on_failed="run", name="told")
    flow.enqueue()
    run()
    assert [flow.results[name] for name in ("add", "add-2", "add-3")] == [1, 2, 4]
    assert flow.results["told"] == {}
    flow = Workflow()
    flow.add(chain(group(note.s("good"), note.s("bad", True)), show.s()))
    assert flow.enqueue().cancel() == 3


def test_nodes_add_nodes_and_a_second_run_adds_none():
    flow = Workflow()
    first = flow.add(spread.using(max_attempts=2, backoff=0), 3, name="spread")
    flow.add(note, "last", after=[first])
    flow.enqueue()
    run()
    gathered = {f"child {place}": f"CHILD {place}" for place in range(3)}
    assert sorted(map(str, RAN)) == sorted(map(str, [*gathered, gathered, "last"]))
    assert set(states(flow).values()) == {"done"}
    assert (flow.state, flow.counts.total) == ("finished", 6)


def test_cancel_ends_what_waits():
    flow = diamond().enqueue()
    assert flow.cancel(by="anna") > 0
    assert set(states(flow).values()) == {"cancelled"}
    assert flow.state == "finished"
    with pytest.raises(InvalidState):
        flow.cancel()


def test_retry_runs_the_failed_part_again():
    flow = Workflow("nightly", on_finish=finished)
    first = flow.add(note, "first", name="first")
    bad = flow.add(once_more, after=[first], name="bad")
    flow.add(note, "beside", after=[first], name="beside")
    middle = flow.add(note, "middle", after=[bad, "beside"], name="middle")
    flow.add(read, after=[middle], name="last")
    flow.add(note, "all the same", after=[bad], on_failed="run", name="told")
    flow.enqueue()
    run()
    assert (states(flow)["bad"], states(flow)["last"]) == ("failed", "cancelled")
    assert RAN.count(("finished", "finished")) == 1
    RAN.clear()
    assert flow.retry() == 3
    assert [name for name, state in states(flow).items() if state == "scheduled"] in (
        ["middle", "last"],
        ["last", "middle"],
    )
    run()
    assert RAN == ["once more", "middle", {"middle": "MIDDLE"}, ("finished", "finished")]
    assert set(states(flow).values()) == {"done"}
    assert flow.retry() == 0


def test_retry_of_what_was_cancelled():
    flow = diamond().enqueue()
    flow.cancel()
    assert flow.retry() == 4
    assert states(flow) == {"extract": "waiting", "left": "scheduled", "right": "scheduled", "load": "scheduled"}
    run()
    assert set(states(flow).values()) == {"done"}
    assert flow.state == "finished"


def test_retry_that_was_interrupted_goes_on(monkeypatch):
    flow = diamond().enqueue()
    flow.cancel()
    monkeypatch.setattr(type(queue_for("default")), "add_edges", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        flow.retry()
    monkeypatch.undo()
    run()
    flow.retry()
    run()
    assert set(states(flow).values()) == {"done"}


@pytest.mark.parametrize(
    "retry",
    [
        lambda flow: jobs.filter(f"workflow:{flow.id}").retry(),
        lambda flow: jobs.retry([job for job in flow.nodes() if job.status == FAILED]),
        lambda flow: Batch.get(flow.id).retry(),
    ],
)
@pytest.mark.parametrize("at_once", [1, 1000])
def test_whoever_retries_nodes_keeps_their_order(retry, at_once, monkeypatch):
    monkeypatch.setattr("django_loco.jobs.operations.bulk.BATCH", at_once)
    flow = Workflow("nightly")
    first = flow.add(note, "first", name="first")
    bad = flow.add(once_more, after=[first], name="bad")
    middle = flow.add(note, "middle", after=[bad], name="middle")
    flow.add(read, after=[middle], name="last")
    flow.add(note, "all the same", after=[bad], on_failed="run", name="told")
    flow.enqueue()
    run()
    RAN.clear()
    assert retry(flow) == 3
    assert {name for name, state in states(flow).items() if state == "scheduled"} == {"middle", "last"}
    run()
    assert RAN == ["once more", "middle", {"middle": "MIDDLE"}]
    assert set(states(flow).values()) == {"done"}


def test_a_node_is_not_retried_without_those_that_it_waits_for():
    flow = Workflow()
    bad = flow.add(note, "bad", True, name="bad")
    flow.add(note, "middle", after=[bad], name="middle")
    flow.add(note, "beside", True, after=[bad], on_failed="ignore", name="beside")
    flow.enqueue()
    run()
    by_name = {job.options["node"]["name"]: job for job in flow.nodes()}
    reason = rf"waits for node 'bad' \(job {by_name['bad'].id}\).*workflows {flow.id} --retry"
    with pytest.raises(InvalidState, match=reason):
        jobs.retry(by_name["middle"].id)
    [reason] = jobs.why(by_name["middle"].id)
    assert (reason.command, reason.operation) == (f"loco_jobs workflows {flow.id} --retry", "")
    assert reason.remedy == f"To run it all the same: {reason.command}"
    assert jobs.why(by_name["bad"].id)[0].operation == "retry"
    assert jobs.filter(f"workflow:{flow.id} args.0:middle").retry() == 0
    assert states(flow)["middle"] == "cancelled"
    assert jobs.retry(by_name["beside"].id) == 1
    assert states(flow) == {"bad": "failed", "middle": "cancelled", "beside": "waiting"}
    jobs.delete(by_name["bad"].id)
    with pytest.raises(InvalidState, match="which was deleted"):
        jobs.retry(by_name["middle"].id)
    flow.retry()
    assert states(flow)["middle"] == "cancelled", "a retry of the workflow does not help"
    [reason] = jobs.why(by_name["middle"].id)
    assert (reason.remedy, reason.command) == ("Enqueue it again.", "")


def test_a_retry_that_is_killed_in_the_middle_is_finished_by_a_sweep(monkeypatch):
    flow = diamond().enqueue()
    flow.cancel()
    monkeypatch.setattr("django_loco.jobs.operations.workflows.retrying.advance", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.filter(f"workflow:{flow.id}").retry()
    monkeypatch.undo()
    sweep(queue_for("default"))
    run()
    assert set(states(flow).values()) == {"done"}


def test_a_transaction_that_is_rolled_back_leaves_nothing():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        flow = diamond().enqueue()
        raise ZeroDivisionError
    assert jobs.filter().count() == 0
    with pytest.raises(BatchDoesNotExist):
        Workflow.get(flow.id)


def test_a_transaction_that_is_committed_starts_it():
    with transaction.atomic():
        flow = diamond().enqueue()
    run()
    assert set(states(flow).values()) == {"done"}


def test_one_that_was_rolled_back_is_enqueued_again():
    flow = diamond()
    for error in (KeyError, None):
        with suppress(KeyError), transaction.atomic():
            with suppress(ValueError), transaction.atomic():
                flow.enqueue()
                raise error or ValueError
            flow.enqueue()
    with pytest.raises(InvalidState, match="before"):
        flow.enqueue()
    flow.add(note, "more", after=["load"], name="more")
    run()
    assert set(states(flow).values()) == {"done"}
    assert flow.counts.total == 5


def test_one_that_a_rollback_does_not_undo_is_never_enqueued_again(settings):
    settings.LOCO = {**settings.LOCO, "ENQUEUE_ON_COMMIT": False}
    flow, queue = diamond(), queue_for("default")
    with suppress(KeyError), transaction.atomic():
        flow.enqueue()
        raise KeyError
    run()
    queue.prune(-10.0)  # by now the queue does not know it any more, if it did
    if queue.database is None:
        with pytest.raises(InvalidState, match="before"):
            flow.enqueue()
    else:
        assert flow.enqueue() is flow


def test_one_whose_enqueuer_has_died_never_runs_and_can_be_cancelled():
    flow = diamond()
    queue, nodes = queue_for("default"), [*flow._jobs.values()]
    queue.open_batch(flow._batch.record)
    queue.add_edges(flow.id, edges_to(nodes))
    queue.enqueue(nodes)
    sweep(queue)
    assert run() == {}
    [same] = jobs.workflows()
    same.refresh()
    assert (same.state, same.counts.left) == ("open", 4)
    assert same.cancel() == 4
    same.refresh()
    assert same.state == "finished"


def test_what_the_queue_refuses_leaves_nothing(monkeypatch):
    queue = queue_for("default")

    def refuse(jobs):
        raise QueueFull("no room")

    monkeypatch.setattr(queue, "enqueue", refuse)
    with pytest.raises(QueueFull):
        diamond().enqueue()
    assert (list(queue.list_batches()), queue.waiting_workflows()) == ([], [])


def test_async_code_has_the_same():
    async def store():
        flow = Workflow()
        flow.add(note, "first", name="first")
        await flow.aenqueue()
        await flow.aadd(note, "second", after=["first"], name="second")
        await flow.arefresh()
        again = await Workflow.aget(flow.id)
        await sync_to_async(connections.close_all, thread_sensitive=True)()
        return flow, again

    flow, again = asyncio.run(store())
    assert flow.counts.total == again.counts.total == 2
    run()
    assert RAN == ["first", "second"]


def test_nodes_may_be_added_from_outside_until_it_has_finished():
    flow = diamond().enqueue()
    run_first = Workflow.get(flow.id)
    run_first.add(note, "more", after=["extract"], name="more")
    run_first.add(note, "more", after=["extract"], name="more")
    with pytest.raises(InvalidArguments, match="another node 'more'"):
        run_first.add(note, "other", after=["extract"], name="more")
    run()
    assert RAN.count("more") == 1
    with pytest.raises(BatchFinished, match="takes no more jobs"):
        Workflow.get(flow.id).add(note, "late", name="late")
    assert jobs.filter().count() == 5


def test_a_node_that_is_refused_leaves_no_edges():
    flow, queue = diamond().enqueue(), queue_for("default")
    run()
    late = Workflow.get(flow.id)
    for number in range(2):
        with pytest.raises(BatchFinished):
            late.add(note, "late", name=f"late-{number}", after=["extract"])
        with pytest.raises(BatchFinished):
            late.add(note, "late", name=f"first-{number}")
    assert queue.note_ends(flow.id, None) == []


def test_a_node_that_is_refused_here_and_added_by_another_process_keeps_its_edges(monkeypatch):
    queue = queue_for("default")
    if queue.database is not None:
        pytest.skip("the transaction of the other process is not rolled back")
    flow = diamond().enqueue()
    enqueue = queue.enqueue

    def refused(jobs):
        enqueue(jobs)
        raise QueueFull("no room")

    monkeypatch.setattr(queue, "enqueue", refused)
    with pytest.raises(QueueFull):
        flow.add(note, "more", after=["load"], name="more")
    monkeypatch.undo()
    assert states(flow)["more"] == "scheduled"
    run()
    assert states(flow)["more"] == "waiting"


def test_nodes_that_are_added_in_a_transaction_are_stored_with_the_commit():
    flow = diamond().enqueue()
    with transaction.atomic():
        Workflow.get(flow.id).add(note, "first", after=["load"], name="first")
        Workflow.get(flow.id).add(note, "second", after=["first"], name="second")
        is_part = queue_for("default").database is not None
        assert jobs.filter().count() == (6 if is_part else 4)
    with suppress(KeyError), transaction.atomic():
        Workflow.get(flow.id).add(note, "gone", name="gone")
        raise KeyError
    run()
    assert RAN[-2:] == ["first", "second"]
    assert "gone" not in RAN


def test_what_cannot_be_added_is_told_at_the_commit_at_the_latest():
    flow = diamond().enqueue()
    with pytest.raises(InvalidArguments, match="no node 'gone'"), transaction.atomic():
        with suppress(KeyError), transaction.atomic():
            Workflow.get(flow.id).add(note, "gone", name="gone")
            raise KeyError
        Workflow.get(flow.id).add(note, "late", after=["gone"], name="late")
    run()
    with pytest.raises(BatchFinished), transaction.atomic():
        Workflow.get(flow.id).add(note, "late", name="late")
    assert jobs.filter().count() == 4


def test_all_workflows_are_listed_and_no_batches():
    flow = diamond().enqueue()
    with batch("import") as own:
        own.enqueue(note, "member")
    assert [each.id for each in Workflow.all()] == [flow.id]
    with pytest.raises(BatchDoesNotExist, match="no workflow"):
        Workflow.get(own.id)


def test_in_the_foreground_all_happens_at_once(settings):
    options = {"mode": "ForegroundBlocking"}
    settings.TASKS = {alias: {**given, "OPTIONS": options} for alias, given in settings.TASKS.items()}
    flow = diamond(on_finish=finished).enqueue()
    assert RAN == ["extract", "left", "right", {"left": "LEFT", "right": "RIGHT"}, ("finished", "finished")]
    assert set(states(flow).values()) == {"done"}
    assert chain(add.s(1), double.s()).enqueue().results["double"] == 2


def test_jobs_are_signed(settings):
    settings.LOCO = {**settings.LOCO, "SIGN": True}
    flow = chain(add.s(1), add.s(2)).enqueue()
    run()
    assert flow.results["add-2"] == 3


def test_results_stay_until_the_workflow_has_finished():
    flow = Workflow()
    first = flow.add(note, "first", name="first")
    flow.add(read, after=[first], name="next")
    flow.enqueue()
    run_one()
    queue = queue_for("default")
    queue.prune(-10.0)
    assert RAN == ["first"]
    run()
    assert RAN[1:] == [{"first": "FIRST"}]
    queue.prune(-10.0)
    assert jobs.filter().count() == 0
    assert list(Workflow.all()) == []


WITH_A_TIME = note.using(run_after=timedelta(hours=1))


@pytest.mark.parametrize(
    ("declare", "kind", "words"),
    [
        (lambda flow: flow.add(print), InvalidTask, "is no task"),
        (lambda flow: flow.add(note, "a", after=["b"]), InvalidArguments, "no node 'b'"),
        (lambda flow: flow.add(note, "a", after=[7]), InvalidArguments, "after is 7"),
        (lambda flow: flow.add(note, "a", after=[Workflow().add(note, "x")]), InvalidArguments, "another workflow"),
        (lambda flow: flow.add(note, "a", on_failed="cansel"), InvalidArguments, "Did you mean 'cancel'"),
        (lambda flow: flow.add(note), InvalidArguments, "do not fit"),
        (lambda flow: flow.add(note, object()), InvalidArguments, "JSON"),
        (lambda flow: flow.add(note, "a", name=""), InvalidArguments, "name is"),
        (lambda flow: [flow.add(note, "a", name="a") for _ in "ab"], InvalidArguments, "'a' already"),
        (lambda flow: flow.add(WITH_A_TIME, "a"), InvalidTask, "run_after"),
        (lambda flow: flow.add(note.using(unique=True), "a"), InvalidTask, "is unique"),
        (lambda flow: flow.add(note.s("a"), 1), InvalidArguments, "its arguments already"),
        (lambda flow: flow.add(chain(note.s("a")), name="x"), InvalidArguments, "no name"),
        (lambda flow: flow.add(chain(add.s(), tasks.add.s(1, 2))), InvalidArguments, "do not fit"),
        (lambda flow: Workflow("a\x00b"), InvalidArguments, "without NUL"),
        (lambda flow: chain(note.s("a")).enqueue(name="a\ud800b"), InvalidArguments, "without NUL"),
        (lambda flow: chain(), InvalidArguments, "no parts"),
        (lambda flow: group([]), InvalidArguments, "no parts"),
        (lambda flow: chain(note), InvalidArguments, "has no arguments: write"),
        (lambda flow: chain(7, 8), InvalidArguments, "neither a signature"),
        (lambda flow: flow.enqueue(), InvalidArguments, "no nodes"),
    ],
)
def test_mistakes_are_named_before_anything_is_stored(declare, kind, words):
    flow = Workflow()
    with pytest.raises(kind, match=words):
        declare(flow)
    assert jobs.filter().count() == 0
    assert list(Workflow.all()) == []


def test_a_part_with_a_mistake_leaves_no_nodes():
    flow = Workflow()
    with pytest.raises(InvalidArguments):
        flow.add(chain(add.s(), add.s(object())))
    flow.add(note, "a", name="add")
    flow.enqueue()
    assert list(states(flow)) == ["add"]


def test_it_is_enqueued_once():
    flow = diamond().enqueue()
    with pytest.raises(InvalidState, match="before"):
        flow.enqueue()
    with pytest.raises(InvalidArguments, match="one task at a time"):
        flow.add(chain(add.s()))


def test_a_task_of_another_alias_is_refused(settings):
    settings.TASKS = {**settings.TASKS, "other": settings.TASKS["default"]}
    flow = Workflow()
    flow.add(note, "a")
    with pytest.raises(InvalidTask, match="in one store"):
        flow.add(note.using(backend="other"), "b")
    assert Workflow().backend == "default"
    other = Workflow()
    other.add(note.using(backend="other"), "b")
    assert other.backend == "other"


def test_a_node_waits_for_a_worker_since_its_release(settings):
    settings.LOCO = {**settings.LOCO, "SIGN": True}
    flow = Workflow("nightly")
    flow.add(note, "load", after=[flow.add(note, "extract", name="extract")], name="load")
    flow.enqueue()
    sweep(queue_for("default"))
    began = utcnow()
    run_one()
    sweep(queue_for("default"))
    [node] = [job for job in flow.nodes() if job.options["node"]["name"] == "load"]
    assert (node.due_at, node.run_after) == (node.enqueued_at, None)
    assert node.ready_since >= began
    assert is_genuine(node)
