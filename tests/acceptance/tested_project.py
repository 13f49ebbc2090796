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
import urllib.request
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import mail
from django.db import transaction
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.utils import timezone
from django_loco.exceptions import LocoConfigurationError, LocoError
from django_loco.testing import all_enqueued, assert_enqueued, drain, refute_enqueued, run_job
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
        self.assertEqual(drain(), [])
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
        ran = drain()
        self.assertEqual([result.id for result in ran], [result.id for result in results])
        self.assertEqual([result.return_value for result in ran], ["a", "b"])
        self.assertEqual(names(), ["base", "mine", "a", "b"])
        self.assertEqual([message.subject for message in mail.outbox], ["a"])
        self.assertEqual(waiting(), [])
        results[0].refresh()
        self.assertEqual(results[0].return_value, "a")

    def test_each_test_begins_without_jobs(self):
        chain.enqueue(1)
        mail.outbox = []  # as Django's documentation says
        self.assertEqual(waiting(), [["chain", 1]])

    def test_jobs_of_jobs_run_too(self):
        chain.enqueue(3)
        self.assertEqual(len(drain()), 4)
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
        self.assertEqual(drain(), [])
        self.assertEqual(len(all_enqueued()), 2)
        drain(with_scheduled=timezone.now() + timedelta(days=7))
        self.assertEqual(names(), ["base", "in three days"])
        drain(with_scheduled=True)
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
        self.assertEqual([result.status for result in drain(raises=False)], ["FAILED", "FAILED", "SUCCESSFUL"])
        self.assertEqual(names(), ["base", "after"])

    def test_what_is_not_json_is_raised_as_well(self):
        unencodable.enqueue()
        with self.assertRaisesRegex(LocoError, "cannot be stored as JSON"):
            drain()

    def test_attempts_follow_at_once_in_a_transaction_that_stays_usable(self):
        shaky.enqueue()
        (result,) = drain()
        self.assertEqual((result.return_value, result.attempts, len(result.errors)), (3, 3, 2))
        result.refresh()
        self.assertEqual((result.return_value, result.attempts, len(result.errors)), (3, 3, 2))
        self.assertEqual(names(), ["base"])

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
        assert_enqueued(remember, "lamp")
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
        self.assertEqual(assert_enqueued(remember, "a").kwargs, {"name": "a"})
        assert_enqueued(remember)
        refute_enqueued(remember, "b")
        refute_enqueued(chain)
        with self.assertRaisesRegex(AssertionError, r"remember\\('b'\\) is not enqueued. Waiting jobs: .*name='a'"):
            assert_enqueued(remember, "b")
        with self.assertRaisesRegex(AssertionError, "is enqueued"):
            refute_enqueued(remember, "a")

    def test_a_job_that_is_not_enqueued(self):
        self.assertEqual(run_job(shaky).attempts, 3)
        self.assertEqual(run_job(aremember, name="now").return_value, "now")
        with self.assertRaises(LookupError):
            run_job(fail, "at once")
        self.assertEqual(names(), ["base", "now"])
        self.assertEqual(waiting(), [])

    @override_settings(LOCO={"SIGN": True})
    def test_signed_jobs(self):
        remember.enqueue("a")
        self.assertEqual([result.status for result in drain()], ["SUCCESSFUL"])
        self.assertEqual(run_job(nothing, 1).return_value, 1)

    async def test_async_code(self):
        await remember.aenqueue("a")
        await aremember.aenqueue("b")
        self.assertEqual(len(await sync_to_async(drain)()), 2)
        self.assertEqual(await sync_to_async(names)(), ["base", "a", "b"])
        with self.assertRaisesRegex(LocoConfigurationError, "sync_to_async"):
            drain()

    def test_a_change_of_other_settings_keeps_the_jobs(self):
        with override_settings(LOCO={"MAX_ATTEMPTS": 2}):
            remember.enqueue("a")
        self.assertEqual(len(drain()), 1)


class Committing(TransactionTestCase):
    def both(self):
        self.assertEqual(waiting(), [])
        with transaction.atomic():
            remember.enqueue("a")
        self.assertEqual(len(drain()), 1)
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
        self.assertEqual([result.return_value for result in drain()], [1])
        nothing.enqueue(2)

    def test_one(self):
        self.both()

    def test_two(self):
        self.both()

    def test_no_worker_is_left(self):
        self.assertEqual(workers(), [])


if IN_DATABASE:
    del Simple  # it may not use the database
if getattr(settings, "WORKER_MODE", "") == "BackgroundQueue" or settings.TEST_DATABASE_IN_MEMORY:
    del Live, Served  # an enqueue starts no worker, or threads lock each other out
""",
    "shop/functions.py": '''
"""For pytest."""
import pytest
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
    assert [result.return_value for result in drain()] == [number]
    nothing.enqueue(3)
''',
    "pytest.ini": """
[pytest]
DJANGO_SETTINGS_MODULE = site_settings
python_files = tests.py functions.py
python_classes = !*
filterwarnings = error
""",
}
