"""What goes in is the same for every store."""

from __future__ import annotations

import functools
import re
from collections import UserDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.functional import lazystr

from django_loco.core.compat import InvalidTask
from django_loco.core.serialization import decode, encode, encode_call, encode_exact
from django_loco.exceptions import InvalidArguments, LocoError
from django_loco.tasks import task
from django_loco.tasks.enqueueing.new_job import validate_call

TOO_LONG = "x" * 8_000


@task
def send(user_id: int, *, subject: str = "") -> None: ...


@task(takes_context=True)
def tell(context, text, volume=1): ...


@task
def take(*args, **kwargs): ...


@task
def need(*, name): ...


def adds_an_argument(function):
    @functools.wraps(function)
    def call(*args):
        return function("connection", *args)

    return call


@task
@adds_an_argument
def wrapped(connection, number): ...


@pytest.mark.parametrize(
    "options",
    [
        {"queue_name": "\ud800"}, {"queue_name": "a\0b"}, {"queue_name": "a\nb"}, {"queue_name": TOO_LONG},
        {"queue_name": ""}, {"queue_name": 5}, {"priority": "5"}, {"priority": float("nan")},
        {"priority": float("inf")}, {"timeout": float("inf")}, {"timeout": float("nan")}, {"timeout": 1e300},
        {"backoff": float("inf")}, {"backoff": [1, float("nan")]}, {"tags": ["\ud800"]}, {"tags": ["a\0"]},
        {"retry_on": ["ConnectionError"]}, {"backoff": "1"},
        {"tags": [TOO_LONG]}, {"tags": [f"t{number}" for number in range(101)]},
        {"run_after": "tomorrow"}, {"run_after": 5}, {"run_after": date(2030, 1, 1)},
        {"run_after": datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))},
        {"run_after": datetime.max.replace(tzinfo=UTC)}, {"run_after": datetime.min.replace(tzinfo=UTC)},
    ],
)  # fmt: skip
def test_what_no_store_can_take_is_refused_by_name(options):
    (name,) = options
    with pytest.raises(InvalidTask, match=name) as raised:
        send.using(**options)
    assert len(str(raised.value)) < 1_500


@pytest.mark.parametrize(
    ("call", "args", "kwargs", "told"),
    [
        (send, (), {}, "missing a required argument: 'user_id'"),
        (send, (1, 2), {}, "too many positional arguments"),
        (send, (1,), {"subjekt": "x"}, "unexpected keyword argument 'subjekt'. Did you mean 'subject'?"),
        (send, (1,), {"run_after": 5}, "'run_after'. Write task.using(run_after=...).enqueue(...)."),
        (send, (1,), {"user_id": 2}, "multiple values for argument 'user_id'"),
        (tell, (), {}, "missing a required argument: 'text'"),
        (tell, ("a", 2, 3), {}, "too many positional arguments"),
        (tell, ("a",), {"context": 1}, "multiple values for argument 'context'"),
        (need, ("a",), {}, "too many positional arguments"),
        (need, (), {}, "missing a required"),
        (wrapped, (1,), {"number": 1}, "unexpected keyword argument 'number'"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(call, args, kwargs, told):
    with pytest.raises(InvalidArguments, match=re.escape(told)) as raised:
        validate_call(call, args, kwargs)
    assert f"do not fit {call.module_path}(" in str(raised.value)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, LocoError)


@pytest.mark.parametrize(
    ("call", "args", "kwargs"),
    [
        (send, (1,), {}), (send, (), {"user_id": 1}), (send, (1,), {"subject": "x"}), (tell, ("a",), {}),
        (tell, ("a", 2), {}), (tell, (), {"text": "a"}), (take, (), {}), (take, (1, 2), {"a": 1}),
        (need, (), {"name": 1}),
        (wrapped, (1,), {}),
    ],
)  # fmt: skip
def test_arguments_that_fit_are_taken(call, args, kwargs):
    validate_call(call, args, kwargs)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (datetime.now(UTC), "isoformat(), and datetime.fromisoformat()"), (date(2026, 1, 1), "date.fromisoformat()"),
        (timedelta(1), "total_seconds()"), (Decimal(1), "Decimal()"), (uuid4(), "UUID()"), (b"x", "base64"),
        (bytearray(b"x"), "base64"), ({1}, "a list"), (lazystr("x"), "str()"), (Path(), "str()"),
        (HttpRequest(), "the values that the task needs"), (get_user_model()(), "its pk"),
        (get_user_model().objects.none(), "values_list"), (object(), "an id or another plain value"),
        ({1: "a", "1": "b"}, "Use text, such as '1'"), ([{"a": UserDict({None: 1})}], "Use text, such as 'None'"),
    ],
)  # fmt: skip
def test_the_remedy_is_named_for_each_type(value, remedy):
    for args, kwargs, name in (([0, value], {}, "argument 1"), ([], {"it": value}, "'it'")):
        with pytest.raises(InvalidArguments) as raised:
            encode_call("shop.send", args, kwargs)
        assert f"shop.send: {name} cannot be stored as JSON. " in str(raised.value)
        assert remedy in str(raised.value)


def test_a_return_value_is_as_lenient_as_the_contract_of_django():
    assert decode(encode({1: b"caf\xc3\xa9", "x": UserDict(a=(1,))})) == {"1": "café", "x": {"a": [1]}}


@pytest.mark.parametrize("value", [{"a": [1, (2, {"b": None})]}, UserDict(a=range(2)), [], "\ud800", 1.5])
def test_what_a_task_can_read_again_is_taken(value):
    assert encode_exact(value) == encode(value)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"max_retries": 3}, "Write max_attempts"), ({"bind": True}, "takes_context=True"),
        ({"max_attempt": 3}, "Did you mean 'max_attempts'?"), ({"queue": "x"}, "Write queue_name"),
    ],
)  # fmt: skip
def test_habits_of_other_systems_are_answered(options, remedy):
    for declare in (lambda: task(**options)(send.func), lambda: send.using(**options)):
        with pytest.raises(TypeError, match=next(iter(options))) as raised:
            declare()
        assert remedy in str(raised.value)


def test_delay_is_answered_with_enqueue():
    with pytest.raises(AttributeError, match=r"send has no attribute 'delay'\. Write enqueue\(\.\.\.\)\."):
        send.delay(1)
    assert not hasattr(send, "apply_async")
    assert not hasattr(send, "anything")
