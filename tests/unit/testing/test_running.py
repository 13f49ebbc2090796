"""``drain`` and ``run_job``."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from freezegun import freeze_time

from django_loco import jobs
from django_loco.core.job import Outcome
from django_loco.exceptions import Interrupted, InvalidArguments, JobTimeout, LocoConfigurationError, LocoError
from django_loco.queues import Claim, queue_for
from django_loco.tasks import Workflow
from django_loco.testing import all_enqueued, drain, run_job, travel

from . import tasks

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _nothing_ran():
    tasks.ran.clear()


def test_jobs_run_the_most_urgent_first():
    tasks.send.enqueue(1)
    tasks.asend.enqueue(2)
    tasks.send.using(priority=5).enqueue(3)
    assert drain() == {"successful": 3}
    assert tasks.ran == [3, 1, 2]


def test_nothing_to_run():
    assert drain() == {}
    assert drain()["successful"] == 0


def test_one_queue(settings):
    tasks.send.using(queue_name="emails").enqueue(1)
    tasks.send.enqueue(2)
    assert drain("emails") == {"successful": 1}
    assert drain(queue="default") == {"successful": 1}
    with pytest.raises(LocoConfigurationError, match=r"queue is 'email', .* Did you mean 'emails'"):
        drain("email")


def test_jobs_of_a_paused_queue_wait_and_the_log_says_so(caplog):
    jobs.pause(queue="emails")
    for number in (1, 2):
        tasks.send.using(queue_name="emails").enqueue(number)
    tasks.send.enqueue(3)
    assert drain() == {"successful": 1}
    assert "ran no job of the paused queue 'emails', where 2 wait: jobs.resume(queue='emails')" in caplog.text
    jobs.resume(queue="emails")
    caplog.clear()
    assert drain() == {"successful": 2}
    assert "paused" not in caplog.text


def test_jobs_of_a_paused_task_wait_and_the_log_says_so(caplog):
    path = tasks.send.module_path
    jobs.pause(task=path)
    tasks.send.enqueue(1)
    assert drain() == {}
    assert f"ran no job of the paused task {path!r}, of which 1 waits: jobs.resume(task={path!r})" in caplog.text
    jobs.resume(task=path)
    assert drain() == {"successful": 1}


def test_a_project_without_a_list_of_queues_has_any(settings):
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
    assert drain("email") == {}


@pytest.mark.parametrize("queue", [5, ["default"], True, ""])
def test_what_is_no_queue(queue):
    with pytest.raises(LocoConfigurationError, match=r"queue is .*; it must be the name of a queue\.$"):
        drain(queue)


def test_a_task_in_place_of_a_queue():
    tasks.send.enqueue(1)
    with pytest.raises(LocoConfigurationError, match=r"tests.unit.testing.tasks.send, a task; .* run_job\(\) runs"):
        drain(tasks.send)


@pytest.mark.parametrize(
    "option",
    [{"scheduled": timedelta(days=2)}, {"recursive": None}, {"raise_errors": "no"}, {"limit": "5"}, {"limit": True}],
)
def test_options_of_another_type(option):
    tasks.send.enqueue(1)
    [(name, _)] = option.items()
    with pytest.raises(LocoConfigurationError, match=f"{name} is .*; it must be"):
        drain(**option)
    assert drain() == {"successful": 1}


def test_jobs_that_are_not_due_wait():
    tasks.send.using(run_after=HOUR).enqueue(1)
    tasks.send.enqueue(2)
    assert drain() == {"successful": 1}
    assert [result.args for result in all_enqueued()] == [[1]]
    assert drain(scheduled=True) == {"successful": 1}


def test_they_are_not_delayed_or_hurried_by_a_look():
    tasks.send.using(run_after=timedelta(hours=2), priority=9).enqueue(1)
    tasks.send.using(run_after=3 * HOUR).enqueue(2)
    with travel(timedelta(hours=2.5)):
        tasks.send.using(priority=9, run_after=HOUR).enqueue(3)
        assert drain() == {"successful": 1}
        assert drain() == {}
    assert tasks.ran == [1]
    assert drain() == {}
    assert len(all_enqueued()) == 2


def test_jobs_of_jobs():
    tasks.chain_now.enqueue(2)
    assert drain(recursive=False) == {"successful": 1}
    assert drain() == {"successful": 2}
    assert tasks.ran == [2, 1, 0]


def test_jobs_of_jobs_that_are_not_due():
    tasks.chain.enqueue(2)
    assert drain() == {"successful": 1}
    assert drain(scheduled=True) == {"successful": 2}


def test_a_job_of_somebody_else_stays():
    tasks.send.enqueue(1)
    foreign = tasks.send.get_backend().job_of(tasks.send, [2], {})
    queue_for("default").enqueue([foreign])
    assert drain() == {"successful": 1}
    assert queue_for("default").get(foreign.id).status == "READY"


def test_the_exception_of_a_job_is_raised_and_the_others_wait():
    result = tasks.fail.using(priority=1).enqueue("no such luck")
    tasks.send.enqueue(1)
    with pytest.raises(LookupError, match="no such luck") as caught:
        drain()
    (note,) = caught.value.__notes__
    assert f"tests.unit.testing.tasks.fail, job {result.id}, in attempt 1" in note
    assert "drain(raise_errors=False)" in note
    assert "would try again" not in note
    result.refresh()
    assert result.status == "FAILED"
    assert drain() == {"successful": 1}


def test_its_traceback_leads_from_the_test_to_the_task():
    tasks.fail.enqueue("no such luck")
    for run in (drain, lambda: run_job(tasks.fail, "no such luck")):
        with pytest.raises(LookupError) as caught:
            run()
        names = [entry.name for entry in caught.traceback]
        assert names[-1] == "fail"
        assert "execute" not in names


def test_or_only_kept_in_the_result():
    tasks.fail.enqueue("no such luck")
    tasks.send.enqueue(1)
    assert drain(raise_errors=False) == {"failed": 1, "successful": 1}


def test_a_job_that_has_to_wait_for_its_next_attempt_raises_too():
    tasks.shaky.enqueue()
    with pytest.raises(LookupError, match="attempt 1") as caught:
        drain()
    assert "try again after 60 s" in caught.value.__notes__[0]
    assert len(all_enqueued(tasks.shaky)) == 1
    assert drain() == {}


def test_the_clock_brings_the_next_attempt():
    result = tasks.shaky.enqueue(2)
    assert drain(raise_errors=False) == {"retried": 1}
    with travel(timedelta(seconds=59)):
        assert drain() == {}
    with travel(timedelta(seconds=61)):
        assert drain() == {"successful": 1}
    result.refresh()
    assert result.return_value == 2


def test_all_attempts_without_delay():
    tasks.shaky.enqueue()
    assert drain(scheduled=True) == {"retried": 2, "successful": 1}
    tasks.shaky.enqueue(9)
    with pytest.raises(LookupError, match="attempt 3"):
        drain(scheduled=True)


def approval(**options):
    workflow = Workflow("order")
    workflow.add(tasks.ship, after=[workflow.add(tasks.approve.using(**options), name="approve")])
    workflow.enqueue()


def test_a_node_waits_for_others_whose_time_is_not_up():
    approval()
    assert drain(scheduled=True) == {"snoozed": 1}
    approval(queue_name="emails")
    assert drain(queue="default", scheduled=True) == {}
    jobs.pause(queue="emails")
    assert drain(scheduled=True) == {}
    jobs.resume(queue="emails")
    assert tasks.ran == []
    for job in jobs.filter("task:*.approve"):
        jobs.signal(job.id, "approved")
    assert drain(scheduled=True) == {"successful": 4}
    assert tasks.ran == ["shipped"] * 2


def test_a_job_that_follows_waits_for_the_one_before_it():
    following = tasks.ship.using(unique=True, on_duplicate="rerun")
    queue = queue_for("default")
    following.using(queue_name="emails").enqueue()
    (first,) = queue.fetch(Claim(worker_id="w", lease=60, threads=1))
    second = following.enqueue()
    assert second.id != first.id
    assert drain(scheduled=True) == {}
    queue.finish([Outcome.released(first)])
    assert drain(scheduled=True) == {"successful": 2}


def test_a_job_that_is_handed_back_spends_no_attempt():
    tasks.begin.enqueue()
    assert drain() == {"released": 1}
    with pytest.raises(LocoError, match=r"has run 5 jobs and tests.unit.testing.tasks.begin waits"):
        drain(scheduled=True, limit=5)
    assert len(all_enqueued()) == 1


def test_a_value_that_is_not_json():
    tasks.unencodable.enqueue()
    with pytest.raises(LocoError, match="cannot be stored as JSON"):
        drain()


def test_a_task_that_cannot_be_loaded_is_raised_with_the_reason():
    result = tasks.send.enqueue(1)
    with mock.patch.object(tasks, "send"), pytest.raises(LocoError) as caught:
        drain()
    text = str(caught.value)
    assert text.startswith(f"tests.unit.testing.tasks.send, job {result.id}, did not run")
    assert "drain(raise_errors=False)" in text
    assert "is not a task" in text
    with travel(timedelta(minutes=1)):
        assert drain() == {"successful": 1}


def test_or_only_counted():
    tasks.send.enqueue(1)
    with mock.patch.object(tasks, "send"):
        assert drain(raise_errors=False) == {"released": 1}


def test_run_job_of_a_task_that_cannot_be_loaded():
    real = tasks.send
    with mock.patch.object(tasks, "send"), pytest.raises(LocoError, match="did not run"):
        run_job(real, 1)


def test_run_job_returns_the_value():
    assert run_job(tasks.send, 1, to=(1, 2)) == [1, [1, 2]]
    assert run_job(tasks.asend, 1) == 1
    assert all_enqueued() == []


def test_run_job_gives_a_context():
    assert run_job(tasks.look) == [1, None, {}, ""]
    assert run_job(tasks.look, "me", attempt=3, checkpoint=[7], metadata={"a": 1}) == [3, [7], {"a": 1}, "me"]
    assert run_job(tasks.look.using(metadata={"a": 2}), name="me") == [1, None, {"a": 2}, "me"]


def test_run_job_runs_one_attempt():
    with pytest.raises(LookupError, match="attempt 1") as caught:
        run_job(tasks.shaky)
    assert "try again after 60 s" in caught.value.__notes__[0]
    assert run_job(tasks.shaky, attempt=3) == 3
    with pytest.raises(LookupError) as caught:
        run_job(tasks.shaky, 9, attempt=3)
    assert "try again" not in caught.value.__notes__[0]


def test_run_job_raises():
    with pytest.raises(Interrupted):
        run_job(tasks.begin)
    with pytest.raises(JobTimeout):
        run_job(tasks.spin)
    with pytest.raises(InvalidArguments):
        run_job(tasks.send, b"bytes")
    with pytest.raises(InvalidArguments):
        run_job(tasks.send)
    with pytest.raises(LocoConfigurationError, match="attempt is 0"):
        run_job(tasks.send, 1, attempt=0)
    with pytest.raises(LocoError, match="cannot be stored as JSON"):
        run_job(tasks.unencodable)


def test_time_limits_hold_where_freezegun_stops_the_clock():
    with freeze_time("2030-01-01"):
        with pytest.raises(JobTimeout):
            run_job(tasks.nap)
        assert run_job(tasks.left_after_a_while) >= 0.01
    with freeze_time("2030-01-01", real_asyncio=True), pytest.raises(JobTimeout):
        run_job(tasks.anap)


def test_run_job_of_a_job_that_sleeps_or_waits():
    with travel(datetime.fromisoformat("2030-12-24T18:00:00Z")):
        with pytest.raises(LocoError, match=r"sleep, job \w+, .*: the job sleeps at 'night', until 2030-12-25"):
            run_job(tasks.sleep)
        with pytest.raises(LocoError, match=r"the job waits for the signal 'paid', until 2030-12-24 19:00:0") as caught:
            run_job(tasks.wait_for_payment)
    assert "jobs.signal()" in str(caught.value)
    with pytest.raises(LocoError, match=r"the job waits for the signal 'paid'\. Enqueue"):
        run_job(tasks.await_payment)


@pytest.mark.parametrize("given", ["tests.unit.testing.tasks.send", tasks.send.func, None])
def test_run_job_of_what_is_no_task(given):
    with pytest.raises(LocoConfigurationError, match=r"is not a task. Pass the function that is decorated with @task"):
        run_job(given)


def test_run_job_of_signed_jobs(settings):
    settings.LOCO = {"TESTING": "manual", "SIGN": True}
    assert run_job(tasks.look, attempt=2, metadata={"a": 1}) == [2, None, {"a": 1}, ""]


@pytest.mark.parametrize("testing", ["inline", "live"])
def test_run_job_in_other_modes(settings, testing):
    settings.LOCO = {"TESTING": testing}
    assert run_job(tasks.look, attempt=2) == [2, None, {}, ""]


def test_on_an_event_loop():
    async def test():
        for function in (drain, all_enqueued):
            with pytest.raises(LocoConfigurationError, match=rf"await sync_to_async\({function.__name__}\)"):
                function()
        with pytest.raises(LocoConfigurationError, match=r"await sync_to_async\(run_job\)"):
            run_job(tasks.asend, 1)
        await tasks.asend.aenqueue(1)
        assert await sync_to_async(drain)() == {"successful": 1}
        assert await sync_to_async(run_job)(tasks.asend, 1) == 1

    async_to_sync(test)()


def test_results_tell_the_time_of_the_moved_clock():
    christmas = datetime.fromisoformat("2030-12-24T18:00:00Z")
    with travel(christmas):
        result = tasks.send.enqueue(1)
        drain()
    result.refresh()
    for moment in (result.enqueued_at, result.started_at, result.finished_at):
        assert christmas <= moment < christmas + timedelta(minutes=1)
