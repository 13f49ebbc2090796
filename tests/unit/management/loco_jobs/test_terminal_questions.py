"""The question before something is done with several jobs."""

from __future__ import annotations

import io
import sys

import pytest
from django.core.management.base import CommandError, OutputWrapper

from django_loco.management.loco_jobs.terminal import jobs_in_words, may


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "agrees"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_a_terminal_is_asked(monkeypatch, answer, agrees):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert may(OutputWrapper(out), "Import", "2 jobs", yes=False) is agrees
    assert out.getvalue() == "Import 2 jobs? [y/N] " + "Nothing was changed.\n" * (not agrees)


def test_nobody_is_asked_after_a_yes(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert may(OutputWrapper(io.StringIO()), "Import", "2 jobs", yes=True)


def test_without_a_terminal_it_takes_a_yes(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(CommandError, match=r"Import would take 2 jobs\. To do it, give --yes\."):
        may(OutputWrapper(io.StringIO()), "Import", "2 jobs", yes=False)


def test_numbers_of_jobs_in_words():
    assert [jobs_in_words(1), jobs_in_words(1_234), jobs_in_words(10_000, "10,000+")] == [
        "1 job",
        "1,234 jobs",
        "10,000+ jobs",
    ]
