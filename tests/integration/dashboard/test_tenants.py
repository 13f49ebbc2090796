"""Users who see a part of the jobs only: what pages show them, and what forged requests get, on every queue."""

from __future__ import annotations

import html
import json
import re
import time
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_loco import jobs
from django_loco.core.uniqueness import rule_of
from django_loco.dashboard.pages.failures import groups
from django_loco.dashboard.pages.queues import facts
from django_loco.dashboard.pages.tasks import facts as tasks
from django_loco.jobs.stores import backend_of
from django_loco.queues.records.minutes import NUMBERS, Labels, Minute, minute_of
from django_loco.queues.rows.unreadable import EPOCH
from django_loco.tasks import LocoTask
from tests.app import tasks as tasks_of_site
from tests.app.tasks import add
from tests.integration.admin.conftest import JOBS, WORKERS, change, client_of, text

from ..scheduler.conftest import own_schedules  # noqa: F401 - a fixture
from .conftest import LIST, OPERATE, PARTS, ids_of

pytestmark = pytest.mark.django_db
ALL = (
    *(f"{name}_job" for name in ("view", "retry", "cancel", "discard", "move", "delete", "run_again")),
    *("view_worker", "pause_queue", "control_worker", "view_schedule", "change_schedule"),
)
TAG = "tag:acme"
#: The unique keys of two calls of a task.
UNIQUE_7, UNIQUE_8 = (
    rule_of(LocoTask(func=tasks_of_site.add.func, unique=("a",))).fields([number, 1], {}, EPOCH)[0] for number in (7, 8)
)


