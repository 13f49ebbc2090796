"""What a form names to be paused."""

from __future__ import annotations

import pytest

from django_loco.dashboard.pausing import Pausing
from django_loco.jobs.language import filter_of
from django_loco.jobs.page_parts.scope import EVERYTHING, Scope


@pytest.mark.parametrize(
    ("form", "pausing"),
    [
        ({"pause": '["default", "emails"]'}, Pausing("queue", "emails", "default")),
        ({"pause": '{"task": "shop.pay"}'}, Pausing("task", "shop.pay")),
        ({"pause": '{"tag": "a", "backend": "bulk"}'}, Pausing("tag", "a", "bulk")),
        ({"pause": "tag", "name": " a b "}, Pausing("tag", "a b")),
    ],
)
def test_what_a_form_names(form, pausing):
    assert Pausing.of(form, "pause") == pausing
    assert Pausing.of({"resume": pausing.value}, "resume") == pausing
    assert pausing.keywords == {pausing.kind: pausing.name, "backend": pausing.backend}


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{}", '["a"]', '["a", "b", "c"]', '{"task": "a", "tag": "b"}'])
def test_a_form_that_names_nothing(text):
    with pytest.raises((ValueError, TypeError)):
        Pausing.of({"pause": text}, "pause")


def test_what_the_log_says():
    assert str(Pausing("queue", "emails", "default")) == "default: emails"
    assert str(Pausing("task", "shop.pay")) == "task shop.pay"
    assert str(Pausing("tag", "a", "bulk")) == "bulk: tag a"


@pytest.mark.parametrize(
    ("text", "within"),
    [("queue:emails", ["queue"]), ("task:shop.*", ["task"]), ("task:shop.* queue:emails", []), ("tag:a", [])],
)
def test_whose_jobs_they_are(text, within):
    all_of = [Pausing("queue", "emails", "default"), Pausing("task", "shop.pay"), Pausing("tag", "a")]
    scope = Scope(filter_of(text, {}))
    assert [each.kind for each in all_of if each.is_within(scope)] == within
    assert all(each.is_within(EVERYTHING) for each in all_of)
