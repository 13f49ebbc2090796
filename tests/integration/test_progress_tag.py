"""``{% loco_progress result %}`` and what its script asks."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import signing
from django.template import Context, Template
from django.test import Client
from django.urls import include, path, reverse

from django_loco import jobs
from django_loco.exceptions import LocoConfigurationError, LocoError, QueueUnavailable
from django_loco.tasks import Discard, batch, chain, task
from django_loco.testing import drain
from django_loco.urls.progress import MEMBERS, SALT
from tests.app import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]
urlpatterns = [path("site/", include("django_loco.urls.progress"))]


@task
def give_up() -> None:
    """Give up <at once>."""
    raise Discard("no")


@pytest.fixture(autouse=True)
def _manual(settings):
    settings.LOCO = {**settings.LOCO, "TESTING": "manual"}


def rendered(result: object, arguments: str = "", **context: object) -> str:
    template = Template("{% load django_loco %}{% loco_progress result " + arguments + " %}")
    return template.render(Context({"result": result, **context}))


def address_in(page: str) -> str:
    found = re.search(r'data-loco-progress="([^"]*)"', page)
    assert found
    return found[1]


def asked(page: str, **headers: str) -> dict[str, object]:
    return Client().get(address_in(page), headers=headers).json()


def ran(result):
    drain(raise_errors=False)
    result.refresh()
    return result


def test_a_job_that_waits():
    page = rendered(result := give_up.enqueue())
    assert f'<label for="loco-progress-{result.id}">Give up &lt;at once&gt;.</label>' in page
    assert f'<progress id="loco-progress-{result.id}"></progress>' in page
    assert '<span class="loco-progress-text">waiting</span>' in page
    assert '<script src="/static/django_loco/progress.js" defer></script>' in page
    assert asked(page) == {"state": "waiting", "state_text": "waiting", "finished": False, "percent": None, "text": ""}


def test_a_job_that_has_failed_where_it_was():
    page = rendered(ran(tasks.advance.enqueue(3, 12)), "label=name", name="<b>Import")
    assert ">&lt;b&gt;Import</label>" in page
    assert 'max="100" value="25.0"' in page
    assert "3 of 12 (25 %): rows &lt;b&gt;" in page
    assert 'role="status">failed</span>' in page
    assert "data-finished" in page
    assert asked(page) == {
        "state": "failed",
        "state_text": "failed",
        "finished": True,
        "percent": 25.0,
        "text": "3 of 12 (25 %): rows <b>",
    }


@pytest.mark.parametrize(("name", "state", "percent"), [("echo", "done", 100.0), ("give_up", "cancelled", None)])
def test_a_job_that_has_ended(name, state, percent):
    result = give_up.enqueue() if name == "give_up" else tasks.echo.enqueue()
    page = rendered(ran(result))
    assert f'data-state="{state}"' in page
    assert asked(page) == {"state": state, "state_text": state, "finished": True, "percent": percent, "text": ""}


def test_a_batch_that_runs_and_then_has_ended():
    with batch("Import") as members:
        members.enqueue_many(tasks.echo, [()] * 3)
        members.enqueue(tasks.advance, 3, 12)
    page = rendered(members)
    assert f'<label for="loco-progress-{members.id}">Import</label>' in page
    assert f'<progress id="loco-progress-{members.id}"></progress>' in page
    found = {"state": "running", "state_text": "running", "finished": False}
    assert asked(page) == {**found, "percent": 0.0, "text": "0 of 4 (0 %)"}
    with pytest.raises(LocoError, match="has run 2 jobs"):
        drain(limit=2)
    assert asked(page) == {**found, "percent": 50.0, "text": "2 of 4 (50 %)"}
    members.refresh()
    assert "2 of 4 (50 %)" in rendered(members)
    drain(raise_errors=False)
    found = {"state": "failed", "state_text": "failed", "finished": True}
    assert asked(page) == {**found, "percent": 100.0, "text": "4 of 4 (100 %): 1 failed"}


def test_a_batch_that_may_get_more_members_has_no_percentage():
    members = batch("open")
    members.enqueue(tasks.echo)
    drain()
    assert asked(rendered(members))["percent"] is None
    assert asked(rendered(members))["text"] == "1"
    members.cancel()
    assert asked(rendered(members))["state"] == "done"


def test_a_workflow():
    flow = chain(tasks.echo.s(), tasks.echo.s()).enqueue()
    page = rendered(flow, 'label="Order"')
    assert f'<label for="loco-progress-{flow.id}">Order</label>' in page
    assert asked(page)["text"] == "0 of 2 (0 %)"
    flow.cancel()
    assert asked(page)["state"] == "cancelled"
    nowhere = signing.dumps(["default", "0" * 32, MEMBERS], salt=SALT)
    assert Client().get(reverse("loco_progress", args=[nowhere])).status_code == 404


def test_the_page_needs_no_exception_in_a_policy():
    page = rendered(tasks.echo.enqueue(), csp_nonce="abc")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/django_loco/progress.js" defer nonce="abc">']


def test_nothing_is_shown_of_no_job():
    assert rendered(None).strip() == ""


def test_what_is_no_result_is_named():
    with pytest.raises(TypeError, match="takes the result of a job, a batch or a workflow, not 'x'"):
        rendered("x")


@pytest.mark.urls("tests.app.urls")
def test_a_site_without_the_address_is_told_what_to_write():
    with pytest.raises(LocoConfigurationError, match=r'include\("django_loco.urls.progress"\)'):
        rendered(tasks.echo.enqueue())


def test_an_answer_that_the_browser_knows_is_not_sent_again():
    page, client = rendered(tasks.echo.enqueue()), Client()
    first = client.get(address_in(page))
    assert (first["Cache-Control"], first.status_code) == ("private, no-cache", 200)
    again = client.get(address_in(page), headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    drain()
    assert client.get(address_in(page), headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_only_who_was_given_the_address_may_ask(settings):
    result = tasks.echo.enqueue()
    good = address_in(rendered(result))
    other = signing.dumps([result.backend, result.id], salt="another")
    nowhere = signing.dumps(["gone", result.id], salt=SALT)
    for token in (result.id, other, nowhere, "x"):
        assert Client().get(reverse("loco_progress", args=[token])).status_code == 404
    settings.SECRET_KEY = "another"
    assert Client().get(good).status_code == 404


def test_a_page_is_too_old_after_a_week(monkeypatch):
    page = rendered(tasks.echo.enqueue())
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 8 * 86_400)
    assert Client().get(address_in(page)).status_code == 404


def test_a_job_that_is_gone():
    page = rendered(result := tasks.echo.enqueue())
    jobs.delete(result)
    assert Client().get(address_in(page)).status_code == 404


def test_while_the_store_is_away_the_script_asks_later(monkeypatch):
    page = rendered(tasks.echo.enqueue())

    def unreachable(*args: object, **options: object) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(jobs, "get", unreachable)
    answer = Client().get(address_in(page))
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


def test_nothing_can_be_changed_there():
    assert Client().post(address_in(rendered(tasks.echo.enqueue()))).status_code == 405


def test_a_job_for_later():
    assert asked(rendered(tasks.echo.using(run_after=timedelta(hours=1)).enqueue()))["state"] == "scheduled"