@pytest.fixture(autouse=True)
def narrowed(queue: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOCO = {**settings.LOCO, "DASHBOARD": "tests.app.tenants.seen_by"}
    for alias in jobs.aliases():
        monkeypatch.setattr(backend_of(alias), "queues", {"default", "acme", "umbrella"})
    for each in (groups, facts, tasks):
        each.forget()


def tenant(seen: str) -> Client:
    """Return the browser of a user with all permissions who sees what a filter says."""
    return client_of(*ALL, first_name=seen)


@pytest.fixture
def two(stored):
    """A failed job of the tenant, and one of another."""
    return (
        stored("failed", queue_name="acme", tags=("acme",), task_path="shop.mine", arguments='[[], {"tenant": 7}]'),
        stored(
            "failed",
            queue_name="umbrella",
            tags=("umbrella",),
            task_path="shop.theirs",
            arguments='[[], {"tenant": 8}]',
        ),
    )


SCOPES = ("queue:acme", TAG, "task:shop.mine", "args.tenant:7", "-queue:umbrella", "queue:ac* tag:acme")


@pytest.mark.parametrize("seen", SCOPES)
def test_lists_and_pages_have_the_tenants_jobs_only(two, seen):
    mine, theirs = two
    browser = tenant(seen)
    for query in ({}, {"q": "status:failed"}, {"q": "queue:umbrella,acme"}, {"q": f"id:{mine.id},{theirs.id}"}):
        assert ids_of(browser.get(LIST, query)) == [mine.id]
    assert ids_of(browser.get(LIST, {"q": "queue:umbrella"})) == []
    assert browser.get(f"{LIST}{mine.id}/").status_code == 200
    for headers in ({}, PARTS):
        assert browser.get(f"{LIST}{theirs.id}/", headers=headers).status_code == 404
    assert browser.get(f"{LIST}{theirs.id}/again").status_code == 404
    shown = text(browser.get("/jobs/failures/"))
    assert "mine" in shown
    assert "theirs" not in shown
    everywhere = [browser.get(each, follow=True).content.decode() for each in ("/jobs/", LIST, "/jobs/failures/")]
    assert not any("umbrella" in each or "theirs" in each for each in everywhere)


@pytest.mark.parametrize("seen", SCOPES)
@pytest.mark.parametrize("operation", ["retry", "discard", "move", "delete"])
def test_a_forged_operation_on_the_job_of_another_is_refused(two, seen, operation):
    _, theirs = two
    browser = tenant(seen)
    for ids in ([theirs.id], [theirs.id, theirs.id.replace("7", "8", 1)]):
        form = {"operation": operation, "job": ids, "confirmed": "yes", "queue": "acme"}
        assert browser.post(OPERATE, form).status_code == 404
        assert browser.post(OPERATE, {**form, "ask": "yes"}).status_code == 404
    assert jobs.get(theirs.id) == theirs
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("seen", SCOPES)
def test_operations_on_all_take_the_tenants_jobs_only(two, seen):
    mine, theirs = two
    browser = tenant(seen)
    form = {"operation": "retry", "which": "everything", "q": ""}
    assert "Retry 1 job?" in text(browser.post(OPERATE, form))
    assert "1 job was retried." in text(browser.post(OPERATE, {**form, "confirmed": "yes"}, follow=True))
    chosen = {"operation": "delete", "job": [mine.id, theirs.id], "confirmed": "yes"}
    assert "1 job was deleted." in text(browser.post(OPERATE, chosen, follow=True))
    assert jobs.get(theirs.id) == theirs
    assert f"that match '{seen}'" in LogEntry.objects.order_by("pk")[0].change_message


def test_jobs_cannot_be_moved_to_the_queue_of_another(two):
    mine, _ = two
    form = {"operation": "move", "job": mine.id, "ask": "yes"}
    asked = tenant("queue:acme").post(OPERATE, form).content.decode()
    assert re.findall(r'<option value="([^"]*)">', asked.partition("<datalist")[2]) == ["acme"]
    form |= {"confirmed": "yes", "queue": "umbrella"}
    assert tenant("queue:acme").post(OPERATE, form).status_code == 403
    assert tenant("queue:acme").post(OPERATE, {**form, "which": "everything", "q": ""}).status_code == 403
    assert jobs.get(mine.id).queue_name == "acme"
    assert tenant(TAG).post(OPERATE, form).status_code == 302
    assert jobs.get(mine.id).queue_name == "umbrella"


def test_a_job_does_not_run_again_for_another(two, stored):
    mine = stored("failed", task_path="tests.app.tasks.echo", arguments='[[], {"tenant": 7}]')
    browser = tenant("args.tenant:7 status:failed")
    address = f"{LIST}{mine.id}/again"
    for kwargs in ('{"tenant": 8}', "{}"):
        assert "You may not run a job with these arguments" in text(browser.post(address, {"kwargs": kwargs}), 400)
    assert "cannot be read" in text(browser.post(address, {"kwargs": "{"}), 400)
    gone = browser.post(f"{LIST}{two[0].id}/again", {"kwargs": '{"tenant": 7}'})
    assert "shop.mine" in text(gone, 400), "no task of this site"
    assert jobs.filter().count() == 3
    assert browser.post(address, {"args": "[1]", "kwargs": '{"tenant": 7}'}).status_code == 302
    assert jobs.filter().count() == 4


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"limits": ["api"], "limit_key": "a"}, "limit:api:7"),
        ({"unique": ["a"]}, f"unique:{UNIQUE_7}"),
        ({"unique": ["a"]}, f"-unique:{UNIQUE_8}"),
    ],
)
def test_a_job_does_not_run_again_with_a_key_of_another(settings, options, seen):
    """The keys of the new job follow from its new arguments."""
    settings.LOCO = {**settings.LOCO, "LIMITS": {"api": {"concurrency": 2}}, "TESTING": "manual"}
    task = LocoTask(func=tasks_of_site.add.func, **options)
    with mock.patch("django_loco.tasks.stored.jobs.load_task", return_value=task):
        mine = task.enqueue(7, 1)
        browser = tenant(seen)
        assert ids_of(browser.get(LIST)) == [mine.id]
        for address in (f"{LIST}{mine.id}/again", f"{JOBS}{mine.id}/run-again/"):
            answer = browser.post(address, {"args": "[8, 1]"})
            assert "You may not run a job with these arguments" in html.unescape(answer.content.decode())
        assert jobs.filter().count() == 1
        jobs.cancel(mine.id)
        assert browser.post(f"{LIST}{mine.id}/again", {"args": "[7, 2]"}).status_code == 302
        assert len(ids_of(browser.get(LIST))) == 2


