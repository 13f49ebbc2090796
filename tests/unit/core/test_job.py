from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.compat import TaskError
from django_loco.core.job import FAILED, MAX_LOST, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow

BOOM = TaskError(exception_class_path="builtins.ValueError", traceback="Traceback: boom")


def make_job(**values):
    return Job(task_path="shop.tasks.sync", backend="default", **values)


def held(job, worker="w1"):
    return job.claimed(worker_id=worker, token=f"token of {worker}", at=utcnow())


def test_a_job_is_due_when_it_was_enqueued_or_at_run_after():
    later = utcnow() + timedelta(hours=1)
    job = make_job()
    assert job.due_at == job.enqueued_at
    assert make_job(run_after=later).due_at == later


def test_a_claim_keeps_the_first_start_and_notes_the_latest():
    first = held(make_job())
    assert (first.status, first.worker_id, first.token) == (RUNNING, "w1", "token of w1")
    assert first.started_at == first.last_attempted_at
    again = held(Outcome.released(first).applied(), worker="w2")
    assert again.started_at == first.started_at
    assert again.last_attempted_at > first.last_attempted_at


def test_success_ends_the_job_and_spends_an_attempt():
    job = Outcome(job=held(make_job()), status=SUCCESSFUL, return_value="7").applied()
    assert (job.status, job.return_value, job.worker_ids) == (SUCCESSFUL, "7", ("w1",))
    assert job.finished_at is not None
    assert job.token is job.worker_id is None
    assert job.attempt == 1


def test_a_retry_waits_with_its_error_and_its_attempt_spent():
    at = utcnow() + timedelta(seconds=9)
    job = Outcome(job=held(make_job()), status=READY, error=BOOM, run_after=at).applied()
    assert (job.status, job.errors, job.due_at, job.finished_at) == (READY, (BOOM,), at, None)
    assert job.attempt == 2


def test_a_job_handed_back_spends_nothing_and_keeps_its_place():
    job = make_job()
    back = Outcome.released(held(job)).applied()
    assert (back.attempt, back.worker_ids, back.due_at, back.errors) == (1, (), job.due_at, ())


def test_a_job_handed_back_for_one_reason_again_and_again_says_so_once():
    job = make_job()
    for _ in range(3):
        job = Outcome.released(held(job), run_after=utcnow(), error=BOOM).applied()
    assert job.errors == (BOOM,)


def test_failing_twice_in_the_same_way_is_two_errors():
    job = make_job()
    for _ in range(2):
        job = Outcome(job=held(job), status=READY, error=BOOM, run_after=utcnow()).applied()
    assert job.errors == (BOOM, BOOM)


def test_a_job_whose_worker_dies_is_ready_again_until_it_has_failed_as_lost():
    job = make_job()
    for count in range(1, MAX_LOST):
        job = Outcome.of_dead_worker(held(job)).applied()
        assert (job.status, job.lost, job.attempt, job.errors) == (READY, count, 1, ())
    job = Outcome.of_dead_worker(held(job, worker="w9")).applied()
    assert (job.status, job.lost, job.worker_ids) == (FAILED, MAX_LOST, ())
    assert job.errors[0].exception_class.__name__ == "LostJob"
    assert "w9" in job.errors[0].traceback


@given(st.lists(st.sampled_from(["success", "failure", "retry", "release", "lost"]), max_size=12))
def test_attempts_count_exactly_the_runs_that_ended_by_themselves(story):
    job, spent = make_job(), 0
    for step in story:
        now = held(job)
        outcome = {
            "success": Outcome(job=now, status=SUCCESSFUL),
            "failure": Outcome(job=now, status=FAILED, error=BOOM),
            "retry": Outcome(job=now, status=READY, error=BOOM, run_after=utcnow()),
            "release": Outcome.released(now),
            "lost": Outcome.of_dead_worker(now),
        }[step]
        job = outcome.applied()
        spent += step in ("success", "failure", "retry")
        assert len(job.worker_ids) == spent
        assert (job.finished_at is None) == (job.status == READY)
        if job.finished_at:
            break


def test_of_many_attempts_the_first_and_the_last_are_kept_and_all_are_counted():
    job = make_job()
    for number in range(100):
        error = TaskError(exception_class_path="builtins.ValueError", traceback=str(number))
        job = Outcome(job=held(job, f"w{number}"), status=READY, error=error, errors_kept=3).applied()
    assert [error.traceback for error in job.errors] == ["0", "1", "2", "97", "98", "99"]
    assert job.worker_ids == ("w0", "w1", "w2", *[""] * 94, "w97", "w98", "w99")
    assert job.attempt == 101


def test_no_attempt_is_left_out_of_as_many_as_are_kept():
    job = make_job()
    for number in range(6):
        error = TaskError(exception_class_path="builtins.ValueError", traceback=str(number))
        job = Outcome(job=held(job), status=READY, error=error, errors_kept=3).applied()
    assert len(job.errors) == 6
    assert job.worker_ids == ("w1",) * 6
