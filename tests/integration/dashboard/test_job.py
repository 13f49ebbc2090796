"""The page of one job on the dashboard, on every queue."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_loco import jobs
from django_loco.admin.jobs.links import run_again_url
from django_loco.core.job import FAILED, Job, Outcome, error_of, new_id, utcnow
from django_loco.core.job.progress import text_of_progress
from django_loco.core.job.waits import SIGNAL, SLEEP, Wait, text_of_waits
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.page_parts.operations import OPERATIONS
from django_loco.jobs.transfer.parking import parked
from django_loco.log.redaction import MARK
from django_loco.tasks import Workflow
from tests.app import tasks
from tests.integration.admin.conftest import STATES, client_of, text
from tests.integration.jobs.conftest import CLAIM

from .conftest import LIST, OPERATE, PARTS, ids_of, require_no_inline

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


def page_of(job):
    return f"{LIST}{job.id}/"


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_its_buttons(client, stored, state):
    job = stored(state)
    page = client.get(page_of(job))
    shown = text(page)
    assert f"add tests.app.tasks {state}" in shown
    content = page.content.decode()
    for name, operation in OPERATIONS.items():
        assert (f'name="operation" value="{name}"' in content) == (state in operation.states)
    assert f'href="{page_of(job)}again"' in content
    for link in (f"{LIST}?q=task%3Atests.app.tasks.add", f"{LIST}?q=queue%3Adefault"):
        assert f'href="{link}"' in content
        assert client.get(link).status_code == 200


def test_links_lead_to_jobs_with_the_same_name_only(client, stored):
    job, others = stored(tags=("what?", "a*")), [stored(tags=("whats",)), stored(tags=("ab",))]
    links = re.findall(r'href="([^"]*q=tag%3A[^"]*)"', client.get(page_of(job)).content.decode())
    assert len(links) == 2
    for link in links:
        assert ids_of(client.get(html.unescape(link))) == [job.id]
    for other in others:
        assert other.id in ids_of(client.get(LIST, {"q": "tag:what?,a*"}))


def test_everything_is_shown(client, queue):
    job = Job(
        task_path="tests.app.tasks.add",
        backend="default",
        arguments='[[9007199254740993], {"b": 1.10}]',
        tags=("bulk",),
        metadata='{"tenant": "acme"}',
        options={"request_id": "7f3c", "trace": {"traceparent": "00-0af7-b7ad-01"}},
        priority=7,
    )
    queue.enqueue([job])
    [held] = queue.fetch(CLAIM)
    line = json.dumps({"attempt": 1, "began_at": "2026-11-28T12:00:00", "dropped": 0, "text": f"INFO {SCRIPT}"})
    queue.finish([Outcome(job=held, status=FAILED, error=error_of(ValueError, "boom"), log=line)])
    page = client.get(page_of(job))
    shown = text(page)
    for each in (
        "It has failed for good after 1 attempt: ValueError: boom",
        "a 9007199254740993 b 1.10",
        'Metadata {"tenant": "acme"}',
        "Request 7f3c",
        "Trace 00-0af7-b7ad-01",
        "Worker of attempt 1 worker-1",
        "1 of 1: ValueError: boom",
        f"attempt 1, 2026-11-28T12:00:00 INFO {SCRIPT}",
        "add.using(backend='default', queue_name='default', priority=7).enqueue(9007199254740993, b=1.10)",
        "Enqueued",
        "First attempt",
    ):
        assert each in shown, each
    require_no_inline(page.content.decode())


def test_why_it_does_not_run(client, stored):
    job = stored("waiting")
    jobs.pause(queue="default", backend="default")
    shown = text(client.get(page_of(job)))
    assert "Why it does not run now Its queue 'default' is paused. Resume it there No worker" in shown
    reader = text(client_of("view_job").get(page_of(job)))
    assert "Its queue 'default' is paused. loco_jobs resume default" in reader
    assert "No worker of TASKS['default'] is alive." in shown


@pytest.mark.parametrize(
    ("state", "remedy", "command"),
    [
        ("failed", "When the cause is corrected: Retry", "loco_jobs retry"),
        ("cancelled", "To run it all the same: Retry", "loco_jobs retry"),
        ("retrying", "To run it now: Run now", "loco_jobs update"),
        ("scheduled", "To run it now: Run now", "loco_jobs update"),
    ],
)
def test_a_remedy_names_the_button_where_there_is_one(client, stored, state, remedy, command):
    job = stored(state)
    shown = text(client.get(page_of(job)))
    assert remedy in shown
    assert command not in shown
    assert command in text(client_of("view_job").get(page_of(job)))


def test_a_node_that_would_be_cancelled_again_has_no_button_for_a_retry(client, queue):
    flow = Workflow()
    first = flow.add(tasks.add, 1, 2)
    second = flow.add(tasks.add, 3, 4, after=[first])
    flow.enqueue()
    jobs.cancel(first.id)
    [one, other] = [client.get(page_of(jobs.get(node.id))) for node in (first, second)]
    assert 'value="retry"' in one.content.decode()
    assert 'value="retry"' not in other.content.decode()
    assert f"To run it all the same: loco_jobs workflows {flow.id} --retry" in text(other)


def test_attempts_are_counted_of_those_that_it_has(client, stored):
    assert "attempt 2 of 5" in text(client.get(page_of(stored("retrying", options={"max_attempts": 5}))))
    assert "attempt 2 of" not in text(client.get(page_of(stored("retrying", options={"max_attempts": 1}))))
    assert "attempt 2 " in text(client.get(page_of(stored("retrying", task_path="gone.tasks.old"))))


def test_times_in_reasons_are_in_the_zone_of_the_reader(client, stored):
    job = stored("done")
    client.cookies["loco_zone"] = "Asia/Tokyo"
    local = job.finished_at.astimezone(ZoneInfo("Asia/Tokyo"))
    content = client.get(page_of(job)).content.decode()
    assert re.search(rf"It succeeded at <time [^>]*>{local:%Y-%m-%d %H:%M:%S}</time>\.</li>", content)


def test_hidden_arguments_stay_hidden(client, queue, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["password"]}
    call = json.dumps([[], {"password": "secret", "user": {"password": "secret"}}])
    job = Job(task_path="tests.app.tasks.add", backend="default", arguments=call, metadata='{"password": "secret"}')
    queue.enqueue([job])
    for address in (page_of(job), f"{page_of(job)}again"):
        content = client.get(address).content.decode()
        assert "secret" not in content
        assert MARK in content


def test_hidden_values_of_a_result_stay_hidden(client, stored, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["password"]}
    job = stored("done", result='{"user":"anna","password":"secret","more":[{"password":"secret"}]}')
    content = client.get(page_of(job)).content.decode()
    assert "anna" in content
    assert "secret" not in content
    assert MARK in content


def test_texts_of_jobs_are_no_markup(client, stored):
    job = stored(
        "failed",
        error=SCRIPT,
        task_path=f"a.{SCRIPT}",
        queue_name=SCRIPT,
        arguments=json.dumps([[SCRIPT], {SCRIPT: SCRIPT}]),
    )
    for address in (page_of(job), f"{page_of(job)}again"):
        require_no_inline(client.get(address).content.decode())


def test_large_arguments_leave_the_page_small(client, queue):
    job = Job(task_path="a.b", backend="default", arguments=json.dumps([["x" * 10_000_000], {}]))
    queue.enqueue([job])
    page = client.get(page_of(job))
    assert page.status_code == 200
    assert len(page.content) < 150_000
    assert "The arguments are too long to be edited here." in text(client.get(f"{page_of(job)}again"), 400)


@pytest.mark.parametrize("job_id", ["nonsense", new_id(), "a b", "%00", "<script>"])
def test_a_job_that_is_not_there_is_told(client, queue, job_id):
    for address in (f"{LIST}{job_id}/", f"{LIST}{job_id}/again"):
        answer = client.get(address)
        shown = text(answer, 404)
        assert "There is no job" in shown or "is not the id of a job" in shown
        require_no_inline(answer.content.decode())
    assert client.get(f"{LIST}{job_id}/", headers=PARTS).status_code == 404


def test_a_job_that_is_deleted_while_one_looks_at_it_is_told(client, stored):
    job = stored("done")
    first = client.get(page_of(job), headers=PARTS)
    jobs.delete(job.id)
    answer = client.get(page_of(job), headers={**PARTS, "If-None-Match": first["ETag"]})
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert b"There is no job" in answer.content


def test_a_store_that_is_away_is_told(client, stored, queue, monkeypatch):
    job = stored("done")

    def away(*_args, **_named):
        raise QueueUnavailable("The store <b> is away.")

    monkeypatch.setattr(type(queue), "get", away)
    assert "The store <b> is away." in text(client.get(page_of(job)), 503)
    assert "The store <b> is away." in text(client.get(f"{page_of(job)}again"), 503)


def test_what_has_not_changed_is_not_sent_again(client, stored):
    job = stored("done")
    first = client.get(page_of(job), headers=PARTS)
    assert set(first.json()) == {"head", "facts", "data", "errors", "log", "entries"}
    assert client.get(page_of(job), headers={**PARTS, "If-None-Match": first["ETag"]}).status_code == 304


def test_it_is_closed(stored):
    job = stored("failed")
    assert Client().get(page_of(job))["Location"] == f"/admin/login/?next={page_of(job)}"
    assert client_of("view_worker").get(page_of(job)).status_code == 403
    reader = client_of("view_job")
    content = reader.get(page_of(job)).content.decode()
    assert 'name="operation"' not in content
    assert "again" not in content
    for address in (f"{page_of(job)}again",):
        assert reader.get(address).status_code == 403
        assert reader.post(address, {"args": "[]"}).status_code == 403


def test_a_button_leads_back_to_the_job(client, stored):
    job = stored("failed")
    answer = client.post(OPERATE, {"operation": "retry", "job": job.id, "page": "yes"}, follow=True)
    assert answer.redirect_chain == [(page_of(job), 302)]
    shown = text(answer)
    assert "1 job was retried." in shown
    assert "What people have done" in shown
    asked = client.post(OPERATE, {"operation": "delete", "job": job.id, "page": "yes"})
    assert f'href="{page_of(job)}"' in asked.content.decode()
    answer = client.post(OPERATE, {"operation": "delete", "job": job.id, "page": "yes", "confirmed": "yes"})
    assert answer["Location"] == LIST


@pytest.mark.parametrize("site", ["dashboard", "admin"])
def test_a_unique_job_that_another_one_keeps_from_running_again(client, site):
    first = tasks.add.using(unique_key="sum").enqueue(1, 2)
    jobs.cancel(first.id)
    holder = tasks.add.using(unique_key="sum").enqueue(1, 2)
    url = run_again_url("admin", first.id) if site == "admin" else f"{page_of(jobs.get(first))}again"
    shown = text(client.post(url, {"args": "[1, 2]", "kwargs": "{}"}, follow=True))
    assert f"Job {first.id} does not run again: this job has its unique key." in shown
    assert LogEntry.objects.get().change_message == f"Not run again: job {holder.id} has its unique key."


def test_it_runs_again_with_other_arguments(client, stored):
    job = stored("failed")
    form = client.get(f"{page_of(job)}again")
    assert "[1, 2]" in text(form)
    answer = client.post(f"{page_of(job)}again", {"args": "[3]", "kwargs": '{"b": 4}'}, follow=True)
    assert "runs again: this is the new job." in text(answer)
    new = jobs.filter("status:waiting").first()
    assert answer.redirect_chain == [(page_of(new), 302)]
    assert json.loads(new.arguments) == [[3], {"b": 4}]
    assert LogEntry.objects.get().change_message == f"Run again, as job {new.id}."
    assert jobs.get(job.id) == job


def test_a_job_of_another_store_has_no_link_to_run_again(client, queue):
    job = parked(Job(task_path="tests.app.tasks.add", backend="default", arguments="[[1, 2], {}]"), "other")
    queue.restore([job])
    assert f'href="{page_of(job)}again"' not in client.get(page_of(job)).content.decode()
    answer = client.post(f"{page_of(job)}again", {"args": "[3]", "kwargs": "{}"})
    assert "on its way to another store, or there already" in text(answer, 400)
    assert jobs.filter().count() == 1


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"args": "[", "kwargs": "{}"}, "It cannot be read"),
        ({"args": "{}", "kwargs": "{}"}, "It has to be a JSON list"),
        ({"args": "[1, 2, 3]", "kwargs": "{}"}, "too many positional arguments"),
        ({"args": "[" * 100_000, "kwargs": "{}"}, "It cannot be read"),
    ],
)
def test_arguments_that_make_no_sense_are_told(client, stored, form, told):
    job = stored("failed")
    assert told in text(client.post(f"{page_of(job)}again", form), 400)
    assert jobs.filter().count() == 1


def test_a_job_that_cannot_be_read_has_a_page(client, queue):
    job = Job(task_path="tests.app.tasks.add", backend="default", arguments="{nonsense", metadata="[")
    queue.enqueue([replace(job)])
    assert "(unreadable)" in text(client.get(page_of(job)))
    assert client.get(f"{page_of(job)}again").status_code == 200


def test_a_page_takes_few_queries(client, stored):
    job = stored("failed")
    client.get(page_of(job))
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page_of(job)).status_code == 200
    assert len(queries) <= 12, "\n".join(" ".join(each["sql"].split())[:150] for each in queries)


def test_how_far_it_is(client, stored):
    page = client.get(page_of(stored("failed", progress=text_of_progress(3, 12, SCRIPT)))).content.decode()
    assert '<progress id="progress" max="100" value="25.0"></progress>' in page
    require_no_inline(page)
    assert "<progress" not in client.get(page_of(stored("failed"))).content.decode()


@pytest.mark.parametrize(
    ("kind", "days", "words"),
    [(SLEEP, 3, "Sleeps until"), (SIGNAL, 3, "Waits for a signal until"), (SIGNAL, None, "after a signal")],
)
def test_what_it_waits_for_is_shown(client, queue, kind, days, words):
    wait = Wait("approved", kind, days and utcnow() + timedelta(days=days))
    fields = {"waits": text_of_waits({"approved": wait}), "signals": '{"other":{"value":1}}', "run_after": wait.due_at}
    queue.restore([Job(task_path="tests.app.tasks.add", backend="default", arguments="[[1], {}]", **fields)])
    [job] = jobs.filter()
    shown = text(client.get(page_of(job)))
    assert words in shown
    assert (f"loco_jobs signal {job.id} approved" in shown) == (kind == SIGNAL)
    assert "9998-" not in shown
    assert "9998" not in text(client.get(LIST))