@pytest.mark.parametrize(
    ("seen", "pages"),
    [
        ("queue:acme", ["overview", "jobs", "failures", "queues", "tasks"]),
        ("task:shop.mine", ["overview", "jobs", "failures", "tasks"]),
        (TAG, ["jobs", "failures"]),
        ("", ["overview", "jobs", "failures", "queues", "tasks", "workers", "schedules"]),
    ],
)
def test_pages_that_cannot_be_narrowed_are_closed(two, seen, pages):
    browser = tenant(seen)
    navigation = text(browser.get(LIST)).partition(" As of")[0].lower()
    for name in ("overview", "jobs", "failures", "queues", "tasks", "workers", "schedules"):
        address = "/jobs/" if name == "overview" else f"/jobs/{name}/"
        assert browser.get(address, headers=PARTS).status_code == (200 if name in pages else 403)
        assert (f" {name}" in navigation) is (name in pages)
    if "overview" not in pages:
        assert browser.get("/jobs/")["Location"] == LIST


def minute(queue_name: str, path: str, outcome: str = "failed", runs: int = 3) -> Minute:
    numbers = dict.fromkeys(NUMBERS, 0) | {"count": runs, "duration_2": runs, "wait_1": runs}
    return Minute(Labels(minute_of(time.time()) - 3, queue_name, path, outcome), tuple(numbers.values()))


@pytest.mark.parametrize("seen", ["queue:acme", "task:shop.mine"])
def test_charts_and_numbers_are_of_the_tenants_jobs(two, queue, seen, stored):
    stored("waiting", queue_name="acme")
    queue.record([minute("acme", "shop.mine"), minute("umbrella", "shop.theirs", runs=40)])
    browser, whole = tenant(seen), tenant("")
    assert "Runs 3 Failed 3" in text(browser.get("/jobs/"))
    assert "Runs 43 Failed 43" in text(whole.get("/jobs/"))
    health = "No worker is alive, and 1 job waits." if seen == "queue:acme" else "1 job failed in the last hour."
    assert health in text(browser.get("/jobs/"))
    tasks = text(browser.get("/jobs/tasks/"))
    assert "mine" in tasks
    assert "theirs" not in tasks
    parts = browser.get("/jobs/", headers=PARTS).json()
    assert set(parts) == {"health", "activity", "failures", *(["queues"] if seen == "queue:acme" else [])}
    if seen == "queue:acme":
        assert "acme default 1 0 " in text(browser.get("/jobs/queues/"))
        assert "umbrella" not in text(browser.get("/jobs/queues/"))
        assert "Waiting 1" in text(browser.get(LIST))
        assert "Failed 1" in text(browser.get(LIST))


def test_a_tenant_hears_nothing_of_schedules(queue, own_schedules):  # noqa: F811
    own_schedules.daily(add, at="04:00", args=[1, 2], name="nightly")
    assert "No job waits for long, and none failed in the last hour." in text(tenant("queue:acme").get("/jobs/"))
    assert ("No scheduler is alive" in text(tenant("").get("/jobs/"))) is queue.is_shared


def test_all_is_well_for_a_tenant_says_nothing_of_workers(queue):
    assert "No job waits for long, and none failed in the last hour." in text(tenant("queue:acme").get("/jobs/"))
    assert "Healthy No job failed in the last hour." in text(tenant("task:shop.mine").get("/jobs/"))


def test_only_their_own_queue_can_be_paused(two):
    address = "/jobs/pause"
    for seen, status in (("queue:acme", 403), ("task:shop.theirs", 403), (TAG, 403), ("queue:umbrella", 302)):
        answer = tenant(seen).post(address, {"pause": json.dumps(["default", "umbrella"])})
        assert answer.status_code == status
    assert jobs.paused() == {"default": ["umbrella"]}


