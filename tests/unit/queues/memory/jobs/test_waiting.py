from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.job import Job, utcnow
from django_loco.core.job.limits import Limiter
from django_loco.queues import Claim
from django_loco.queues.memory.jobs.waiting import WaitingJobs

NO_LIMITS = Limiter({}, 0, running=list, times={})

NOW = utcnow()
seconds = st.integers(-3, 3).map(lambda number: timedelta(seconds=number))
jobs = st.builds(
    lambda priority, age, deferred, **given: Job(
        task_path="a.b",
        backend="default",
        priority=priority,
        enqueued_at=NOW + min(age, timedelta()),
        run_after=None if deferred is None else NOW + deferred,
        **given,
    ),
    priority=st.integers(-2, 2),
    age=seconds,
    deferred=st.none() | seconds,
    is_async=st.booleans(),
    queue_name=st.sampled_from("ab"),
    tags=st.sampled_from([(), ("x",), ("x", "y"), ("z",)]),
)
claims = st.builds(
    Claim,
    worker_id=st.just("w"),
    lease=st.just(30.0),
    threads=st.integers(0, 5),
    coroutines=st.integers(0, 5),
    queues=st.sampled_from([None, ("a",), ("a", "b"), ("c",)]),
    tags=st.sampled_from([None, (), ("x",), ("y", "z")]),
)


def expected(waiting, claim):
    """The same as ``take``, slowly."""
    room = {False: claim.threads, True: claim.coroutines}
    taken = []
    for job in sorted(waiting, key=lambda job: (-job.priority, job.due_at, job.id)):
        in_queue = claim.queues is None or job.queue_name in claim.queues
        tagged = claim.tags is None or (set(job.tags) & set(claim.tags) if claim.tags else not job.tags)
        due = job.run_after is None or job.run_after <= NOW
        if in_queue and tagged and due and room[job.is_async]:
            room[job.is_async] -= 1
            taken.append(job)
    return taken


@given(st.lists(jobs, max_size=12), st.lists(claims, max_size=4))
def test_the_best_of_what_is_wanted_is_taken(given_jobs, given_claims):
    waiting = WaitingJobs()
    for job in given_jobs:
        waiting.add(job, NOW)
    left = list(given_jobs)
    for claim in given_claims:
        wanted = expected(left, claim)
        assert waiting.take(claim, NO_LIMITS) == wanted
        left = [job for job in left if job not in wanted]
        assert sorted(waiting.ids()) == sorted(job.id for job in left)
        assert waiting.counts() == Counter(job.queue_name for job in left)


@given(st.lists(jobs, max_size=12))
def test_deferred_jobs_line_up_when_they_are_due(given_jobs):
    waiting = WaitingJobs()
    for job in given_jobs:
        waiting.add(job, NOW - timedelta(seconds=10))
    waiting.promote(NOW)
    everything = Claim(worker_id="w", lease=30, threads=100, coroutines=100)
    assert waiting.take(everything, NO_LIMITS) == expected(given_jobs, everything)
    later = [waiting.get(job_id).due_at for job_id in waiting.ids()]
    assert waiting.next_due() == min(later, default=None)


def test_a_due_time_is_known_per_queue():
    waiting = WaitingJobs()
    for queue_name, age in (("a", 5), ("b", 9), ("a", 7)):
        job = Job(task_path="a.b", backend="default", queue_name=queue_name, enqueued_at=NOW - timedelta(seconds=age))
        waiting.add(job, NOW)
    assert waiting.oldest_due(None) == NOW - timedelta(seconds=9)
    assert waiting.oldest_due(("a",)) == NOW - timedelta(seconds=7)
    assert waiting.oldest_due(("c",)) is None
    assert len(waiting.take_all()) == 3
    assert (len(waiting), waiting.oldest_due(None)) == (0, None)
