"""Lines for readers that stay, and for readers that go away."""

from __future__ import annotations

import io
from errno import ENOSPC

import pytest
from django.core.management.base import CommandError, OutputWrapper

from django_loco.management.output import show, warning_of_memory


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_each_line_is_written():
    out = io.StringIO()
    show(OutputWrapper(out), iter(["one", "two"]), owns_process=True)
    assert out.getvalue() == "one\ntwo\n"


def test_within_another_program_a_closed_pipe_is_an_error():
    with pytest.raises(BrokenPipeError):
        show(OutputWrapper(Closed()), ["one"], owns_process=False)


def test_an_output_that_cannot_be_written_is_a_clear_error():
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(ENOSPC, "No space left on device")

    with pytest.raises(CommandError, match=r"The output cannot be written: .*No space left on device"):
        show(OutputWrapper(Full()), ["one"], owns_process=False)


def test_jobs_that_cannot_be_seen_are_in_memory_or_run_at_once(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "BackgroundAsync"}},
        "now": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"mode": "ForegroundBlocking"}},
    }
    waiting = "The jobs of TASKS['default'] are in the memory of the processes that enqueue them, "
    run = "The jobs of TASKS['now'] run inside enqueue() (ForegroundBlocking), so none wait, "
    assert warning_of_memory("default").startswith(waiting)
    assert warning_of_memory("now").startswith(run)
    assert waiting in warning_of_memory(None)
    assert run in warning_of_memory(None)
