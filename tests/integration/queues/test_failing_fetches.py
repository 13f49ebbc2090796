"""Whichever statement of a fetch fails: a job that it has claimed is handed over."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection, transaction

from django_loco.core.job import RUNNING, Job, first_id, new_id, utcnow
from django_loco.core.job.limits import Limit
from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.models import StoredJob
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue
from django_loco.queues.records.pauses import JobPause

from ...conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
MOST_STATEMENTS = 60
LIMITS = {"two": Limit(concurrency=2)}


@pytest.fixture
def queue():
    return DatabaseQueue("default", {})


def job(**given):
    return Job(task_path="a.b", backend="default", **given)


def claim_of(**given):
    return Claim(**{"worker_id": "w", "lease": 60, "threads": 10, "coroutines": 10, "limits": LIMITS} | given)


def running():
    return {
        str(each).replace("-", "") for each in StoredJob.objects.filter(status=RUNNING).values_list("id", flat=True)
    }


class Break:
    """Lets the statement with a number fail, before it reaches the database; or loses its answer."""

    def __init__(self, number, *, loses_answer=False):
        self.left = number
        self.loses_answer = loses_answer

    def __call__(self, execute, *given):
        self.left -= 1
        if self.left == 0 and self.loses_answer:
            execute(*given)
        if self.left == 0:
            raise OperationalError("canceling statement due to statement timeout")
        return execute(*given)


def fetch_that_breaks(queue, number, **given):
    """Return the ids of the jobs handed over, and whether the fetch has that many statements."""
    breaks = Break(number)
    with connection.execute_wrapper(breaks):
        try:
            jobs = queue.fetch(claim_of(**given))
        except QueueUnavailable:
            jobs = []
    return {each.id for each in jobs}, breaks.left <= 0


def job_of_the_future(moment):
    """Return a job as a clock that was put back makes it; a fetch with room looks for it after its first claim."""
    return job(id=f"{first_id(moment)[:12]}{new_id()[12:]}")


def prepare_limited():
    return [job(limit_key="two"), job(limit_key="two"), job(), job(is_async=True)], {}


def prepare_ageing():
    return [job(limit_key="two"), job(), job(priority=3)], {"ageing": 60.0}


def prepare_paused():
    return [job(limit_key="two"), job(), replace(job(), task_path="paused")], {}


def prepare_ranges():
    return [job(queue_name="a"), job(queue_name="b"), job(queue_name="a", limit_key="two")], {"queues": ("a", "b")}


def prepare_suspects():
    return [job(lost=2), job(lost=2, limit_key="two")], {"suspects": True}


@pytest.mark.parametrize("prepare", [prepare_limited, prepare_ageing, prepare_paused, prepare_ranges, prepare_suspects])
def test_what_is_claimed_is_handed_over(queue, prepare, caplog):
    handed_over = 0
    for number in range(1, MOST_STATEMENTS):
        queue.clear()
        queue = DatabaseQueue("default", {})
        later = utcnow() + timedelta(hours=1)
        jobs, given = prepare()
        delayed = job_of_the_future(later)
        queue.enqueue([*jobs, delayed])
        StoredJob.objects.filter(id=delayed.id).update(due_at=later)
        if prepare is prepare_paused:
            queue.pause_jobs(JobPause("task", "paused"))
        found, has_failed = fetch_that_breaks(queue, number, **given)
        assert found == running(), number
        assert has_failed or given.get("suspects") or delayed.id in found or "queues" in given
        handed_over += bool(found) and has_failed
        if not has_failed:
            break
    else:
        pytest.fail("it has more statements")
    assert ("a fetch ended early" in caplog.text) == (handed_over > 0)
    assert handed_over or prepare is prepare_suspects


def prepare_plain():
    return [job(), job(is_async=True)], {}


def prepare_plain_ranges():
    return [job(queue_name="a"), job(queue_name="b")], {"queues": ("a", "b"), "ageing": 60.0}


@pytest.mark.parametrize("prepare", [prepare_plain, prepare_plain_ranges, prepare_limited, prepare_suspects])
def test_jobs_of_a_lost_answer_are_handed_over_by_the_next_fetch(queue, prepare):
    handed_over_again = 0
    for number in range(1, MOST_STATEMENTS):
        queue.clear()
        queue = DatabaseQueue("default", {})
        jobs, given = prepare()
        queue.enqueue(jobs)
        breaks = Break(number, loses_answer=True)
        first = []
        with connection.execute_wrapper(breaks):
            try:
                first = queue.fetch(claim_of(**given))
            except QueueUnavailable:
                unanswered = running()
                found = queue.fetch(claim_of(**given))
                assert unanswered <= {each.id for each in found}, number
                handed_over_again += len(unanswered)
                first = found
        assert {each.id for each in first} == running() or first, number
        rest = [] if given.get("suspects") else queue.fetch(claim_of(**given))
        ids = [each.id for each in (*first, *rest)]
        assert sorted(ids) == sorted({*ids}), "none is handed over twice"
        assert queue.lost(first) == set(), "their tokens are valid"
        if breaks.left > 0:
            break
    else:
        pytest.fail("it has more statements")
    is_rolled_back = prepare is prepare_limited or (not ON_POSTGRES and prepare is not prepare_suspects)
    assert handed_over_again or is_rolled_back


def test_an_unreadable_job_whose_failure_is_refused_keeps_no_other(queue, monkeypatch, caplog):
    broken, sound = queue.enqueue([job(), job()])
    StoredJob.objects.filter(id=broken.id).update(tags="[")
    monkeypatch.setattr(queue, "finish", Mock(side_effect=QueueRefused("no such text")))
    assert [each.id for each in queue.fetch(claim_of())] == [sound.id]
    assert "the failure of 1 unreadable jobs could not be stored yet" in caplog.text


def test_an_error_within_a_transaction_is_raised(queue):
    """The claims are rolled back with it, and PostgreSQL would refuse all further statements."""
    queue.enqueue([job(limit_key="two"), job()])
    statements = []
    note = connection.execute_wrapper(lambda execute, *given: statements.append(given[0]) or execute(*given))
    with transaction.atomic(), note:  # outside of one, PostgreSQL's statements are prepared
        assert len(queue.fetch(claim_of())) == 2
    queue.clear()
    queue.enqueue([job(limit_key="two"), job()])
    with pytest.raises(QueueUnavailable), transaction.atomic(), connection.execute_wrapper(Break(len(statements))):
        DatabaseQueue("default", {}).fetch(claim_of())
    assert running() == set()


@pytest.mark.skipif(not ON_POSTGRES, reason="about PostgreSQL; runs when LOCO_TEST_DATABASE is postgres")
def test_a_connection_that_is_cut_between_two_claims(queue, postgres, monkeypatch):
    [limited, plain] = queue.enqueue([job(limit_key="two"), job()])
    claim = queue._dialect.claim

    def claim_when_cut(asked):
        with postgres.connect(connection.settings_dict["NAME"]) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        monkeypatch.undo()
        return claim(asked)

    monkeypatch.setattr(queue._dialect, "claim", claim_when_cut)
    assert [each.id for each in queue.fetch(claim_of())] == [limited.id]
    assert [each.id for each in queue.fetch(claim_of())] == [plain.id]
