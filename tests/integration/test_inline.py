"""Jobs that run inside ``enqueue()`` in the transaction of a ``TestCase``."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction

from django_loco.tasks import task

pytestmark = pytest.mark.django_db


@task
def create_twice(name):
    for _ in range(2):
        Group.objects.create(name=name)


@task(takes_context=True, max_attempts=2)
def create_twice_at_first(context):
    for _ in range(3 - context.attempt):
        Group.objects.create(name="editors")


@task
def create_later(name):
    transaction.on_commit(lambda: Group.objects.create(name=name))


@task
def enqueue_on_a_loop(depth):
    if depth:
        return asyncio.run(enqueue_on_a_loop.aenqueue(depth - 1)).return_value
    return asyncio.run(sync_to_async(len)("abc"))


@task
def double(number):
    return 2 * number


@pytest.fixture(autouse=True, params=["inline", "ForegroundBlocking"])
def _inside_enqueue(request, settings):
    if request.param == "inline":
        settings.LOCO = {"TESTING": "inline"}
    else:
        settings.WORKER_MODE = request.param


def test_a_failed_statement_leaves_the_transaction_of_the_test_usable():
    Group.objects.create(name="authors")
    assert create_twice.enqueue("editors").status == "FAILED"
    assert [group.name for group in Group.objects.all()] == ["authors"]


def test_a_second_attempt_can_use_the_database():
    result = create_twice_at_first.enqueue()
    assert (result.status, result.attempts) == ("SUCCESSFUL", 2)
    assert Group.objects.count() == 1


def test_a_block_of_the_test_around_it(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            create_twice.enqueue("authors")
            create_later.enqueue("editors")
        assert Group.objects.count() == 0
    assert [group.name for group in Group.objects.all()] == ["editors"]


def test_a_sync_job_that_async_code_enqueues_may_have_an_event_loop():
    assert asyncio.run(enqueue_on_a_loop.aenqueue(2)).return_value == 3


def test_a_sync_call_in_async_code_is_refused_as_with_a_queue_in_a_database(monkeypatch):
    async def story():
        return double.enqueue(2)

    with pytest.raises(SynchronousOnlyOperation, match=r"Write await task\.aenqueue"):
        asyncio.run(story())
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    assert asyncio.run(story()).return_value == 4
