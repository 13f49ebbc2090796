"""Changes of jobs in a database: rows that others have written, transactions of the caller, and what a batch costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from django_loco.core.job import FAILED, READY, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.models import StoredJob, WaitingTag
from django_loco.queues import Claim
from django_loco.queues.base import Change
from django_loco.queues.database import DatabaseQueue

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
CLAIM = Claim(worker_id="w", lease=60, threads=100, coroutines=100)


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def job(**given):
    return Job(**{"task_path": "a.b", "backend": "default"} | given)


def prioritised(queue, job_id):
    before = queue.get(job_id)
    return Change(before=before, after=replace(before, priority=5))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("tags", '["a", "ä"]'),
        ("options", '{"timeout":5 }'),
        ("worker_ids", '[ "w" ]'),
        ("errors", '[{"traceback": "x", "exception_class_path": "builtins.ValueError"}]'),
    ],
)
def test_a_job_in_the_words_of_another_program_can_be_changed(queue, field, text):
    ids = [each.id for each in queue.enqueue([job(), job()])]
    StoredJob.objects.filter(id=ids[0]).update(**{field: text})
    assert queue.change([prioritised(queue, job_id) for job_id in ids]) == set()
    assert [queue.get(job_id).priority for job_id in ids] == [5, 5]
    StoredJob.objects.filter(id=ids[0]).update(**{field: text})
    change = prioritised(queue, ids[0])
    StoredJob.objects.filter(id=ids[0]).update(enqueued_at=utcnow())
    assert queue.change([change]) == {ids[0]}, "it was changed since"
    assert queue.change([Change(before=queue.get(ids[0]), after=None)]) == set()


def test_a_time_without_decimals_is_the_same_time(queue):
    [stored] = queue.enqueue([job()])
    StoredJob.objects.filter(id=stored.id).update(enqueued_at=utcnow().replace(microsecond=0))
    assert queue.change([prioritised(queue, stored.id)]) == set()


@pytest.mark.parametrize("column", ["tags", "errors", "options"])
def test_an_unreadable_job_can_be_deleted_but_not_changed(queue, column):
    [stored] = queue.enqueue([job()])
    StoredJob.objects.filter(id=stored.id).update(status="FAILED", finished_at=utcnow(), **{column: "no JSON"})
    before = queue.get(stored.id)
    assert queue.change([Change(before=before, after=replace(before, status=READY, finished_at=None))]) == {stored.id}
    assert StoredJob.objects.get().task_path == "a.b"
    if not ON_POSTGRES:  # there it lacks times, which are no text
        assert queue.change([Change(before=before, after=None)]) == set()
        assert not StoredJob.objects.exists()


def test_a_change_is_part_of_the_transaction(queue):
    kept, deleted = queue.enqueue([job(tags=("a",)), job(tags=("b",))])

    def act():
        with transaction.atomic():
            changes = [prioritised(queue, kept.id), Change(before=deleted, after=None)]
            assert queue.change(changes) == set()
            queue.pause("default")
            assert queue.fetch(CLAIM) == []
            raise InterruptedError

    with pytest.raises(InterruptedError):
        act()
    assert queue.paused() == set()
    assert {each.id: each.priority for each in queue.list()} == {kept.id: 0, deleted.id: 0}
    assert len(queue.fetch(replace(CLAIM, tags=("a", "b")))) == 2


def test_a_batch_is_one_statement_for_changes_and_one_for_deletions(queue, django_assert_num_queries):
    queue.enqueue([job(tags=("t",), priority=number % 3) for number in range(40)])
    jobs = queue.list()
    ends = [replace(each, status=FAILED, finished_at=utcnow()) for each in jobs[:10]]
    changes = [Change(before=before, after=after) for before, after in zip(jobs, ends, strict=False)]
    changes += [Change(before=each, after=replace(each, queue_name="q", tags=("u", "v"))) for each in jobs[10:20]]
    changes += [Change(before=each, after=None) for each in jobs[20:30]]
    with django_assert_num_queries(2):
        assert queue.change(changes) == set()
    # On PostgreSQL the tags are JSON words.
    tags = [tag.strip('"') for tag in WaitingTag.objects.values_list("tag", flat=True)]
    assert sorted(tags) == ["t"] * 10 + ["u"] * 10 + ["v"] * 10
    assert WaitingTag.objects.filter(queue_name="q").count() == 20


def test_a_job_that_was_not_read_is_compared_with_the_stored_one(queue):
    [one, other] = queue.enqueue([job(), job()])
    other = replace(other, priority=1)
    assert queue.change([Change(before=each, after=replace(each, priority=5)) for each in (one, other)]) == {other.id}
    assert [queue.get(each.id).priority for each in (one, other)] == [5, 0]


def test_a_change_in_the_same_transaction_is_noticed(queue):
    [one] = queue.enqueue([job()])
    with transaction.atomic():
        assert queue.change([first := prioritised(queue, one.id)]) == set()
        assert queue.change([second := prioritised(queue, one.id)]) == set()
        back = Change(before=queue.get(one.id), after=queue.get(one.id))
        assert queue.change([replace(back, after=replace(back.before, queue_name="q"))]) == set()
        assert queue.change([first]) == queue.change([second]) == queue.change([back]) == {one.id}
    assert queue.get(one.id).queue_name == "q"


def test_a_row_that_was_written_again_as_it_was_can_be_changed(queue):
    [one] = queue.enqueue([job()])
    change = prioritised(queue, one.id)
    StoredJob.objects.filter(id=one.id).update(status=READY)
    assert queue.change([change]) == set()
    assert queue.get(one.id).priority == 5


def test_a_job_that_waits_keeps_its_place(queue):
    """It may be due earlier than its fields say: a clock was put back."""
    ids = [each.id for each in queue.enqueue([job(run_after=utcnow()) for _ in range(2)])]
    early = utcnow().replace(year=2000)
    StoredJob.objects.filter(id=ids[1]).update(due_at=early)
    before = queue.get(ids[1])
    assert queue.change([Change(before=before, after=replace(before, arguments="[[2],{}]"))]) == set()
    assert StoredJob.objects.get(id=ids[1]).due_at == early


def test_a_job_that_is_to_run_at_once_is_due_now_even_if_it_was_made_in_the_future(queue):
    held = queue.fetch(CLAIM) if queue.enqueue([job()]) else []
    queue.finish([Outcome(job=held[0], status=SUCCESSFUL, return_value="1")])
    StoredJob.objects.update(enqueued_at=utcnow().replace(year=2100), due_at=utcnow().replace(year=2100))
    before = queue.get(held[0].id)
    after = replace(before, status=READY, finished_at=None, return_value=None)
    assert queue.change([Change(before=before, after=after)]) == set()
    assert [each.id for each in queue.fetch(CLAIM)] == [before.id]


def test_pauses_belong_to_one_alias(queue):
    other = DatabaseQueue("other", {})
    other.pause("default")
    assert (queue.paused(), other.paused()) == (set(), {"default"})
    queue.enqueue([job()])
    assert len(queue.fetch(CLAIM)) == 1
    queue.clear()
    assert other.paused() == {"default"}
    other.clear()
    assert other.paused() == set()


@pytest.mark.parametrize(
    "given", [{}, {"queues": ("default", "b")}, {"tags": ("t",)}, {"tags": ()}, {"suspects": True}]
)
def test_a_worker_that_knows_of_a_pause_fetches_the_same_as_one_that_does_not(queue, given):
    knows = DatabaseQueue("default", {})
    knows.pause("other")
    assert knows.fetch(CLAIM) == []
    tags = ("t",) if given.get("tags") else ()
    lost = 2 if given.get("suspects") else 0
    names = ("default", "b", "default", "other")
    jobs = [job(queue_name=name, tags=tags, lost=lost, priority=number) for number, name in enumerate(names)]
    queue.enqueue(jobs)
    claim = replace(CLAIM, **given)
    room = 1 if lost else 3
    for each in (queue, knows, queue):
        each.pause("b")
        assert each.suspects(claim) == (2 if lost else 0)
        found = each.fetch(claim)
        assert [one.id for one in found] == [jobs[2].id, jobs[0].id][:room]
        queue.finish([Outcome.released(one) for one in found])
        assert each.oldest_due(("other",)) is not None
        queue.resume("b")
    assert knows.fetch(claim)[0].id == jobs[2].id