def test_only_their_own_task_can_be_paused(two):
    mine, theirs = "shop.mine", "shop.theirs"
    for seen, name, status in (
        ("task:shop.mine", theirs, 403),
        ("queue:acme", mine, 403),
        ("task:shop.mine queue:acme", mine, 403),
        ("task:shop.mine", mine, 302),
        ("", theirs, 302),
    ):
        assert tenant(seen).post("/jobs/pause", {"pause": json.dumps({"task": name})}).status_code == status
    assert jobs.paused("task") == {"default": [mine, theirs], "bulk": [mine, theirs]}
    assert tenant("task:shop.mine").post("/jobs/pause", {"pause": "tag", "name": "acme"}).status_code == 403
    assert "theirs" not in text(tenant("task:shop.mine").get("/jobs/"))
    assert "theirs" not in text(tenant("task:shop.mine").get("/jobs/tasks/"))


def test_workers_and_schedules_obey_nobody_who_sees_a_part(queue):
    browser = tenant("queue:acme")
    assert browser.post("/jobs/workers/tell", {"quiet": '["default", "w"]'}).status_code == 403
    assert browser.post("/jobs/schedules/act", {"run": "nightly"}).status_code == 403


def test_a_group_of_failures_is_of_the_tenants_jobs(two):
    mine, theirs = two
    browser = tenant("queue:acme")
    keys = re.findall(r'value="retry:([0-9a-f]+)"', browser.get("/jobs/failures/").content.decode())
    assert len(keys) == 1
    form = {"do": f"retry:{keys[0]}", "period": "1d", "confirmed": "yes"}
    assert browser.post("/jobs/failures/operate", form).status_code == 302
    assert jobs.get(mine.id).status == "READY"
    assert jobs.get(theirs.id) == theirs


@pytest.mark.parametrize("seen", SCOPES)
def test_the_admin_shows_and_changes_the_tenants_jobs_only(two, seen):
    mine, theirs = two
    browser = tenant(seen)
    page = browser.get(JOBS).content.decode()
    assert mine.id in page
    assert theirs.id not in page
    assert browser.get(change(mine)).status_code == 200
    assert browser.get(change(theirs))["Location"] == JOBS
    assert browser.get(f"{JOBS}{theirs.id}/run-again/")["Location"] == JOBS
    form = {"operation": "delete", "job": theirs.id, "which": "chosen", "confirmed": "yes"}
    assert browser.post(f"{JOBS}operate/", form).status_code == 404
    assert browser.get(WORKERS).status_code == 403
    assert browser.post(WORKERS, {"alias": "default", "queue": "umbrella", "pauses": "yes"}).status_code == 403
    assert jobs.get(theirs.id) == theirs


@pytest.mark.parametrize("mistake", ["number", "all", "empty", "stauts:x"])
def test_a_mistake_of_the_site_shows_nothing(two, mistake, caplog):
    browser = tenant(mistake)
    for address in ("/jobs/", LIST, f"{LIST}{two[0].id}/", JOBS, change(two[0])):
        shown = text(browser.get(address), 503)
        assert "The site does not say which jobs you may see." in shown
        assert two[0].id not in shown
    assert "LOCO['DASHBOARD']" in caplog.text


def test_the_function_may_refuse(two):
    assert tenant("nobody").get(LIST).status_code == 403
    assert tenant("nobody").get(JOBS).status_code == 403


def test_what_was_read_for_one_is_not_shown_to_another(two, queue):
    queue.record([minute("acme", "shop.mine"), minute("umbrella", "shop.theirs", runs=40)])
    for seen, runs in (("", 43), ("queue:acme", 3), ("queue:umbrella", 40), ("queue:acme", 3)):
        assert f"Runs {runs} " in text(tenant(seen).get("/jobs/"))
    assert ids_of(tenant("queue:umbrella").get(LIST)) == [two[1].id]
