"""What Python calls at the end of a process, and in which order."""

from __future__ import annotations

import subprocess
import sys

import pytest

from django_loco.worker.in_process import exit_hooks

SCRIPT = """
import atexit, threading
from django_loco.worker.in_process import exit_hooks

def early():
    from concurrent.futures import ThreadPoolExecutor
    try:
        print("early", ThreadPoolExecutor(1).submit(int, 7).result())
    except RuntimeError:
        print("too late")

atexit.register(print, "before")
exit_hooks.call_at_exit(early=early, late=lambda: print("late"))
"""


@pytest.mark.slow
def test_the_early_function_can_use_executors_and_the_late_one_runs_with_those_of_atexit():
    code = f"{SCRIPT}exit_hooks.call_before_pools(early)\nexit_hooks.call_before_pools(early)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "early 7"
    assert lines[-2:] == ["late", "before"]
    assert lines.count("early 7") <= 2


def test_while_the_interpreter_ends_nothing_can_be_registered(monkeypatch):
    def refuse(function: object) -> None:
        raise RuntimeError("can't register atexit after shutdown")

    monkeypatch.setattr(exit_hooks, "_register_early", refuse)
    exit_hooks.call_before_pools(lambda: None)
