"""The number that a terminal shows while a command works."""

from __future__ import annotations

import io

from django.core.management.base import OutputWrapper

from django_loco.management.loco_jobs.terminal import PAUSE_SECONDS, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_number_now_and_then_and_nothing_in_the_end():
    out, now = Terminal(), [100.0]
    with Progress(OutputWrapper(out), "Moving", clock=lambda: now[0]) as progress:
        progress.show(1_000)
        progress.show(2_000)
        now[0] += PAUSE_SECONDS
        progress.show(3_000)
    assert out.getvalue() == "\r\x1b[KMoving jobs: 1,000\r\x1b[KMoving jobs: 3,000\r\x1b[K"


def test_a_file_gets_nothing():
    out = io.StringIO()
    with Progress(OutputWrapper(out), "Moving") as progress:
        progress.show(1_000)
    assert out.getvalue() == ""
