"""The fields of a job for people: nothing that is to be hidden, and whatever is stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from django_loco import jobs
from django_loco.core.compat import TaskError
from django_loco.core.job import Job, utcnow
from django_loco.jobs.presentation.shown import BROKEN, message_of, shown_arguments, shown_traceback, summary_of
from django_loco.log.redaction import MARK


def test_every_field_is_a_value_of_json_or_a_time(queue, stored):
    for state in ("waiting", "failed", "done", "running"):
        json.dumps(jobs.shown_job(stored(state, 1, "a", metadata='{"a":1}'), utcnow()), default=str)


@pytest.mark.parametrize("names", [["b"], ["b", "other"]])
def test_hidden_arguments_are_marked_by_name(queue, stored, settings, names):
    settings.LOCO = {**settings.LOCO, "REDACT": names}
    job = replace(stored(), task_path="tests.app.tasks.add", arguments='[[1, 2], {"b": 5, "c": {"b": 6}}]')
    assert shown_arguments(job) == ([1, MARK], {"b": MARK, "c": {"b": MARK}})


def test_arguments_of_an_unknown_task_are_all_hidden(queue, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["b"]}
    job = Job(task_path="gone.tasks.old", backend="default", arguments='[[1, 2], {"a": 5}]')
    assert shown_arguments(job) == ([MARK, MARK], {"a": 5})


def test_values_are_hidden_by_name(queue, stored, settings):
    settings.LOCO = {**settings.LOCO, "REDACT": ["b"]}
    text = '{"a":[{"b":"secret"}],"b":"secret"}'
    given = dict.fromkeys(("return_value", "checkpoint", "steps", "metadata", "signals"), text)
    shown = jobs.shown_job(replace(stored("done"), **given), utcnow())
    assert [shown[name] for name in given] == [{"a": [{"b": MARK}], "b": MARK}] * len(given)
    assert "secret" not in str(shown)


def test_values_that_are_nested_too_deeply_to_be_hidden_are_not_shown(queue, stored, settings, monkeypatch):
    def too_deep(value, _):
        raise RecursionError  # the depth differs between versions of Python

    settings.LOCO = {**settings.LOCO, "REDACT": ["b"]}
    monkeypatch.setattr("django_loco.jobs.presentation.shown.shown_value", too_deep)
    shown = jobs.shown_job(replace(stored(), metadata='{"a":[]}', arguments='[[],{"a":[],"b":5}]'), utcnow())
    assert (shown["metadata"], shown["kwargs"]) == (BROKEN, {"a": BROKEN, "b": MARK})


def test_what_cannot_be_read_says_so(queue, stored):
    shown = jobs.shown_job(replace(stored(), arguments="{", metadata="{", checkpoint="{"), utcnow())
    assert (shown["args"], shown["metadata"], shown["checkpoint"]) == ([BROKEN], BROKEN, BROKEN)


TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3/site-packages/django_loco/worker/execution/executor.py", line 77, in execute
    outcome = attempt.succeeded(call(attempt))
                                ~~~~^^^^^^^^^
  File "C:\\site-packages\\django_loco\\worker\\execution\\attempt.py", line 199, in call
    value = self.begin()
  File "/srv/shop/django_loco_jobs/tasks.py", line 6, in send
    raise KeyError(user_id)
KeyError: 3

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop/tasks.py", line 8, in send
    raise ValueError("no user")
ValueError: no user
  of several lines
"""


def test_a_traceback_begins_in_the_task():
    shown = shown_traceback(TRACEBACK)
    assert [line for line in shown.splitlines() if "File" in line] == [
        '  File "/srv/shop/django_loco_jobs/tasks.py", line 6, in send',
        '  File "/srv/shop/tasks.py", line 8, in send',
    ]
    assert "executor" not in shown
    assert "begin()" not in shown
    assert shown.endswith("ValueError: no user\n  of several lines\n")
    assert shown_traceback("ValueError: no frames\n") == "ValueError: no frames\n"


@pytest.mark.parametrize(
    ("path", "traceback", "message"),
    [
        ("builtins.ValueError", 'Traceback\n  File "a"\nValueError: no price\nin line two\n', "no price"),
        ("shop.NoPrice", "shop.NoPrice: of 7\n", "of 7"),
        ("shop.NoPrice", "Traceback\nshop.NoPrice\n", ""),
        ("builtins.KeyError", "KeyError: 'a: b'", "'a: b'"),
        ("builtins.ExceptionGroup", "  | ExceptionGroup: two (2)\n    | ValueError: a\n", "two (2)"),
        ("shop.Other", "what somebody wrote into the store", "what somebody wrote into the store"),
        ("shop.Other", "", ""),
    ],
)
def test_the_message_is_that_of_the_error(path, traceback, message):
    assert message_of(TaskError(exception_class_path=path, traceback=traceback)) == message


@pytest.mark.parametrize(
    ("path", "traceback", "summary"),
    [
        (
            "django.db.utils.IntegrityError",
            "Traceback\ndjango.db.utils.IntegrityError: duplicate key value\nDETAIL:  Key (id)=(1) exists.\n",
            "django.db.utils.IntegrityError: duplicate key value",
        ),
        ("builtins.ValueError", "ValueError: no price\na note of add_note", "ValueError: no price"),
        ("builtins.TimeoutError", "TimeoutError\n", "TimeoutError"),
        ("shop.NoPrice", "shop.NoPrice: of \u202e7\x1b\n", "shop.NoPrice: of \\u202e7\\x1b"),
    ],
)
def test_an_error_in_one_line(path, traceback, summary):
    assert summary_of(TaskError(exception_class_path=path, traceback=traceback)) == summary
