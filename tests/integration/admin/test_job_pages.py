"""The list of jobs and the page of each, on every queue."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django import VERSION
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings

from django_loco import jobs
from django_loco.core.job import Job, first_id, new_id, utcnow
from django_loco.core.job.progress import text_of_progress
from django_loco.exceptions import QueueUnavailable
from django_loco.jobs.page_parts import listing, scope
from django_loco.log.redaction import MARK
from django_loco.tasks import Workflow
from tests.app import tasks

from .conftest import JOBS, STATES, WORKERS, change, client_of, text

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def ids_of(response):
    return [row.job.id for row in response.context["shown"].listing.rows]


def test_each_state_is_shown_and_found(client, stored):
    made = {state: stored(state).id for state in STATES}
    page = client.get(JOBS)
    assert ids_of(page) == sorted(made.values(), reverse=True)
    for state, job_id in made.items():
        found = client.get(JOBS, {"q": f"status:{state}"})
        assert ids_of(found) == [job_id]
        assert f'<span class="loco-state loco-{state}">{state}</span>' in found.content.decode()
    shown = text(page)
    assert re.search(r"in 5\d min \d+ s", shown)
    assert "error_of" not in shown
    assert "ValueError" in shown


def test_the_links_count_states_and_queues(client, stored):
    for state in STATES:
        stored(state)
    stored("waiting", queue_name="emails")
    page = client.get(JOBS, {"q": "queue:emails tag:a -status:done"})
    shown = page.context["shown"]
    assert [(link.label, link.count) for link in shown.states if link.count] == [
        ("Ready", "4"),
        ("Running", "1"),
        ("Not successful", "2"),
        ("Done", "1"),
    ]
    assert [(link.label, link.count, link.is_selected) for link in shown.queues if link.count] == [
        ("default: default", "7", False),
        ("default: emails", "1", False),
    ]
    assert [link.label for link in shown.states if link.is_selected] == ["All"]
    [running] = [link for link in shown.states if link.label == "Running"]
    assert running.url.endswith("?q=queue%3Aemails+tag%3Aa+-status%3Adone+status%3Arunning")
    assert client.get(running.url).status_code == 200


def test_a_paused_queue_is_marked(client, stored):
    stored()
    jobs.pause(queue="default", backend="default")
    assert "default: default (paused) 1" in text(client.get(JOBS))


def test_pages_go_older_and_newer(client, stored, monkeypatch):
    monkeypatch.setattr(listing, "PER_PAGE", 2)
    made = sorted((stored().id for _ in range(5)), reverse=True)
    first = client.get(JOBS, {"q": "task:add"})
    assert ids_of(first) == made[:2]
    assert first.context["shown"].listing.newer == ""
    second = client.get(first.context["shown"].listing.older)
    third = client.get(second.context["shown"].listing.older)
    assert (ids_of(second), ids_of(third)) == (made[2:4], made[4:])
    assert third.context["shown"].listing.older == ""
    back = client.get(third.context["shown"].listing.newer)
    assert ids_of(back) == made[2:4]
    assert ids_of(client.get(back.context["shown"].listing.newer)) == made[:2]
    assert ids_of(client.get(third.context["shown"].listing.newest)) == made[:2]
    assert 'rel="next"' in first.content.decode()


def test_a_mistake_in_the_filter_is_told(client, stored):
    stored()
    for words, told in (
        ("status:faild", "'faild' is not a status. Did you mean 'failed'?"),
        ("stauts:failed", "'stauts' is not a word of filters. Did you mean 'status'?"),
        ("failed", "is not of the form word:value"),
        ("backend:defalt", "Did you mean 'default'?"),
    ):
        page = client.get(JOBS, {"q": words})
        assert told in text(page)
        assert f'value="{words}"' in page.content.decode()
        assert ids_of(page) == []


@pytest.mark.parametrize("cursor", ["x", "0", "\x00", "'; DROP TABLE", "ü" * 1000])
def test_a_wrong_place_in_the_list_is_its_beginning(client, stored, cursor):
    job = stored()
    page = client.get(JOBS, {"before": cursor, "trail": f"{cursor},{cursor}"})
    assert "does not name a place in the list" in text(page)
    assert ids_of(page) == [job.id]


def test_an_old_cursor_is_no_mistake(client, stored):
    job = stored()
    assert ids_of(client.get(JOBS, {"before": job.id, "trail": new_id()})) == []
    assert ids_of(client.get(JOBS, {"before": new_id()})) == [job.id]


@pytest.mark.parametrize("words", ['queue:"\x00"', "status:failed queue:\x00", "id:x", f"id:{'x' * 5000}", "🐛"])
def test_no_filter_is_an_error_of_the_server(client, stored, words):
    stored("failed")
    text(client.get(JOBS, {"q": words}))


def test_a_search_by_arguments_says_how_far_it_has_looked(client, stored, monkeypatch):
    monkeypatch.setattr(listing, "WINDOW", 2)
    wanted = stored(arguments="[[7, 2], {}]", id=first_id(utcnow() - timedelta(hours=1)))
    for _ in range(3):
        stored()
    page = client.get(JOBS, {"q": "args.a:7"})
    assert ids_of(page) == []
    assert "Older ones were not searched yet" in text(page)
    assert ids_of(client.get(page.context["shown"].listing.older)) == [wanted.id]


def test_the_page_of_a_job(client, stored):
    job = stored(
        "failed",
        "first\nKeyError: 7",
        arguments='[[1.10, 123456789012345678901234567890], {"c": {"d": [true, null, "ü"]}}]',
        tags=("bulk", "a b"),
        metadata='{"tenant": "acme"}',
        key="nightly@2026",
        options={"request_id": "abc", "max_attempts": 1},
        priority=5,
    )
    page = client.get(change(job))
    shown = text(page)
    for part in (
        "a 1.10 b 123456789012345678901234567890",
        'c {"d": [true, null, "ü"]}',
        'Metadata {"tenant": "acme"}',
        "It has failed for good after 1 attempt: ValueError: first",
        f"loco_jobs retry {job.id}",
        "Schedule nightly",
        "Request abc",
        "max_attempts=1",
        "Priority 5",
        "1 of 1: ValueError: first",
        "builtins.ValueError",
        "Workers of its attempts worker-1",
    ):
        assert part in shown
    links = re.findall(r'href="([^"]+\?q=[^"]+)"', page.content.decode())
    links = [link for link in links if not re.search("request|parent", link)]
    assert len(links) >= 6
    for link in links:
        assert ids_of(client.get(link)) == [job.id], link


def test_a_job_and_those_that_it_has_enqueued_lead_to_each_other(client, stored):
    parent = stored("done")
    child = stored(options={"parent": parent.id})
    page = client.get(change(child))
    assert f"Parent {parent.id}" in text(page)
    assert f'href="{change(parent)}"' in page.content.decode()
    assert "Children" not in text(page)
    [link] = re.findall(r'href="([^"]+\?q=parent[^"]+)"', client.get(change(parent)).content.decode())
    assert ids_of(client.get(link)) == [child.id]


def test_a_node_of_a_workflow_leads_to_those_before_it(client, queue):
    flow = Workflow("nightly")
    first = flow.add(tasks.add, 1, 2, name="extract")
    last = flow.add(tasks.add, 3, 4, after=[first], name="load")
    flow.enqueue()
    page = client.get(change(queue.get(last.id)))
    assert "Node load" in text(page)
    assert "After node extract" in text(page)
    assert f"It waits for node extract, job {first.id}." in text(page)
    assert f'href="{change(queue.get(first.id))}"' in page.content.decode()
    assert "9998" not in text(page)
    [link] = set(re.findall(r'href="([^"]+\?q=workflow[^"]+)"', page.content.decode()))
    assert ids_of(client.get(link)) == sorted([first.id, last.id], reverse=True)
    assert "after other jobs" in text(client.get(link))


@pytest.mark.parametrize("parent", ["\ud800/..", SCRIPT, 7, None, ["x"]])
def test_a_parent_that_somebody_has_edited_is_no_link(client, stored, parent):
    page = client.get(change(stored(options={"parent": parent})))
    urls = [fact.url for fact in page.context["shown"].facts if fact.label == "Parent"]
    assert urls == [""] * isinstance(parent, str)
    assert "<script>alert" not in page.content.decode()


def test_times_are_in_their_order(client, stored):
    job = stored("retrying")
    moments = client.get(change(job)).context["shown"].moments
    assert [moment.label for moment in moments] == ["Enqueued", "First attempt", "Due"]
    assert [moment.is_ahead for moment in moments] == [False, False, True]


def test_the_result_and_why_a_job_waits(client, stored):
    assert 'Result {"sum": 3.10}' in text(client.get(change(stored("done"))))
    assert "No worker of TASKS['default'] is alive." in text(client.get(change(stored())))


def test_what_is_to_be_hidden_is_hidden(client, stored, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["b", "token"]}
    job = stored(
        "done",
        arguments='[[1, "secret-1"], {"c": {"token": "secret-2"}}]',
        metadata='{"token": "secret-3"}',
        result='{"token": "secret-4", "users": [{"token": "secret-5"}]}',
    )
    for page in (client.get(JOBS), client.get(change(job))):
        assert "secret" not in page.content.decode()
        assert MARK in text(page)


def test_frames_of_the_worker_are_left_out(client, stored):
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "/site/django_loco/worker/execution/attempt.py", line 199, in call\n    value = self.begin()\n'
        '  File "/srv/shop/tasks.py", line 6, in send\n    raise KeyError(user_id)\nKeyError: 3\n'
    )
    shown = text(client.get(change(stored("failed", traceback))))
    assert "attempt.py" not in shown
    assert "/srv/shop/tasks.py" in shown


def test_nothing_that_is_stored_is_markup(client, stored):
    job = stored(
        "failed",
        SCRIPT,
        task_path=f"shop.{SCRIPT}",
        queue_name=f"a/b.c {SCRIPT}",
        arguments=f'[["{SCRIPT}", "\\ud800\\u202e\\u0000"], {{"{SCRIPT}": "{SCRIPT}"}}]',
        tags=(SCRIPT,),
        metadata=f'{{"{SCRIPT}": 1}}',
    )
    for address in (JOBS, f"{JOBS}?q={SCRIPT}", change(job), WORKERS, f"{JOBS}?q=tag:{SCRIPT}&before={SCRIPT}"):
        content = client.get(address).content.decode()
        assert "<script>alert" not in content
        assert "\u202e" not in content
    shown = client.get(change(job))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.content.decode()
    [link] = [link.url for link in client.get(JOBS).context["shown"].queues if "a/b.c" in link.label]
    assert ids_of(client.get(link)) == [job.id]


def test_deep_and_large_arguments_are_shown_as_far_as_possible(client, stored):
    made = [stored(arguments=f"[[{deep}], {{}}]") for deep in ("[" * 900 + "]" * 900, f'"{"x" * 200_000}"')]
    text(client.get(JOBS))
    for job in made:
        text(client.get(change(job)))
    assert "a page shows no more" in text(client.get(change(made[1])))


@pytest.mark.parametrize("job_id", ["x", "0" * 32, "\x00", "a/b", SCRIPT])
def test_an_unknown_job_leads_back_to_the_list(client, job_id):
    page = client.get(change(job_id), follow=True)
    assert page.redirect_chain == [(JOBS, 302)]
    assert "is not the id of a job" in text(page) or "There is no job" in text(page)


def test_a_job_that_is_pruned_while_it_is_looked_at(client, stored, monkeypatch):
    job = stored("done")
    get = jobs.get

    def get_and_prune(*args, **kwargs):
        found = get(*args, **kwargs)
        jobs.delete(job.id)
        return found

    monkeypatch.setattr(scope, "get", get_and_prune)
    assert "There is no job" in text(client.get(change(job), follow=True))


@pytest.mark.parametrize("address", [JOBS, f"{JOBS}?q=status:failed", change("0" * 32), WORKERS])
def test_a_store_that_is_away_is_told(client, queue, monkeypatch, address):
    def gone(*args, **kwargs):
        raise QueueUnavailable("TASKS['default']: the store does not answer.")

    for name in ("list", "get", "counts", "workers"):
        monkeypatch.setattr(type(queue), name, gone)
    assert "the store does not answer." in text(client.get(address), 503)


def test_a_project_without_a_queue_of_ours_is_told(client):
    package = "django_tasks" if VERSION < (6, 0) else "django.tasks"
    with override_settings(TASKS={"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}):
        for address in (JOBS, change("0" * 32), WORKERS):
            assert "TASKS has no backend of django-loco" in text(client.get(address), 503)


def test_who_may_see_what(stored):
    job = stored()
    pages = {JOBS: "view_job", change(job): "view_job", WORKERS: "view_worker"}
    for address, permission in pages.items():
        assert client_of(permission).get(address).status_code == 200
        others = set(pages.values()) - {permission}
        assert client_of(*others).get(address).status_code == 403
        assert Client().get(address).status_code == 302
    index = client_of("view_job").get("/admin/").content.decode()
    assert JOBS in index
    assert WORKERS not in index


def test_a_page_asks_little_of_the_store(client, queue, stored, django_assert_max_num_queries):
    for number in range(120):
        stored(STATES[number % len(STATES)], queue_name="emails" if number % 3 else "default")
    with django_assert_max_num_queries(12):
        page = client.get(JOBS)
    assert len(ids_of(page)) == 50


def test_the_models_of_the_pages_are_no_tables():
    call_command("dumpdata", "django_loco", stdout=StringIO())
    assert not {"django_loco_locojob", "django_loco_locoworker"} & set(connection.introspection.table_names())


def test_jobs_of_this_process_are_said_to_be(client, queue, stored):
    stored()
    told = "you see the jobs of this process only" in text(client.get(JOBS))
    assert told == (not queue.is_shared)


def test_a_job_that_is_due_far_ahead(client, queue):
    job = Job(task_path="tests.app.tasks.add", backend="default", enqueued_at=utcnow() + timedelta(days=3))
    queue.enqueue([replace(job, run_after=utcnow() + timedelta(days=4000))])
    assert "0 s ago" in text(client.get(JOBS))
    assert "It is not due yet" in text(client.get(change(job)))


def test_times_without_use_tz_are_those_of_the_project(client, stored, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    job = stored("failed", enqueued_at=datetime(2025, 11, 28, 20, 15, 30, 123_456, tzinfo=UTC))
    client.post(f"{JOBS}operate/", {"operation": "retry", "job": job.id})
    shown = text(client.get(change(job)))
    assert "Times in Asia/Tokyo Enqueued 2025-11-29 05:15:30.123" in shown
    assert "Retried." in shown


def test_how_far_a_job_is(client, stored):
    known, unknown, none = (
        stored("failed", progress=text)
        for text in (text_of_progress(3, 12, "rows <b>"), text_of_progress(3, None, ""), None)
    )
    page = client.get(change(known)).content.decode()
    assert '<progress id="loco-progress" max="100" value="25.0"></progress>' in page
    assert "3 of 12 (25 %): rows &lt;b&gt;" in page
    assert '<progress id="loco-progress"></progress>' in client.get(change(unknown)).content.decode()
    assert "<progress" not in client.get(change(none)).content.decode()
