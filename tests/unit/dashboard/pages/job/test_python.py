"""A job as Python."""

from __future__ import annotations

import ast
import json

import pytest

from django_loco.core.job import Job
from django_loco.dashboard.pages.job.python import literal, python_of


def job(arguments, **fields):
    stored = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Job(**{"task_path": "shop.tasks.pay", "backend": "default", "arguments": stored} | fields)


def test_a_call_is_written_out():
    stored = '[[9007199254740993, 1.10, "a\\n\'"], {"note": null, "items": [true, {"b": "\\u202e"}]}]'
    text = python_of(job(stored, priority=5))
    assert text == (
        "from shop.tasks import pay\n\n"
        "pay.using(queue_name='default', priority=5).enqueue(9007199254740993, 1.10, \"a\\n'\", "
        "note=None, items=[True, {'b': '\\u202e'}])"
    )
    ast.parse(text)


def test_a_call_has_the_priority_and_the_alias_of_the_job(settings):
    """Those of its task may be others."""
    assert ".using(queue_name='default', priority=0).enqueue()" in python_of(job([[], {}], priority=0))
    other = job([[], {}], backend="other", priority=-3)
    assert ".using(backend='other', queue_name='default', priority=-3).enqueue()" in python_of(other)
    settings.TASKS = {alias: {"BACKEND": "django_loco.backend.LocoBackend"} for alias in ("default", "other")}
    assert ".using(backend='default', queue_name='default', priority=0)" in python_of(job([[], {}]))


@pytest.mark.parametrize(
    "stored",
    [
        job([[], {}], task_path="os.system('x'); a.b"),
        job([[], {}], task_path="shop.class.b"),
        job([[], {}], task_path=""),
        job([[], {"a b": 1}]),
        job([["x" * 5000], {}]),
        job("nonsense"),
        job([[], {"a=1); import os; x(b": 1}]),
    ],
)
def test_what_cannot_be_written_out_is_run_again_by_its_id(stored):
    assert python_of(stored) == f'from django_loco import jobs\n\njobs.run_again("{stored.id}")'


def test_hidden_arguments_are_not_written_out(settings):
    settings.LOCO = {"REDACT": ["password"]}
    assert "secret" not in python_of(job([[], {"password": "secret"}]))


@pytest.mark.parametrize("value", [None, True, "a", "'\"\\", "\u202e", "\x00", [], {}, [[{"a": [None, "b"]}]]])
def test_a_literal_is_the_value(value):
    assert ast.literal_eval(literal(value)) == value
