"""A page with parts: what was last known, and answers that are a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.http import HttpRequest

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.dashboard import live
from django_loco.dashboard.live import LivePage
from django_loco.exceptions import QueueUnavailable


class Numbers(LivePage[list[int]]):
    entry, template, permissions = "overview", "overview.html", ()
    answers: list

    def read(self, request, **names):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def key(self, request):
        return request.GET.get("key")

    def parts(self, request, read):
        return {"health": {"health": {"level": "good", "word": "Fine", "sentence": str(read)}}}


def request_for(key="a", **headers):
    request = HttpRequest()
    request.method = "GET"
    request.GET["key"] = key
    request.META |= headers
    request.user = SimpleNamespace(
        is_authenticated=True, is_staff=True, is_active=True, has_perm=lambda _: True, has_perms=lambda _: False
    )
    return request


@pytest.fixture
def numbers(monkeypatch):
    monkeypatch.setattr(live, "framed", lambda _request, _template, context, **given: (given["status"], context))
    monkeypatch.setattr(live, "sentence", lambda _request, text, **given: (given["status"], text))
    page = Numbers()
    page.answers = []
    return page


def test_a_page_has_its_parts(numbers):
    numbers.answers = [[1, 2]]
    status, context = numbers._answer(request_for(), {})
    assert status == 200
    assert context["is_live"]
    assert "[1, 2]" in context["parts"]["health"]


def test_what_was_last_known_is_shown_by_key(numbers):
    numbers.answers = [[1, 2], QueueUnavailable("away"), QueueUnavailable("away")]
    numbers._answer(request_for("a"), {})
    status, context = numbers._answer(request_for("a"), {})
    assert (status, context["read"], context["problem"]) == (503, [1, 2], "away")
    status, context = numbers._answer(request_for("b"), {})
    assert (status, context["read"]) == (503, None)
    assert "parts" not in context


@pytest.mark.parametrize(("error", "status"), [(ValueError("what?"), 400), (TaskResultDoesNotExist("what?"), 404)])
def test_a_mistake_is_a_sentence(numbers, error, status):
    numbers.answers = [error, error]
    assert numbers._answer(request_for(), {}) == (status, "what?")
    answer = numbers._answer(request_for(HTTP_ACCEPT="application/json"), {})
    assert (answer.status_code, answer.content) == (status, b"what?\n")


def test_the_script_gets_304_until_something_changes(numbers):
    numbers.answers = [[1], [1], [2], QueueUnavailable("away")]
    first = numbers._answer(request_for(HTTP_ACCEPT="application/json"), {})
    headers = {"HTTP_ACCEPT": "application/json", "HTTP_IF_NONE_MATCH": first["ETag"]}
    answers = [numbers._answer(request_for(**headers), {}).status_code for _ in range(3)]
    assert answers == [304, 200, 503]
