"""A page with parts: what was last known, and answers that are a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.http import HttpRequest

from django_loco.core.compat import TaskResultDoesNotExist
from django_loco.dashboard.live import LivePage
from django_loco.dashboard.live import page as live
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
    monkeypatch.setattr(live, "change_mark", lambda: "")
    monkeypatch.setattr(live, "SHARED_SECONDS", 0.0)
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


def ask(numbers, etag="", key="a"):
    return numbers._answer(request_for(key, HTTP_ACCEPT="application/json", HTTP_IF_NONE_MATCH=etag), {})


def test_nothing_is_read_while_the_mark_is_the_same(numbers, monkeypatch):
    marks = iter(["m1", "m1", "m1", "m2", "m3"])
    monkeypatch.setattr(live, "change_mark", lambda: next(marks))
    numbers.answers = [[1], [1], [2]]
    etag = ask(numbers)["ETag"]
    assert etag.startswith('"m1.')
    for known in (etag, f"W/{etag}"):
        assert (ask(numbers, known).status_code, len(numbers.answers)) == (304, 2)
    other = ask(numbers, etag)
    assert (other.status_code, other["ETag"]) == (304, etag.replace("m1", "m2"))
    assert ask(numbers, other["ETag"]).status_code == 200


def test_no_mark_is_told_while_a_store_is_away_and_to_those_who_see_a_part(numbers, monkeypatch):
    monkeypatch.setattr(live, "change_mark", lambda: "away")
    numbers.answers = [[1], [1], [1]]
    etag = ask(numbers)["ETag"]
    assert etag.startswith('".')
    assert (ask(numbers, etag).status_code, len(numbers.answers)) == (304, 1)
    monkeypatch.setattr(live, "change_mark", lambda: "m1")
    monkeypatch.setattr(live, "scope_of", lambda _request: SimpleNamespace(is_narrowed=True))
    assert ask(numbers)["ETag"] == etag


def test_scripts_share_what_was_just_read(numbers, monkeypatch):
    monkeypatch.setattr(live, "SHARED_SECONDS", 60.0)
    marks = iter(["m1", "m2", "m3", "m4"])
    monkeypatch.setattr(live, "change_mark", lambda: next(marks))
    numbers.answers = [[1], [2], [3]]
    first = ask(numbers)
    assert ask(numbers).content == first.content
    assert ask(numbers)["ETag"] == first["ETag"]  # the mark before the read, so that the next one is not left out
    assert len(numbers.answers) == 2
    _, context = numbers._answer(request_for(), {})  # who has just changed something loads the page
    assert context["read"] == [2]
    assert ask(numbers, key="b").status_code == 200
    assert numbers.answers == []
