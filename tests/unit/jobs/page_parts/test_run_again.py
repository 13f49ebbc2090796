"""Hidden values in the form with which a job runs again."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from django_loco.core.job import Job
from django_loco.jobs.page_parts.run_again import RunAgainForm, restored
from django_loco.jobs.page_parts.scope import EVERYTHING
from django_loco.log.redaction import MARK


def form_of(*args):
    return RunAgainForm(Job(task_path="a.b", backend="default", arguments=json.dumps([args, {}])), EVERYTHING)


def sent_by(form):
    """Return the bytes that a browser sends for the form as it is shown."""
    token = {"csrfmiddlewaretoken": "x" * 64}
    return len(urlencode(token | {name: text.replace("\n", "\r\n") for name, text in form.initial.items()}))


@pytest.mark.parametrize("value", ['"' * 100, "ж" * 100, [1] * 100, {"a": {"b": ["c" * 30] * 4}}])
def test_a_form_that_is_shown_can_be_sent(settings, value):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    indented = form_of(value)
    assert not indented.is_too_long
    for most in range(200, sent_by(indented) + 200):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = most
        form = form_of(value)
        assert form.is_too_long or sent_by(form) <= most
    assert form.initial == indented.initial


def test_long_arguments_are_in_one_line_if_that_makes_them_fit(settings):
    value = [[1] * 100]
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = sent_by(form_of(*value))
    form = form_of(*value)
    assert not form.is_too_long
    assert form.initial["args"] == json.dumps(value)


@pytest.mark.parametrize(
    ("given", "shown", "stored", "result"),
    [
        (MARK, MARK, "secret", "secret"),
        (MARK, "a", "a", MARK),
        ("new", MARK, "secret", "new"),
        (
            {"a": MARK, "b": 2, "c": MARK},
            {"a": MARK, "b": 1},
            {"a": "secret", "b": 1},
            {"a": "secret", "b": 2, "c": MARK},
        ),
        ([MARK, [MARK], MARK], [MARK, [MARK]], ["x", ["y"]], ["x", ["y"], MARK]),
        ({"a": MARK}, [MARK], ["x"], {"a": MARK}),
        ([7], [], [], [7]),
    ],
)
def test_a_mark_stands_for_what_is_stored_at_its_place(given, shown, stored, result):
    assert restored(given, shown, stored) == result
