"""A small Django project with tests of its own, which are run as its developers run them."""

from __future__ import annotations

FILES = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
execute_from_command_line(sys.argv)
""",
    "site_settings.py": """
import json, os
from pathlib import Path
import django
BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests only"
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django_loco", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "static/"
MAILBOX = "django.core.mail.backends.filebased.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": MAILBOX, "OPTIONS": {"file_path": BASE_DIR / "real_mail"}}}
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = MAILBOX, BASE_DIR / "real_mail"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "real.sqlite3"}}
TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend"}}
IN_FILE = False
globals().update(json.loads(os.environ["SITE_SETTINGS"]))
if IN_FILE:
    DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}
TEST_DATABASE_IN_MEMORY = "sqlite3" in DATABASES["default"]["ENGINE"] and not IN_FILE
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models

class Item(models.Model):
    name = models.TextField(unique=True)
""",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
from django.db import migrations, models

class Migration(migrations.Migration):
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField(unique=True))]
    operations = [migrations.CreateModel("Item", fields)]
""",
    "shop/urls.py": """
from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from shop.tasks import remember

@transaction.atomic
def order(request, name):
    remember.enqueue(name)
    return HttpResponse("ordered")

urlpatterns = [path("order/<name>", order)]
""",
    "shop/tasks.py": """
import time
from django.core.mail import send_mail
from django_loco.tasks import task
from shop.models import Item

@task
def remember(name):
    Item.objects.create(name=name)
    send_mail(name, "text", None, ["nobody@example.com"])
    return name

@task
async def aremember(name):
    await Item.objects.acreate(name=name)
    return name

@task
def chain(number):
    Item.objects.create(name=str(number))
    if number:
        chain.enqueue(number - 1)

@task
def for_ever():
    for_ever.enqueue()

@task
def nothing(number):
    return number

@task(takes_context=True, max_attempts=3, backoff=60)
def shaky(context):
    if context.attempt < 3:
        Item.objects.create(name="twice")
        Item.objects.create(name="twice")
    return context.attempt

@task
def fail(text):
    raise LookupError(text)

@task
def unencodable():
    return {1}.union

@task
def slow(name, seconds=0.5):
    time.sleep(seconds)
    Item.objects.create(name=name)
""",
    "shop/tests.py": """
import threading
import time
import unittest
import urllib.request
from datetime import UTC, datetime, timedelta

import time_machine
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.utils import timezone
from django_loco.exceptions import LocoConfigurationError, LocoError
from django_loco.testing import JobTestMixin, all_enqueued, assert_enqueued, drain, live_worker, refute_enqueued
from django_loco.testing import run_job, travel
from freezegun import freeze_time
from shop.models import Item
from shop.tasks import aremember, chain, fail, for_ever, nothing, remember, shaky, slow, unencodable

IN_DATABASE = getattr(settings, "WORKER_MODE", "") == "BackgroundQueue" and settings.TASKS["default"].get(
    "OPTIONS", {}).get("queue", "database") == "database"
WORKERS = ("loco-", "asyncio")


def names():
    return list(Item.objects.order_by("pk").values_list("name", flat=True))


def workers():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loco-worker")]


def waiting():
    return [[result.task.name, *result.args] for result in all_enqueued()]


class Manual(TestCase):
    @classmethod
    def setUpTestData(cls):
        remember.enqueue("of the class")
        Item.objects.create(name="base")

    def setUp(self):
        self.assertEqual(all_enqueued(), [])
        self.assertEqual(drain(), {})
        self.assertEqual(names(), ["base"])
        self.assertEqual(mail.outbox, [])

    def tearDown(self):
        remember.enqueue("left over")
        remember.using(run_after=timedelta(seconds=1)).enqueue("left over, for later")
        self.assertEqual(workers(), [])

    def test_jobs_wait_until_they_are_run_and_see_the_rows_of_the_test(self):
        mine = Item.objects.create(name="mine")
        results = [remember.enqueue("a"), aremember.enqueue("b")]
        self.assertEqual(names(), ["base", "mine"])
        self.assertEqual(waiting(), [["remember", "a"], ["aremember", "b"]])
        self.assertEqual([result.id for result in all_enqueued()], [result.id for result in results])
        self.assertEqual(drain(), {"successful": 2})
        for result in results:
            result.refresh()
        self.assertEqual([result.return_value for result in results], ["a", "b"])
        self.assertEqual(names(), ["base", "mine", "a", "b"])
        self.assertEqual([message.subject for message in mail.outbox], ["a"])
        self.assertEqual(waiting(), [])

    def test_each_test_begins_without_jobs(self):
        chain.enqueue(1)
        mail.outbox = []  # as Django's documentation says
        self.assertEqual(waiting(), [["chain", 1]])

    def test_jobs_of_jobs_run_too(self):
        chain.enqueue(3)
        self.assertEqual(drain(), {"successful": 4})
        self.assertEqual(names(), ["base", "3", "2", "1", "0"])

    def test_the_most_urgent_runs_first(self):
        remember.enqueue("late")
        remember.using(priority=5).enqueue("soon")
        drain()
        self.assertEqual(names(), ["base", "soon", "late"])

    def test_a_job_that_enqueues_itself_for_ever_is_an_error(self):
        for_ever.enqueue()
        with self.assertRaisesRegex(LocoError, "has run 5 jobs"):
            drain(limit=5)
        self.assertEqual(waiting(), [["for_ever"]])

    def test_deferred_jobs_wait_unless_they_are_asked_for(self):
        remember.using(run_after=timedelta(days=30)).enqueue("in a month")
        remember.using(run_after=timedelta(days=3)).enqueue("in three days")
        self.assertEqual(drain(), {})
        self.assertEqual(len(all_enqueued()), 2)
        with travel(timedelta(days=7)):
            drain()
        self.assertEqual(names(), ["base", "in three days"])
        self.assertEqual(drain(), {})
        drain(scheduled=True)
        self.assertEqual(names(), ["base", "in three days", "in a month"])

    def test_the_error_of_a_job_is_raised_and_the_others_wait(self):
        failed = fail.using(priority=1).enqueue("no such luck")
        remember.enqueue("after")
        with self.assertRaisesRegex(LookupError, "no such luck"):
            drain()
        failed.refresh()
        self.assertEqual(failed.status, "FAILED")
        self.assertEqual(waiting(), [["remember", "after"]])
        drain()
        self.assertEqual(names(), ["base", "after"])

    def test_or_is_kept_in_its_result(self):
        fail.enqueue("no such luck")
        remember.enqueue("base")
        remember.enqueue("after")
        self.assertEqual(drain(raise_errors=False), {"failed": 2, "successful": 1})
        self.assertEqual(names(), ["base", "after"])

    def test_what_is_not_json_is_raised_as_well(self):
        unencodable.enqueue()
        with self.assertRaisesRegex(LocoError, "cannot be stored as JSON"):
            drain()

    def test_attempts_follow_at_once_in_a_transaction_that_stays_usable(self):
        result = shaky.enqueue()
        self.assertEqual(drain(scheduled=True), {"retried": 2, "successful": 1})
        result.refresh()
        self.assertEqual((result.return_value, result.attempts, len(result.errors)), (3, 3, 2))
        self.assertEqual(names(), ["base"])

    def test_or_when_the_clock_shows_their_time(self):
        result = shaky.enqueue()
        remember.using(run_after=timedelta(days=1)).enqueue("tomorrow")
        for seconds in (0, 30, 61, 90, 122):
            with travel(timedelta(seconds=seconds)):
                drain(raise_errors=False)
        result.refresh()
        self.assertEqual((result.status, result.attempts), ("SUCCESSFUL", 3))
        self.assertEqual(waiting(), [["remember", "tomorrow"]])

    def test_other_clocks_are_followed(self):
        for number, other in enumerate((freeze_time, time_machine.travel)):
            remember.using(run_after=timedelta(days=1)).enqueue(f"in a day {number}")
            with other(timezone.now() + timedelta(hours=23)):
                self.assertEqual(drain(), {})
                with travel(timedelta(hours=2)):
                    self.assertEqual(drain(), {"successful": 1})
            remember.using(run_after=timedelta(days=1)).enqueue(f"tomorrow {number}")
            with other("2030-01-01"):
                self.assertEqual(drain(), {"successful": 1})
                remember.using(run_after=timedelta(days=365)).enqueue(f"in a year {number}")
                self.assertEqual(drain(), {})
            remember.enqueue(f"now {number}")
            with other("2020-01-01"):
                remember.enqueue(f"long ago {number}")
                self.assertEqual(drain(), {"successful": 2})
        self.assertEqual(waiting(), [["remember", "in a year 0"], ["remember", "in a year 1"]])

    def test_the_past(self):
        remember.enqueue("now")
        with travel(datetime(2020, 1, 1, tzinfo=UTC)):
            remember.enqueue("long ago")
            remember.using(run_after=timedelta(days=1)).enqueue("a day later")
            self.assertEqual(drain(), {"successful": 2})
            with travel(timedelta(days=1)):
                self.assertEqual(drain(), {"successful": 1})
        self.assertEqual(waiting(), [])

    def test_the_end_of_a_block_is_what_a_commit_is(self):
        with transaction.atomic():
            with transaction.atomic():
                remember.enqueue("a")
            self.assertEqual(waiting(), [["remember", "a"]] if IN_DATABASE else [])
            try:
                with transaction.atomic():
                    remember.enqueue("rolled back")
                    raise LookupError
            except LookupError:
                pass
        self.assertEqual(waiting(), [["remember", "a"]])

    def test_a_view_in_a_transaction(self):
        self.client.get("/order/lamp")
        assert_enqueued(remember, args=["lamp"])
        drain()
        self.assertEqual(names(), ["base", "lamp"])

    def test_djangos_own_way_of_commits_enqueues_once(self):
        with self.captureOnCommitCallbacks(execute=True):
            with transaction.atomic():
                remember.enqueue("a")
                transaction.on_commit(lambda: remember.enqueue("b"))
        self.assertEqual(sorted(waiting()), [["remember", "a"], ["remember", "b"]])

    def test_assertions(self):
        refute_enqueued(remember)
        remember.enqueue(name="a")
        self.assertEqual(assert_enqueued(remember, args=["a"]).kwargs, {"name": "a"})
        assert_enqueued(remember, times=1, queue="default", run_after=None)
        refute_enqueued(remember, args=["b"])
        refute_enqueued(chain)
        with self.assertRaisesRegex(AssertionError, r"remember\\('b'\\) is not enqueued(.|\\n)*: name is 'a', not 'b'"):
            assert_enqueued(remember, args=["b"])
        with self.assertRaisesRegex(AssertionError, "is enqueued"):
            refute_enqueued(remember, partial={"name": "a"})

    def test_a_failure_says_what_waits_for_a_commit(self):
        with transaction.atomic():
            remember.enqueue("a")
            if not IN_DATABASE:
                with self.assertRaisesRegex(AssertionError, r"open atomic\\(\\) block, which wait for its end: 1"):
                    assert_enqueued(remember)
            transaction.on_commit(lambda: chain.enqueue(0))
        assert_enqueued(remember)
        with self.assertRaisesRegex(AssertionError, "captureOnCommitCallbacks") as caught:
            assert_enqueued(chain)
        self.assertNotIn("wait for its end", str(caught.exception))

    def test_a_job_that_is_not_enqueued(self):
        self.assertEqual(run_job(shaky, attempt=3), 3)
        with self.assertRaises(IntegrityError):
            run_job(shaky)
        self.assertEqual(run_job(aremember, name="now"), "now")
        with self.assertRaises(LookupError):
            run_job(fail, "at once")
        self.assertEqual(names(), ["base", "now"])
        self.assertEqual(waiting(), [])

    @override_settings(LOCO={"SIGN": True})
    def test_signed_jobs(self):
        remember.enqueue("a")
        self.assertEqual(drain(), {"successful": 1})
        self.assertEqual(run_job(nothing, 1), 1)

    async def test_async_code(self):
        await remember.aenqueue("a")
        await aremember.aenqueue("b")
        await sync_to_async(assert_enqueued)(remember, args=["a"])
        self.assertEqual(await sync_to_async(drain)(), {"successful": 2})
        self.assertEqual(await sync_to_async(names)(), ["base", "a", "b"])
        with self.assertRaisesRegex(LocoConfigurationError, "sync_to_async"):
            drain()

    def test_a_change_of_other_settings_keeps_the_jobs(self):
        with override_settings(LOCO={"MAX_ATTEMPTS": 2}):
            remember.enqueue("a")
        self.assertEqual(drain(), {"successful": 1})


class Mixed(JobTestMixin, TestCase):
    def test_the_jobs_of_a_block(self):
        with self.captureEnqueued() as jobs:
            with transaction.atomic():
                remember.enqueue("a")
                transaction.on_commit(lambda: remember.enqueue("b"))
        self.assertEqual([job.args for job in jobs], [["a"], ["b"]])
        self.assertEnqueued(remember, args=["b"])
        self.assertEqual(self.drain(), {"successful": 2})

    def test_workers_would_not_see_the_rows(self):
        with self.assertRaisesRegex(LocoConfigurationError, "TransactionTestCase"):
            with live_worker():
                pass


class Committing(TransactionTestCase):
    def both(self):
        self.assertEqual(waiting(), [])
        with transaction.atomic():
            remember.enqueue("a")
        self.assertEqual(drain(), {"successful": 1})
        self.assertEqual(names(), ["a"])
        remember.enqueue("left over")
        self.assertEqual(workers(), [])

    def test_one(self):
        self.both()

    def test_two(self):
        self.both()


@override_settings(LOCO={"TESTING": "inline"})
class Inline(TestCase):
    def test_jobs_run_inside_enqueue(self):
        self.assertEqual(remember.enqueue("a").return_value, "a")
        self.assertEqual(fail.enqueue("kept").status, "FAILED")
        self.assertEqual(names(), ["a"])

    def test_after_the_block(self):
        with transaction.atomic():
            remember.enqueue("a")
            self.assertEqual(names(), [])
        self.assertEqual(names(), ["a"])
        self.client.get("/order/lamp")
        self.assertEqual(names(), ["a", "lamp"])

    def test_a_failing_statement_breaks_neither_the_next_attempt_nor_the_test(self):
        self.assertEqual(shaky.enqueue().return_value, 3)
        self.assertEqual(names(), [])


@override_settings(LOCO={"TESTING": "live", "SHUTDOWN_TIMEOUT": 10})
class Live(TransactionTestCase):
    mode = "BackgroundAsync"

    def both(self):
        self.assertEqual(workers(), [])
        self.assertEqual(names(), [])
        remember.enqueue("a")
        until = time.monotonic() + 10
        while not names() and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(names(), ["a"])
        slow.enqueue("begun")
        time.sleep(0.1)
        for number in range(20):
            slow.enqueue(f"left over {number}")

    def test_one(self):
        self.both()

    def test_two(self):
        self.both()


class Working(TransactionTestCase):
    def test_workers_run_jobs_of_a_block(self):
        remember.enqueue("before")
        with live_worker() as worker:
            results = [remember.enqueue("a"), aremember.enqueue("b"), fail.enqueue("c")]
            later = remember.using(run_after=timedelta(hours=1)).enqueue("later")
            worker.wait(*results)
            self.assertEqual([result.status for result in results], ["SUCCESSFUL", "SUCCESSFUL", "FAILED"])
            with travel(timedelta(hours=2)):
                worker.wait(later)
        self.assertEqual(sorted(set(names()) - {"before"}), ["a", "b", "later"])
        self.assertEqual(workers(), [])


@override_settings(LOCO={"TESTING": "live"})
class Served(LiveServerTestCase):
    def test_a_page(self):
        urllib.request.urlopen(f"{self.live_server_url}/order/lamp").close()
        until = time.monotonic() + 10
        while not names() and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(names(), ["lamp"])
        self.assertTrue(workers())


class Simple(SimpleTestCase):
    def both(self):
        self.assertEqual(waiting(), [])
        nothing.enqueue(1)
        self.assertEqual(drain(), {"successful": 1})
        nothing.enqueue(2)

    def test_one(self):
        self.both()

    def test_two(self):
        self.both()

    def test_no_worker_is_left(self):
        self.assertEqual(workers(), [])


class Plain(unittest.TestCase):
    def both(self):
        self.assertEqual(waiting(), [])
        nothing.enqueue(1)

    def test_one(self):
        self.both()

    def test_two(self):
        self.both()


if IN_DATABASE:
    del Simple, Plain  # they may not use the database
if settings.TEST_DATABASE_IN_MEMORY or "redis" in settings.TASKS["default"].get("OPTIONS", {}).values():
    del Working
if getattr(settings, "WORKER_MODE", "") == "BackgroundQueue" or settings.TEST_DATABASE_IN_MEMORY:
    del Live, Served  # an enqueue starts no worker, or threads lock each other out
""",
    "shop/functions.py": '''
"""For pytest."""
import pytest
from django.conf import settings
from django_loco.testing import all_enqueued, drain
from shop.models import Item
from shop.tests import IN_DATABASE, names, waiting, workers
from shop.tasks import nothing, remember


def both():
    assert waiting() == []
    remember.enqueue("a")
    drain()
    assert names() == ["a"]
    remember.enqueue("left over")
    assert workers() == []


@pytest.mark.django_db
def test_one():
    both()


def test_two(db):
    both()


@pytest.mark.parametrize("number", [1, 2])
def test_with_commits(transactional_db, number):
    both()


@pytest.mark.skipif(IN_DATABASE, reason="without a database")
@pytest.mark.parametrize("number", [1, 2])
def test_without_a_database(number):
    assert waiting() == []
    nothing.enqueue(number)
    assert drain() == {"successful": 1}
    nothing.enqueue(3)


def test_fixtures(loco_jobs, loco_drain, django_capture_on_commit_callbacks):
    if not IN_DATABASE:
        return
    with django_capture_on_commit_callbacks(execute=True):
        remember.enqueue("a")
    assert loco_jobs.assert_enqueued(remember, args=["a"]).id == loco_jobs[0].id
    assert loco_drain() == {"successful": 1}
    assert names() == ["a"]
    assert len(loco_jobs) == 0


def test_fixtures_without_a_database(loco_jobs, loco_drain):
    nothing.enqueue(1)
    assert loco_drain() == {"successful": 1}


@pytest.mark.skipif(not settings.IN_FILE and settings.TEST_DATABASE_IN_MEMORY, reason="threads lock each other out")
@pytest.mark.parametrize("number", [1, 2])
def test_a_real_worker(loco_worker, number):
    result = remember.enqueue("a")
    loco_worker.wait(result)
    assert names() == ["a"]
    nothing.enqueue(1)
    loco_worker.wait()
''',
    "pytest.ini": """
[pytest]
DJANGO_SETTINGS_MODULE = site_settings
python_files = tests.py functions.py
python_classes = !*
filterwarnings = error
""",
}
