"""The list of jobs on the dashboard, on every queue."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.core.job import Job, new_id
from django_loco.dashboard.pages.jobs import tabs
from django_loco.exceptions import QueueRefused, QueueUnavailable
from django_loco.jobs.operations import bulk
from django_loco.jobs.operations.edits import Update
from django_loco.jobs.page_parts import listing
from django_loco.jobs.page_parts.operations import OPERATIONS
from django_loco.queues import queue_for
from django_loco.tasks import Workflow
from tests.app.tasks import add
from tests.integration.admin.conftest import STATES, client_of, text

from .conftest import LIST, OPERATE, PARTS, ids_of, require_no_inline

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


def test_each_state_has_a_tab_with_its_number(client, stored):
    made = {state: stored(state).id for state in STATES}
    page = client.get(LIST)
    assert ids_of(page) == sorted(made.values(), reverse=True)
    shown = text(page)
    for state, job_id in made.items():
        assert f"{state.capitalize()} 1" in shown
        assert f'href="{LIST}?q=status%3A{state}"' in page.content.decode()
        found = client.get(LIST, {"q": f"status:{state}"})
        assert ids_of(found) == [job_id]
        assert f'id="tab-{state}" href="{LIST}?q=status%3A{state}" aria-current="true"' in found.content.decode()


def test_other_conditions_stay_in_the_tabs_and_in_their_numbers(client, stored):
    stored("failed", queue_name="emails")
    stored("failed", queue_name="emails")
    stored("failed")
    page = client.get(LIST, {"q": "queue:emails status:done"})
    assert "Failed 2" in text(page)
    assert f'href="{LIST}?q=queue%3Aemails+status%3Afailed"' in page.content.decode()
    assert "Failed 2" not in text(client.get(LIST, {"q": "task:add"}))


def test_a_filter_that_is_very_long_is_refused(client, stored, queue):
    job = stored(queue_name="q7")
    names = ",".join(f"q{number}" for number in range(5_000))
    with CaptureQueriesContext(connection) as queries:
        page = client.get(LIST, {"q": f"queue:{names} status:waiting,running,failed,done"})
    assert len(queries) < 50
    assert "pages take 2,000 at most" in text(page, 400)
    assert ids_of(page) == []
    form = {"operation": "cancel", "which": "everything", "q": f"queue:{names}", "confirmed": "yes"}
    assert "pages take 2,000 at most" in text(client.post(OPERATE, form, follow=True))
    assert jobs.get(job.id) == job
    names = names[:1_900].rpartition(",")[0]
    with CaptureQueriesContext(connection) as queries:
        assert ids_of(client.get(LIST, {"q": f"queue:{names} status:waiting,running,failed,done"})) == [job.id]
    assert len(queries) < 50


def test_many_jobs_are_told_apart_as_far_as_they_are_read(client, stored, monkeypatch):
    monkeypatch.setattr(tabs, "TOLD_APART", 2)
    for _ in range(3):
        stored("failed")
    assert "Failed 2+" in text(client.get(LIST))


def test_the_script_of_the_page_gets_the_numbers_of_many_jobs(client, stored, queue, monkeypatch):
    monkeypatch.setattr(tabs, "TOLD_APART", 2)
    for _ in range(4):
        stored("failed")
    stored("cancelled")

    def numbers(headers):
        answer = client.get(LIST, headers=headers)
        return re.findall(r'<span class="count">([^<]*)', answer.json()["tabs"] if headers else answer.content.decode())

    assert all(each in ("1+", "2+") for each in numbers({}))
    assert numbers(PARTS) == ["4", "1"]
    assert numbers({}) == ["4", "1"]
    stored("failed")
    assert numbers(PARTS) == ["4", "1"], "They are read once in some seconds."
    tabs.forget()
    monkeypatch.setattr(tabs, "MOST", 5)
    assert sum(int(each.removesuffix("+")) for each in numbers(PARTS)) == 5
    assert all(each.endswith("+") for each in numbers(PARTS))
    tabs.forget()
    monkeypatch.setattr(tabs, "READ_SECONDS", -1.0)
    assert sum(int(each.removesuffix("+")) for each in numbers(PARTS)) == 2


@pytest.mark.parametrize("place", ["list", "failures", "workflow", "again"])
def test_numbers_are_read_anew_after_an_action(client, stored, monkeypatch, place):
    monkeypatch.setattr(tabs, "TOLD_APART", 2)
    made = [stored("failed", error=f"ValueError: {kind}").id for kind in ("red", "green", "green", "green")]
    flow = Workflow()
    flow.add(add, 1, 2)
    flow.enqueue()
    waiting = [stored().id for _ in range(4)]
    client.get(LIST, headers=PARTS)
    assert tabs._counted._known
    group = re.search(r'value="(retry:[^"]*)"', client.get("/jobs/failures/").content.decode().partition("red")[2])
    retry = {"operation": "retry", "job": made[0], "which": "chosen"}
    address, form = {
        "list": (OPERATE, retry),
        "failures": ("/jobs/failures/operate", {"do": group[1] if group else ""}),
        "workflow": (f"/jobs/workflows/{flow.id}/act", {"do": "cancel"}),
        "again": (f"{LIST}{waiting[1]}/again", {"args": "[1, 2]"}),
    }[place]
    assert client.post(address, form).status_code == 302
    page = client.get(LIST, headers=PARTS).json()["tabs"]
    for state in ("waiting", "failed"):
        number = jobs.filter(f"status:{state}").count()
        assert re.search(rf'id="tab-{state}"[^>]*>[^<]*<span class="count">{number}</span>', page), (state, number)
    assert jobs.filter("status:waiting").count() != len(waiting) + 1, "something has changed"


def test_one_request_at_a_time_counts_many_jobs(client, stored, monkeypatch):
    monkeypatch.setattr(tabs, "TOLD_APART", 2)
    for _ in range(4):
        stored("failed")
    with tabs._counting:
        assert '<span class="count">2+</span>' in client.get(LIST, headers=PARTS).json()["tabs"]
    assert '<span class="count">4</span>' in client.get(LIST, headers=PARTS).json()["tabs"]


def test_pages_go_older_and_newer(client, stored, monkeypatch):
    monkeypatch.setattr(listing, "PER_PAGE", 2)
    made = sorted((stored().id for _ in range(5)), reverse=True)
    first = client.get(LIST, {"q": "task:add"}).context["listing"]
    second = client.get(first.older).context["listing"]
    third = client.get(second.older)
    assert ids_of(third) == made[4:]
    assert ids_of(client.get(third.context["listing"].newer)) == made[2:4]
    assert ids_of(client.get(third.context["listing"].newest)) == made[:2]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"q": "stauts:failed"}, "'stauts' is not a word of filters. Did you mean 'status'?"),
        ({"q": "status:faild"}, "'faild' is not a status."),
        ({"q": SCRIPT}, SCRIPT),
        ({"before": "nonsense"}, "does not name a place in the list"),
        ({"before": "\x00"}, "does not name a place in the list"),
        ({"q": 'queue:"\x00"'}, "queue"),
    ],
)
def test_an_address_that_means_nothing_is_told(client, stored, query, told):
    stored()
    page = client.get(LIST, query)
    assert told in text(page, 400)
    assert "live.js" not in page.content.decode()
    require_no_inline(page.content.decode())


def test_an_old_place_in_the_list_is_no_mistake(client, stored):
    job = stored()
    assert "There are no older jobs." in text(client.get(LIST, {"before": job.id, "trail": new_id()}))
    assert ids_of(client.get(LIST, {"before": new_id()})) == [job.id]


def test_what_has_not_changed_is_not_sent_again(client, stored):
    stored()
    first = client.get(LIST, headers=PARTS)
    assert set(first.json()) == {"tabs", "list"}
    headers = {**PARTS, "If-None-Match": first["ETag"]}
    assert client.get(LIST, headers=headers).status_code == 304
    stored()
    assert client.get(LIST, headers=headers).status_code == 200


def test_a_filter_that_looks_at_many_jobs_is_not_read_every_two_seconds(client, stored, monkeypatch):
    from django_loco.dashboard.pages.jobs import page  # noqa: PLC0415

    stored()
    assert "live.js" in client.get(LIST).content.decode()
    monkeypatch.setattr(page, "MOST_LIVE", 0)
    assert "live.js" not in client.get(LIST).content.decode()


def test_a_store_that_is_away_is_told(client, stored, queue, monkeypatch):
    def away(**_):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(type(queue), "list", lambda *_, **given: away(**given))
    assert "The store does not answer. The store <b> is away. Try again" in text(client.get(LIST), 503)
    assert client.get(LIST, headers=PARTS).status_code == 503
    monkeypatch.undo()
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize("method", ["counts", "minutes"])
def test_the_jobs_of_an_alias_are_shown_while_another_one_is_away(client, stored, monkeypatch, method):
    stored("failed")

    def away(*_args, **_named):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(queue_for("bulk"), method, away)
    for headers in ({}, PARTS):
        page = client.get(LIST, {"q": "backend:default"}, headers=headers)
        assert page.status_code == 200
        if method == "counts" or not headers:
            assert "Not all jobs could be counted: The store &lt;b&gt; is away." in page.content.decode()
    assert "add tests.app.tasks" in text(client.get(LIST, {"q": "backend:default"}))
    assert "live.js" in client.get(LIST, {"q": "backend:default"}).content.decode()


def test_texts_of_jobs_are_no_markup(client, queue, stored):
    stored("failed", error=SCRIPT, task_path=f"a.{SCRIPT}", queue_name=SCRIPT, arguments=json.dumps([[SCRIPT], {}]))
    queue.enqueue([Job(task_path="a/b.c", backend="default", arguments="[[9007199254740993, 1.10], {}]")])
    page = client.get(LIST)
    require_no_inline(page.content.decode())
    assert "9007199254740993, 1.10" in text(page)
    assert f'"{SCRIPT}"' in text(page)


def test_large_arguments_and_many_queues_leave_the_page_small(client, queue):
    queue.enqueue([Job(task_path="a.b", backend="default", arguments=json.dumps([["x" * 10_000_000], {}]))])
    queue.enqueue([Job(task_path="a.b", backend="default", queue_name=f"queue-{number}") for number in range(1000)])
    page = client.get(LIST, {"q": "queue:default"})
    assert "(10,000,010 bytes)" in text(page)
    assert len(page.content) < 60_000


def test_the_filter_can_be_completed(client, stored):
    stored("waiting", queue_name="e mails")
    content = client.get(LIST).content.decode()
    for each in ("status:failed", "queue:&quot;e mails&quot;", "older:7d", "args.", "tag:"):
        assert f" hidden>{each}</li>" in content


def test_it_is_closed(queue):
    assert Client().get(LIST)["Location"] == f"/admin/login/?next={LIST}"
    assert Client().get(LIST, headers=PARTS).status_code == 401
    assert client_of("view_worker").get(LIST).status_code == 403
    page = client_of("view_job").get(LIST)
    assert page.status_code == 200
    assert "<button name=" not in page.content.decode()
    assert "Overview" not in text(page)


def test_a_page_takes_few_queries(client, stored):
    for state in STATES:
        stored(state)
    client.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(LIST).status_code == 200
    # Two aliases: with one the store takes half of these.
    assert len(queries) <= 14, "\n".join(" ".join(each["sql"].split())[:150] for each in queries)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_selection_is_asked_for_and_changed(client, stored, queue, operation):
    state = {"cancel": "waiting", "move": "waiting", "run_now": "scheduled"}.get(operation, "failed")
    chosen = [stored(state).id for _ in range(2)]
    other = stored("done" if operation == "cancel" else "running").id
    form = {"operation": operation, "job": [*chosen, other], "which": "chosen", "q": "task:add", "ask": "yes"}
    asked = client.post(OPERATE, form)
    shown = text(asked)
    asks = "Run 2 jobs now?" if operation == "run_now" else f"{operation.capitalize()} 2 jobs?"
    assert asks in shown
    assert "1 other of those chosen is in another state" in shown
    assert [queue.get(each).worker_id for each in chosen] == [None, None]
    answer = client.post(OPERATE, {**form, "confirmed": "yes", "queue": "emails"}, follow=True)
    assert answer.redirect_chain == [(f"{LIST}?q=task%3Aadd", 302)]
    past = OPERATIONS[operation].past
    assert f"2 jobs were {past}." in text(answer)
    entry = LogEntry.objects.get()
    assert entry.change_message.startswith(past.capitalize())
    assert all(each in entry.change_message for each in chosen)
    assert queue.get(other).status in ("SUCCESSFUL", "RUNNING")


def test_one_selected_job_is_asked_for_as_well(client, stored):
    job = stored("failed")
    form = {"operation": "retry", "job": job.id, "which": "chosen", "ask": "yes"}
    assert "Retry 1 job?" in text(client.post(OPERATE, form))
    assert jobs.get(job.id).status == "FAILED"


def test_what_was_done_before_a_refusal_is_told_and_logged(client, stored, monkeypatch):
    made = [stored(priority=7, id="01" + 30 * "0"), stored(), stored()]  # the oldest comes last
    original = Update.of

    def of(self, job):
        if job.priority == 7:
            raise QueueRefused("It has a NUL.")
        return original(self, job)

    monkeypatch.setattr(Update, "of", of)
    monkeypatch.setattr(bulk, "BATCH", 2)
    form = {"operation": "move", "queue": "emails", "which": "everything", "q": "", "confirmed": "yes"}
    told = text(client.post(OPERATE, form, follow=True))
    assert "2 jobs were moved, then others were refused. Run the operation again for the others. It has a NUL." in told
    assert LogEntry.objects.get().change_message == "Moved to 'emails': 2 jobs of all."
    assert [jobs.get(job.id).queue_name for job in made] == ["default", "emails", "emails"]


def test_all_that_match_are_changed(client, stored):
    for _ in range(3):
        stored("failed", queue_name="emails")
    stored("failed")
    form = {"operation": "retry", "which": "everything", "q": "queue:emails"}
    assert "Retry 3 jobs? " in text(client.post(OPERATE, form))
    client.post(OPERATE, {**form, "confirmed": "yes"})
    assert jobs.filter("status:waiting").count() == 3
    assert LogEntry.objects.get().change_message == "Retried: 3 jobs that match 'queue:emails'."


@pytest.mark.parametrize("operation", ["retry", "cancel", "discard", "move", "delete"])
def test_who_lacks_the_permission_of_an_operation_cannot(stored, operation):
    job = stored("failed")
    others = {"retry_job", "cancel_job", "discard_job", "move_job", "delete_job"} - {f"{operation}_job"}
    browser = client_of("view_job", *others)
    assert f'value="{operation}"' not in browser.get(LIST).content.decode()
    form = {"operation": operation, "job": job.id, "confirmed": "yes", "queue": "emails"}
    assert browser.post(OPERATE, form).status_code == 403
    assert jobs.get(job.id) == job


def test_a_forged_request_changes_nothing(stored):
    job = stored("failed")
    browser = client_of(is_superuser=True)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(OPERATE, {"operation": "delete", "job": job.id, "confirmed": "yes"}).status_code == 403
    assert jobs.get(job.id) == job


@pytest.mark.parametrize(
    ("form", "told", "status"),
    [
        ({}, "Choose an action first. Nothing was changed.", 400),
        ({"operation": "nonsense"}, "Choose an action first.", 400),
        ({"operation": "retry"}, "Choose jobs first. Nothing was changed.", 200),
        ({"operation": "retry", "job": "nonsense"}, "is not the id of a job", 200),
        ({"operation": "retry", "job": new_id()}, "There is no job", 200),
        ({"operation": "retry", "job": [new_id(), new_id()]}, "None of these jobs can be retried", 200),
        ({"operation": "retry", "which": "everything", "q": "stauts:x"}, "'stauts' is not a word", 400),
        (
            {"operation": "move", "which": "everything", "confirmed": "yes", "queue": "\x00"},
            "has a character that is in no name of a queue",
            200,
        ),
    ],
)
def test_what_makes_no_sense_is_told(client, stored, form, told, status):
    stored()
    assert told in text(client.post(OPERATE, form, follow=True), status)
    assert LogEntry.objects.count() == 0


def test_two_people_may_retry_the_same_job(client, stored):
    job = stored("failed")
    form = {"operation": "retry", "job": job.id, "confirmed": "yes"}
    assert "1 job was retried." in text(client.post(OPERATE, form, follow=True))
    assert "is waiting, so it cannot be retried." in text(client.post(OPERATE, form, follow=True))


@pytest.mark.parametrize("address", ["https://a.example/", "//a.example/", "javascript:alert(1)", "/\\a.example"])
def test_a_form_leads_back_to_this_site_only(client, stored, address):
    form = {"operation": "retry", "job": stored("failed").id, "confirmed": "yes", "back": address}
    assert client.post(OPERATE, form)["Location"] == LIST
