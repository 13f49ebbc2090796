"""Our task class, seen through the decorators: Django's own, which passes options on since 6.1, and ours.

Django tests its custom task classes in the same way (``CustomTaskTestCase``).
"""

from __future__ import annotations

from importlib import import_module

import django
import pytest

from django_loco.tasks import LocoTask
from django_loco.tasks import task as loco_task
from tests.app import tasks

django_task = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks").task
DECORATORS = [loco_task, django_task]
#: Django 6.0 has no way to pass an option on.
WITH_OPTIONS = DECORATORS if django.VERSION < (6, 0) or django.VERSION >= (6, 1) else [loco_task]


@pytest.mark.parametrize("task", DECORATORS)
def test_default_values(task):
    made = task()(tasks.add.func)
    assert isinstance(made, LocoTask)
    assert (made.max_attempts, made.backoff, made.retry_on, made.timeout, made.tags) == (None,) * 5


@pytest.mark.parametrize("task", WITH_OPTIONS)
def test_custom_values(task):
    made = task(max_attempts=5, backoff=[1, 10], timeout=30, tags=["email"])(tasks.add.func)
    assert isinstance(made, LocoTask)
    assert (made.max_attempts, made.backoff, made.timeout, made.tags) == (5, (1, 10), 30, ("email",))


@pytest.mark.parametrize("task", WITH_OPTIONS)
def test_standard_and_custom_values(task):
    made = task(priority=10, queue_name="emails", max_attempts=5)(tasks.add.func)
    assert isinstance(made, LocoTask)
    assert (made.priority, made.queue_name, made.max_attempts) == (10, "emails", 5)
    assert made.takes_context is False
    assert made.run_after is None


@pytest.mark.parametrize("task", WITH_OPTIONS)
def test_a_task_describes_itself(task):
    def documented():
        """
        Add two numbers.

        Slowly.
        """

    documented.__qualname__ = "documented"
    assert task()(documented).description == "Add two numbers."
    assert task(description="Sums")(documented).description == "Sums"
    assert task()(tasks.add.func).description == ""


@pytest.mark.parametrize("task", DECORATORS)
def test_an_unknown_option_is_refused(task):
    with pytest.raises(TypeError, match="unknown_option"):
        task(unknown_option=123)(tasks.add.func)
