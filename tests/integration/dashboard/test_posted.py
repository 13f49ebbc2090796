"""Forms that are sent after the end of a session."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from django_loco import jobs
from tests.integration.admin.conftest import text

from .conftest import OPERATE

pytestmark = pytest.mark.django_db
BATCH = "0" * 32
FORMS = {
    "/jobs/pause": ({"pause": json.dumps(["default", "emails"])}, "/jobs/tasks/"),
    OPERATE: ({"operation": "retry", "job": BATCH}, "/jobs/jobs/"),
    "/jobs/failures/operate": ({"do": "retry:abc"}, "/jobs/failures/"),
    "/jobs/schedules/act": ({"run": "nightly"}, "/jobs/schedules/"),
    "/jobs/limits/change": ({"reset": json.dumps(["default", "api"])}, "/jobs/limits/"),
    f"/jobs/workflows/{BATCH}/act": ({"do": "cancel"}, f"/jobs/workflows/{BATCH}/"),
    "/jobs/workers/tell": ({"quiet": json.dumps(["default", "worker-1"])}, "/jobs/workers/"),
}


@pytest.mark.parametrize("address", FORMS)
def test_the_login_leads_to_the_page_and_nothing_is_done(client, queue, address):
    form, page = FORMS[address]
    login = Client().post(address, form)
    assert login["Location"].startswith("/admin/login/?next=/jobs/")
    [leads_to] = parse_qs(urlsplit(login["Location"]).query)["next"]
    answer = client.get(leads_to)
    assert answer["Location"] == page
    assert "Nothing was done. If you had to log in first, do it again." in text(client.get("/jobs/jobs/"))
    assert jobs.paused() == {}


def test_a_browser_may_keep_a_question_to_go_back_to_it(client, queue, stored):
    asked = client.post(OPERATE, {"operation": "retry", "job": stored("failed").id, "ask": "yes"})
    assert "Retry 1 job?" in text(asked)
    assert asked["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("address", FORMS)
def test_a_form_of_another_site_is_refused(client, queue, address):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(address, FORMS[address][0]).status_code == 403
