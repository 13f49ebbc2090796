"""Whatever is done to it in whatever order, a queue in a database is what a memory queue is, and its tables agree."""

from __future__ import annotations

import json

import pytest

from django_loco.models import StoredJob, WaitingTag
from django_loco.queues.database import DatabaseQueue

from .twins import HISTORIES, Twins

pytestmark = pytest.mark.django_db(transaction=True)


def check_tags():
    stored = StoredJob.objects.filter(status="READY")
    expected = [(job.id, job.queue_name, job.priority, tag) for job in stored for tag in set(json.loads(job.tags))]
    rows = WaitingTag.objects.values_list("job_id", "queue_name", "priority", "tag")
    # PostgreSQL keeps the JSON words.
    found = [(*row, json.loads(tag) if tag.startswith('"') and len(tag) > 1 else tag) for *row, tag in rows]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_database_queue_is_what_a_memory_queue_is(seed):
    twins = Twins(DatabaseQueue("default", {}), seed, has_keys=False)
    twins.run()
    check_tags()


def test_tags_follow_whatever_is_done_to_a_job():
    queue = DatabaseQueue("default", {})
    twins = Twins(queue, 1, has_keys=False)
    queue.enqueue([twins.job() for _ in range(60)])
    jobs = StoredJob.objects.all()
    ids = list(jobs.values_list("id", flat=True))
    for changes in ({"queue_name": "elsewhere"}, {"priority": 3}, {"tags": '[\n"x",\n"new"\n]'}, {"tags": "[]"}):
        jobs.filter(id__in=ids[:10]).update(**changes)
        check_tags()
    jobs.filter(id__in=ids[20:40]).delete()
    check_tags()
    jobs.filter(id__in=ids[40:50]).update(status="FAILED")
    check_tags()
    jobs.filter(id__in=ids[40:50]).update(status="READY")
    check_tags()


def test_text_that_is_no_list_of_tags_is_no_error():
    queue = DatabaseQueue("default", {})
    [job] = queue.enqueue([Twins(queue, 1, has_keys=False).job()])
    for text in ("", "x", '"x"', "{}", "[1]", "[\n", '[\n"x"'):
        StoredJob.objects.filter(id=job.id).update(tags=text)
    StoredJob.objects.filter(id=job.id).delete()
    assert WaitingTag.objects.count() == 0
