"""Limits, from the options of a task to the jobs that a worker takes, on every queue."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest
from django.core.management import call_command
from django.db.models import F

from django_loco import jobs
from django_loco.conf import problems
from django_loco.core.job import FAILED, READY, RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.core.job.limits import KeyTimes, Limit, limits_of
from django_loco.exceptions import RAISED_INTO_JOBS, InvalidArguments, LocoConfigurationError
from django_loco.jobs import why
from django_loco.jobs.operations import reruns
from django_loco.models import StoredLimit
from django_loco.queues import Claim, queue_for
from django_loco.queues.memory.queue import MemoryQueue
from django_loco.queues.redis.queue import RedisQueue
from django_loco.tasks import InvalidTask, LocoTask, enqueue_many
from django_loco.testing import drain, travel
from django_loco.worker.worker import Worker
from tests.app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "django_loco.backend.LocoBackend"
LIMITS = {
    "api": {"concurrency": 2},
    "slow": {"rate": "1/h"},
    "brisk": {"rate": "20/s"},
    "two": {"rate": "2/d", "burst": 2},
    "wide": {"rate": "900/d", "burst": 900},
}


@pytest.fixture(params=["database", "memory", "redis"], autouse=True)
def queue(request, settings):
    options = {"queue": request.param}
    if request.param == "redis":
        options["url"] = request.getfixturevalue("redis_server").url
    settings.LOCO = {**settings.LOCO, "TESTING": "manual", "LIMITS": LIMITS}
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}
    queue = queue_for("default")
    queue.clear()
    yield queue
    queue.clear()


def limited(**options):
    return LocoTask(func=tasks.add.func, **options)


def fetched(queue, number=10):
    claim = Claim(worker_id="w", lease=60, threads=number, coroutines=number, limits=limits_of(LIMITS))
    return queue.fetch(claim)


def key_of(queue, task, *args, **kwargs):
    return queue.get(task.enqueue(*args, **kwargs).id).limit_key


def test_the_keys_of_a_job_follow_from_its_arguments(queue):
    assert key_of(queue, tasks.add, 1, 2) is None
    assert key_of(queue, limited(limits=["api"]), 1, 2) == "api"
    assert key_of(queue, limited(limits=["slow", "api"]), 1, 2) == "api slow"
    assert key_of(queue, limited(limits=["api", "slow"], limit_key="b"), 1, b=2) == "api:2 slow:2"
    assert key_of(queue, limited(limits=["api", "slow"], limit_key={"slow": "a"}), "x y", 2) == "api slow:x%20y"
    assert key_of(queue, limited(limits=["api"], limit_key=lambda a, b: {"a": a, "b": [b]}), 1, 2) == (
        "api:%7B%22a%22:1,%22b%22:%5B2%5D%7D"
    )
    assert len(key_of(queue, limited(limits=["api"], limit_key="a"), "ä" * 1000, 2)) == 4 + 64


def test_a_hidden_value_is_a_digest_in_the_key(queue, settings):
    digest = hashlib.sha256(b"tok-123").hexdigest()
    by_b = limited(limits=["api"], limit_key="b")
    before = by_b.enqueue(1, "tok-123")
    settings.LOCO = {**settings.LOCO, "REDACT": ["b", "secret"]}
    assert key_of(queue, by_b, 1, "tok-123") == f"api:{digest}"
    assert key_of(queue, limited(limits=["api", "slow"], limit_key={"slow": "b"}), 1, b="tok-123") == (
        f"api slow:{digest}"
    )
    assert key_of(queue, limited(limits=["api"], limit_key="a"), "tok-123", 2) == "api:tok-123"
    for value in ({"secret": "tok-123"}, [({"x": {"secret": "tok-123"}},)], MappingProxyType({"secret": 1})):
        for by in ("a", lambda a, b: a):
            assert re.fullmatch("api:[0-9a-f]{64}", key_of(queue, limited(limits=["api"], limit_key=by), value, 2))
    assert key_of(queue, limited(limits=["api"], limit_key="a"), {"secrets": "secret"}, 2).startswith("api:%7B")
    assert queue.get(before.id).limit_key == "api:tok-123", "jobs that wait keep their keys"


def test_a_job_runs_again_with_the_key_of_its_new_arguments_whatever_was_hidden_before(queue, settings):
    showing = {
        **settings.LOCO,
        "TASKS": {"tests.app.tasks.add": {"limits": ["api", "slow"], "limit_key": {"api": "b"}}},
    }
    hiding = {**showing, "REDACT": ["b"]}
    digest = hashlib.sha256(b"8").hexdigest()
    for before, now, key in ((showing, hiding, f"api:{digest} slow"), (hiding, showing, "api:8 slow")):
        settings.LOCO = before
        job = tasks.add.enqueue(1, 7)
        settings.LOCO = now
        assert queue.get(jobs.run_again(job.id, args=[1, 8]).id).limit_key == key


def test_every_place_for_options_takes_them(queue, settings):
    assert key_of(queue, tasks.add.using(limits=["api"], limit_key="a"), 7, 2) == "api:7"
    settings.LOCO = {**settings.LOCO, "TASKS": {"tests.app.tasks.add": {"limits": ["slow"], "limit_key": "b"}}}
    assert key_of(queue, tasks.add, 7, 2) == "slow:2"
    assert key_of(queue, tasks.add.using(limits=["api"]), 7, 2) == "api:2"
    assert key_of(queue, tasks.add.using(limits=[]), 7, 2) is None
    [first, second] = enqueue_many(tasks.add, [(1, 2), (1, 3)])
    assert [queue.get(each.id).limit_key for each in (first, second)] == ["slow:2", "slow:3"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"limits": ["apy"]}, r"limits has 'apy', which LOCO\['LIMITS'\] does not declare. Did you mean 'api'\?"),
        ({"limits": "api"}, "limits is 'api'; it must be a list of at most 10 names"),
        ({"limits": ["a b"]}, r"limits is \['a b'\]; it must be"),
        ({"limits": ["api"], "limit_key": "c"}, "limit_key names 'c', which is no argument of it. Choices are: a, b."),
        ({"limits": ["api"], "limit_key": 7}, "limit_key is 7; it must be the name of an argument, a function"),
        ({"limits": ["api"], "limit_key": {"slow": "a"}}, "limit_key has 'slow', which is not among its limits"),
        ({"limit_key": "a"}, "limit_key is given without limits"),
    ],
)
def test_wrong_options_are_named_where_they_are_declared(queue, options, problem):
    with pytest.raises(InvalidTask, match=problem):
        limited(**options)
    with pytest.raises(InvalidTask, match=problem):
        tasks.add.using(**options)
    assert queue.list() == []


def test_a_limit_that_settings_no_longer_declare_is_named_at_enqueue(queue, settings):
    task = limited(limits=["api"])
    settings.LOCO = {**settings.LOCO, "LIMITS": {}}
    with pytest.raises(InvalidTask, match=r'does not declare. Add it there, for example "api": '):
        task.enqueue(1, 2)
    assert queue.list() == []


def test_a_key_that_cannot_be_told_is_an_error_and_nothing_is_stored(queue):
    def fails(a, b):
        raise ZeroDivisionError("no")

    for function, problem in (
        (fails, "fails raised ZeroDivisionError: no"),
        (lambda a, b: object(), "must return text"),
    ):
        with pytest.raises(InvalidArguments, match=problem):
            enqueue_many(limited(limits=["api"], limit_key=function), [(1, 2), (3, 4)])
    assert queue.list() == []


@pytest.mark.parametrize("interruption", RAISED_INTO_JOBS)
def test_a_job_that_is_interrupted_while_it_makes_a_limit_key_fails_by_that(queue, interruption):
    def interrupt(a, b):
        raise interruption

    with pytest.raises(interruption):
        limited(limits=["api"], limit_key=interrupt).enqueue(1, 2)
    assert queue.list() == []


@pytest.mark.parametrize(
    ("loco", "problem"),
    [
        ({"LIMITS": []}, "LOCO['LIMITS'] is []; it must be a dict of limits by name."),
        ({"LIMITS": {"a b": {"rate": "1/s"}}}, "LOCO['LIMITS'] has 'a b'; a name must be"),
        ({"LIMITS": {"api": {"rate": "0/s"}}}, "LOCO['LIMITS']['api']['rate'] is '0/s'; it must be jobs per"),
        ({"TASKS": {"shop.f": {"limits": ["apy"]}}, "LIMITS": LIMITS}, "has the limit 'apy'; LOCO['LIMITS'] does not"),
    ],
)
def test_wrong_settings_are_found_by_the_checks(settings, loco, problem):
    settings.LOCO = {**settings.LOCO, **loco}
    assert any(problem in each for each in problems())
    with pytest.raises(LocoConfigurationError):
        tasks.add.enqueue(1, 2)


def test_why_names_the_limit_and_until_when(queue):
    task = limited(limits=["api", "slow"], limit_key={"slow": "a"})
    results = [task.enqueue(7, number) for number in range(2)]
    assert len(fetched(queue)) == 1
    [text] = [each.text for each in why(results[1].id) if each.code == "limited"]
    assert re.fullmatch(
        r"It waits for the limit 'slow:7'\. Its rate is 1/h, and the next job may begin in 3,(5\d\d|600) s\.", text
    )
    others = [limited(limits=["api"]).enqueue(1, number) for number in range(2)]
    assert len(fetched(queue)) == 1
    texts = [each.text for each in why(others[1].id)]
    assert "It waits for the limit 'api'. As many of its jobs run as may at once: 2." in texts
    assert [each.code for each in why(tasks.add.enqueue(1, 2).id)] == ["no worker"]


def test_jobs_of_a_limit_are_found(queue):
    limited(limits=["api"], limit_key="a").enqueue(7, 1)
    limited(limits=["api"], limit_key="a").enqueue(8, 1)
    tasks.add.enqueue(1, 2)
    assert jobs.filter("limit:api").count() == 2
    assert jobs.filter(limit="api:7").count() == 1
    assert jobs.filter("-limit:*").count() == 1
    assert jobs.filter("limit:slow").count() == 0


def test_a_job_that_is_run_again_has_the_key_of_its_new_arguments(queue, settings):
    settings.LOCO = {**settings.LOCO, "TASKS": {"tests.app.tasks.add": {"limits": ["api"], "limit_key": "a"}}}
    first = tasks.add.enqueue(7, 1)
    assert queue.get(jobs.run_again(first.id).id).limit_key == "api:7"
    assert queue.get(jobs.run_again(first.id, args=[8, 1]).id).limit_key == "api:8"
    other = tasks.add.using(limits=["slow"], limit_key="b").enqueue(7, 1)
    assert queue.get(jobs.run_again(other.id, args=[8, 2]).id).limit_key == "slow:1"


def test_a_replaced_job_has_the_key_of_its_new_arguments(queue):
    task = limited(limits=["api"], limit_key="b", unique=("a",), on_duplicate="replace")
    first = task.enqueue(1, 1)
    assert task.enqueue(1, 2).id == first.id
    assert queue.get(first.id).limit_key == "api:2"


@pytest.mark.parametrize(("limit", "closed"), [(None, {"api:7", "slow"}), ("api", {"api:7"})])
def test_a_job_closes_its_limits(queue, limit, closed):
    task = LocoTask(func=tasks.throttled.func, limits=["api", "slow"], limit_key={"api": "number"})
    tasks.ran.clear()
    job = queue.get(task.enqueue(7, limit).id)
    assert drain() == {"snoozed": 1}
    use = queue.limit_use(["api:7", "slow"])
    assert {key for key, times in use.times.items() if times.closed_until > use.now} == closed
    after = queue.get(job.id)
    assert (after.status, after.attempt, after.errors, after.run_after) == (READY, 1, (), None)
    codes = {each.text for each in why(job.id) if each.code == "limited"}
    assert "It waits for the limit 'api:7'. A job has closed it for 3,600 s more." in codes
    assert fetched(queue) == []


def test_in_tests_a_drain_of_what_is_not_due_waits_for_no_closed_key(queue):
    tasks.ran.clear()
    LocoTask(func=tasks.throttled.func, limits=["api", "slow"]).enqueue(7)
    limited(limits=["slow"]).enqueue(1, 2)
    assert drain() == {"snoozed": 1}
    assert drain() == {}
    assert drain(scheduled=True) == {"successful": 2}


def test_in_tests_the_clock_opens_a_closed_key(queue):
    if isinstance(queue, RedisQueue):
        pytest.skip("the clock of the server")
    tasks.ran.clear()
    task = LocoTask(func=tasks.throttled.func, limits=["api"])
    task.enqueue(7)
    with travel(timedelta(days=1)):
        assert drain() == {"snoozed": 1}
        assert drain() == {}
        with travel(timedelta(minutes=59)):
            assert drain() == {}
        with travel(timedelta(minutes=61)):
            assert drain() == {"successful": 1}


def test_people_open_a_limit_that_a_job_has_closed(queue):
    tasks.ran.clear()
    job = queue.get(LocoTask(func=tasks.throttled.func, limits=["api", "slow"]).enqueue(7).id)
    drain()
    assert fetched(queue) == []
    reasons = [each for each in why(job.id) if each.code == "limited"]
    commands = [f"loco_jobs set-limit {name} --reset --backend default" for name in ("api", "slow")]
    assert [each.command for each in reasons] == commands
    assert reasons[0].remedy == f"To open it now, as LOCO['LIMITS'] declares it: {commands[0]}"
    jobs.set_limit("api", concurrency=9)
    assert fetched(queue) == [], "somebody may have slowed it down as well"
    out = io.StringIO()
    call_command(*commands[0].split(), stdout=out)
    assert out.getvalue() == "The limit api is again as LOCO['LIMITS'] declares it.\n"
    assert jobs.reset_limit("slow")
    assert not jobs.reset_limit("slow")
    assert [each.id for each in fetched(queue)] == [job.id]


def test_other_processes_notice_that_a_limit_was_opened(queue, settings):
    if isinstance(queue, MemoryQueue):
        return  # it has its own jobs in each process
    other = type(queue)("default", settings.TASKS["default"]["OPTIONS"])
    limited(limits=["api"]).enqueue(1, 2)
    [held] = fetched(queue)
    queue.finish([replace(Outcome.released(held), snoozed=True, closes=("api",), closed_for=3600.0)])
    assert fetched(other) == []
    assert jobs.reset_limit("api")
    until(lambda: [each.id for each in fetched(other)] == [held.id])


def test_a_job_without_limits_is_put_off(queue):
    tasks.ran.clear()
    job = queue.get(tasks.throttled.enqueue(7).id)
    drain()
    after = queue.get(job.id)
    assert 3590 < (after.run_after - utcnow()).total_seconds() <= 3600
    assert (after.status, after.attempt) == (READY, 1)


def later_by_an_hour(queue):
    """Let the times of keys be those of a clock that was an hour ahead."""
    hour = 3_600_000_000
    if isinstance(queue, MemoryQueue):
        times = queue._limit_keys.times
        times |= {key: KeyTimes(tat, until + hour, at + hour) for key, (tat, until, at) in times.items()}
    elif isinstance(queue, RedisQueue):
        for name in ("closings", "closed_at", "closed"):
            for member in queue.server.ask("ZRANGE", queue.server.key(name), 0, -1):
                queue.server.ask("ZINCRBY", queue.server.key(name), hour, member)
    else:
        keys = StoredLimit.objects.filter(kind="key")
        keys.update(closed_until=F("closed_until") + hour, closed_at=F("closed_at") + hour)
        for levels in queue._limited.values():
            levels.open_all()  # their times are those of a clock that nobody puts back


def test_a_clock_that_was_put_back_keeps_no_key_closed(queue):
    [job, other] = [queue.get(limited(limits=["api"]).enqueue(1, number).id) for number in range(2)]
    [held] = fetched(queue, 1)
    queue.finish([replace(Outcome.released(held), snoozed=True, closes=("api",), closed_for=1.5)])
    assert fetched(queue) == []
    later_by_an_hour(queue)
    assert fetched(queue) == []
    [reason] = [each.text for each in why(job.id) if each.code == "limited"]
    assert reason.endswith(("A job has closed it for 1 s more.", "A job has closed it for 2 s more."))
    [state] = [each for each in jobs.limits(keys=1) if each.name == "api"]
    assert state.keys[0].throttled_until <= utcnow() + timedelta(seconds=2)
    until(lambda: {each.id for each in fetched(queue)} == {job.id, other.id})


def test_a_closing_of_an_older_release_is_obeyed(queue):
    """It has stored no beginning."""
    limited(limits=["api"]).enqueue(1, 2)
    [held] = fetched(queue)
    queue.finish([replace(Outcome.released(held), snoozed=True, closes=("api",), closed_for=60.0)])
    if isinstance(queue, RedisQueue):
        queue.server.ask("DEL", queue.server.key("closed_at"))
    StoredLimit.objects.update(closed_at=None)
    assert fetched(queue) == []
    assert queue.limit_use(["api"]).times["api"].closed_until > queue.limit_use().now


def test_a_job_whose_limit_is_no_longer_declared_is_put_off(queue, settings):
    tasks.ran.clear()
    job = queue.get(LocoTask(func=tasks.throttled.func, limits=["api"]).enqueue(7).id)
    settings.LOCO = {**settings.LOCO, "LIMITS": {"slow": LIMITS["slow"]}}
    assert drain() == {"snoozed": 1}
    after = queue.get(job.id)
    assert 3590 < (after.run_after - utcnow()).total_seconds() <= 3600


def test_a_limit_is_changed_while_workers_run(queue):
    results = [limited(limits=["slow"]).enqueue(1, number) for number in range(5)]
    assert len(fetched(queue)) == 1
    jobs.set_limit("slow", rate="1000000/s", burst=9)
    assert len(fetched(queue) + fetched(queue)) == 4
    assert {queue.get(each.id).status for each in results} == {RUNNING}
    assert jobs.reset_limit("slow")
    enqueue_many(limited(limits=["slow"]), [(1, 9), (1, 10)])
    assert len(fetched(queue)) == 1
    [state] = [state for state in jobs.limits() if state.name == "slow"]
    assert (state.waiting, state.running, state.closed, state.is_changed) == (1, 6, 1, False)
    assert state.opens_at > utcnow()


def test_a_rate_is_taken_away_with_its_burst(queue):
    jobs.set_limit("two", concurrency=3, rate=None)
    assert queue.changed_limits() == {"two": Limit(concurrency=3)}
    with pytest.raises(ValueError, match="two has a burst, but no rate"):
        jobs.set_limit("two", burst=2)


def test_the_status_shows_limits(queue):
    limited(limits=["api"]).enqueue(1, 2)
    out = io.StringIO()
    call_command("loco_status", "--format", "json", stdout=out)
    [api] = [each for each in json.loads(out.getvalue())["limits"] if each["name"] == "api"]
    assert (api["waiting"], api["running"], api["concurrency"]) == (1, 0, 2)
    out = io.StringIO()
    call_command("loco_status", stdout=out)
    assert "Limits" in out.getvalue()


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("apy", {"rate": "1/s"}, "there is no limit 'apy' in LOCO\\['LIMITS'\\]. Did you mean 'api'\\?"),
        ("api", {"rate": "1/fortnight"}, "api\\['rate'\\] is '1/fortnight'; it must be"),
        ("api", {"concurrency": 0}, "api\\['concurrency'\\] is 0; it must be"),
        ("api", {"concurrency": None}, "api limits nothing"),
        ("api", {"burst": 3}, "api has a burst, but no rate"),
    ],
)
def test_a_wrong_change_is_named_and_nothing_changes(queue, name, changes, problem):
    with pytest.raises(ValueError, match=problem):
        jobs.set_limit(name, **changes)
    assert queue.changed_limits() == {}
    with pytest.raises(ValueError, match="there is no limit"):
        jobs.reset_limit("apy")


def test_drain_runs_limited_jobs_without_waiting(queue):
    results = enqueue_many(limited(limits=["slow"]), [(1, 2), (3, 4)])
    drain()
    assert {queue.get(each.id).status for each in results} == {"SUCCESSFUL"}


@pytest.fixture
def worker(queue):
    worker = Worker(queue, threads=4, coroutines=1, lease=30, result_ttl=60)
    worker.start()
    yield worker
    worker.quiet()
    worker.stop(time.monotonic() + 5)
    worker.join(10)


def test_a_worker_takes_the_next_job_when_one_has_ended(queue, worker):
    tasks.gate.clear()
    results = [LocoTask(func=tasks.blocked.func, limits=["api"]).enqueue() for _ in range(3)]
    until(lambda: [job.status for job in queue.list()].count(RUNNING) == 2)
    assert [job.status for job in queue.list()].count(READY) == 1
    tasks.gate.set()
    until(lambda: {queue.get(each.id).status for each in results} == {"SUCCESSFUL"})


def test_a_worker_keeps_the_pace_of_a_rate(queue, worker):
    """An idle worker wakes when a key opens: with its poll alone it would need a second for each job."""
    began = time.monotonic()
    results = enqueue_many(limited(limits=["brisk"]), [(1, number) for number in range(8)])
    until(lambda: {queue.get(each.id).status for each in results} == {"SUCCESSFUL"})
    starts = sorted(queue.get(each.id).started_at for each in results)
    assert (starts[-1] - starts[0]).total_seconds() >= 0.3
    assert time.monotonic() - began < 5


def test_jobs_that_have_expired_spend_nothing_of_the_rate(queue, worker):
    gone = {"task_path": "tests.app.tasks.add", "backend": "default", "expires_at": utcnow() - timedelta(seconds=1)}
    late = queue.enqueue([Job(limit_key="two", **gone) for _ in range(9)])
    results = enqueue_many(limited(limits=["two"]), [(1, number) for number in range(3)])
    until(lambda: len(queue.list(status=SUCCESSFUL)) == 2)
    until(lambda: len(queue.list(status=FAILED)) == 9)
    assert {queue.get(each.id).status for each in late} == {FAILED}
    assert [queue.get(each.id).status for each in results].count(READY) == 1
    assert fetched(queue) == []


def test_jobs_that_wait_for_others_spend_nothing_of_the_rate(queue, worker, monkeypatch):
    monkeypatch.setattr(reruns, "POLL", timedelta(seconds=0.05))
    tasks.gate.clear()
    once = LocoTask(func=tasks.blocked.func, limits=["two"], unique=True, on_duplicate="rerun")
    first = once.enqueue()
    until(lambda: queue.get(first.id).status == RUNNING)
    second = once.enqueue()
    [gone] = queue.enqueue([Job(task_path="tests.app.tasks.gone", backend="default", limit_key="two")])
    until(lambda: queue.get(second.id).last_attempted_at and queue.get(gone.id).errors)
    time.sleep(0.3)
    tasks.gate.set()
    until(lambda: {queue.get(each.id).status for each in (first, second)} == {SUCCESSFUL})


def test_a_worker_does_not_begin_what_it_has_prefetched_of_a_limit_that_is_closed(queue):
    tasks.ran.clear()
    task = LocoTask(func=tasks.throttled_at.func, limits=["wide"])
    enqueue_many(task, [(number, 300) for number in range(600)])
    worker = Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60)
    worker.start()
    until(lambda: ("throttled_at", 300) in tasks.ran)
    until(lambda: not queue.list(status=RUNNING))
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert tasks.ran == [("throttled_at", number) for number in range(301)]
    assert (len(queue.list(status=READY, limit=1_000)), len(queue.list(status=SUCCESSFUL, limit=1_000))) == (300, 300)
    use = queue.limit_use(["wide"])
    assert use.times["wide"].closed_until > use.now
    interval = 86_400 / 900 * 1e6
    assert 300 * interval < use.times["wide"].tat - use.now + 60e6 < 302 * interval, "one start for each that began"


def test_a_worker_that_stops_gives_back_the_starts_of_the_jobs_that_it_has_not_begun(queue):
    tasks.gate.clear()
    worker = Worker(queue, threads=1, coroutines=1, lease=30, result_ttl=60)
    worker._threads.quiet()
    worker.start()
    result = limited(limits=["two"]).enqueue(1, 2)
    until(lambda: queue.get(result.id).status == RUNNING)
    worker.stop(time.monotonic() + 5)
    assert worker.join(10)
    assert queue.get(result.id).status == READY
    use = queue.limit_use(["two"])
    assert use.times["two"].tat <= use.now


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
