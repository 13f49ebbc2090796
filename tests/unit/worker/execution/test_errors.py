"""How the error of a job is stored."""

from __future__ import annotations

from typing import Any

import pytest

from django_loco.exceptions import Discard, JobCancelled, JobExpired
from django_loco.worker.execution.errors import explain_misfit, record_of


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__qualname__"):
            raise SystemExit(5)
        return super().__getattribute__(name)


class ErrorWithoutName(Exception, metaclass=Nameless):
    pass


class ErrorWithoutText(Exception):
    def __str__(self) -> str:
        raise SystemExit(6)


def test_a_class_that_raises_at_its_name_is_recorded_as_any_exception():
    record = record_of(ErrorWithoutName())
    assert record.exception_class_path == "builtins.BaseException"
    assert record.exception_class is BaseException
    assert "cannot be formatted" in record.traceback
    assert record_of(ErrorWithoutText()).exception_class is ErrorWithoutText


@pytest.mark.parametrize("kind", [Discard, JobCancelled, JobExpired])
def test_a_class_of_a_project_that_says_that_the_job_was_cancelled_is_stored_as_ours(kind):
    class Gone(kind):
        pass

    record = record_of(Gone("customer 7"))
    assert record.exception_class is kind
    assert record.traceback.endswith("Gone: customer 7\n")


@pytest.mark.parametrize(
    ("count", "names", "fits"), [(1, [], True), (0, ["a"], True), (0, [], False), (1, ["c"], False)]
)
def test_an_error_of_other_parameters_says_so(count, names, fits):
    error = TypeError("oh")
    explain_misfit(error, lambda a, b=1: None, count, names)
    assert getattr(error, "__notes__", []) == [] if fits else "other parameters than (a, b=1)" in error.__notes__[0]
