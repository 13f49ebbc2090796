"""Lines for readers that stay, and for readers that go away."""

from __future__ import annotations

import io
from errno import ENOSPC

import pytest
from django.core.management.base import CommandError, OutputWrapper

from django_loco.management.output import show


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
