"""What the processes of ``test_stress`` do: a site that is busy writing, and workers of its queue."""

import time
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction

from django_loco.core.job import READY, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.queues import Claim
from django_loco.queues.database import DatabaseQueue

PATIENCE = 40.0


def visit(requests: int) -> None:
    """Handle requests, each a transaction that reads, writes and enqueues a job; every tenth one's is deferred."""
    queue = DatabaseQueue("default", {})
    User.objects.get_or_create(username="counter", defaults={"id": 1, "email": ""})
    for number in range(requests):
        with transaction.atomic():
            User.objects.filter(username="counter").exists()
            User.objects.filter(username="counter").update(last_name=str(number))
            later = utcnow() + timedelta(seconds=0.2) if number % 10 == 0 else None
            queue.enqueue([Job(task_path="a.b", backend="default", run_after=later, priority=number % 3)])
        User.objects.filter(username="counter").update(first_name=str(number))


def work(total: int) -> None:
    """Work as workers do until ``total`` jobs have ended; print how many of them here."""
    queue = DatabaseQueue("default", {})
    ended = 0
    deadline = time.monotonic() + PATIENCE
    while queue.counts().get(("default", SUCCESSFUL), 0) < total:
        assert time.monotonic() < deadline, queue.counts()
        queue.wait(0.2)
        while held := queue.fetch(Claim(worker_id="w", lease=30, threads=5)):
            assert queue.renew(held, 30) == set()
            outcomes = [_outcome(job) for job in held]
            assert queue.finish(outcomes) == set()
            ended += sum(outcome.status == SUCCESSFUL for outcome in outcomes)
        queue.rescue()
        queue.prune(3600)
    print(f"ended {ended}")


def _outcome(job: Job) -> Outcome:
    """A seventh of the jobs takes two attempts."""
    if job.attempt == 1 and int(job.id[-4:], 16) % 7 == 0:
        return Outcome(job=job, status=READY, run_after=utcnow())
    return Outcome(job=job, status=SUCCESSFUL, return_value="1")
