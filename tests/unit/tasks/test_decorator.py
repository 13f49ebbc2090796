"""Options are typed: each line with an ignore must be an error for mypy, which reports an unused ignore as one."""

from __future__ import annotations

from datetime import timedelta

import pytest

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


def test_a_value_of_another_type_is_an_error() -> None:
    with pytest.raises(InvalidTask, match="max_attempts is '3'; it must be a whole number, 1 or more"):
        task(max_attempts="3")(double.func)  # type: ignore[call-overload]
    with pytest.raises(InvalidTask, match="timeout is 'soon'; it must be a number of seconds"):
        double.using(timeout="soon")  # type: ignore[arg-type]


def test_an_option_that_is_none_has_its_default() -> None:
    plain = task(priority=None, queue_name=None, aliases=None, max_attempts=None)(double.func)
    assert (plain.priority, plain.queue_name, plain.aliases, plain.max_attempts) == (0, "default", (), None)
