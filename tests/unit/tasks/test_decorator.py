"""Options are typed: each line with an ignore must be an error for mypy, which reports an unused ignore as one."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from django_loco.jobs.operations import attribute_hints
from django_loco.tasks import InvalidTask, LocoTask, task


@task(max_attempts=3, timeout=1.5, tags=["email"], retry_on=[OSError], backoff=[1, 2.5])
def double(number: int) -> int:
    return 2 * number


def test_a_task_keeps_the_types_of_its_function_and_options() -> None:
    typed: LocoTask[[int], int] = double
    attempts: int | None = typed.max_attempts
    assert (typed.func(2), attempts) == (4, 3)
    double.using(timeout=None, run_after=timedelta(hours=1), priority=5)


def test_a_mistyped_option_is_an_error() -> None:
    with pytest.raises(TypeError, match="Did you mean 'max_attempts'"):
        task(max_atempts=3)(double.func)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="Did you mean 'priority'"):
        double.using(prioritty=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="aliases"):
        double.using(aliases=["shop.tasks.twice"])  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="enqueue"):
        double.delay(1)  # type: ignore[attr-defined]


def test_options_of_other_systems_have_hints() -> None:
    with pytest.raises(TypeError, match=r"no option 'name'\. Remove it: a task has the path of its function"):
        task(name="twice")(double.func)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"retry=3 is max_attempts=4"):
        task(retry=3)(double.func)  # type: ignore[call-overload]


def test_only_options_that_the_decorator_takes_are_choices() -> None:
    with pytest.raises(TypeError, match="Choices are") as raised:
        task(colour="red")(double.func)  # type: ignore[call-overload]
    assert not {"run_after", "metadata", "unique_key"} & set(re.split(r"[:,. ]+", str(raised.value)))
    with pytest.raises(TypeError, match=r"Choices are: .*run_after"):
        double.using(colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("value", ["twice", 5, partial(double.func, 1), type("Callable", (), {"__call__": len})()])
def test_only_a_function_becomes_a_task(value: Any) -> None:
    with pytest.raises(InvalidTask, match=r"is no function\. Write @task above a function of a module"):
        task(value)


def test_a_function_in_a_function_is_refused_with_its_name() -> None:
    def inner() -> None: ...

    with pytest.raises(
        InvalidTask, match=r"with_its_name\.<locals>\.inner is inside of a function\. Define it at the level"
    ):
        task(inner)


def test_a_task_of_a_task_is_refused() -> None:
    with pytest.raises(InvalidTask, match=r"double is a task already\. Write @task once"):
        task(double)  # type: ignore[call-overload]


def test_an_unfinished_task_has_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="LocoTask has no attribute 'module_path'"):
        _ = object.__new__(LocoTask).module_path


@pytest.mark.parametrize("name", attribute_hints._ATTRIBUTES["task"])
def test_attributes_of_other_systems_have_hints(name: str) -> None:
    assert getattr(double, name, None) is None
    with pytest.raises(AttributeError, match=rf"double has no attribute '{name}'\. Write "):
        getattr(double, name)


def test_a_value_of_another_type_is_an_error() -> None:
    with pytest.raises(InvalidTask, match="max_attempts is '3'; it must be a whole number, 1 or more"):
        task(max_attempts="3")(double.func)  # type: ignore[call-overload]
    with pytest.raises(InvalidTask, match="timeout is 'soon'; it must be a number of seconds"):
        double.using(timeout="soon")  # type: ignore[arg-type]


def test_an_option_that_is_none_has_its_default() -> None:
    plain = task(priority=None, queue_name=None, aliases=None, max_attempts=None)(double.func)
    assert (plain.priority, plain.queue_name, plain.aliases, plain.max_attempts) == (0, "default", (), None)


def send_mail(customer_id: int) -> None: ...


def test_a_mistake_in_the_settings_is_left_to_the_checks(settings: Any) -> None:
    settings.LOCO = {"NUM_WORKER": 5, "LIMITS": {"mail": {"rate": "60/m"}}}
    assert task(limits=["mail"])(send_mail).limits == ("mail",)


def test_a_limit_key_that_cannot_be_imported_is_named(settings: Any) -> None:
    settings.LOCO = {"LIMITS": {"mail": {"rate": "60/m"}}}
    with pytest.raises(InvalidTask, match=r"send_mail: limit_key is 'customer\.id', which cannot be imported: No mod"):
        task(limits=["mail"], limit_key="customer.id")(send_mail)
