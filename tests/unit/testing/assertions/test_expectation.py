"""Calls by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_loco.exceptions import InvalidArguments
from django_loco.testing.assertions.expectation import by_name, call_text

from .. import tasks


def test_arguments_by_name():
    assert by_name(tasks.send, [1], {"to": 2}) == {"user_id": 1, "fast": False, "to": 2}
    assert by_name(tasks.send, [1], {"to": 2}, is_partial=True) == {"user_id": 1, "to": 2}
    assert by_name(tasks.look, ["me"], {}) == {"name": "me"}


def test_arguments_beyond_the_parameters_one_by_one():
    call = ["welcome", "a", "b"], {"name": "Ada", "template": 1, "to": 2}
    assert by_name(tasks.mail, *call) == {
        "template": "welcome",
        "to[0]": "a",
        "to[1]": "b",
        "name": "Ada",
        "context['template']": 1,
        "context['to']": 2,
    }
    assert by_name(tasks.mail, ["welcome"], {}) == {"template": "welcome"}
    assert by_name(tasks.mail, [], {"name": "Ada"}, is_partial=True) == {"name": "Ada"}


def test_those_that_do_not_fit():
    with pytest.raises(InvalidArguments, match="unexpected keyword argument 'usr'"):
        by_name(tasks.send, [], {"usr": 2}, is_partial=True)


def test_a_function_without_a_signature():
    task = replace(tasks.send)
    object.__setattr__(task, "func", min)
    assert by_name(task, [1, 2], {"key": None}) == {"argument 1": 1, "argument 2": 2, "key": None}


def test_a_call_as_text():
    assert call_text("shop.send", [1, "a"], {"to": None}) == "shop.send(1, 'a', to=None)"
    assert call_text("shop.send", [], {"to": 1}, is_partial=True) == "shop.send(to=1, ...)"
    assert call_text("shop.send", [], {}, is_partial=True) == "shop.send(...)"
    assert len(call_text("shop.send", ["x" * 10_000], {})) < 1000
