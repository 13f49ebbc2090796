"""What people do with jobs in the admin, on every queue: who may, what it changes, and what the log says of it."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from django_loco import jobs
from django_loco.core.job import FOREVER, RERUN, Job, new_id, utcnow
from django_loco.core.job.waits import SLEEP, Wait, text_of_waits
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.operations.workflows.nodes import Place, placed
from django_loco.jobs.page_parts import operations
from django_loco.jobs.page_parts.operations import OPERATIONS
from django_loco.jobs.transfer.parking import parked
from django_loco.log.redaction import MARK
from django_loco.queues import queue_for

from .conftest import JOBS, WORKERS, change, client_of, text

pytestmark = pytest.mark.django_db

OPERATE = f"{JOBS}operate/"
#: A state in which each operation is possible, and the state after it.
EXAMPLES = {
    "retry": ("failed", "waiting"),
    "run_now": ("retrying", "waiting"),
    "cancel": ("waiting", "cancelled"),
    "discard": ("failed", "cancelled"),
    "move": ("waiting", "waiting"),
    "delete": ("done", None),
}


def again(job):
    return f"{JOBS}{job.id}/run-again/"


def form_of(operation, *chosen, **fields):
    return {"operation": operation, "which": "chosen", "job": [job.id for job in chosen], "queue": "emails"} | fields


def asked_for(operation, number):
    return f"Run {number} jobs now?" if operation == "run_now" else f"{operation.capitalize()} {number} jobs?"


def state_now(job):
    found = queue_for(job.backend).get(job.id)
    return None if found is None else jobs.state_of(found, utcnow())


def entries():
    return [(str(entry), entry.object_repr) for entry in LogEntry.objects.order_by("pk")]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_chosen_jobs_after_a_question(client, stored, operation):
    before, after = EXAMPLES[operation]
    chosen, left, running = [stored(before), stored(before)], stored(before), stored("running")
    other = running if operation != "cancel" else stored("done")
    form = form_of(operation, *chosen, other)
    asked = client.post(OPERATE, form)
    assert asked_for(operation, 2) in text(asked)
    assert "1 other of those chosen is in another state, and is left alone." in text(asked)
    assert [state_now(job) for job in chosen] == [before, before]
    done = client.post(OPERATE, form | {"confirmed": "yes"}, follow=True)
    assert f"2 jobs were {OPERATIONS[operation].past}." in text(done)
    assert [state_now(job) for job in chosen] == [after, after]
    assert state_now(left) == before
    [(said, _)] = entries()
    assert f"{OPERATIONS[operation].past.capitalize()}" in said
    assert "2 jobs" in said
    assert chosen[0].id in said
    if operation == "move":
        assert {queue_for("default").get(job.id).queue_name for job in chosen} == {"emails"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_everything_that_matches(client, stored, operation):
    before, after = EXAMPLES[operation]
    matching, other = [stored(before, tags=("bulk",)) for _ in range(3)], stored(before)
    form = form_of(operation, which="everything", q="tag:bulk", job=[])
    asked = text(client.post(OPERATE, form))
    assert asked_for(operation, 3) in asked
    assert "These are all that match tag:bulk" in asked
    done = client.post(OPERATE, form | {"confirmed": "yes"}, follow=True)
    assert done.redirect_chain == [(f"{JOBS}?q=tag%3Abulk", 302)]
    assert "3 jobs were" in text(done)
    assert [state_now(job) for job in matching] == [after] * 3
    assert state_now(other) == before
    assert "3 jobs that match 'tag:bulk'" in entries()[0][0]


def test_one_request_has_an_end_and_the_next_goes_on(client, stored, monkeypatch):
    monkeypatch.setattr(operations, "MOST", 2)
    for _ in range(3):
        stored("waiting")
    for operation, numbers in (("move", (2, 1)), ("cancel", (2, 1)), ("delete", (2, 1))):
        form = form_of(operation, which="everything", q="", confirmed="yes")
        for number in numbers:
            done = text(client.post(OPERATE, form, follow=True))
            assert f"{number} job{'s were' if number > 1 else ' was'} {OPERATIONS[operation].past}." in done
            assert ("There may be more" in done) == (number == 2)
    assert queue_for("default").list() == []


def test_a_retry_of_one_job_asks_nothing(client, stored):
    job = stored("failed")
    done = client.post(OPERATE, {"operation": "retry", "job": job.id, "page": "yes"}, follow=True)
    assert done.redirect_chain == [(change(job), 302)]
    shown = text(done)
    assert "1 job was retried." in shown
    assert "Retried." in shown.partition("Done in the admin")[2]
    assert state_now(job) == "waiting"
    assert entries()[0][1] == f"{job.task_path} {job.id}"
    assert "is waiting, so it cannot be retried" in text(client.post(OPERATE, form_of("retry", job), follow=True))


def test_what_waits_for_more_than_a_time_is_not_run_now(client, stored, queue):
    later = stored("scheduled")
    asleep = {"waits": text_of_waits({"nap": Wait("nap", SLEEP, later.run_after)}), "run_after": later.run_after}
    others = [
        stored("waiting", **asleep),
        stored("waiting", waits='{"approved":["signal",null]}', run_after=FOREVER),
        placed(
            Job(task_path="tests.app.tasks.add", backend="default", arguments="[[1, 2], {}]"),
            new_id(),
            Place("a", ("b",)),
        ),
        stored("scheduled", options={RERUN: {"key": "k", "until": "finished", "run_after": None}}),
    ]
    queue.restore([others[2]])
    for job in others:
        assert 'value="run_now"' not in client.get(change(job)).content.decode()
        done = text(client.post(OPERATE, form_of("run_now", job), follow=True))
        assert "waits for a signal, for the end of a sleep, or for other jobs" in done
    before = [jobs.get(job.id) for job in others]
    assert 'value="run_now"' in client.get(change(later)).content.decode()
    form = form_of("run_now", which="everything", q="", confirmed="yes")
    assert "1 job was made due." in text(client.post(OPERATE, form, follow=True))
    assert state_now(later) == "waiting"
    assert [jobs.get(job.id) for job in others] == before
    done = text(client.post(OPERATE, form_of("run_now", stored("failed")), follow=True))
    assert "is failed, so it cannot be made due" in done


def test_a_running_job_is_cancelled_in_the_name_of_the_user(client, stored):
    job = stored("running")
    client.post(OPERATE, form_of("cancel", job, confirmed="yes"))
    found = jobs.get(job.id)
    assert state_now(job) == "cancelled"
    assert "in the admin" in found.errors[-1].traceback


def test_a_deleted_job_leads_to_the_list(client, stored):
    job = stored("done")
    form = form_of("delete", job, confirmed="yes", page="yes")
    assert client.post(OPERATE, form, follow=True).redirect_chain == [(JOBS, 302)]
    assert "There is no job" in text(client.post(OPERATE, form, follow=True))


@pytest.mark.parametrize("state", EXAMPLES)
def test_each_operation_needs_its_permission(stored, state):
    operation, (before, after) = state, EXAMPLES[state]
    job = stored(before)
    own = OPERATIONS[operation].permission.removeprefix("django_loco.")
    others = {*(f"{name}_job" for name in ("run_again", "view", *OPERATIONS) if name != "run_now")} - {own}
    form = form_of(operation, job, confirmed="yes")
    for client in (client_of(*others), client_of(own), client_of()):
        assert client.post(OPERATE, form).status_code == 403
        assert client.post(OPERATE, form | {"which": "everything"}).status_code == 403
    assert state_now(job) == before
    assert entries() == []
    allowed = client_of("view_job", own)
    assert f'<option value="{operation}">' in allowed.get(JOBS).content.decode()
    assert allowed.post(OPERATE, form).status_code == 302
    assert state_now(job) == after


def test_who_may_only_look_sees_no_buttons(stored):
    viewer, job = client_of("view_job", "view_worker"), stored("failed")
    for address in (JOBS, change(job)):
        content = viewer.get(address).content.decode()
        assert "<button" not in content.partition('id="content-main"')[2]
        assert 'type="checkbox"' not in content
        assert "run-again" not in content
    assert viewer.get(again(job)).status_code == 403
    assert viewer.post(again(job), {"args": "[]", "kwargs": "{}"}).status_code == 403
    assert "Pause" not in text(viewer.get(WORKERS))
    assert viewer.post(WORKERS, {"alias": "default", "queue": "default", "pauses": "yes"}).status_code == 403
    assert jobs.paused() == {}
    assert len(queue_for("default").list()) == 1


def test_a_form_from_elsewhere_is_refused(stored):
    client, job = Client(enforce_csrf_checks=True), stored("failed")
    client.force_login(User.objects.create_superuser("admin"))
    assert client.post(OPERATE, form_of("retry", job)).status_code == 403
    assert client.get(OPERATE, form_of("retry", job)).status_code == 302
    assert state_now(job) == "failed"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, "Choose an action first"),
        ({"operation": "explode"}, "Choose an action first"),
        ({"operation": "retry"}, "Choose jobs first"),
        ({"operation": "retry", "job": ["x", "y"]}, "is not the id of a job"),
        ({"operation": "retry", "job": "x"}, "is not the id of a job"),
        ({"operation": "retry", "job": "\x00"}, "is not the id of a job"),
        ({"operation": "retry", "which": "everything", "q": "tag:a " + "x" * 1_900}, "xxx…"),
        ({"operation": "retry", "which": "everything", "q": "tag:a " + "x" * 50_000}, "pages take 2,000 at most"),
        ({"operation": "delete", "which": "everything", "q": "staus:x"}, "Did you mean 'status'?"),
        ({"operation": "delete", "which": "everything", "q": "staus:x", "confirmed": "yes"}, "Did you mean 'status'?"),
        ({"operation": "delete", "which": "everything", "q": "tag:none"}, "None of these jobs can be deleted"),
        ({"operation": "move", "which": "everything", "confirmed": "yes"}, "it must be text of 1 to 200"),
        ({"operation": "move", "which": "everything", "confirmed": "yes", "queue": "emials"}, "Did you mean 'emails'?"),
        (
            {"operation": "move", "which": "everything", "confirmed": "yes", "queue": "<script>\x00"},
            "in no name of a queue",
        ),
    ],
)
def test_mistakes_change_nothing(client, stored, form, told):
    job = stored("waiting")
    assert told in text(client.post(OPERATE, form, follow=True))
    assert state_now(job) == "waiting"
    assert entries() == []


def test_a_store_that_goes_away_meanwhile_is_told(client, queue, stored, monkeypatch):
    job = stored("failed")

    def gone(*args):
        raise QueueUnavailable("TASKS['default']: the store does not answer.")

    monkeypatch.setattr(type(queue), "change", gone)
    assert "the store does not answer." in text(client.post(OPERATE, form_of("retry", job), follow=True))
    assert state_now(job) == "failed"


def test_a_job_runs_again_with_other_arguments(client, stored):
    job = stored("failed", arguments='[[1.50], {"b": {"c": "ü"}}]')
    page = client.get(again(job)).content.decode()
    assert "[1.50]" in page
    assert "{&quot;b&quot;: {&quot;c&quot;: &quot;ü&quot;}}" in page
    assert f'href="{again(job)}"' in client.get(change(job)).content.decode()
    done = client.post(again(job), {"args": "[7]", "kwargs": '{"b": 8}'}, follow=True)
    new = jobs.filter("status:waiting").first()
    assert done.redirect_chain == [(change(new), 302)]
    assert json.loads(new.arguments) == [[7], {"b": 8}]
    assert state_now(job) == "failed"
    assert f"as job {new.id}" in entries()[0][0]


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ("[7", "{}", "It cannot be read"),
        ("{}", "{}", "It has to be a JSON list"),
        ("[]", "[]", "It has to be a JSON object"),
        ("[1]", "{}", "missing a required argument"),
        ("[" * 5000, "{}", "It cannot be read"),
        ("9" * 5000, "{}", "It "),
        ("[NaN, 1]", "{}", "NaN"),
    ],
)
def test_wrong_arguments_are_told_in_the_form(client, stored, args, kwargs, told):
    job = stored("failed")
    page = client.post(again(job), {"args": args, "kwargs": kwargs})
    assert told in text(page)
    assert len(queue_for("default").list()) == 1


def test_arguments_that_are_too_long_for_a_form_are_refused(client, stored, settings):
    """Quotes take three bytes each in a form, so that Django would refuse to read it."""
    job = stored("failed", arguments=json.dumps([['"' * 1_000], {}]))
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 6_000
    addresses = {again(job): change(job), f"/jobs/jobs/{job.id}/again": None}
    for address, page in addresses.items():
        refused = client.get(address, follow=True)
        assert [each for each, _status in refused.redirect_chain] == ([page] if page else [])
        assert "The arguments are too long to be edited here." in text(refused, 200 if page else 400)
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
        assert "<textarea" in client.get(address).content.decode()
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 6_000


def test_a_job_whose_task_is_gone_does_not_run_again(client, stored):
    job = stored("failed", task_path="tests.app.tasks.gone")
    assert "tests.app.tasks.gone" in text(client.post(again(job), {"args": "[]", "kwargs": "{}"}))
    assert "There is no job" in text(client.get(f"{JOBS}{'0' * 32}/run-again/", follow=True))


def test_the_admin_has_no_link_to_run_a_job_of_another_store_again(client, stored):
    job = parked(stored("waiting"), "other")
    queue_for("default").clear()
    queue_for("default").restore([job])
    assert f'href="{again(job)}"' not in client.get(change(job)).content.decode()
    assert "on its way to another store" in text(client.post(again(job), {"args": "[]", "kwargs": '{"b": 1}'}))
    assert jobs.filter().count() == 1


def test_hidden_arguments_stay_as_they_are_stored(client, stored, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["b", "token"]}
    job = stored("done", arguments='[[{"token": "secret-1", "x": 1}], {"b": "secret-2"}]')
    page = client.get(again(job))
    assert "secret" not in page.content.decode()
    assert "hidden" in text(page)
    client.post(again(job), {"args": f'[{{"token": "{MARK}", "x": 2}}]', "kwargs": f'{{"b": "{MARK}"}}'})
    [new] = jobs.filter("status:waiting")
    assert json.loads(new.arguments) == [[{"token": "secret-1", "x": 2}], {"b": "secret-2"}]


def test_a_queue_is_paused_and_resumed(client, stored):
    stored(queue_name="emails")
    form = {"alias": "default", "queue": "emails"}
    assert "The queue 'emails' is paused." in text(client.post(WORKERS, form | {"pauses": "yes"}, follow=True))
    assert jobs.paused() == {"default": ["emails"]}
    shown = client.get(WORKERS).content.decode()
    assert 'aria-label="Resume emails"' in shown
    assert "The queue 'emails' is resumed." in text(client.post(WORKERS, form, follow=True))
    assert jobs.paused() == {}
    assert [what for what, _ in entries()] == [
        "Changed “default: emails” — Paused.",
        "Changed “default: emails” — Resumed.",
    ]


@pytest.mark.parametrize("form", [{}, {"alias": "x", "queue": "default"}, {"alias": "default", "queue": "\x00"}])
def test_a_queue_that_there_is_not_is_told(client, stored, form):
    stored()
    page = client.post(WORKERS, form | {"pauses": "yes"}, follow=True)
    assert page.redirect_chain == [(WORKERS, 302)]
    assert 'class="error"' in page.content.decode()
    assert jobs.paused() == {}
